/**
 * The attacker as an actor: an HTTPS server with the TLS key of a node that it took over, so that every pin holds.
 * It passes what it is asked on to an honest node and changes what comes back as its trick says.
 */
import { Readable } from 'node:stream';
import { httpStatus } from '../api/status.ts';
import { fail } from '../errors.ts';
import { createClient, type Client } from '../net/client.ts';
import { createServer, type Reply } from '../net/server.ts';
import type { TlsCredentials } from '../net/tls.ts';

export interface Asked {
  readonly method: 'GET' | 'HEAD' | 'POST' | 'PUT';
  /** With its query. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: Uint8Array;
}

export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array | AsyncIterable<Uint8Array>;
}

/** What an honest node answers, its body whole. */
export type HonestAnswer = Answer & { readonly body: Uint8Array };

/** What is answered instead; `forward` asks the honest node. */
export type Trick = (asked: Asked, forward: () => Promise<HonestAnswer>) => Promise<Answer>;

export interface AttackerOptions {
  /** Of the node that was taken over. */
  readonly tls: TlsCredentials;
  readonly host: string;
  readonly port: number;
  /** An honest node, and SHA-256 of its TLS key. */
  readonly upstream: { readonly url: string; readonly spki: Uint8Array };
}

export interface Attacker extends AsyncDisposable {
  readonly port: number;
  /** From now on: this trick. Until the first one every answer is true. */
  play(trick: Trick): void;
}

const MAX_ANSWER = 256 << 20;
const METHODS = ['GET', 'HEAD', 'POST', 'PUT'] as const;
const REQUEST_HEADERS = [
  'accept',
  'content-type',
  'range',
  'if-none-match',
  'firmament-current',
  'firmament-device',
];
const ANSWER_HEADERS = ['content-type', 'content-range', 'accept-ranges', 'etag', 'cache-control'];

export const honest: Trick = (_asked, forward) => forward();

/** Listening when it resolves. Errors: NET_LISTEN_FAILED. */
export async function startAttacker(options: AttackerOptions): Promise<Attacker> {
  const { tls, host, port, upstream } = options;
  await using cleanup = new AsyncDisposableStack();
  const client = cleanup.use(createClient({ pins: upstream.spki }));
  const server = cleanup.use(
    createServer({
      tls,
      host,
      port,
      status: httpStatus,
      limits: { maxBody: 2 << 20, grace: 500, rate: undefined },
    }),
  );
  let trick = honest;
  server.app.route({
    method: ['GET', 'POST', 'PUT'],
    url: '/*',
    handler: async (request, reply) => {
      // Between nodes it would have to show the key of the honest one that it does not have.
      if (request.url.startsWith('/v1/peer/')) fail('NODE_PEER_UNKNOWN');
      const asked: Asked = {
        method: METHODS.find((method) => method === request.method) ?? fail('NET_REQUEST_INVALID'),
        path: request.url,
        headers: picked(request.headers, REQUEST_HEADERS),
        ...(request.body instanceof Uint8Array && { body: request.body }),
      };
      return send(reply, await trick(asked, () => forwarded(client, upstream.url, asked)));
    },
  });
  const listening = await server.listen();
  const owned = cleanup.move();
  return {
    port: listening,
    play: (next) => void (trick = next),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

async function forwarded(client: Client, url: string, asked: Asked): Promise<HonestAnswer> {
  const { method, path, headers, body } = asked;
  const answer = await client.request({
    method,
    url: url + path,
    headers,
    maxBytes: MAX_ANSWER,
    ...(body && { body }),
  });
  return {
    status: answer.status,
    headers: picked(answer.headers, ANSWER_HEADERS),
    body: answer.body,
  };
}

function picked(
  headers: Readonly<Record<string, string | readonly string[] | undefined>>,
  names: readonly string[],
): Record<string, string> {
  return Object.fromEntries(
    names.flatMap((name): [string, string][] => {
      const value = headers[name];
      return typeof value === 'string' ? [[name, value]] : [];
    }),
  );
}

function send(reply: Reply, { status, headers, body }: Answer): Reply {
  reply.code(status).headers(headers);
  return body instanceof Uint8Array ? reply.send(body) : reply.send(Readable.from(body));
}
