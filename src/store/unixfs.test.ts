import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { importer } from 'ipfs-unixfs-importer';
import { fixedSize } from 'ipfs-unixfs-importer/chunker';
import { balanced } from 'ipfs-unixfs-importer/layout';
import { sha256 } from '#crypto';
import { concat } from '../bytes.ts';
import { cidText, verifyBlock } from './cid.ts';
import {
  checkLayout,
  CHUNK_BYTES,
  chunkCount,
  chunksOf,
  describeImage,
  layout,
  splitDigests,
} from './unixfs.ts';

/** `size` bytes in chunks that all differ. */
function* image(size: number): Generator<Uint8Array> {
  for (let at = 0; at < size; at += CHUNK_BYTES) {
    const chunk = new Uint8Array(Math.min(CHUNK_BYTES, size - at));
    new DataView(chunk.buffer).setUint8(0, at / CHUNK_BYTES);
    if (chunk.length > 4) new DataView(chunk.buffer).setUint32(1, at);
    yield chunk;
  }
}

/** The root and the blocks that are not leaves, as IPFS's own importer makes them. */
async function imported(size: number): Promise<{ root: string; nodes: Map<string, Uint8Array> }> {
  const nodes = new Map<string, Uint8Array>();
  let root = '';
  const blockstore = {
    put: (cid: { code: number; toString(): string }, bytes: Uint8Array) => {
      if (cid.code === 0x70) nodes.set(cid.toString(), bytes);
      return cid;
    },
  };
  const entries = importer([{ content: image(size) }], blockstore as never, {
    rawLeaves: true,
    cidVersion: 1,
    chunker: fixedSize({ chunkSize: CHUNK_BYTES }),
    layout: balanced({ maxChildrenPerNode: 1024 }),
    wrapWithDirectory: false,
  });
  for await (const entry of entries) root = entry.cid.toString();
  return { root, nodes };
}

const MEBI = 1024 * 1024;
const sizes = [1, 2, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 2 * CHUNK_BYTES, 3 * MEBI + 7];
// one full node; one more chunk, which gets a node and a root of its own
const large = [256 * MEBI, 256 * MEBI + 1];

for (const size of [...sizes, ...large]) {
  test(`an image of ${size} bytes has the blocks that ipfs-unixfs-importer makes`, async () => {
    const ours = await describeImage(image(size));
    const theirs = await imported(size);
    assert.equal(ours.size, size);
    assert.equal(cidText(ours.root), theirs.root);
    const nodes = layout(size, ours.chunks).nodes;
    for (const { cid, bytes } of nodes) {
      verifyBlock(cid, bytes);
      assert.deepEqual(bytes, theirs.nodes.get(cidText(cid)));
    }
    assert.equal(nodes.length, theirs.nodes.size);
    checkLayout(ours);
  });
}

test('the largest image: sixteen full nodes and a root', () => {
  const size = 2 ** 32;
  const digests = Array.from({ length: chunkCount(size) }, () => new Uint8Array(32));
  assert.equal(layout(size, digests).nodes.length, 17);
});

test('chunks do not depend on how the bytes arrive', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.integer({ min: 0, max: 400_000 }), { minLength: 1, maxLength: 5 }),
      async (lengths) => {
        const parts = lengths.map((length, index) => new Uint8Array(length).fill(index + 1));
        const whole = concat(...parts);
        fc.pre(whole.length > 0);
        const chunks = await Array.fromAsync(chunksOf(parts));
        assert.deepEqual(concat(...chunks), whole);
        for (const chunk of chunks.slice(0, -1)) assert.equal(chunk.length, CHUNK_BYTES);
        const described = await describeImage(parts);
        assert.deepEqual(described, await describeImage(whole));
        assert.deepEqual(described.digest, sha256(whole));
        assert.deepEqual(splitDigests(concat(...described.chunks), whole.length), described.chunks);
      },
    ),
    { numRuns: 20 },
  );
});

test('empty, too large and contradicting descriptions are refused', async () => {
  await assert.rejects(describeImage(new Uint8Array(0)), { code: 'STORE_IMAGE_EMPTY' });
  for (const size of [0, -1, 1.5, Number.NaN, Infinity])
    assert.throws(() => layout(size, []), { code: 'STORE_IMAGE_EMPTY' });
  assert.throws(() => layout(2 ** 32 + 1, []), { code: 'STORE_IMAGE_TOO_LARGE' });
  const ours = await describeImage(image(CHUNK_BYTES + 1));
  const lies = [
    { ...ours, size: CHUNK_BYTES },
    { ...ours, size: CHUNK_BYTES + 2 },
    { ...ours, chunks: ours.chunks.slice(1) },
    { ...ours, chunks: ours.chunks.toReversed() },
    { ...ours, root: layout(1, [ours.digest]).root },
  ];
  for (const lie of lies) assert.throws(() => checkLayout(lie), { code: 'STORE_LAYOUT_MISMATCH' });
  assert.throws(() => splitDigests(new Uint8Array(33), 1), { code: 'STORE_LAYOUT_MISMATCH' });
});

test('a source that never ends is cut at the largest image', async () => {
  // stands for 4 GiB that are never read: the bound comes first
  const huge = { length: 2 ** 32 } as Uint8Array;
  let asked = 0;
  function* endless(): Generator<Uint8Array> {
    yield new Uint8Array(CHUNK_BYTES);
    for (;;) {
      asked += 1;
      yield huge;
    }
  }
  const read = async (): Promise<void> => {
    for await (const chunk of chunksOf(endless())) assert.equal(chunk.length, CHUNK_BYTES);
  };
  await assert.rejects(read, { code: 'STORE_IMAGE_TOO_LARGE' });
  assert.equal(asked, 1);
});
