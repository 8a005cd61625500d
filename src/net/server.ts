/** HTTPS server: Fastify with our limits, raw bodies, problem+json and peers known by their TLS key. */
import { constants } from 'node:crypto';
import type { X509Certificate } from 'node:crypto';
import { createServer as createHttpsServer } from 'node:https';
import type { Server as HttpsServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import type { SecureContextOptions } from 'node:tls';
import fastify from 'fastify';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { CODES, fail, FirmamentError } from '../errors.ts';
import type { Code } from '../errors.ts';
import type { Logger } from '../logger.ts';
import { clientAddress, createRateLimiter } from './limits.ts';
import type { RateLimit } from './limits.ts';
import { formatProblem, PROBLEM_TYPE } from './problem.ts';
import { peerSpkiSha256 } from './tls.ts';
import type { TlsCredentials } from './tls.ts';

export type App = FastifyInstance<HttpsServer>;
export type Request = FastifyRequest;
export type Reply = FastifyReply;

export interface ServerLimits {
  /** Bytes of a request body where a route says nothing (`bodyLimit` of a route stands above it). */
  readonly maxBody: number;
  readonly maxConnections: number;
  /** Of one address (an IPv6 /64): nobody alone keeps all others out. */
  readonly maxConnectionsPerClient: number;
  /** Milliseconds. */
  readonly handshake: number;
  readonly headers: number;
  readonly request: number;
  readonly keepAlive: number;
  /** A connection on which nothing moves, in either direction. */
  readonly idle: number;
  /** How long `close` waits for requests under way before it cuts them off. */
  readonly grace: number;
  /** Requests per client; undefined: as many as it likes. */
  readonly rate?: RateLimit | undefined;
}

export const DEFAULT_LIMITS: ServerLimits = {
  maxBody: 65_536,
  maxConnections: 2048,
  maxConnectionsPerClient: 1024,
  handshake: 10_000,
  headers: 10_000,
  request: 60_000,
  keepAlive: 30_000,
  idle: 120_000,
  grace: 5_000,
};

export interface ServerOptions {
  readonly tls: TlsCredentials;
  readonly host: string;
  /** 0: any free port. */
  readonly port: number;
  readonly limits?: Partial<ServerLimits>;
  /** HTTP status of a code that a handler throws; undefined: not the client's business, answered 500 INTERNAL. */
  readonly status?: (code: Code) => number | undefined;
  /** The name under which requests are counted for `limits.rate`; undefined: not limited. The address by default. */
  readonly client?: (request: Request) => string | undefined;
  readonly logger?: Logger;
}

export interface Server extends AsyncDisposable {
  /** Fastify: add routes before `listen`. Bodies of the raw types arrive as Uint8Array. */
  readonly app: App;
  /** Answers the port. Errors: NET_LISTEN_FAILED. */
  listen(): Promise<number>;
  /** New connections meet this certificate; those that are there go on. Errors: NET_CERTIFICATE_INVALID. */
  replaceCertificate(tls: TlsCredentials): void;
  /** Takes no new requests, finishes those under way (`limits.grace`), then returns. */
  close(): Promise<void>;
}

const RAW_TYPES = [
  'application/cbor',
  'application/cose',
  'application/suit-report+cose',
  'application/octet-stream',
  'application/vnd.ipld.raw',
];

const NET_STATUS: Partial<Record<Code, number>> = {
  NET_NOT_FOUND: 404,
  NET_RATE_LIMITED: 429,
  NET_REQUEST_INVALID: 400,
  NET_TOO_LARGE: 413,
};

/** A server that is not listening yet. Every peer may connect: who it is, `peerSpki` says. */
export function createServer(options: ServerOptions): Server {
  const limits: ServerLimits = { ...DEFAULT_LIMITS, ...options.limits };
  const sockets = new Set<Socket>();
  const app: App = fastify<HttpsServer>({
    logger: false,
    bodyLimit: limits.maxBody,
    trustProxy: false,
    routerOptions: { maxParamLength: 256 },
    serverFactory: (handler) => httpsServer(options.tls, limits, handler, sockets),
    frameworkErrors: (_error, _request, reply) => {
      sendProblem(reply, 400, 'NET_REQUEST_INVALID');
    },
    clientErrorHandler: refuseMalformed,
  });
  app.removeContentTypeParser('text/plain');
  app.addContentTypeParser<Buffer>(RAW_TYPES, { parseAs: 'buffer' }, (_request, body, done) => {
    done(null, new Uint8Array(body.buffer, body.byteOffset, body.length));
  });
  app.setNotFoundHandler((_request, reply) => {
    sendProblem(reply, 404, 'NET_NOT_FOUND');
  });
  app.setErrorHandler((error, request, reply) => {
    answerError(error, request, reply, options);
  });
  if (limits.rate)
    limitRate(app, limits.rate, options.client ?? ((request) => clientAddress(request.ip)));

  const close = async (): Promise<void> => {
    // also ends handshakes under way, which the HTTP server does not count among its connections
    const cut = setTimeout(() => {
      for (const socket of sockets) socket.destroy();
    }, limits.grace);
    try {
      await app.close();
    } finally {
      clearTimeout(cut);
    }
  };
  return {
    app,
    async listen() {
      try {
        await app.listen({ host: options.host, port: options.port });
      } catch (cause) {
        const { host, port } = options;
        fail('NET_LISTEN_FAILED', `can not listen on ${host}:${port}`, { host, port }, cause);
      }
      return (app.server.address() as AddressInfo).port;
    },
    replaceCertificate(tls) {
      try {
        app.server.setSecureContext({ ...secureOptions(tls) });
      } catch (cause) {
        fail('NET_CERTIFICATE_INVALID', undefined, {}, cause);
      }
    },
    close,
    [Symbol.asyncDispose]: close,
  };
}

function httpsServer(
  tls: TlsCredentials,
  limits: ServerLimits,
  handler: Parameters<typeof createHttpsServer>[1],
  sockets: Set<Socket>,
): HttpsServer {
  let server: HttpsServer;
  try {
    server = createHttpsServer(
      {
        ...secureOptions(tls),
        // peers show self-signed certificates: the pin decides, not a chain
        requestCert: true,
        rejectUnauthorized: false,
        handshakeTimeout: limits.handshake,
        headersTimeout: limits.headers,
        requestTimeout: limits.request,
        keepAliveTimeout: limits.keepAlive,
        connectionsCheckingInterval: Math.min(1000, limits.headers),
      },
      handler,
    );
  } catch (cause) {
    return fail('NET_CERTIFICATE_INVALID', undefined, {}, cause);
  }
  server.maxConnections = limits.maxConnections;
  server.setTimeout(limits.idle);
  const perClient = new Map<string, number>();
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    const client = clientAddress(socket.remoteAddress ?? '');
    const count = (perClient.get(client) ?? 0) + 1;
    perClient.set(client, count);
    socket.once('close', () => {
      sockets.delete(socket);
      const left = (perClient.get(client) ?? 1) - 1;
      if (left > 0) perClient.set(client, left);
      else perClient.delete(client);
    });
    if (count > limits.maxConnectionsPerClient) socket.destroy();
  });
  return server;
}

