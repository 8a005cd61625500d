/** The Merkle tree of RFC 9162 section 2.1 with SHA-256: hashes, and the checks of its two proofs. */
import { sha256 } from '#crypto';
import { concat, equal } from '../bytes.ts';
import { check, fail } from '../errors.ts';

export const HASH_LENGTH = 32;

/** Sizes and indexes stay below 2^63 (C2SP tlog-checkpoint), so a path has at most 63 hashes. */
const MAX_SIZE = 1n << 63n;

const LEAF_PREFIX = Uint8Array.of(0);
const NODE_PREFIX = 1;

export interface InclusionPath {
  readonly leafHash: Uint8Array;
  readonly index: number | bigint;
  /** Number of leaves of the tree that the path leads to. */
  readonly size: number | bigint;
  /** Hashes from the leaf up to the root. */
  readonly path: readonly Uint8Array[];
}

export interface InclusionProof extends InclusionPath {
  readonly root: Uint8Array;
}

export interface ConsistencyProof {
  readonly size1: number | bigint;
  readonly size2: number | bigint;
  readonly root1: Uint8Array;
  readonly root2: Uint8Array;
  readonly path: readonly Uint8Array[];
}

/** SHA-256(00 || entry). */
export function leafHash(entry: Uint8Array): Uint8Array {
  return sha256(concat(LEAF_PREFIX, entry));
}

// Hashing is synchronous, so one buffer serves every call.
const nodeInput = new Uint8Array(1 + 2 * HASH_LENGTH);
nodeInput[0] = NODE_PREFIX;

/** SHA-256(01 || left || right) of two hashes. */
export function nodeHash(left: Uint8Array, right: Uint8Array): Uint8Array {
  nodeInput.set(left, 1);
  nodeInput.set(right, 1 + HASH_LENGTH);
  return sha256(nodeInput);
}

/** The root of the tree without leaves. */
export function emptyRoot(): Uint8Array {
  return sha256(new Uint8Array(0));
}

/**
 * The root that the path leads to from the leaf (RFC 9162 2.1.3.2). Proves nothing until the root
 * is compared with one that is trusted; neither size nor index is bound by the root alone.
 * Errors: LOG_PROOF_MALFORMED, before anything is hashed.
 */
export function rootFromInclusion(proof: InclusionPath): Uint8Array {
  const { leafHash, path } = proof;
  const index = natural(proof.index);
  const size = natural(proof.size);
  check(index < size, 'LOG_PROOF_MALFORMED', 'the index is not below the size');
  const { inner, border } = shape(index, size);
  checkHash(leafHash);
  checkPath(path, inner + border);
  return climbBorder(climb(leafHash, path.slice(0, inner), index), path.slice(inner));
}

/** Errors: LOG_PROOF_MALFORMED; LOG_INCLUSION_INVALID when the path leads to another root. */
export function verifyInclusion(proof: InclusionProof): void {
  checkHash(proof.root);
  check(equal(rootFromInclusion(proof), proof.root), 'LOG_INCLUSION_INVALID');
}

/**
 * Checks that the tree of size1 is the beginning of the tree of size2 (RFC 9162 2.1.4.2).
 * Nothing is consistent with the empty tree: size1 is at least 1.
 * Errors: LOG_PROOF_MALFORMED, LOG_CONSISTENCY_INVALID.
 */
export function verifyConsistency(proof: ConsistencyProof): void {
  const { root1, root2, path } = proof;
  const size1 = natural(proof.size1);
  const size2 = natural(proof.size2);
  check(size1 >= 1n && size1 <= size2, 'LOG_PROOF_MALFORMED', 'sizes out of order');
  checkHash(root1);
  checkHash(root2);
  if (size1 === size2) {
    checkPath(path, 0);
    check(equal(root1, root2), 'LOG_CONSISTENCY_INVALID');
    return;
  }
  // The path starts at the largest complete subtree that ends at size1; when that is the whole
  // old tree its hash is root1 and is left out (RFC 9162 2.1.4.2 step 2).
  const shift = trailingZeros(size1);
  const whole = size1 === 1n << BigInt(shift);
  const start = whole ? 0 : 1;
  const { inner: levels, border } = shape(size1 - 1n, size2);
  const inner = levels - shift;
  checkPath(path, start + inner + border);
  const seed = whole ? root1 : (path[0] as Uint8Array);
  const lower = path.slice(start, start + inner);
  const upper = path.slice(start + inner);
  const position = (size1 - 1n) >> BigInt(shift);
  const old = climbBorder(climbLeft(seed, lower, position), upper);
  const now = climbBorder(climb(seed, lower, position), upper);
  check(equal(old, root1) && equal(now, root2), 'LOG_CONSISTENCY_INVALID');
}

/**
 * A path's hashes: `inner` levels up to where the way of the last leaf is met, with siblings on
 * both sides, then `border` levels along the right edge, with siblings on the left only.
 */
function shape(index: bigint, size: bigint): { readonly inner: number; readonly border: number } {
  const apart = index ^ (size - 1n);
  const inner = apart === 0n ? 0 : apart.toString(2).length;
  let border = 0;
  for (let rest = index >> BigInt(inner); rest > 0n; rest >>= 1n) border += Number(rest & 1n);
  return { inner, border };
}

function climb(seed: Uint8Array, path: readonly Uint8Array[], index: bigint): Uint8Array {
  let hash = seed;
  let position = index;
  for (const sibling of path) {
    hash = (position & 1n) === 0n ? nodeHash(hash, sibling) : nodeHash(sibling, hash);
    position >>= 1n;
  }
  return hash;
}

/** The climb in the old tree, which has nothing to the right of the seed. */
function climbLeft(seed: Uint8Array, path: readonly Uint8Array[], index: bigint): Uint8Array {
  let hash = seed;
  let position = index;
  for (const sibling of path) {
    if ((position & 1n) === 1n) hash = nodeHash(sibling, hash);
    position >>= 1n;
  }
  return hash;
}

function climbBorder(seed: Uint8Array, path: readonly Uint8Array[]): Uint8Array {
  let hash = seed;
  for (const sibling of path) hash = nodeHash(sibling, hash);
  return hash;
}

function trailingZeros(size: bigint): number {
  let zeros = 0;
  for (let rest = size; (rest & 1n) === 0n; rest >>= 1n) zeros++;
  return zeros;
}

function natural(value: number | bigint): bigint {
  if (typeof value === 'number') {
    check(Number.isSafeInteger(value), 'LOG_PROOF_MALFORMED', 'a size or index is not an integer');
  } else if (typeof value !== 'bigint') {
    fail('LOG_PROOF_MALFORMED', 'a size or index is not a number');
  }
  const whole = BigInt(value);
  check(whole >= 0n && whole < MAX_SIZE, 'LOG_PROOF_MALFORMED', 'a size or index out of range');
  return whole;
}

function checkHash(hash: Uint8Array): void {
  const right = hash instanceof Uint8Array && hash.length === HASH_LENGTH;
  check(right, 'LOG_PROOF_MALFORMED', 'a hash has 32 bytes');
}

function checkPath(path: readonly Uint8Array[], length: number): void {
  const right = Array.isArray(path) && path.length === length;
  check(right, 'LOG_PROOF_MALFORMED', `the path must have ${length} hashes`);
  for (const hash of path) checkHash(hash);
}
