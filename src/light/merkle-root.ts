/** CometBFT's hash of a list (its spec/core/data_structures.md, "SimpleMerkle"): the tree of RFC 9162 2.1.1. */
import { emptyRoot, leafHash, nodeHash } from '../log/merkle.ts';

export function merkleRoot(items: readonly Uint8Array[]): Uint8Array {
  const [only] = items;
  if (only === undefined) return emptyRoot();
  if (items.length === 1) return leafHash(only);
  // The left part is the largest power of two below the length.
  const split = 2 ** (31 - Math.clz32(items.length - 1));
  return nodeHash(merkleRoot(items.slice(0, split)), merkleRoot(items.slice(split)));
}
