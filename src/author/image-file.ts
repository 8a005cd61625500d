/** An image on disk: described once, its chunks read again by CID when a node lacks them. */
import { createReadStream } from 'node:fs';
import { open, type FileHandle } from 'node:fs/promises';
import { cidText, rawCid, verifyBlock } from '../store/cid.ts';
import { CHUNK_BYTES, chunkSize, describeImage, type ImageDescription } from '../store/unixfs.ts';

/** Dispose of it to close the file. */
export interface ImageFile extends AsyncDisposable {
  readonly description: ImageDescription;
  /** Whether the image has a chunk of this CID text. */
  has(cid: string): boolean;
  /** The chunk, checked anew. Errors: STORE_DIGEST_MISMATCH when the file was changed since it was described. */
  chunk(cid: string): Promise<Uint8Array>;
  /** Bytes of the chunk. */
  size(cid: string): number;
}

/** Reads the whole file once. Errors: STORE_IMAGE_EMPTY, STORE_IMAGE_TOO_LARGE, and the file system's own. */
export async function describeFile(
  path: string,
  onBytes?: (done: number) => void,
): Promise<ImageDescription> {
  let done = 0;
  return describeImage(createReadStream(path, { highWaterMark: CHUNK_BYTES }), ({ bytes }) => {
    done += bytes.length;
    onBytes?.(done);
  });
}

/** Errors: as `describeFile`. */
export async function openImage(path: string): Promise<ImageFile> {
  const description = await describeFile(path);
  const file = await open(path, 'r');
  const places = new Map(description.chunks.map((digest, i) => [cidText(rawCid(digest)), i]));
  const indexOf = (cid: string): number => places.get(cid) ?? -1;
  return {
    description,
    has: (cid) => places.has(cid),
    size: (cid) => chunkSize(description.size, indexOf(cid)),
    async chunk(cid) {
      const index = indexOf(cid);
      const bytes = await readAt(file, index * CHUNK_BYTES, chunkSize(description.size, index));
      verifyBlock(rawCid(description.chunks[index] ?? new Uint8Array(32)), bytes);
      return bytes;
    },
    [Symbol.asyncDispose]: () => file.close(),
  };
}

async function readAt(file: FileHandle, position: number, length: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(length);
  let at = 0;
  while (at < length) {
    const { bytesRead } = await file.read(bytes, at, length - at, position + at);
    if (bytesRead === 0) break;
    at += bytesRead;
  }
  return bytes.subarray(0, at);
}
