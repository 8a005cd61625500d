import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { equal } from '../../src/bytes.ts';
import { rawCid } from '../../src/store/cid.ts';
import { openDiskStore } from '../../src/store/disk.ts';
import { fetchImage } from '../../src/store/fetch.ts';
import type { Holder } from '../../src/store/holder.ts';
import { describeImage } from '../../src/store/unixfs.ts';

const bytes = Uint8Array.from({ length: 1000 }, (_, i) => i % 251);
const image = await describeImage(bytes);
const cid = rawCid(image.chunks[0] as Uint8Array);
const tampered = bytes.with(500, 7);

async function folder(t: TestContext): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'firmament-block-'));
  t.after(() => rm(directory, { recursive: true }));
  return directory;
}

/** The one block's file. */
async function blockFile(directory: string): Promise<string> {
  const files = await readdir(directory, { recursive: true, withFileTypes: true });
  const [file] = files.filter((entry) => entry.isFile());
  assert.ok(file);
  return join(file.parentPath, file.name);
}

function holder(name: string, served: Uint8Array): Holder {
  return { name, getBlock: async () => served };
}

test('T16: a tampered block on the disk is never served, and is gathered anew', async (t) => {
  const directory = await folder(t);
  const damaged: Uint8Array[] = [];
  const store = await openDiskStore(directory, { onDamaged: (block) => damaged.push(block) });
  await store.put(cid, bytes);
  const file = await blockFile(directory);
  await writeFile(file, tampered);
  assert.equal(await store.get(cid), undefined);
  assert.deepEqual(damaged, [cid]);
  await fetchImage({ ...image, holders: [holder('other', bytes)], store });
  assert.ok(equal((await store.get(cid)) ?? new Uint8Array(), bytes));
  assert.deepEqual(new Uint8Array(await readFile(file)), bytes);
});

test('T16: a tampered block of a neighbour is not taken, and the neighbour is named', async (t) => {
  const store = await openDiskStore(await folder(t));
  const lies: string[] = [];
  const holders = [holder('liar', tampered), holder('honest', bytes)];
  await fetchImage({ ...image, holders, store, onLie: (name) => lies.push(name) });
  assert.deepEqual(await store.get(cid), bytes);
  assert.deepEqual(lies, ['liar']);
});
