/** Images out of a store, and into it. */
import { fail } from '../errors.ts';
import { cidText, rawCid } from './cid.ts';
import type { Store } from './store.ts';
import { CHUNK_BYTES, describeImage, layout } from './unixfs.ts';
import type { ByteSource, ImageDescription } from './unixfs.ts';

/** Puts every block of an image; returns once all are durable. Errors: as `describeImage` and `put`. */
export async function importImage(store: Store, source: ByteSource): Promise<ImageDescription> {
  const image = await describeImage(source, (block) => store.put(block.cid, block.bytes));
  for (const node of layout(image.size, image.chunks).nodes) await store.put(node.cid, node.bytes);
  return image;
}

/**
 * The image's bytes from `start` (0) to before `end` (its size). Each chunk is verified as it is read, before
 * any byte of it is yielded. Errors: STORE_BLOCK_MISSING.
 */
export async function* readImage(
  store: Store,
  chunks: readonly Uint8Array[],
  range: { readonly start?: number; readonly end?: number } = {},
): AsyncGenerator<Uint8Array, void, undefined> {
  const start = range.start ?? 0;
  const end = range.end ?? Infinity;
  for (let index = Math.floor(start / CHUNK_BYTES); index < chunks.length; index++) {
    const at = index * CHUNK_BYTES;
    if (at >= end) return;
    const cid = rawCid(chunks[index] as Uint8Array);
    // `get` of a Store checks the bytes against the CID
    const bytes =
      (await store.get(cid)) ?? fail('STORE_BLOCK_MISSING', undefined, { cid: cidText(cid) });
    yield bytes.subarray(Math.max(0, start - at), Math.max(0, end - at));
  }
}
