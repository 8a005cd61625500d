/** A release taken out of the network into one file, and its image put back from one (docs/spec/archive.md). */
import { createWriteStream } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { imagePath } from '../api/retrieval.ts';
import { equal, hex } from '../bytes.ts';
import { check, fail } from '../errors.ts';
import { lineText, parseLineText, type Line } from '../registry/line.ts';
import type { NamedNode } from '../registry/policy.ts';
import { writeArchive, type Archive } from '../store/archive.ts';
import { cidText, rawCid } from '../store/cid.ts';
import { chunkSize, type ImageDescription } from '../store/unixfs.ts';
import { freshnessText } from '../trust/freshness.ts';
import { firstThatHolds, gather } from './archive-gather.ts';
import { createFile } from './durable-file.ts';
import { openImage, type ImageFile } from './image-file.ts';
import { askUntil, nodesWithRole, type Network, type Patience } from './network.ts';
import { releaseStatus } from './status.ts';
import { upload, type UploadProgress } from './upload.ts';

export interface Exported {
  readonly line: string;
  readonly release: Uint8Array;
  readonly sequence: bigint;
  readonly version: string;
  readonly links: number;
  readonly images: readonly ImageDescription[];
  /** `fresh(own clock)` now; it will not stay so. */
  readonly freshness: string;
}

/**
 * Writes a release that its line offers now (newest, waypoint, pending) to a new file. `now` in POSIX seconds.
 * The pinned root decides what is believed; the anchor is the key that the line's author registered with.
 * Errors: RELEASE_UNKNOWN, RELEASE_WITHDRAWN, TRUST_*, SUIT_*, AUTHOR_FILE_EXISTS, AUTHOR_IMAGE_MISMATCH, AUTHOR_TIMEOUT.
 */
export async function exportRelease(
  network: Network,
  digest: Uint8Array,
  options: {
    readonly out: string;
    readonly line?: Line | undefined;
    readonly patience: Patience;
    readonly now: number;
    readonly onProgress?: UploadProgress;
  },
): Promise<Exported> {
  const { out, patience, now } = options;
  const line = options.line ?? parseLineText((await releaseStatus(network, digest, patience)).line);
  const nodes = nodesWithRole(network.root, 'retrieval');
  const { root, policies, judged, proof, links, envelope, release } = await firstThatHolds(
    nodes,
    (node) => gather(network, node, { line, digest, patience, now }),
  );
  const folder = await mkdtemp(join(dirname(out), '.export-'));
  await using open = new AsyncDisposableStack();
  open.defer(() => rm(folder, { recursive: true, force: true }));
  const images: ImageFile[] = [];
  for (const image of release.envelope.manifest.images) {
    const size = image.size ?? fail('AUTHOR_IMAGE_MISMATCH', 'the manifest names no size');
    const file = join(folder, hex(image.digest));
    await askUntil(network, nodes, patience, async (node) => {
      await fetchImage(network, node, { file, size, digest: image.digest }, options);
      return true;
    });
    images.push(open.use(await openImage(file)));
  }
  const content = {
    line,
    release: digest,
    envelope,
    proof,
    links,
    images: images.map(({ description }) => description),
    root: root.bytes,
    policies,
  };
  const chunk = (wanted: Uint8Array): Promise<Uint8Array> => {
    const cid = cidText(rawCid(wanted));
    return (images.find((image) => image.has(cid)) ?? fail('STORE_BLOCK_MISSING')).chunk(cid);
  };
  await createFile(out, writeArchive(content, chunk), 0o644);
  return {
    line: lineText(line),
    release: digest,
    sequence: release.sequence,
    version: release.claims.version,
    links: links.length,
    images: content.images,
    freshness: freshnessText(judged.freshness),
  };
}

async function fetchImage(
  network: Network,
  { name, node }: NamedNode,
  image: { readonly file: string; readonly size: number; readonly digest: Uint8Array },
  options: { readonly patience: Patience; readonly onProgress?: UploadProgress },
): Promise<void> {
  const { file, size, digest } = image;
  await using answer = await network.client.stream({
    url: node.url + imagePath(digest),
    headers: { 'firmament-transaction': '8' },
    maxBytes: size,
    signal: options.patience.signal,
  });
  let done = 0;
  await pipeline(
    answer.body,
    async function* counted(body: AsyncIterable<Uint8Array>) {
      for await (const part of body) {
        done += part.length;
        options.onProgress?.(name, done, size);
        yield part;
      }
    },
    createWriteStream(file),
  );
  await using written = await openImage(file);
  check(equal(written.description.digest, digest), 'AUTHOR_NODE_LIES', 'another image');
}

/**
 * Puts an archive's images back into a node that lacks blocks of them; the ledger's anchors have to be there.
 * Errors: ANCHOR_UNKNOWN, AUTHOR_NETWORK, AUTHOR_TIMEOUT, STORE_DIGEST_MISMATCH.
 */
export async function restoreImages(
  network: Network,
  node: NamedNode,
  archive: Archive,
  patience: Patience,
  onProgress?: UploadProgress,
): Promise<void> {
  for (const image of archive.images)
    await upload(network, [node], archivedImage(archive, image), patience, onProgress);
}

function archivedImage(archive: Archive, description: ImageDescription): ImageFile {
  const places = new Map(description.chunks.map((digest, i) => [cidText(rawCid(digest)), i]));
  const indexOf = (cid: string): number => places.get(cid) ?? fail('STORE_BLOCK_MISSING');
  return {
    description,
    has: (cid) => places.has(cid),
    size: (cid) => chunkSize(description.size, indexOf(cid)),
    chunk: (cid) => archive.chunk(description.chunks[indexOf(cid)] ?? fail('STORE_BLOCK_MISSING')),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}
