import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { fromBase64, hex } from '../bytes.ts';
import { FirmamentError } from '../errors.ts';
import {
  emptyRoot,
  leafHash,
  nodeHash,
  rootFromInclusion,
  verifyConsistency,
  verifyInclusion,
} from './merkle.ts';

interface Vector {
  readonly file: string;
  readonly wantErr: boolean;
  readonly proof: readonly string[] | null;
}
interface InclusionVector extends Vector {
  readonly leafIdx: number;
  readonly treeSize: number;
  readonly root: string;
  readonly leafHash: string;
}
interface ConsistencyVector extends Vector {
  readonly size1: number;
  readonly size2: number;
  readonly root1: string;
  readonly root2: string;
}

function vectors(name: string): unknown {
  const url = new URL(`../../test/vectors/merkle/${name}.json`, import.meta.url);
  return JSON.parse(readFileSync(url, 'utf8'));
}

const bytes = (value: string | null) => fromBase64(value ?? '');
const path = (vector: Vector) => (vector.proof ?? []).map(bytes);

function behaves(vector: Vector, code: string, verify: () => void): void {
  if (!vector.wantErr) assert.doesNotThrow(verify, vector.file);
  else
    assert.throws(
      verify,
      (error) =>
        error instanceof FirmamentError &&
        (error.code === 'LOG_PROOF_MALFORMED' || error.code === code),
      vector.file,
    );
}

test('inclusion: transparency-dev/merkle probes', () => {
  const all = vectors('inclusion') as readonly InclusionVector[];
  assert.ok(all.length > 30 && all.some((vector) => !vector.wantErr));
  for (const vector of all)
    for (const convert of [Number, BigInt])
      behaves(vector, 'LOG_INCLUSION_INVALID', () =>
        verifyInclusion({
          leafHash: bytes(vector.leafHash),
          index: convert(vector.leafIdx),
          size: convert(vector.treeSize),
          path: path(vector),
          root: bytes(vector.root),
        }),
      );
});

test('consistency: transparency-dev/merkle probes', () => {
  const all = vectors('consistency') as readonly ConsistencyVector[];
  assert.ok(all.length > 30 && all.some((vector) => !vector.wantErr));
  for (const vector of all)
    for (const convert of [Number, BigInt])
      behaves(vector, 'LOG_CONSISTENCY_INVALID', () =>
        verifyConsistency({
          size1: convert(vector.size1),
          size2: convert(vector.size2),
          root1: bytes(vector.root1),
          root2: bytes(vector.root2),
          path: path(vector),
        }),
      );
});

// The roots of the well-known RFC 6962 test tree; its leaves are in every CT implementation.
test('hashes of the known tree', () => {
  assert.equal(
    hex(emptyRoot()),
    'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855',
  );
  const first = leafHash(new Uint8Array(0));
  assert.equal(hex(first), '6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d');
  assert.equal(
    hex(nodeHash(first, leafHash(Uint8Array.of(0)))),
    'fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125',
  );
});

const leaf = leafHash(Uint8Array.of(1));
const other = leafHash(Uint8Array.of(2));
const root = nodeHash(leaf, other);

test('a proof of any other shape is malformed, before it is hashed', () => {
  const good = { leafHash: leaf, index: 0, size: 2, path: [other], root };
  verifyInclusion(good);
  const bad: readonly object[] = [
    { index: 2 },
    { index: -1 },
    { index: 0.5 },
    { index: Number.NaN },
    { index: '0' },
    { size: 0, index: 0 },
    { size: 2 ** 53 },
    { size: 1n << 63n },
    { path: [] },
    { path: [other, other] },
    { path: undefined },
    { path: [other.slice(1)] },
    { path: ['x'.repeat(32)] },
    { leafHash: leaf.slice(1) },
    { root: new Uint8Array(33) },
  ];
  for (const change of bad)
    assert.throws(
      () => verifyInclusion({ ...good, ...change }),
      { code: 'LOG_PROOF_MALFORMED' },
      JSON.stringify(change, (_, value) => (typeof value === 'bigint' ? `${value}` : value)),
    );
});

test('an inner node is not a leaf of the tree', () => {
  const wide = nodeHash(root, root);
  // The node at level 1 passes only as what it is: a leaf of a tree of two, not of four.
  assert.throws(
    () => verifyInclusion({ leafHash: root, index: 0, size: 4, path: [root], root: wide }),
    { code: 'LOG_PROOF_MALFORMED' },
  );
});

test('nothing is consistent with the empty tree, nor with a larger one', () => {
  const heads = { root1: emptyRoot(), root2: root, path: [] };
  const code = { code: 'LOG_PROOF_MALFORMED' };
  assert.throws(() => verifyConsistency({ size1: 0, size2: 2, ...heads }), code);
  assert.throws(() => verifyConsistency({ size1: 3, size2: 2, ...heads }), code);
  assert.throws(() => verifyConsistency({ size1: 2, size2: 2, ...heads }), {
    code: 'LOG_CONSISTENCY_INVALID',
  });
});

test('sizes up to 2^63 - 1 keep exact path lengths', () => {
  const size = (1n << 63n) - 1n;
  const siblings = Array.from({ length: 62 }, () => other);
  const top = rootFromInclusion({ leafHash: leaf, index: size - 1n, size, path: siblings });
  verifyInclusion({ leafHash: leaf, index: size - 1n, size, path: siblings, root: top });
  // One size further the path would have 64 hashes: it is out of range, however well they fit.
  const over = { leafHash: leaf, index: 0n, size: (1n << 63n) + 1n };
  assert.throws(
    () => rootFromInclusion({ ...over, path: Array.from({ length: 64 }, () => leaf) }),
    {
      code: 'LOG_PROOF_MALFORMED',
    },
  );
  assert.throws(
    () => verifyInclusion({ leafHash: leaf, index: 0n, size, path: siblings, root: top }),
    { code: 'LOG_PROOF_MALFORMED' },
  );
});
