import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import * as fc from 'fast-check';
import { sha256 } from '#crypto';
import { concat, equal, hex, utf8 } from '../bytes.ts';
import { decode } from '../cbor/decode.ts';
import { encode } from '../cbor/encode.ts';
import type { Cbor } from '../cbor/value.ts';
import { codeOf } from '../errors.ts';
import { fixtureLine } from '../testing/fixture.ts';
import { openArchive, writeArchive, type ArchiveContent } from './archive.ts';
import { readCar, writeCar } from './car.ts';
import { rawCid } from './cid.ts';
import { describeImage, type Block } from './unixfs.ts';

const CHUNK = 262_144;
let folder: string;
let file: string;
let content: ArchiveContent;
let blocks: readonly Block[];
let roots: readonly Uint8Array[];
const chunks = new Map<string, Uint8Array>();

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'firmament-archive-'));
  file = join(folder, 'a.car');
  const describe = (bytes: Uint8Array) =>
    describeImage(bytes, (block) => void chunks.set(hex(sha256(block.bytes)), block.bytes));
  content = {
    line: fixtureLine(new Uint8Array(32).fill(7)),
    release: sha256(utf8('manifest')),
    envelope: utf8('envelope'),
    proof: utf8('proof'),
    links: [utf8('link 1'), utf8('link 2')],
    // The first image has one chunk twice, which the second one is.
    images: [await describe(new Uint8Array(2 * CHUNK + 5)), await describe(new Uint8Array(CHUNK))],
    root: utf8('root'),
    policies: [utf8('policy 2')],
  };
  await writeFile(file, writeArchive(content, chunk));
  const car = await readCar(new Uint8Array(await readFile(file)));
  ({ roots } = car);
  const read: Block[] = [];
  for await (const { cid, bytes } of car.blocks) read.push({ cid, bytes });
  blocks = read;
});
after(() => rm(folder, { recursive: true }));

async function chunk(digest: Uint8Array): Promise<Uint8Array> {
  return chunks.get(hex(digest)) ?? assert.fail('no such chunk');
}

async function opening(of: readonly Block[], under = roots): Promise<void> {
  const changed = join(folder, 'changed.car');
  await writeFile(changed, writeCar(under, of));
  await using _ = await openArchive(changed);
}

function raw(bytes: Uint8Array): Block {
  return { cid: rawCid(sha256(bytes)), bytes };
}

test('what went in comes out, each block once', async () => {
  await using archive = await openArchive(file);
  const { line, release, envelope, proof, links, images, root, policies } = archive;
  assert.deepEqual(
    { line, release, envelope, proof, links, images, root, policies },
    { ...content },
  );
  for (const digest of content.images.flatMap((image) => image.chunks))
    assert.ok(equal(await archive.chunk(digest), await chunk(digest)));
  await assert.rejects(archive.chunk(sha256(utf8('other'))), { code: 'STORE_BLOCK_MISSING' });
  // index, root, proof, policy, two links, envelope; one node, two chunks
  assert.equal(blocks.length, 10);
  assert.deepEqual(roots, [blocks[0]!.cid, ...content.images.map((image) => image.root)]);
});

test('a file that changes while it is open gives no other bytes', async () => {
  const copy = join(folder, 'copy.car');
  const bytes = new Uint8Array(await readFile(file));
  await writeFile(copy, bytes);
  await using archive = await openArchive(copy);
  await writeFile(copy, bytes.fill(1));
  const [digest] = content.images[0]!.chunks;
  await assert.rejects(archive.chunk(digest!), { code: 'STORE_DIGEST_MISMATCH' });
  await writeFile(copy, '');
  await assert.rejects(archive.chunk(digest!), { code: 'STORE_DIGEST_MISMATCH' });
});

test('a block that is missing, is there twice or is not named is refused', async () => {
  await opening(blocks);
  for (const at of blocks.keys())
    await assert.rejects(
      opening(blocks.filter((_, i) => i !== at)),
      { code: at === 0 ? 'STORE_ARCHIVE_MALFORMED' : 'STORE_ARCHIVE_INCOMPLETE' },
      String(at),
    );
  const malformed = { code: 'STORE_ARCHIVE_MALFORMED' };
  await assert.rejects(opening([...blocks, blocks[1]!]), malformed);
  await assert.rejects(opening([...blocks, raw(utf8('more'))]), malformed);
  await assert.rejects(opening(blocks, roots.slice(0, 1)), malformed);
  await assert.rejects(opening(blocks, roots.toReversed()), malformed);
  await assert.rejects(opening([], roots), { code: 'STORE_ARCHIVE_INCOMPLETE' });
});

test('an index of another shape is refused', async () => {
  const malformed = { code: 'STORE_ARCHIVE_MALFORMED' };
  const index = decode(blocks[0]!.bytes, { maxBytes: 1 << 20 }) as ReadonlyMap<Cbor, Cbor>;
  const images = index.get(7) as readonly (readonly Cbor[])[];
  const changes: readonly (readonly [number, Cbor])[] = [
    [1, 'firmament/archive/v2'],
    [2, 'line'],
    [3, new Uint8Array(31)],
    [4, new Uint8Array(36)],
    [6, [utf8('x')]],
    [6, Array.from({ length: 257 }, () => blocks[1]!.cid)],
    [7, [[images[0]![0]!, 5, images[0]![2]!, images[0]![3]!]]],
    [7, [[images[0]![0]!, images[0]![1]!, images[1]![2]!, images[0]![3]!]]],
    [10, 1],
  ];
  for (const [key, value] of changes) {
    const changed = raw(encode(new Map(index).set(key, value)));
    const under = [changed.cid, ...roots.slice(1)];
    await assert.rejects(opening([changed, ...blocks.slice(1)], under), malformed, String(key));
  }
});

test('any changed byte ends in a code', async () => {
  const bytes = new Uint8Array(await readFile(file));
  const changed = join(folder, 'fuzz.car');
  // The chunks are most of it; what comes before them is what is parsed.
  const end = bytes.length - CHUNK;
  await fc.assert(
    fc.asyncProperty(
      fc.nat(Math.min(end, 2000)),
      fc.integer({ min: 1, max: 255 }),
      async (at, flip) => {
        const copy = bytes.slice();
        copy[at]! ^= flip;
        await writeFile(changed, copy);
        const opened = openArchive(changed);
        await assert.rejects(opened, (error) => codeOf(error)?.startsWith('STORE_') === true);
      },
    ),
    { numRuns: 60 },
  );
});

test('a chunk that is not the one asked for is not written', async () => {
  const parts: Uint8Array[] = [];
  const write = async (): Promise<void> => {
    for await (const part of writeArchive(content, async () => utf8('other'))) parts.push(part);
  };
  await assert.rejects(write(), { code: 'STORE_DIGEST_MISMATCH' });
  assert.ok(concat(...parts).length < CHUNK);
});
