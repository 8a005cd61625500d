/** HTTPS client: pinned servers, bounded answers, coded errors. See docs/spec/net.md. */
import { request as httpsRequest } from 'node:https';
import type { ClientRequest as NodeRequest, IncomingHttpHeaders, IncomingMessage } from 'node:http';
import { concat } from '../bytes.ts';
import { check, fail, FirmamentError } from '../errors.ts';
import { PinnedAgent } from './pinned-agent.ts';
import type { PinnedRequestOptions, ServerTrust } from './pinned-agent.ts';
import { PROBLEM_MAX_BYTES, problemError } from './problem.ts';
import type { TlsCredentials } from './tls.ts';

/** Milliseconds, but for the last. */
export interface ClientTimeouts {
  /** TCP and TLS. */
  readonly connect: number;
  /** Between two pieces of an answer's body. */
  readonly idle: number;
  /** A whole `request`; of a `stream`, until its headers are there. `timeoutMs` of a call stands above it. */
  readonly total: number;
  /** A body that comes slower than this, once `idle` has been waited for it in all, is given up. */
  readonly bytesPerSecond: number;
}

export const DEFAULT_TIMEOUTS: ClientTimeouts = {
  connect: 5_000,
  idle: 15_000,
  total: 60_000,
  bytesPerSecond: 512,
};

export interface ClientOptions {
  /**
   * SHA-256 of the server's TLS key (SPKI): one for every origin, or by origin (`https://host:port`); or `root`,
   * SHA-256 of the root certificate (DER) under which each server has a certificate for its address.
   */
  readonly pins:
    | Uint8Array
    | ((origin: string) => Uint8Array | undefined)
    | { readonly root: Uint8Array };
  /** Shown to servers that ask for a client certificate. */
  readonly credentials?: TlsCredentials;
  readonly timeouts?: Partial<ClientTimeouts>;
  /** Requests under way to one origin at most; more wait their turn. 8 unless said otherwise. */
  readonly perOrigin?: number;
}

export interface ClientRequest {
  /** GET unless said otherwise. */
  readonly method?: 'GET' | 'HEAD' | 'POST' | 'PUT' | 'DELETE';
  readonly url: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Uint8Array;
  /** Of the answer's body. */
  readonly maxBytes: number;
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal | undefined;
}

export interface ClientAnswer {
  /** 2xx or 304: all else is thrown. */
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Uint8Array;
}

/** An answer whose body is still to come. Read it to its end or dispose of it: it holds a connection. */
export interface ClientStream extends AsyncDisposable {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  /** At most `maxBytes`, to be read once. */
  readonly body: AsyncIterable<Uint8Array>;
}

/**
 * Both calls throw the remote's own code when it refuses with a problem document that names one of ours, with
 * `status` and `retryAfter` (seconds) in the details; else NET_REMOTE_REFUSED (redirects too: none is followed),
 * NET_PIN_MISMATCH, NET_SERVER_UNTRUSTED, NET_UNREACHABLE, NET_TIMEOUT, NET_TOO_LARGE, NET_ABORTED, NET_REQUEST_INVALID.
 */
export interface Client extends AsyncDisposable {
  request(request: ClientRequest): Promise<ClientAnswer>;
  stream(request: ClientRequest): Promise<ClientStream>;
}

interface Exchange {
  readonly response: IncomingMessage;
  /** Ends the exchange with an error, whatever it is waiting for. */
  readonly giveUp: (error: FirmamentError) => void;
  /** The error that it was given up with, else `error` as one of ours. */
  readonly because: (error: unknown) => FirmamentError;
  /** Frees what the exchange holds. Idempotent. */
  readonly end: () => void;
  readonly answered: () => void;
}