function secureOptions(tls: TlsCredentials): SecureContextOptions {
  return {
    cert: tls.certificatePem,
    key: tls.privateKeyPem,
    minVersion: 'TLSv1.2',
    // a peer stays who it was at the handshake
    secureOptions: constants.SSL_OP_NO_RENEGOTIATION,
  };
}

function limitRate(
  app: App,
  rate: RateLimit,
  client: (request: Request) => string | undefined,
): void {
  const limiter = createRateLimiter(rate, () => performance.now());
  app.addHook('onRequest', (request, reply, next) => {
    const name = client(request);
    const wait = name === undefined ? 0 : limiter.take(name);
    if (wait === 0) next();
    else sendProblem(reply.header('retry-after', wait), 429, 'NET_RATE_LIMITED');
  });
}

const refusals = new WeakMap<Reply, Code>();

/** The code with which this answer refuses; undefined when it does not. */
export function refusalOf(reply: Reply): Code | undefined {
  return refusals.get(reply);
}

/** Answers with a problem. Nothing may be cached of it. */
export function sendProblem(reply: Reply, status: number, code: Code, detail?: string): Reply {
  refusals.set(reply, code);
  return reply
    .code(status)
    .header('cache-control', 'no-store')
    .type(PROBLEM_TYPE)
    .send(formatProblem(status, code, detail));
}

