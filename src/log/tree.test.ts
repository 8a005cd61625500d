import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { sha256 } from '#crypto';
import { hex, utf8 } from '../bytes.ts';
import { emptyRoot, leafHash, nodeHash, verifyConsistency, verifyInclusion } from './merkle.ts';
import * as tree from './tree.ts';

interface MemoryStore extends tree.NodeStore {
  reads: number;
  readonly nodes: Map<string, Uint8Array>;
}

function memoryNodes(): MemoryStore {
  const nodes = new Map<string, Uint8Array>();
  return {
    nodes,
    reads: 0,
    get(level, index) {
      this.reads++;
      const hash = nodes.get(`${level}/${index}`);
      assert.ok(hash, `asked for ${level}/${index}, which is not there`);
      return hash;
    },
    put(level, index, hash) {
      assert.ok(!nodes.has(`${level}/${index}`), 'a node is written once');
      nodes.set(`${level}/${index}`, hash);
    },
  };
}

const leaves = Array.from({ length: 70 }, (_, i) => leafHash(sha256(utf8(`entry ${i}`))));

function grown(size: number): MemoryStore {
  const store = memoryNodes();
  for (let i = 0; i < size; i++)
    assert.equal(tree.append(store, i, leaves[i] as Uint8Array), i + 1);
  return store;
}

// RFC 9162 section 2.1, as it is written there.
function split(count: number): number {
  return 2 ** Math.floor(Math.log2(count - 1));
}
function mth(hashes: readonly Uint8Array[]): Uint8Array {
  if (hashes.length === 0) return emptyRoot();
  if (hashes.length === 1) return hashes[0] as Uint8Array;
  const k = split(hashes.length);
  return nodeHash(mth(hashes.slice(0, k)), mth(hashes.slice(k)));
}
function path(m: number, hashes: readonly Uint8Array[]): Uint8Array[] {
  if (hashes.length <= 1) return [];
  const k = split(hashes.length);
  return m < k
    ? [...path(m, hashes.slice(0, k)), mth(hashes.slice(k))]
    : [...path(m - k, hashes.slice(k)), mth(hashes.slice(0, k))];
}
function subproof(m: number, hashes: readonly Uint8Array[], whole: boolean): Uint8Array[] {
  if (m === hashes.length) return whole ? [] : [mth(hashes)];
  const k = split(hashes.length);
  return m <= k
    ? [...subproof(m, hashes.slice(0, k), whole), mth(hashes.slice(k))]
    : [...subproof(m - k, hashes.slice(k), false), mth(hashes.slice(0, k))];
}

const sizes = fc.tuple(fc.nat(leaves.length), fc.nat(leaves.length), fc.nat(leaves.length));

test('roots and paths are those of RFC 9162, for every older size too', () => {
  const store = grown(leaves.length);
  fc.assert(
    fc.property(sizes, ([a, b, pick]) => {
      const [size1, size2] = a < b ? [a, b] : [b, a];
      const now = leaves.slice(0, size2);
      const root2 = tree.root(store, size2);
      assert.equal(hex(root2), hex(mth(now)));
      if (size1 === 0) return;
      const root1 = tree.root(store, size1);
      const consistency = tree.consistencyPath(store, size1, size2);
      assert.deepEqual(consistency.map(hex), subproof(size1, now, true).map(hex));
      verifyConsistency({ size1, size2, root1, root2, path: consistency });
      const index = pick % size2;
      const inclusion = tree.inclusionPath(store, index, size2);
      assert.deepEqual(inclusion.map(hex), path(index, now).map(hex));
      const leaf = leaves[index] as Uint8Array;
      verifyInclusion({ leafHash: leaf, index, size: size2, path: inclusion, root: root2 });
    }),
    { numRuns: 400 },
  );
});

test('a proof for one leaf, size or root holds for no other', () => {
  const store = grown(leaves.length);
  fc.assert(
    fc.property(sizes, ([a, b, c]) => {
      const [index, other, size] = [a % 64, b % 64, 64 + (c % 7)];
      fc.pre(index !== other);
      const proof = { size, path: tree.inclusionPath(store, index, size) };
      const root = tree.root(store, size);
      const leaf = leaves[index] as Uint8Array;
      const code = { code: 'LOG_INCLUSION_INVALID' };
      const another = { ...proof, index, leafHash: leaves[other] as Uint8Array, root };
      assert.throws(() => verifyInclusion(another), code);
      assert.throws(() => verifyInclusion({ ...proof, index: other, leafHash: leaf, root }), code);
      const wrong = tree.root(store, size - 1);
      assert.throws(() => verifyInclusion({ ...proof, index, leafHash: leaf, root: wrong }), code);
    }),
    { numRuns: 100 },
  );
});

test('reads grow with the logarithm of the size', () => {
  const size = 10_000;
  const store = memoryNodes();
  for (let i = 0; i < size; i++) tree.append(store, i, leaves[0] as Uint8Array);
  store.reads = 0;
  tree.root(store, size);
  tree.inclusionPath(store, 1234, size);
  tree.consistencyPath(store, 777, size);
  assert.ok(store.reads < 3 * 2 * 14, `${store.reads} reads`);
});

test('sizes and indexes outside of the log, and holes in its store, are refused', () => {
  const store = grown(5);
  const range = { code: 'LOG_OUT_OF_RANGE' };
  assert.throws(() => tree.inclusionPath(store, 5, 5), range);
  assert.throws(() => tree.inclusionPath(store, -1, 5), range);
  assert.throws(() => tree.consistencyPath(store, 0, 5), range);
  assert.throws(() => tree.consistencyPath(store, 6, 5), range);
  assert.throws(() => tree.root(store, 1.5), range);
  assert.throws(() => tree.append(store, 5, new Uint8Array(31)), range);
  const holes = { put: () => undefined, get: () => undefined as unknown as Uint8Array };
  assert.throws(() => tree.root(holes, 5), { code: 'LOG_NODE_MISSING' });
  assert.equal(hex(tree.root(store, 0)), hex(emptyRoot()));
});
