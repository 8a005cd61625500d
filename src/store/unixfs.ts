/**
 * Store profile `unixfs-256k-raw-1024`: an image as 256 KiB raw leaves under a balanced dag-pb tree of
 * width 1024, CIDv1 with SHA-256. The tree follows from the size and the chunks' digests alone, so nodes
 * are computed and never fetched. Equal to what IPFS importers make. See docs/spec/store.md.
 */
import { encode, prepare } from '@ipld/dag-pb';
import type { PBLink } from '@ipld/dag-pb';
import { UnixFS } from 'ipfs-unixfs';
import { CID } from 'multiformats/cid';
import { createHash, sha256 } from '#crypto';
import { equal } from '../bytes.ts';
import { check, fail } from '../errors.ts';
import { nodeCid, rawCid } from './cid.ts';

export const CHUNK_BYTES = 262_144;
export const IMAGE_MAX_BYTES = 4_294_967_296;
const WIDTH = 1024;

export type ByteSource = Uint8Array | Iterable<Uint8Array> | AsyncIterable<Uint8Array>;

export interface Block {
  /** 36 bytes. */
  readonly cid: Uint8Array;
  readonly bytes: Uint8Array;
}

export interface Layout {
  /** The image's CID, 36 bytes: a raw leaf's when it has one chunk, else a dag-pb node's. */
  readonly root: Uint8Array;
  /** The dag-pb nodes above the leaves; the root is the last. Empty when the image has one chunk. */
  readonly nodes: readonly Block[];
}

/** What the ledger's anchor says of an image. */
export interface ImageDescription {
  /** Bytes. */
  readonly size: number;
  /** SHA-256 of the whole image. */
  readonly digest: Uint8Array;
  /** Its CID, 36 bytes. */
  readonly root: Uint8Array;
  /** SHA-256 of each chunk, in order. */
  readonly chunks: readonly Uint8Array[];
}

/** How many chunks an image has. Errors: STORE_IMAGE_EMPTY, STORE_IMAGE_TOO_LARGE. */
export function chunkCount(size: number): number {
  check(Number.isSafeInteger(size) && size > 0, 'STORE_IMAGE_EMPTY');
  check(size <= IMAGE_MAX_BYTES, 'STORE_IMAGE_TOO_LARGE');
  return Math.ceil(size / CHUNK_BYTES);
}

/** Bytes of the chunk at `index` of an image of `size` bytes. */
export function chunkSize(size: number, index: number): number {
  return Math.min(CHUNK_BYTES, size - index * CHUNK_BYTES);
}

/** The digests that stand joined in an anchor. Errors: STORE_LAYOUT_MISMATCH unless they are those of `size` bytes. */
export function splitDigests(joined: Uint8Array, size: number): Uint8Array[] {
  const count = chunkCount(size);
  check(joined.length === count * 32, 'STORE_LAYOUT_MISMATCH');
  return Array.from({ length: count }, (_, index) => joined.subarray(index * 32, index * 32 + 32));
}

/**
 * The image cut into chunks, each of them 256 KiB but for the last. A chunk is not touched again once it
 * is yielded. Errors: STORE_IMAGE_EMPTY, STORE_IMAGE_TOO_LARGE.
 */
export async function* chunksOf(source: ByteSource): AsyncGenerator<Uint8Array, void, undefined> {
  let size = 0;
  let chunk = new Uint8Array(CHUNK_BYTES);
  let filled = 0;
  for await (const part of source instanceof Uint8Array ? [source] : source) {
    size += part.length;
    check(size <= IMAGE_MAX_BYTES, 'STORE_IMAGE_TOO_LARGE');
    for (let at = 0; at < part.length;) {
      const piece = part.subarray(at, at + CHUNK_BYTES - filled);
      chunk.set(piece, filled);
      filled += piece.length;
      at += piece.length;
      if (filled < CHUNK_BYTES) continue;
      yield chunk;
      chunk = new Uint8Array(CHUNK_BYTES);
      filled = 0;
    }
  }
  check(size > 0, 'STORE_IMAGE_EMPTY');
  if (filled > 0) yield chunk.subarray(0, filled);
}

/** Size, digest, chunks and root of an image. Errors: STORE_IMAGE_EMPTY, STORE_IMAGE_TOO_LARGE. */
export async function describeImage(
  source: ByteSource,
  onChunk?: (block: Block) => void | Promise<void>,
): Promise<ImageDescription> {
  const whole = createHash('SHA-256');
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const bytes of chunksOf(source)) {
    const digest = sha256(bytes);
    whole.update(bytes);
    size += bytes.length;
    chunks.push(digest);
    await onChunk?.({ cid: rawCid(digest), bytes });
  }
  return { size, digest: whole.digest(), root: layout(size, chunks).root, chunks };
}

interface Subtree {
  readonly cid: Uint8Array;
  /** Bytes of the image below. */
  readonly fileSize: number;
  /** Bytes of all blocks below, with this one: dag-pb's Tsize. */
  readonly totalSize: number;
}

/**
 * Root and inner nodes of an image. Errors: STORE_IMAGE_EMPTY, STORE_IMAGE_TOO_LARGE, STORE_LAYOUT_MISMATCH
 * when there are not as many digests as the size asks for.
 */
export function layout(size: number, chunkDigests: readonly Uint8Array[]): Layout {
  check(chunkCount(size) === chunkDigests.length, 'STORE_LAYOUT_MISMATCH');
  const nodes: Block[] = [];
  let level: Subtree[] = chunkDigests.map((digest, index) => {
    const bytes = chunkSize(size, index);
    return { cid: rawCid(digest), fileSize: bytes, totalSize: bytes };
  });
  while (level.length > 1) {
    const above: Subtree[] = [];
    // a last group of one child gets its own parent too, as importers do
    for (let at = 0; at < level.length; at += WIDTH)
      above.push(parentOf(level.slice(at, at + WIDTH), nodes));
    level = above;
  }
  return { root: (level[0] as Subtree).cid, nodes };
}

function parentOf(children: readonly Subtree[], nodes: Block[]): Subtree {
  const file = new UnixFS({ type: 'file' });
  const links: PBLink[] = [];
  let fileSize = 0;
  let below = 0;
  for (const child of children) {
    file.addBlockSize(BigInt(child.fileSize));
    links.push({ Name: '', Tsize: child.totalSize, Hash: CID.decode(child.cid) });
    fileSize += child.fileSize;
    below += child.totalSize;
  }
  const bytes = encode(prepare({ Data: file.marshal(), Links: links }));
  const cid = nodeCid(sha256(bytes));
  nodes.push({ cid, bytes });
  return { cid, fileSize, totalSize: bytes.length + below };
}

/** Errors: STORE_LAYOUT_MISMATCH unless the root follows from size and chunks. Answers the layout. */
export function checkLayout(image: Omit<ImageDescription, 'digest'>): Layout {
  const computed = layout(image.size, image.chunks);
  if (!equal(computed.root, image.root)) fail('STORE_LAYOUT_MISMATCH');
  return computed;
}