/** A client with its own connections; dispose of it to close them. Errors: NET_CERTIFICATE_INVALID. */
export function createClient(options: ClientOptions): Client {
  const timeouts = { ...DEFAULT_TIMEOUTS, ...options.timeouts };
  const agent = new PinnedAgent(options.credentials, timeouts.connect, 30_000);
  const turns = createTurns(options.perOrigin ?? 8);
  const trustIn = trustOf(options.pins);

  const open = async (request: ClientRequest): Promise<Exchange> => {
    const url = parseUrl(request.url);
    const trust = trustIn(url.origin);
    if (!trust)
      fail('NET_PIN_MISMATCH', 'no key is pinned for this server', { origin: url.origin });
    const exchange = await exchangeOnce(request, url, trust, agent, turns, timeouts);
    const { response } = exchange;
    const status = response.statusCode ?? 0;
    if ((status >= 200 && status < 300) || status === 304) return exchange;
    throw await refusal(exchange, timeouts);
  };

  return {
    async request(request) {
      const exchange = await open(request);
      const parts: Uint8Array[] = [];
      for await (const part of readBody(exchange, request.maxBytes, timeouts)) parts.push(part);
      const { response } = exchange;
      return {
        status: response.statusCode ?? 0,
        headers: response.headers,
        body: concat(...parts),
      };
    },
    async stream(request) {
      const exchange = await open(request);
      // from here on the time belongs to whoever reads; `idle` and `bytesPerSecond` bound the server's part
      if (request.timeoutMs === undefined) exchange.answered();
      return {
        status: exchange.response.statusCode ?? 0,
        headers: exchange.response.headers,
        body: readBody(exchange, request.maxBytes, timeouts),
        [Symbol.asyncDispose]: async () => exchange.end(),
      };
    },
    [Symbol.asyncDispose]: async () => agent.destroy(),
  };
}

function trustOf(pins: ClientOptions['pins']): (origin: string) => ServerTrust | undefined {
  if (typeof pins === 'function')
    return (origin) => {
      const sha256 = pins(origin);
      return sha256 && { by: 'key', sha256 };
    };
  return () =>
    pins instanceof Uint8Array ? { by: 'key', sha256: pins } : { by: 'root', sha256: pins.root };
}

function parseUrl(text: string): URL {
  const url = URL.parse(text);
  if (!url || url.protocol !== 'https:' || url.username !== '' || url.password !== '')
    fail('NET_REQUEST_INVALID', 'not an https URL without user and password');
  return url;
}

/** Sends the request and waits for the answer's headers; once more when a kept connection had just been closed. */
async function exchangeOnce(
  request: ClientRequest,
  url: URL,
  trust: ServerTrust,
  agent: PinnedAgent,
  turns: Turns,
  timeouts: ClientTimeouts,
): Promise<Exchange> {
  let failure: FirmamentError | undefined;
  let current: NodeRequest | undefined;
  let interrupt: ((error: FirmamentError) => void) | undefined;
  const giveUp = (error: FirmamentError): void => {
    failure ??= error;
    interrupt?.(failure);
    current?.destroy(failure);
  };
  const because = (error: unknown): FirmamentError => failure ?? netError(error, url.origin);
  const timer = setTimeout(
    () => giveUp(new FirmamentError('NET_TIMEOUT', undefined, { origin: url.origin })),
    request.timeoutMs ?? timeouts.total,
  );
  const onAbort = (): void => giveUp(new FirmamentError('NET_ABORTED'));
  request.signal?.addEventListener('abort', onAbort);
  let release: (() => void) | undefined;
  const end = (): void => {
    clearTimeout(timer);
    request.signal?.removeEventListener('abort', onAbort);
    release?.();
    release = undefined;
    // a no-op after a body that was read to its end, whose connection is kept
    current?.destroy();
  };
  const attempt = (): Promise<IncomingMessage> =>
    new Promise((resolve, reject) => {
      interrupt = reject;
      current = send(request, url, trust, agent);
      current.once('response', resolve).on('error', reject);
    });
  try {
    check(!request.signal?.aborted, 'NET_ABORTED');
    release = await turns.take(url.origin, (reject) => (interrupt = reject));
    if (failure) throw failure;
    const response = await attempt().catch((error: unknown) => {
      const stale = current?.reusedSocket && request.method !== 'POST' && isReset(error);
      if (failure || !stale) throw error;
      return attempt();
    });
    response.on('error', () => {});
    return { response, giveUp, because, end, answered: () => clearTimeout(timer) };
  } catch (error) {
    const reason = because(error);
    end();
    throw reason;
  }
}

function send(
  request: ClientRequest,
  url: URL,
  trust: ServerTrust,
  agent: PinnedAgent,
): NodeRequest {
  const body = request.body;
  const options: PinnedRequestOptions = {
    agent,
    trust,
    method: request.method ?? 'GET',
    host: url.hostname.replace(/^\[|\]$/g, ''),
    port: url.port === '' ? 443 : Number(url.port),
    path: url.pathname + url.search,
    headers: { ...request.headers, ...(body && { 'content-length': body.length }) },
  };
  const sent = httpsRequest(options);
  sent.end(body);
  return sent;
}

