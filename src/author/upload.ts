/** Transaction 3: the blocks that a node lacks, several at once, from where an earlier upload ended. */
import { decodeMissing, uploadPath } from '../api/registration.ts';
import { codeOf } from '../errors.ts';
import type { NamedNode } from '../registry/policy.ts';
import { askUntil, type Network, type Patience } from './network.ts';
import type { ImageFile } from './image-file.ts';

/** Bytes of the image that the node has, of how many. */
export type UploadProgress = (node: string, done: number, total: number) => void;

const AT_ONCE = 4;
const MAX_LIST = 1 << 20;

/**
 * Gives the image to the first of the nodes that takes it whole; a node that fails in the middle is followed
 * by the next, and by itself in its turn. Errors: ANCHOR_INVALID, STORE_DIGEST_MISMATCH, AUTHOR_TIMEOUT.
 */
export async function upload(
  network: Network,
  nodes: readonly NamedNode[],
  image: ImageFile,
  patience: Patience,
  onProgress?: UploadProgress,
): Promise<NamedNode> {
  return askUntil(network, nodes, patience, async (node) => {
    const progress = uploadProgress(node.name, image.description.size, onProgress);
    const put = new Set<string>();
    for (;;) {
      const missing = await missingAt(network, node, image, patience);
      // A node that has not seen the anchor yet will, once it follows.
      if (!missing) return undefined;
      progress.left(missing.reduce((sum, cid) => sum + image.size(cid), 0));
      if (missing.length === 0) return node;
      // A node that lacks again what it just took is left for the next one.
      if (missing.every((cid) => put.has(cid))) return undefined;
      for (const cid of missing) put.add(cid);
      await putAll(network, node, image, missing, patience, progress.put);
    }
  });
}

function uploadProgress(
  node: string,
  total: number,
  onProgress: UploadProgress | undefined,
): { readonly left: (bytes: number) => void; readonly put: (bytes: number) => void } {
  let done = 0;
  const say = (): void => onProgress?.(node, Math.min(done, total), total);
  return {
    left(bytes) {
      done = Math.max(done, total - bytes);
      if (bytes === 0) done = total;
      say();
    },
    put(bytes) {
      done += bytes;
      say();
    },
  };
}

async function missingAt(
  network: Network,
  { node }: NamedNode,
  image: ImageFile,
  { signal }: Patience,
): Promise<readonly string[] | undefined> {
  const path = uploadPath(image.description.digest);
  try {
    const url = `${node.url}${path}/missing`;
    const answer = await network.client.request({ url, maxBytes: MAX_LIST, signal });
    // What is not of this image is not asked of us by an honest node, and not sent to another.
    return [...new Set(decodeMissing(answer.body))].filter((cid) => image.has(cid));
  } catch (error) {
    if (codeOf(error) === 'ANCHOR_UNKNOWN') return undefined;
    throw error;
  }
}

async function putAll(
  network: Network,
  { node }: NamedNode,
  image: ImageFile,
  cids: readonly string[],
  { signal }: Patience,
  onPut: (bytes: number) => void,
): Promise<void> {
  const path = uploadPath(image.description.digest);
  let next = 0;
  const worker = async (): Promise<void> => {
    for (let cid = cids[next++]; cid !== undefined; cid = cids[next++]) {
      const body = await image.chunk(cid);
      await network.client.request({
        method: 'PUT',
        url: `${node.url}${path}/blocks/${cid}`,
        headers: { 'content-type': 'application/octet-stream', 'firmament-transaction': '3' },
        body,
        maxBytes: 4096,
        signal,
      });
      onPut(body.length);
    }
  };
  try {
    await Promise.all(Array.from({ length: AT_ONCE }, worker));
  } finally {
    // One that failed ends the others at their next block.
    next = cids.length;
  }
}
