/**
 * Other members' engines on this machine's loopback, for the light client of this node's engine: it speaks plain HTTP,
 * and they answer over mutual TLS only. What goes through changes nothing.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { MAX_ENGINE_CALL } from '../api/engine-call.ts';
import { codeOf } from '../errors.ts';
import type { Logger } from '../logger.ts';
import type { NamedNode } from '../registry/policy.ts';
import type { Peers } from './peers.ts';

export interface EngineProxies extends AsyncDisposable {
  /** One a peer: http://127.0.0.1:PORT. */
  readonly urls: readonly string[];
}

const TIMEOUT_MS = 20_000;

/** Listens until it is disposed of. */
export async function engineProxies(
  peers: Pick<Peers, 'engine'>,
  members: readonly NamedNode[],
  logger: Logger,
): Promise<EngineProxies> {
  await using cleanup = new AsyncDisposableStack();
  const urls: string[] = [];
  for (const member of members) {
    const answer = (call: Uint8Array): Promise<Uint8Array> => peers.engine(member, call);
    const server = createServer({ requestTimeout: TIMEOUT_MS }, (request, response) => {
      serve(request, response, answer).catch((error: unknown) => {
        logger.debug('an engine was not reached', { peer: member.name, code: codeOf(error) });
        if (response.headersSent) response.destroy();
        else response.writeHead(502).end();
      });
    });
    await listening(server);
    cleanup.defer(() => closed(server));
    urls.push(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  }
  const owned = cleanup.move();
  return { urls, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

async function serve(
  request: IncomingMessage,
  response: ServerResponse,
  answer: (call: Uint8Array) => Promise<Uint8Array>,
): Promise<void> {
  const parts: Uint8Array[] = [];
  let length = 0;
  for await (const part of request as AsyncIterable<Uint8Array>) {
    length += part.length;
    if (length > MAX_ENGINE_CALL) {
      response.writeHead(413).end();
      return;
    }
    parts.push(part);
  }
  const body = await answer(new Uint8Array(Buffer.concat(parts)));
  response.writeHead(200, { 'content-type': 'application/json' }).end(body);
}

async function listening(server: Server): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once('error', reject).listen(0, '127.0.0.1', resolve);
  await promise;
}

async function closed(server: Server): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  server.close(() => resolve());
  server.closeAllConnections();
  await promise;
}
