/**
 * Blocks between peers over HTTPS: the raw part of the IPFS trustless gateway
 * (https://specs.ipfs.tech/http-gateways/trustless-gateway/). See docs/spec/store.md.
 */
import { codeOf, FirmamentError } from '../errors.ts';
import type { Client } from '../net/client.ts';
import { sendProblem } from '../net/server.ts';
import type { Reply, Request, Server } from '../net/server.ts';
import { cidText, parseCid } from './cid.ts';
import type { Holder } from './holder.ts';
import type { Store } from './store.ts';

const RAW_TYPE = 'application/vnd.ipld.raw';
/** The identity CID of no bytes: gateways answer it, clients probe with it. */
const PROBE = 'bafkqaaa';

/** A holder reached at `origin` (`https://host:port`). */
export function httpHolder(client: Client, origin: string, name: string): Holder {
  return {
    name,
    async getBlock(cid, maxBytes, signal) {
      const url = `${origin}/ipfs/${cidText(cid)}?format=raw`;
      try {
        const answer = await client.request({
          url,
          headers: { accept: RAW_TYPE },
          maxBytes,
          signal,
        });
        return answer.body;
      } catch (error) {
        // another gateway than ours says it by the status alone
        if (error instanceof FirmamentError && error.details['status'] === 404)
          throw new FirmamentError('STORE_BLOCK_MISSING', undefined, { name }, { cause: error });
        throw error;
      }
    },
  };
}

export interface BlockRoutes {
  /** Whether this peer may read blocks. */
  readonly allow: (request: Request) => boolean;
}

/** Adds `GET` and `HEAD /ipfs/:cid` to a server. */
export function registerBlockRoutes(server: Server, store: Store, options: BlockRoutes): void {
  server.app.route<{ Params: { cid: string }; Querystring: { format?: unknown } }>({
    method: ['GET', 'HEAD'],
    url: '/ipfs/:cid',
    handler: async (request, reply) => {
      if (!options.allow(request)) return sendProblem(reply, 403, 'STORE_FORBIDDEN');
      const { cid } = request.params;
      const raw = asksForRaw(request.query.format, request.headers.accept);
      if (!raw && !(cid === PROBE && request.query.format === undefined))
        return sendProblem(reply, 406, 'STORE_FORMAT_UNACCEPTABLE');
      if (cid === PROBE) return sendBlock(reply, cid, new Uint8Array(0));
      let binary: Uint8Array;
      try {
        binary = parseCid(cid);
      } catch (error) {
        return sendProblem(reply, 400, codeOf(error) ?? 'STORE_CID_INVALID');
      }
      const etag = etagOf(cid);
      const known = request.headers['if-none-match'];
      const bytes = await store.get(binary);
      if (!bytes) return sendProblem(reply, 404, 'STORE_BLOCK_MISSING');
      if (known !== undefined && known.split(',').some((tag) => isTag(tag.trim(), etag)))
        return reply.code(304).header('etag', etag).send();
      return sendBlock(reply, cid, bytes);
    },
  });
}

/** `format` stands above `Accept`; an `Accept` that is general asks for no raw block. */
function asksForRaw(format: unknown, accept: string | undefined): boolean {
  if (format !== undefined) return format === 'raw';
  return (accept ?? '').split(',').some((type) => type.split(';')[0]?.trim() === RAW_TYPE);
}

function etagOf(cid: string): string {
  return `"${cid}.raw"`;
}

function isTag(given: string, etag: string): boolean {
  return given === '*' || given === etag || given === `W/${etag}`;
}

function sendBlock(reply: Reply, cid: string, bytes: Uint8Array): Reply {
  return reply
    .headers({
      etag: etagOf(cid),
      // the bytes of a CID never change
      'cache-control': 'public, max-age=29030400, immutable',
      'content-disposition': `attachment; filename="${cid}.bin"`,
      'content-length': bytes.length,
      'x-content-type-options': 'nosniff',
    })
    .type(RAW_TYPE)
    .send(bytes);
}
