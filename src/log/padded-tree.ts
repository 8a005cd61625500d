/**
 * Small Merkle trees (RFC 9162 2.1) that show nothing of how much is under them: leaves stand in the order of their hashes,
 * filled up with random ones to a power of two (T25, docs/spec/report-batch.md).
 */
import { compare } from '../bytes.ts';
import { check } from '../errors.ts';
import type { Random } from '../random.ts';
import { HASH_LENGTH, nodeHash } from './merkle.ts';

export const MIN_LEAVES = 16;
export const MAX_LEAVES = 4096;

/** The leaf hashes with those that fill up. `hashes`: 1 to MAX_LEAVES, all different. Errors: BATCH_MALFORMED. */
export function paddedLeaves(hashes: readonly Uint8Array[], random: Random): readonly Uint8Array[] {
  const filled = [...hashes];
  while (filled.length < MIN_LEAVES || !isPower(filled.length)) filled.push(random(HASH_LENGTH));
  const sorted = filled.toSorted(compare);
  checkLeaves(sorted);
  return sorted;
}

/** Errors: BATCH_MALFORMED. */
export function checkLeaves(leaves: readonly Uint8Array[]): void {
  const { length } = leaves;
  check(
    length >= MIN_LEAVES && length <= MAX_LEAVES && isPower(length),
    'BATCH_MALFORMED',
    'the leaves are no power of two within the bounds',
  );
  for (const [i, leaf] of leaves.entries()) {
    const before = leaves[i - 1];
    check(
      leaf.length === HASH_LENGTH && (!before || compare(before, leaf) < 0),
      'BATCH_MALFORMED',
      'the leaves are hashes, each above the one before',
    );
  }
}

/** The root over checked leaves. */
export function rootOfLeaves(leaves: readonly Uint8Array[]): Uint8Array {
  return levels(leaves).at(-1)?.[0] as Uint8Array;
}

/** Hashes from the leaf up. `index` is below the number of leaves. */
export function pathOfLeaf(leaves: readonly Uint8Array[], index: number): readonly Uint8Array[] {
  const path: Uint8Array[] = [];
  let position = index;
  for (const level of levels(leaves).slice(0, -1)) {
    path.push(level[position ^ 1] as Uint8Array);
    position >>= 1;
  }
  return path;
}

function levels(leaves: readonly Uint8Array[]): readonly (readonly Uint8Array[])[] {
  const all = [leaves];
  for (let level = leaves; level.length > 1; all.push(level)) {
    const below = level;
    level = Array.from({ length: below.length / 2 }, (_, i) =>
      nodeHash(below[2 * i] as Uint8Array, below[2 * i + 1] as Uint8Array),
    );
  }
  return all;
}

function isPower(count: number): boolean {
  return count > 0 && (count & (count - 1)) === 0;
}