/** The one place where a handler's error becomes an answer, and where what is our fault is logged. */
function answerError(error: unknown, request: Request, reply: Reply, options: ServerOptions): void {
  if (error instanceof FirmamentError) {
    const status = options.status?.(error.code) ?? NET_STATUS[error.code];
    if (status !== undefined) {
      // 503 is a state, which health and metrics show, and the answer of many requests at once.
      if (status >= 500 && status !== 503)
        options.logger?.error('request failed', {
          method: request.method,
          code: error.code,
          error,
        });
      sendProblem(reply, status, error.code, error.message);
      return;
    }
  }
  const refused = frameworkStatus(error);
  if (refused !== undefined) {
    sendProblem(reply, refused, refused === 413 ? 'NET_TOO_LARGE' : 'NET_REQUEST_INVALID');
    return;
  }
  options.logger?.error('request failed', { method: request.method, code: 'INTERNAL', error });
  sendProblem(reply, 500, 'INTERNAL', CODES.INTERNAL);
}

/** The 4xx with which Fastify itself refused a request: body too large, unknown media type, bad JSON. */
function frameworkStatus(error: unknown): number | undefined {
  if (!(error instanceof Error)) return undefined;
  const { statusCode, code } = error as { readonly statusCode?: unknown; readonly code?: unknown };
  const ours = typeof code === 'string' && code.startsWith('FST_');
  const known = ours || error instanceof SyntaxError;
  return known && typeof statusCode === 'number' && statusCode >= 400 && statusCode < 500
    ? statusCode
    : undefined;
}

/**
 * Bytes that are not HTTP, or a request too slow or with too many headers: one answer, then the end. Failed and
 * timed out handshakes come here too, and only this handler ends their connections.
 */
function refuseMalformed(error: Error & { code?: string }, socket: Socket): void {
  const status = malformedStatus(error.code ?? '');
  if (status === undefined || !socket.writable) {
    socket.destroy();
    return;
  }
  const body = formatProblem(status, status === 408 ? 'NET_TIMEOUT' : 'NET_REQUEST_INVALID');
  socket.end(
    `HTTP/1.1 ${status} Refused\r\nContent-Type: ${PROBLEM_TYPE}\r\n` +
      `Content-Length: ${body.length}\r\nConnection: close\r\n\r\n${body}`,
    // whoever does not hang up is hung up on; at once, the answer might get lost
    () => setTimeout(() => socket.destroy(), 500).unref(),
  );
}

function malformedStatus(code: string): number | undefined {
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT') return 408;
  if (code === 'HPE_HEADER_OVERFLOW') return 431;
  return code.startsWith('HPE_') ? 400 : undefined;
}

const peers = new WeakMap<Socket, { readonly spki: Uint8Array | undefined }>();

/**
 * SHA-256 of the client's TLS key (SPKI), 32 bytes; undefined when it showed none, or one that we can't
 * read. A client that shows a key has proven that it holds it, and no more: look it up before you trust it.
 */
export function peerSpki(request: {
  readonly raw: { readonly socket: Socket };
}): Uint8Array | undefined {
  const { socket } = request.raw;
  let peer = peers.get(socket);
  if (!peer) {
    peer = { spki: readPeer(socket) };
    peers.set(socket, peer);
  }
  return peer.spki;
}

function readPeer(socket: Socket): Uint8Array | undefined {
  try {
    return peerSpkiSha256(socket);
  } catch {
    return undefined;
  }
}

/** The certificate that the client showed and holds the key of, whoever signed it; undefined when it showed none. */
export function peerCertificate(request: {
  readonly raw: { readonly socket: Socket };
}): X509Certificate | undefined {
  const { socket } = request.raw;
  return socket instanceof TLSSocket ? socket.getPeerX509Certificate() : undefined;
}
