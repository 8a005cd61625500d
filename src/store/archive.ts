/**
 * An archive: one release with all that a device needs to judge and install it, in one CAR file (T18,
 * docs/spec/archive.md). Nothing in it is believed for lying there: it is what a node would have answered.
 */
import { createReadStream } from 'node:fs';
import { open, type FileHandle } from 'node:fs/promises';
import { sha256 } from '#crypto';
import { equal } from '../bytes.ts';
import { check, fail } from '../errors.ts';
import type { Line } from '../registry/line.ts';
import { decodeIndex, encodeIndex, type ArchiveIndex } from './archive-index.ts';
import { readCar, writeCar } from './car.ts';
import { cidText, rawCid, verifyBlock } from './cid.ts';
import { checkLayout, chunkSize, type Block, type ImageDescription } from './unixfs.ts';

export interface ArchiveContent {
  readonly line: Line;
  /** Manifest digest. */
  readonly release: Uint8Array;
  readonly envelope: Uint8Array;
  readonly proof: Uint8Array;
  readonly links: readonly Uint8Array[];
  readonly images: readonly ImageDescription[];
  readonly root: Uint8Array;
  readonly policies: readonly Uint8Array[];
}

/** Dispose of it to close the file. */
export interface Archive extends ArchiveContent, AsyncDisposable {
  /** A chunk of its images by SHA-256, verified. Errors: STORE_BLOCK_MISSING, STORE_DIGEST_MISMATCH. */
  chunk(digest: Uint8Array): Promise<Uint8Array>;
}

/** All of what is no image; an envelope, a proof, links and policies are small. */
const MAX_SMALL = 16 << 20;

/**
 * The bytes of an archive. `chunk` gives the images' chunks, each asked for once.
 * Errors: STORE_BLOCK_TOO_LARGE, STORE_DIGEST_MISMATCH when a chunk is not the one that was asked for.
 */
export async function* writeArchive(
  content: ArchiveContent,
  chunk: (digest: Uint8Array) => Promise<Uint8Array>,
): AsyncGenerator<Uint8Array, void, undefined> {
  const blockOf = (bytes: Uint8Array): Block => ({ cid: rawCid(sha256(bytes)), bytes });
  const { line, release, images } = content;
  const [envelope, proof, root] = [content.envelope, content.proof, content.root].map(blockOf) as [
    Block,
    Block,
    Block,
  ];
  const links = content.links.map(blockOf);
  const policies = content.policies.map(blockOf);
  const index = blockOf(
    encodeIndex({
      line,
      release,
      images,
      envelope: envelope.cid,
      proof: proof.cid,
      root: root.cid,
      links: links.map(({ cid }) => cid),
      policies: policies.map(({ cid }) => cid),
    }),
  );
  async function* blocks(): AsyncGenerator<Block> {
    const written = new Set<string>();
    const isNew = ({ cid }: Pick<Block, 'cid'>): boolean =>
      written.size < written.add(cidText(cid)).size;
    for (const block of [index, root, proof, ...policies, ...links, envelope])
      if (isNew(block)) yield block;
    for (const image of images) {
      for (const node of checkLayout(image).nodes.toReversed()) if (isNew(node)) yield node;
      for (const digest of image.chunks) {
        const cid = rawCid(digest);
        if (isNew({ cid })) yield { cid, bytes: await chunk(digest) };
      }
    }
  }
  const roots = [index.cid, ...images.map((image) => image.root)];
  yield* writeCar(roots, blocks());
}

/**
 * Opens an archive: reads all of it once and verifies every block.
 * Errors: STORE_CAR_MALFORMED, STORE_ARCHIVE_MALFORMED, STORE_ARCHIVE_INCOMPLETE, STORE_DIGEST_MISMATCH, and the file
 * system's own.
 */
