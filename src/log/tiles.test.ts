import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sha256 } from '#crypto';
import { concat, utf8 } from '../bytes.ts';
import { leafHash } from './merkle.ts';
import { bundleBytes, parseBundle, parseTile, parseTilePath } from './tiles.ts';
import { tileBytes, tilePath, tileWidth } from './tiles.ts';
import { append, root, type NodeStore } from './tree.ts';

const code = { code: 'LOG_TILE_MALFORMED' };

test('paths as c2sp.org/tlog-tiles writes them', () => {
  const paths: readonly [number | 'entries', number, number, string][] = [
    [0, 0, 256, 'tile/0/000'],
    [0, 0, 1, 'tile/0/000.p/1'],
    [1, 999, 256, 'tile/1/999'],
    [2, 1000, 255, 'tile/2/x001/000.p/255'],
    [0, 1_234_067, 256, 'tile/0/x001/x234/067'],
    ['entries', 1_234_067, 8, 'tile/entries/x001/x234/067.p/8'],
    [0, Number.MAX_SAFE_INTEGER, 256, 'tile/0/x009/x007/x199/x254/x740/991'],
  ];
  for (const [level, index, width, path] of paths) {
    assert.equal(tilePath(level, index, width), path);
    assert.deepEqual(parseTilePath(path), { level, index, width });
  }
});

test('other paths are refused', () => {
  const bad = [
    '',
    '/tile/0/000',
    'tile/0/0',
    'tile/00/000',
    'tile/7/000',
    'tile/-1/000',
    'tile/data/000',
    'tile/0/x000/001',
    'tile/0/001/001',
    'tile/0/x001',
    'tile/0/x001/x001',
    'tile/0/000.p/0',
    'tile/0/000.p/256',
    'tile/0/000.p/01',
    'tile/0/000.p/',
    'tile/0/000/',
    'tile/0/../000',
    'tile/0/x010/x007/x199/x254/x740/992',
    `tile/0/${'x001/'.repeat(9)}000`,
  ];
  for (const path of bad) assert.throws(() => parseTilePath(path), code, path);
  assert.throws(() => tilePath(7, 0), code);
  assert.throws(() => tilePath(0, -1), code);
  assert.throws(() => tilePath(0, 0, 257), code);
});

function filled(size: number): { readonly store: NodeStore; readonly leaves: Uint8Array[] } {
  const nodes = new Map<string, Uint8Array>();
  const store: NodeStore = {
    get: (level, index) => nodes.get(`${level}/${index}`) as Uint8Array,
    put: (level, index, hash) => void nodes.set(`${level}/${index}`, hash),
  };
  const leaves = Array.from({ length: size }, (_, i) => leafHash(sha256(utf8(`${i}`))));
  for (const [i, leaf] of leaves.entries()) append(store, i, leaf);
  return { store, leaves };
}

test('the tiles of a log hold its leaf hashes and rebuild its root', () => {
  const size = 600;
  const { store, leaves } = filled(size);
  assert.deepEqual(
    [0, 1, 2, 3].map((index) => tileWidth(0, index, size)),
    [256, 256, 88, 0],
  );
  assert.deepEqual([tileWidth(1, 0, size), tileWidth(2, 0, size)], [2, 0]);
  const read = [0, 1, 2].flatMap((index) => {
    const width = tileWidth(0, index, size);
    return [...parseTile(tileBytes(store, 0, index, width), width)];
  });
  assert.deepEqual(read, leaves);
  for (const width of [0, 257]) assert.throws(() => tileBytes(store, 0, 0, width), code);
  // Tile level 1 holds the roots of the full tiles below.
  const above = parseTile(tileBytes(store, 1, 0, 2), 2);
  assert.deepEqual(above, [root(store, 256), store.get(8, 1)]);
});

test('bundles of entries', () => {
  const entries = Array.from({ length: 256 }, (_, i) => sha256(utf8(`${i}`)));
  const bytes = bundleBytes(entries.slice(0, 3));
  const prefix = Uint8Array.of(0, 32);
  const [one, two, three] = entries as [Uint8Array, Uint8Array, Uint8Array];
  assert.deepEqual(bytes, concat(prefix, one, prefix, two, prefix, three));
  assert.deepEqual(parseBundle(bytes, 3), entries.slice(0, 3));
  assert.deepEqual(parseBundle(bundleBytes(entries)), entries);
  assert.throws(() => parseBundle(bytes, 2), code);
  assert.throws(() => parseBundle(bytes.slice(1), 3), code);
  assert.throws(() => parseBundle(bytes.with(1, 31), 3), code);
  assert.throws(() => bundleBytes([]), code);
  assert.throws(() => bundleBytes([...entries, one]), code);
  assert.throws(() => bundleBytes([one.slice(1)]), code);
  assert.throws(() => parseTile(new Uint8Array(33), 1), code);
  assert.throws(() => parseTile(new Uint8Array(0), 0), code);
});
