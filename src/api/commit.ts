/**
 * Contract of `GET /v1/commit`: the consortium's newest signed header that a node knows, with the head that the header
 * stands for (docs/spec/commit-certificate.md). For auditors, and for nodes that are no members.
 */
import { decode } from '../cbor/decode.ts';
import { encode } from '../cbor/encode.ts';
import { asArray, asBytes, asUint } from '../cbor/read.ts';
import { MAX_CERTIFICATE } from '../light/certificate.ts';

export const COMMIT = '/v1/commit';
export const MAX_COMMIT = MAX_CERTIFICATE + 256;

export interface Commit {
  /** SignedHeader of CometBFT. */
  readonly certificate: Uint8Array;
  /** What its app hash is of. */
  readonly head: {
    readonly height: number;
    readonly size: number;
    readonly root: Uint8Array;
    readonly stateRoot: Uint8Array;
  };
}

export function encodeCommit({ certificate, head }: Commit): Uint8Array {
  return encode([certificate, head.height, head.size, head.root, head.stateRoot]);
}

/** Nothing of it is believed yet. Errors: CBOR_*. */
export function decodeCommit(bytes: Uint8Array): Commit {
  const row = asArray(decode(bytes, { maxBytes: MAX_COMMIT }), 'commit', 5);
  return {
    certificate: asBytes(row[0] ?? null, 'certificate', { max: MAX_CERTIFICATE }),
    head: {
      height: asUint(row[1] ?? null, 'height'),
      size: asUint(row[2] ?? null, 'size'),
      root: asBytes(row[3] ?? null, 'root', 32),
      stateRoot: asBytes(row[4] ?? null, 'state root', 32),
    },
  };
}
