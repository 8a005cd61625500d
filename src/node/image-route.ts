/** Transaction 8: an image by its SHA-256, whole or one range of it, gathered from neighbours when absent. */
import { Readable } from 'node:stream';
import { fromHex, hex } from '../bytes.ts';
import { check, fail } from '../errors.ts';
import type { Replica } from '../ledger/replica.ts';
import { byteRange, type ByteRange } from '../net/byte-range.ts';
import { sendProblem } from '../net/server.ts';
import type { App } from '../net/server.ts';
import { CHUNK } from '../registry/rules/image-anchor.ts';
import { getRelease } from '../registry/state.ts';
import type { Candidate, ImageStore } from './image-store.ts';
import type { Images } from './images.ts';
import { Transfers } from './transfers.ts';

export interface ImageRouteParts {
  readonly replica: Replica;
  readonly images: Images;
  readonly imageStore: ImageStore;
}

export function imageRoute(app: App, parts: ImageRouteParts): void {
  const transfers = new Transfers();
  app.route<{ Params: { sha256: string }; Querystring: { withdrawn?: string } }>({
    method: ['GET', 'HEAD'],
    url: '/v1/images/:sha256',
    onRequest: transfers.enter,
    handler: async (request, reply) => {
      const sha256 = fromHex(request.params.sha256, 32);
      const [first] = parts.imageStore.find(sha256);
      check(request.query.withdrawn === 'yes' || isAllowed(parts, sha256), 'RELEASE_WITHDRAWN');
      const etag = `"${hex(sha256)}"`;
      const headers = {
        etag,
        'accept-ranges': 'bytes',
        'cache-control': 'public, max-age=31536000, immutable',
      };
      if (request.headers['if-none-match'] === etag) return reply.headers(headers).code(304).send();
      // Whether there is an answer at all is decided before its status is on the way.
      const candidate = request.method === 'HEAD' ? first : await parts.imageStore.ready(sha256);
      const { size } = candidate?.anchor ?? fail('ANCHOR_UNKNOWN');
      const range = byteRange(request.headers, size, etag);
      if (range === 'unsatisfiable')
        return sendProblem(
          reply.header('content-range', `bytes */${size}`),
          416,
          'API_QUERY_INVALID',
        );
      const { start, end } = range ?? { start: 0, end: size };
      if (candidate && request.method === 'GET')
        await parts.imageStore.chunk(candidate, Math.floor(start / CHUNK));
      reply
        .headers(headers)
        .header('content-length', end - start)
        .type('application/octet-stream');
      if (range) reply.code(206).header('content-range', `bytes ${start}-${end - 1}/${size}`);
      if (!candidate || request.method === 'HEAD') return reply.send();
      return reply.send(Readable.from(readRange(parts.imageStore, candidate, { start, end })));
    },
  });
}

// An image stays served while any release that has it is allowed; withdrawn ones only on explicit request.
function isAllowed({ replica, images }: ImageRouteParts, sha256: Uint8Array): boolean {
  return images
    .of(sha256)
    .some(({ line, release }) => getRelease(replica.view(), line, release)?.status !== 'withdrawn');
}

async function* readRange(
  store: ImageStore,
  candidate: Candidate,
  { start, end }: ByteRange,
): AsyncGenerator<Uint8Array> {
  const last = Math.floor((end - 1) / CHUNK);
  let next = ahead(store, candidate, Math.floor(start / CHUNK));
  for (let index = Math.floor(start / CHUNK); index <= last; index++) {
    const at = index * CHUNK;
    const chunk = await next;
    // The next one is read and hashed while this one is on its way.
    if (index < last) next = ahead(store, candidate, index + 1);
    yield chunk.subarray(Math.max(0, start - at), Math.min(chunk.length, end - at));
  }
}

function ahead(store: ImageStore, candidate: Candidate, index: number): Promise<Uint8Array> {
  const chunk = store.chunk(candidate, index);
  // A reader that leaves early does not ask for it.
  chunk.catch(() => undefined);
  return chunk;
}
