/**
 * The growing tree over a store of the hashes of complete subtrees: a node (level, index) covers
 * the 2^level leaves from index * 2^level on, and is written once, when its last leaf arrives.
 * Every answer for an older size stays readable.
 */
import { check } from '../errors.ts';
import { emptyRoot, HASH_LENGTH, nodeHash } from './merkle.ts';

/** Nodes are immutable; level 0 holds the leaf hashes. `get` is asked for nodes that exist only. */
export interface NodeStore {
  get(level: number, index: number): Uint8Array;
  put(level: number, index: number, hash: Uint8Array): void;
}

/** Adds a leaf to the tree of `size` leaves; returns the new size. Errors: LOG_OUT_OF_RANGE. */
export function append(store: NodeStore, size: number, leafHash: Uint8Array): number {
  checkSize(size);
  check(leafHash.length === HASH_LENGTH, 'LOG_OUT_OF_RANGE', 'a leaf hash has 32 bytes');
  let hash = leafHash;
  let index = size;
  store.put(0, index, hash);
  for (let level = 0; index % 2 === 1; level++) {
    hash = nodeHash(read(store, level, index - 1), hash);
    index = (index - 1) / 2;
    store.put(level + 1, index, hash);
  }
  return size + 1;
}

/** The root of the first `size` leaves. Errors: LOG_OUT_OF_RANGE, LOG_NODE_MISSING. */
export function root(store: NodeStore, size: number): Uint8Array {
  checkSize(size);
  return size === 0 ? emptyRoot() : rangeHash(store, 0, size);
}

/** RFC 9162 2.1.3.1: hashes from the leaf up. Errors: LOG_OUT_OF_RANGE, LOG_NODE_MISSING. */
export function inclusionPath(store: NodeStore, index: number, size: number): Uint8Array[] {
  checkSize(size);
  const inside = Number.isSafeInteger(index) && index >= 0 && index < size;
  check(inside, 'LOG_OUT_OF_RANGE', 'no such leaf in a log of this size');
  const down: Uint8Array[] = [];
  let start = 0;
  let count = size;
  while (count > 1) {
    const left = largestPowerBelow(count);
    if (index < start + left) {
      down.push(rangeHash(store, start + left, count - left));
      count = left;
    } else {
      down.push(rangeHash(store, start, left));
      start += left;
      count -= left;
    }
  }
  return down.toReversed();
}

/**
 * RFC 9162 2.1.4.1: that the tree of size1 begins the tree of size2; empty for equal sizes.
 * Errors: LOG_OUT_OF_RANGE, LOG_NODE_MISSING.
 */
export function consistencyPath(store: NodeStore, size1: number, size2: number): Uint8Array[] {
  checkSize(size1);
  checkSize(size2);
  check(size1 >= 1 && size1 <= size2, 'LOG_OUT_OF_RANGE', 'sizes out of order');
  const down: Uint8Array[] = [];
  let start = 0;
  let count = size2;
  while (start + count !== size1) {
    const left = largestPowerBelow(count);
    if (size1 <= start + left) {
      down.push(rangeHash(store, start + left, count - left));
      count = left;
    } else {
      down.push(rangeHash(store, start, left));
      start += left;
      count -= left;
    }
  }
  // At start 0 the subtree that remains is the old tree, whose root the verifier has.
  if (start > 0) down.push(rangeHash(store, start, count));
  return down.toReversed();
}

/** The hash of `count` leaves from `start` on, `start` a multiple of a power of two >= count. */
function rangeHash(store: NodeStore, start: number, count: number): Uint8Array {
  let hash: Uint8Array | undefined;
  let end = start + count;
  let width = 1;
  for (let level = 0; end > start; level++, width *= 2) {
    if ((end / width) % 2 === 0 && end - start > width) continue;
    // The range's end is odd here: its last complete subtree of this width hangs to the right.
    const node = read(store, level, end / width - 1);
    hash = hash === undefined ? node : nodeHash(node, hash);
    end -= width;
  }
  return hash as Uint8Array;
}

function read(store: NodeStore, level: number, index: number): Uint8Array {
  const hash: Uint8Array | undefined = store.get(level, index);
  check(hash?.length === HASH_LENGTH, 'LOG_NODE_MISSING', undefined, { level, index });
  return hash;
}

function largestPowerBelow(count: number): number {
  let power = 1;
  while (power * 2 < count) power *= 2;
  return power;
}

function checkSize(size: number): void {
  check(Number.isSafeInteger(size) && size >= 0, 'LOG_OUT_OF_RANGE', 'not a size');
}