export async function openArchive(path: string): Promise<Archive> {
  await using cleanup = new AsyncDisposableStack();
  const file = cleanup.use(await open(path, 'r'));
  const { index, small, offsets } = await scan(path);
  const bytesOf = (cid: Uint8Array): Uint8Array =>
    small.get(cidText(cid)) ?? fail('STORE_ARCHIVE_INCOMPLETE', undefined, { cid: cidText(cid) });
  const opened = cleanup.move();
  return {
    line: index.line,
    release: index.release,
    images: index.images,
    envelope: bytesOf(index.envelope),
    proof: bytesOf(index.proof),
    root: bytesOf(index.root),
    links: index.links.map(bytesOf),
    policies: index.policies.map(bytesOf),
    async chunk(digest) {
      const cid = rawCid(digest);
      const at = offsets.get(cidText(cid)) ?? fail('STORE_BLOCK_MISSING');
      const bytes = await readAt(file, at.offset, at.size);
      // The file may have changed since it was opened.
      verifyBlock(cid, bytes);
      return bytes;
    },
    [Symbol.asyncDispose]: () => opened.disposeAsync(),
  };
}

interface Place {
  readonly offset: number;
  readonly size: number;
}

interface Scanned {
  readonly index: ArchiveIndex;
  /** By CID text: what is no image. */
  readonly small: ReadonlyMap<string, Uint8Array>;
  readonly offsets: ReadonlyMap<string, Place>;
}

async function scan(path: string): Promise<Scanned> {
  const { roots, blocks } = await readCar(createReadStream(path, { highWaterMark: 1 << 20 }));
  const first = (await blocks.next()).value ?? fail('STORE_ARCHIVE_INCOMPLETE');
  check(equal(first.cid, roots[0] ?? new Uint8Array()), 'STORE_ARCHIVE_MALFORMED', 'no index');
  const index = decodeIndex(first.bytes);
  const rooted = [first.cid, ...index.images.map(({ root }) => root)];
  const same = rooted.length === roots.length && rooted.every((r, i) => equal(r, roots[i] ?? r));
  check(same, 'STORE_ARCHIVE_MALFORMED', 'other roots than the index has');
  const expected = expectedBlocks(index);
  const small = new Map<string, Uint8Array>();
  const offsets = new Map<string, Place>();
  let held = 0;
  for await (const { cid, bytes, offset } of blocks) {
    const name = cidText(cid);
    const size = expected.get(name);
    // Each block once, and none that the index does not name: so the file's size is bounded by its index.
    check(size !== undefined, 'STORE_ARCHIVE_MALFORMED', 'a block that the index does not name');
    expected.delete(name);
    if (size === 'small') {
      held += bytes.length;
      check(held <= MAX_SMALL, 'STORE_ARCHIVE_MALFORMED', 'too much beside the images');
      small.set(name, bytes);
    } else {
      check(size === bytes.length, 'STORE_ARCHIVE_MALFORMED', 'a chunk of another size');
      offsets.set(name, { offset, size });
    }
  }
  check(expected.size === 0, 'STORE_ARCHIVE_INCOMPLETE', undefined, {
    missing: expected.size,
    first: [...expected.keys()][0],
  });
  return { index, small, offsets };
}

/** What has to follow, by CID text: something small, or a block of an image with its size. */
function expectedBlocks(index: ArchiveIndex): Map<string, number | 'small'> {
  const expected = new Map<string, number | 'small'>();
  for (const image of index.images) {
    for (const { cid, bytes } of checkLayout(image).nodes) expected.set(cidText(cid), bytes.length);
    for (const [i, digest] of image.chunks.entries())
      expected.set(cidText(rawCid(digest)), chunkSize(image.size, i));
  }
  const { envelope, proof, root, links, policies } = index;
  for (const cid of [envelope, proof, root, ...links, ...policies])
    expected.set(cidText(cid), 'small');
  return expected;
}

async function readAt(file: FileHandle, position: number, length: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(length);
  for (let at = 0; at < length;) {
    const { bytesRead } = await file.read(bytes, at, length - at, position + at);
    if (bytesRead === 0) fail('STORE_DIGEST_MISMATCH', 'the archive is shorter than it was');
    at += bytesRead;
  }
  return bytes;
}
