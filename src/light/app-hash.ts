/** What a CometBFT header says of our log (T31, docs/spec/commit-certificate.md). */
import { sha256 } from '#crypto';
import { concat, utf8 } from '../bytes.ts';
import { encode } from '../cbor/encode.ts';

const TAG = utf8('firmament/app/v1');

/** SHA-256("firmament/app/v1" || CBOR [size, root, state root]) of a head: 32 bytes. */
export function appHash(head: {
  readonly size: number;
  readonly root: Uint8Array;
  readonly stateRoot: Uint8Array;
}): Uint8Array {
  return sha256(concat(TAG, encode([head.size, head.root, head.stateRoot])));
}
