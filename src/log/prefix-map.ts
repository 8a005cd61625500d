/** The reader's side of the prefix map: a proof of what stands, or does not, under a key (docs/spec/log.md). */
import { sha256 } from '#crypto';
import { asArray, asBytes, asUint } from '../cbor/read.ts';
import type { Cbor } from '../cbor/value.ts';
import { equal } from '../bytes.ts';
import { check } from '../errors.ts';

export const KEY_LENGTH = 32;
const HASH = 32;
export const MAX_DEPTH = 256;

/** Another key's leaf, standing where the key asked for would stand. */
export interface MapLeaf {
  readonly key: Uint8Array;
  /** SHA-256 of its value. */
  readonly valueHash: Uint8Array;
}

export interface MapProof {
  /** Number of parents above the terminal, 0 to 256. */
  readonly depth: number;
  /** Bit i, most significant first: the sibling at depth i + 1 is not empty. */
  readonly bitmap: Uint8Array;
  /** The siblings that are not empty, 32 bytes each, from the root down. */
  readonly siblings: Uint8Array;
  /** true: the key's own leaf; null: an empty place; else the leaf of another key. */
  readonly terminal: true | null | MapLeaf;
}

export const EMPTY: Uint8Array = new Uint8Array(HASH);

// Hashing is synchronous, so one buffer serves every call.
const input = new Uint8Array(1 + 2 * HASH);

/** SHA-256(02 || key || SHA-256(value)): a subtree with one key, at whatever depth. */
export function mapLeafHash(key: Uint8Array, valueHash: Uint8Array): Uint8Array {
  return hashPair(2, key, valueHash);
}

/** SHA-256(03 || left || right): a subtree with more keys. */
export function mapNodeHash(left: Uint8Array, right: Uint8Array): Uint8Array {
  return hashPair(3, left, right);
}

function hashPair(prefix: number, first: Uint8Array, second: Uint8Array): Uint8Array {
  input[0] = prefix;
  input.set(first, 1);
  input.set(second, 1 + HASH);
  return sha256(input);
}

/** Bit `depth` of a key, most significant first. */
export function bitAt(bytes: Uint8Array, depth: number): number {
  return ((bytes[depth >> 3] as number) >> (7 - (depth & 7))) & 1;
}

/**
 * The root that the proof leads to: it proves the value (or, for null, that the key has none) once
 * the caller has compared that root with a trusted one.
 * Errors: LOG_MAP_PROOF_MALFORMED; LOG_MAP_PROOF_INVALID when the proof is not about this key, or
 * proves absence where a value is given or presence where none is.
 */
export function verifyMapProof(claim: {
  readonly key: Uint8Array;
  readonly value: Uint8Array | null;
  readonly proof: MapProof;
}): Uint8Array {
  const { key, value, proof } = claim;
  check(key.length === KEY_LENGTH, 'LOG_MAP_PROOF_MALFORMED', 'a key has 32 bytes');
  checkShape(proof);
  let hash = terminalHash(key, value, proof);
  let at = proof.siblings.length;
  for (let depth = proof.depth - 1; depth >= 0; depth--) {
    let sibling = EMPTY;
    if (bitAt(proof.bitmap, depth) === 1) {
      at -= HASH;
      sibling = proof.siblings.subarray(at, at + HASH);
    }
    hash = bitAt(key, depth) === 0 ? mapNodeHash(hash, sibling) : mapNodeHash(sibling, hash);
  }
  // EMPTY is shared: hand out a copy.
  return hash.slice();
}

/** The hash at the foot of the proof; refuses a foot that is not the one of this key and value. */
function terminalHash(key: Uint8Array, value: Uint8Array | null, proof: MapProof): Uint8Array {
  const { terminal, depth } = proof;
  if (terminal === true) {
    check(value !== null, 'LOG_MAP_PROOF_INVALID', 'the key has a value');
    return mapLeafHash(key, sha256(value));
  }
  check(value === null, 'LOG_MAP_PROOF_INVALID', 'the key has no value');
  if (terminal === null) return EMPTY;
  check(
    !equal(terminal.key, key),
    'LOG_MAP_PROOF_INVALID',
    "absence shown with the key's own leaf",
  );
  for (let i = 0; i < depth; i++)
    check(bitAt(terminal.key, i) === bitAt(key, i), 'LOG_MAP_PROOF_INVALID', 'a leaf of elsewhere');
  return mapLeafHash(terminal.key, terminal.valueHash);
}

function checkShape(proof: MapProof): void {
  const { depth, bitmap, siblings, terminal } = proof;
  const malformed = 'LOG_MAP_PROOF_MALFORMED';
  check(Number.isInteger(depth) && depth >= 0 && depth <= MAX_DEPTH, malformed, 'depth');
  check(bitmap.length === Math.ceil(depth / 8), malformed, 'bitmap length');
  let count = 0;
  for (let i = 0; i < bitmap.length * 8; i++) {
    const bit = bitAt(bitmap, i);
    check(i < depth || bit === 0, malformed, 'spare bits of the bitmap are zero');
    count += bit;
  }
  // A leaf stands as high as it can and nothing hangs below an empty place, so the lowest parent
  // has something on its other side.
  check(depth === 0 || bitAt(bitmap, depth - 1) === 1, malformed, 'the lowest sibling is empty');
  check(siblings.length === count * HASH, malformed, 'siblings length');
  for (let at = 0; at < siblings.length; at += HASH)
    check(
      !equal(siblings.subarray(at, at + HASH), EMPTY),
      malformed,
      'an empty sibling is left out',
    );
  if (terminal === true || terminal === null) return;
  check(terminal.key.length === KEY_LENGTH, malformed, 'a key has 32 bytes');
  check(terminal.valueHash.length === HASH, malformed, 'a value hash has 32 bytes');
}

/** The CBOR array of a proof, to be embedded. */
export function encodeMapProof(proof: MapProof): Cbor {
  const { depth, bitmap, siblings, terminal } = proof;
  const foot =
    terminal === true || terminal === null ? terminal : [terminal.key, terminal.valueHash];
  return [depth, bitmap, siblings, foot];
}

/** A proof of its CBOR array, of bounded size and right shape. Errors: CBOR_TYPE, LOG_MAP_PROOF_MALFORMED. */
export function decodeMapProof(value: Cbor): MapProof {
  const [depth, bitmap, siblings, foot] = asArray(value, 'map proof', 4) as [
    Cbor,
    Cbor,
    Cbor,
    Cbor,
  ];
  const proof = {
    depth: asUint(depth, 'map proof depth'),
    bitmap: asBytes(bitmap, 'map proof bitmap', { max: MAX_DEPTH / 8 }),
    siblings: asBytes(siblings, 'map proof siblings', { max: MAX_DEPTH * HASH }),
    terminal: foot === true || foot === null ? foot : decodeLeaf(foot),
  };
  checkShape(proof);
  return proof;
}

function decodeLeaf(value: Cbor): MapLeaf {
  const [key, valueHash] = asArray(value, 'map proof terminal', 2) as [Cbor, Cbor];
  return {
    key: asBytes(key, 'map proof key', KEY_LENGTH),
    valueHash: asBytes(valueHash, 'map proof value hash', HASH),
  };
}
