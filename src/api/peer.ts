/** Contract between nodes: blocks, forwarded transactions, cosignatures. */
import { decode } from '../cbor/decode.ts';
import { encode } from '../cbor/encode.ts';
import { asArray, asBool, asBytes, asText, asUint } from '../cbor/read.ts';
import type { Cbor } from '../cbor/value.ts';
import { MAX_CERTIFICATE } from '../light/certificate.ts';
import { MAX_BLOCK } from '../registry/block.ts';

export const PEER_TRANSACTIONS = '/v1/peer/transactions';
export const PEER_BLOCKS = '/v1/peer/blocks';
export const PEER_COSIGNATURES = '/v1/peer/cosignatures';
/** Withdrawals, revocations and policy changes, from node to node (T11). */
export const PEER_STATEMENTS = '/v1/peer/statements';
/** A policy.change, by the node that it appoints to order (T12). */
export const PEER_TAKEOVER = '/v1/peer/takeover';
// A block of the consortium engine comes with its certificate.
const MAX_SERVED = MAX_BLOCK + MAX_CERTIFICATE + 16;
export const MAX_BLOCKS_ANSWER = MAX_SERVED + 65_536;

/** One node's cosignature of one head. `name` is OPERATOR/NODE, `time` POSIX seconds. */
export interface NamedCosignature {
  readonly size: number;
  readonly root: Uint8Array;
  readonly name: string;
  readonly time: number;
  readonly signature: Uint8Array;
}

/** Where one statement stands. `known`: it was on the ledger before (T05). */
export interface OrderedStatement {
  readonly height: number;
  readonly index: number;
  readonly known: boolean;
}

export function blocksPath(from: number, waitMs: number): string {
  return `${PEER_BLOCKS}?from=${from}&wait=${waitMs}`;
}

function row({ size, root, name, time, signature }: NamedCosignature): Cbor {
  return [size, root, name, time, signature];
}

function parseRow(value: Cbor): NamedCosignature {
  const [size, root, name, time, signature] = asArray(value, 'cosignature', 5);
  return {
    size: asUint(size ?? null, 'size'),
    root: asBytes(root ?? null, 'root', 32),
    name: asText(name ?? null, 'name', 65),
    time: asUint(time ?? null, 'time'),
    signature: asBytes(signature ?? null, 'signature', 64),
  };
}

export function encodeCosignature(cosignature: NamedCosignature): Uint8Array {
  return encode(row(cosignature));
}

/** Errors: CBOR_*. */
export function decodeCosignature(bytes: Uint8Array): NamedCosignature {
  return parseRow(decode(bytes, { maxBytes: 1024 }));
}

export function encodeCosignatures(cosignatures: readonly NamedCosignature[]): Uint8Array {
  return encode(cosignatures.map(row));
}

/** Errors: CBOR_*. */
export function decodeCosignatures(bytes: Uint8Array): readonly NamedCosignature[] {
  return asArray(decode(bytes, { maxBytes: 1 << 20 }), 'cosignatures').map(parseRow);
}

export function encodeOrdered(ordered: readonly OrderedStatement[]): Uint8Array {
  return encode(ordered.map(({ height, index, known }) => [height, index, known]));
}

/** Errors: CBOR_*. */
export function decodeOrdered(bytes: Uint8Array): readonly OrderedStatement[] {
  return asArray(decode(bytes, { maxBytes: 4096 }), 'ordered').map((value) => {
    const [height, index, known] = asArray(value, 'placement', 3);
    return {
      height: asUint(height ?? null, 'height'),
      index: asUint(index ?? null, 'index'),
      known: asBool(known ?? null, 'known'),
    };
  });
}

export function encodeBlocks(blocks: readonly Uint8Array[]): Uint8Array {
  return encode([...blocks]);
}

/** Errors: CBOR_*. */
export function decodeBlocks(bytes: Uint8Array): readonly Uint8Array[] {
  const list = asArray(decode(bytes, { maxBytes: MAX_BLOCKS_ANSWER }), 'blocks');
  return list.map((block) => asBytes(block, 'block', { max: MAX_SERVED }));
}