function isReset(error: unknown): boolean {
  const { code } = error as { readonly code?: unknown };
  return code === 'ECONNRESET' || code === 'EPIPE';
}

function netError(error: unknown, origin: string): FirmamentError {
  if (error instanceof FirmamentError) return error;
  const { code } = error as { readonly code?: unknown };
  const reason = typeof code === 'string' ? code : undefined;
  return new FirmamentError('NET_UNREACHABLE', undefined, { origin, reason }, { cause: error });
}

/** The body, bounded in bytes and in the time that it may keep its reader waiting. Ends the exchange. */
async function* readBody(
  exchange: Exchange,
  maxBytes: number,
  timeouts: ClientTimeouts,
): AsyncGenerator<Uint8Array, void, undefined> {
  const { response, giveUp } = exchange;
  let received = 0;
  let waited = 0;
  try {
    const announced = Number(response.headers['content-length'] ?? 0);
    const hasBody = response.statusCode !== 304 && !isHead(response);
    check(!hasBody || !(announced > maxBytes), 'NET_TOO_LARGE', undefined, { announced, maxBytes });
    const parts = response[Symbol.asyncIterator]() as AsyncIterator<Uint8Array>;
    for (;;) {
      const since = performance.now();
      const idle = setTimeout(() => giveUp(new FirmamentError('NET_TIMEOUT')), timeouts.idle);
      const next = await parts.next().finally(() => clearTimeout(idle));
      if (next.done) return;
      waited += performance.now() - since;
      received += next.value.length;
      check(received <= maxBytes, 'NET_TOO_LARGE', undefined, { maxBytes });
      const tooSlow =
        waited > timeouts.idle && received < (waited / 1000) * timeouts.bytesPerSecond;
      check(!tooSlow, 'NET_TIMEOUT', 'the answer comes too slowly', { received });
      yield new Uint8Array(next.value.buffer, next.value.byteOffset, next.value.length);
    }
  } catch (error) {
    throw exchange.because(error);
  } finally {
    exchange.end();
  }
}

function isHead(response: IncomingMessage): boolean {
  return (response as IncomingMessage & { readonly req?: NodeRequest }).req?.method === 'HEAD';
}

async function refusal(exchange: Exchange, timeouts: ClientTimeouts): Promise<FirmamentError> {
  const { headers, statusCode = 0 } = exchange.response;
  const parts: Uint8Array[] = [];
  try {
    for await (const part of readBody(exchange, PROBLEM_MAX_BYTES, timeouts)) parts.push(part);
  } catch (error) {
    // the status was there: a body that is too long or breaks off takes nothing from it
    const { code } = exchange.because(error);
    if (code === 'NET_ABORTED' || code === 'NET_TIMEOUT') return exchange.because(error);
    parts.length = 0;
  }
  const retryAfter = /^\d{1,6}$/.exec(headers['retry-after'] ?? '')?.[0];
  const error = problemError(statusCode, headers['content-type'] ?? '', concat(...parts));
  return retryAfter === undefined
    ? error
    : new FirmamentError(error.code, error.message, {
        ...error.details,
        retryAfter: Number(retryAfter),
      });
}

interface Turns {
  /** Waits for a turn and answers how to give it back; `onWait` gets what ends the waiting with an error. */
  take(
    origin: string,
    onWait: (reject: (error: FirmamentError) => void) => void,
  ): Promise<() => void>;
}

/** At most `bound` requests under way per origin: the agent alone does not count connections being made. */
function createTurns(bound: number): Turns {
  const origins = new Map<string, { active: number; readonly waiting: Set<() => void> }>();
  return {
    async take(origin, onWait) {
      const state = origins.get(origin) ?? { active: 0, waiting: new Set<() => void>() };
      origins.set(origin, state);
      if (state.active >= bound) {
        await new Promise<void>((resolve, reject) => {
          state.waiting.add(resolve);
          onWait((error) => {
            state.waiting.delete(resolve);
            reject(error);
          });
        });
      } else state.active += 1;
      return () => {
        const next = state.waiting.values().next();
        if (next.done) {
          state.active -= 1;
          if (state.active === 0) origins.delete(origin);
          return;
        }
        // the turn passes on: `active` stays as it is
        state.waiting.delete(next.value);
        next.value();
      };
    },
  };
}
