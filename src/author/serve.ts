/** Serves an author's images at public URLs, URL/SHA256: what gateways fall back to when no node has one (T30). */
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { fail } from '../errors.ts';
import type { Logger } from '../logger.ts';
import { createRootCertificate, createServerCertificate } from '../net/authority.ts';
import { byteRange } from '../net/byte-range.ts';
import { createServer, sendProblem, type Server } from '../net/server.ts';
import type { TlsCredentials } from '../net/tls.ts';

export interface ServeOptions {
  /** Files named by their SHA-256 in hex; nothing else of it is served. */
  readonly directory: string;
  readonly host: string;
  /** 0: any free port. */
  readonly port: number;
  readonly tls: TlsCredentials;
  readonly logger?: Logger;
}

const DAYS = 90;

/** A server that is not listening yet. It is for everybody: images are public, and checked by whoever gets them. */
export function imageServer({ directory, ...options }: ServeOptions): Server {
  const server = createServer({
    ...options,
    limits: { rate: { perSecond: 50, burst: 200 } },
    status: (code) => (code === 'ANCHOR_UNKNOWN' ? 404 : undefined),
  });
  server.app.route<{ Params: { sha256: string } }>({
    method: ['GET', 'HEAD'],
    url: '/:sha256',
    handler: async (request, reply) => {
      const name = request.params.sha256;
      if (!/^[0-9a-f]{64}$/.test(name)) fail('ANCHOR_UNKNOWN');
      const path = join(directory, name);
      const size = await sizeOf(path);
      const etag = `"${name}"`;
      reply.headers({
        etag,
        'accept-ranges': 'bytes',
        'cache-control': 'public, max-age=31536000, immutable',
      });
      if (request.headers['if-none-match'] === etag) return reply.code(304).send();
      const range = byteRange(request.headers, size, etag);
      if (range === 'unsatisfiable')
        return sendProblem(
          reply.header('content-range', `bytes */${size}`),
          416,
          'API_QUERY_INVALID',
        );
      const { start, end } = range ?? { start: 0, end: size };
      if (range) reply.code(206).header('content-range', `bytes ${start}-${end - 1}/${size}`);
      reply.header('content-length', end - start).type('application/octet-stream');
      if (request.method === 'HEAD' || start === end) return reply.send();
      return reply.send(createReadStream(path, { start, end: end - 1 }));
    },
  });
  return server;
}

async function sizeOf(path: string): Promise<number> {
  try {
    const found = await stat(path);
    if (found.isFile()) return found.size;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
  return fail('ANCHOR_UNKNOWN');
}

/** For tries without a certificate of a public authority: a root of one's own, and a server's certificate under it. */
export async function ownCertificate(
  hosts: readonly string[],
  now: number,
): Promise<{ readonly tls: TlsCredentials; readonly rootPem: string }> {
  const root = await createRootCertificate('image server root', DAYS, now);
  const tls = await createServerCertificate(root, 'image server', hosts, DAYS, now);
  return { tls, rootPem: root.certificatePem };
}
