import assert from 'node:assert/strict';
import { mkdtemp, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { sha256 } from '#crypto';
import { cidText, nodeCid, rawCid } from './cid.ts';
import { openDiskStore } from './disk.ts';
import { importImage, readImage } from './read.ts';
import type { Store } from './store.ts';
import { CHUNK_BYTES, layout } from './unixfs.ts';

async function folder(t: TestContext): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'firmament-store-'));
  t.after(() => rm(path, { recursive: true, force: true }));
  return path;
}

function block(...bytes: number[]): { cid: Uint8Array; bytes: Uint8Array } {
  const data = Uint8Array.from(bytes);
  return { cid: rawCid(sha256(data)), bytes: data };
}

/** Where the block lies, by docs/spec/store.md. */
function fileOf(directory: string, cid: Uint8Array): string {
  const digest = cid.subarray(4).toHex();
  return join(directory, digest[0] as string, digest[1] as string, cidText(cid));
}

async function listed(store: Store): Promise<string[]> {
  return (await Array.fromAsync(store.list(), cidText)).toSorted();
}

test('blocks are put, found, listed and deleted', async (t) => {
  const directory = await folder(t);
  const store = await openDiskStore(directory);
  const blocks = [block(1), block(2), block(3)];
  const first = blocks[0] as (typeof blocks)[0];
  assert.equal(await store.has(first.cid), false);
  assert.equal(await store.get(first.cid), undefined);
  await Promise.all([...blocks, ...blocks].map(({ cid, bytes }) => store.put(cid, bytes)));
  assert.deepEqual(await listed(store), blocks.map(({ cid }) => cidText(cid)).toSorted());
  const again = await openDiskStore(directory);
  assert.deepEqual(await again.get(first.cid), first.bytes);
  assert.equal(await again.has(first.cid), true);
  // same digest, other codec: another block
  assert.equal(await again.has(nodeCid(first.cid.subarray(4))), false);
  await again.delete(first.cid);
  await again.delete(first.cid);
  assert.equal(await again.has(first.cid), false);
  assert.equal((await listed(again)).length, 2);
  assert.deepEqual(await readdir(join(directory, 'tmp')), []);
});

test('what is not the block of its CID is not kept', async (t) => {
  const directory = await folder(t);
  const store = await openDiskStore(directory);
  const { cid } = block(1);
  await assert.rejects(store.put(cid, Uint8Array.of(2)), { code: 'STORE_DIGEST_MISMATCH' });
  await assert.rejects(store.put(new Uint8Array(36), Uint8Array.of(2)), {
    code: 'STORE_CID_INVALID',
  });
  await assert.rejects(store.get(cid.subarray(1)), { code: 'STORE_CID_INVALID' });
  assert.deepEqual(await listed(store), []);
});

for (const [what, bytes] of [
  ['changed', Uint8Array.of(9, 2, 3)],
  ['cut short', Uint8Array.of(1, 2)],
  ['made longer', Uint8Array.of(1, 2, 3, 4)],
  ['emptied', new Uint8Array(0)],
  ['grown beyond any block', new Uint8Array(3_000_000)],
] as const)
  test(`a block ${what} on the disk is never served, is reported, and can be put again`, async (t) => {
    const directory = await folder(t);
    const damaged: string[] = [];
    const store = await openDiskStore(directory, {
      onDamaged: (cid) => damaged.push(cidText(cid)),
    });
    const { cid, bytes: good } = block(1, 2, 3);
    await store.put(cid, good);
    await writeFile(fileOf(directory, cid), bytes);
    assert.equal(await store.get(cid), undefined);
    assert.equal(await store.has(cid), false);
    assert.deepEqual(damaged, [cidText(cid)]);
    await store.put(cid, good);
    await writeFile(fileOf(directory, cid), bytes);
    // put repairs without being asked to read first
    await store.put(cid, good);
    assert.deepEqual(Uint8Array.from(await readFile(fileOf(directory, cid))), good);
    assert.equal(damaged.length, 2);
  });

test('a damaged block that is read while it is repaired is not lost', async (t) => {
  const directory = await folder(t);
  const store = await openDiskStore(directory);
  const { cid, bytes } = block(1, 2, 3);
  for (let round = 0; round < 20; round++) {
    await store.put(cid, bytes);
    await writeFile(fileOf(directory, cid), 'x');
    await Promise.all([store.get(cid), store.put(cid, bytes), store.get(cid)]);
    assert.equal(await store.has(cid), true);
  }
});

test('what a crash left half written is removed, and foreign files are not listed', async (t) => {
  const directory = await folder(t);
  await mkdir(join(directory, 'tmp'));
  await writeFile(join(directory, 'tmp', '1'), 'half');
  await mkdir(join(directory, 'a', 'b'), { recursive: true });
  await writeFile(join(directory, 'a', 'b', 'README'), 'x');
  const store = await openDiskStore(directory);
  assert.deepEqual(await readdir(join(directory, 'tmp')), []);
  assert.deepEqual(await listed(store), []);
});

test('a failing disk is STORE_IO; nothing half written stays, and the next try may succeed', async (t) => {
  const directory = await folder(t);
  const store = await openDiskStore(directory);
  const { cid, bytes } = block(1);
  const inTheWay = dirname(dirname(fileOf(directory, cid)));
  await writeFile(inTheWay, '');
  await assert.rejects(store.put(cid, bytes), { code: 'STORE_IO' });
  await assert.rejects(store.get(cid), { code: 'STORE_IO' });
  await assert.rejects(listed(store), { code: 'STORE_IO' });
  assert.deepEqual(await readdir(join(directory, 'tmp')), []);
  await rm(inTheWay);
  await store.put(cid, bytes);
  assert.deepEqual(await store.get(cid), bytes);
  await assert.rejects(openDiskStore(fileOf(directory, cid)), { code: 'STORE_IO' });
});

test('an image goes in and comes out, whole or a range of it', async (t) => {
  const store = await openDiskStore(await folder(t));
  const bytes = new Uint8Array(2 * CHUNK_BYTES + 10).map((_, index) => index % 251);
  const image = await importImage(store, bytes);
  assert.equal(await store.has(image.root), true);
  assert.equal((await listed(store)).length, 4);
  assert.equal(layout(image.size, image.chunks).nodes.length, 1);
  const read = async (range?: { start?: number; end?: number }): Promise<Uint8Array> =>
    Uint8Array.from(
      (await Array.fromAsync(readImage(store, image.chunks, range))).flatMap((part) => [...part]),
    );
  assert.deepEqual(await read(), bytes);
  for (const [start, end] of [
    [0, 1],
    [5, 5],
    [CHUNK_BYTES - 1, CHUNK_BYTES + 1],
    [CHUNK_BYTES, 2 * CHUNK_BYTES],
    [bytes.length - 1, bytes.length],
    [bytes.length, bytes.length],
  ] as const)
    assert.deepEqual(await read({ start, end }), bytes.slice(start, end));
  await store.delete(rawCid(image.chunks[1] as Uint8Array));
  await assert.rejects(read(), { code: 'STORE_BLOCK_MISSING' });
  assert.deepEqual(await read({ end: 3 }), bytes.slice(0, 3));
});
