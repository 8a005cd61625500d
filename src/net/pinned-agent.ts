/** Keep-alive connections that carry nothing before the server has proven to be the one that is trusted. */
import { Agent } from 'node:https';
import type { RequestOptions } from 'node:https';
import type { Duplex } from 'node:stream';
import { connect, createSecureContext } from 'node:tls';
import type { SecureContext, TLSSocket } from 'node:tls';
import { equal } from '../bytes.ts';
import { fail, FirmamentError } from '../errors.ts';
import { serverFault } from './authority.ts';
import { peerSpkiSha256 } from './tls.ts';
import type { TlsCredentials } from './tls.ts';

/**
 * How a server is known: by SHA-256 of its TLS key (SPKI), or by SHA-256 of the root certificate (DER) that signed
 * one for its address; 32 bytes.
 */
export interface ServerTrust {
  readonly by: 'key' | 'root';
  readonly sha256: Uint8Array;
}

/** What a request hands to the agent beside Node's own options. */
export interface PinnedRequestOptions extends RequestOptions {
  readonly trust: ServerTrust;
}

/**
 * Node's own check of chains is off, since a pinned server's certificate is self-signed: the key or the root is
 * checked, on every connection, before the socket is given to a request. Sessions are never resumed: a
 * resumed one shows no fresh proof.
 */
export class PinnedAgent extends Agent {
  readonly #context: SecureContext;
  readonly #connectMs: number;
  readonly #connecting = new Set<TLSSocket>();

  /** Errors: NET_CERTIFICATE_INVALID. */
  constructor(credentials: TlsCredentials | undefined, connectMs: number, idleMs: number) {
    super({ keepAlive: true, timeout: idleMs, scheduling: 'lifo' });
    this.#context = secureContext(credentials);
    this.#connectMs = connectMs;
  }

  /** Connections under different pins never share a pool: a changed pin needs a new handshake. */
  override getName(options?: RequestOptions): string {
    const trust = (options as PinnedRequestOptions | undefined)?.trust;
    return `${super.getName(options)}:${trust?.by ?? ''}:${trust?.sha256.toHex() ?? ''}`;
  }

  override createConnection(
    options: RequestOptions,
    created: (error: Error | null, socket: Duplex) => void,
  ): undefined {
    const { host: named, port, servername, trust } = options as PinnedRequestOptions;
    const host = named ?? '127.0.0.1';
    const socket = connect({
      host,
      port: Number(port),
      ...(servername && { servername }),
      secureContext: this.#context,
      ALPNProtocols: ['http/1.1'],
      rejectUnauthorized: false,
    });
    this.#connecting.add(socket);
    const settle = (error: Error | null): void => {
      clearTimeout(timer);
      this.#connecting.delete(socket);
      socket.off('error', settle).off('close', closed);
      if (error) socket.on('error', () => {}).destroy();
      created(error, socket);
    };
    const closed = (): void => settle(new FirmamentError('NET_UNREACHABLE'));
    const timer = setTimeout(
      () => settle(new FirmamentError('NET_TIMEOUT', 'no TLS connection in the time allowed')),
      this.#connectMs,
    );
    socket.once('error', settle).once('close', closed);
    socket.once('secureConnect', () => settle(trustError(socket, trust, host)));
    return undefined;
  }

  override destroy(): void {
    for (const socket of this.#connecting) socket.destroy();
    super.destroy();
  }
}

function secureContext(credentials: TlsCredentials | undefined): SecureContext {
  try {
    return createSecureContext({
      minVersion: 'TLSv1.2',
      ...(credentials && { cert: credentials.certificatePem, key: credentials.privateKeyPem }),
    });
  } catch (cause) {
    return fail('NET_CERTIFICATE_INVALID', undefined, {}, cause);
  }
}

function trustError(socket: TLSSocket, trust: ServerTrust, host: string): FirmamentError | null {
  if (socket.isSessionReused()) return new FirmamentError('NET_PIN_MISMATCH', 'a resumed session');
  return trust.by === 'key'
    ? pinError(socket, trust.sha256)
    : rootError(socket, trust.sha256, host);
}

function pinError(socket: TLSSocket, pin: Uint8Array): FirmamentError | null {
  let presented: Uint8Array | undefined;
  try {
    presented = peerSpkiSha256(socket);
  } catch (error) {
    return error as FirmamentError;
  }
  if (presented && equal(presented, pin)) return null;
  return new FirmamentError('NET_PIN_MISMATCH', undefined, {
    pinned: pin.toHex(),
    presented: presented?.toHex(),
  });
}

function rootError(socket: TLSSocket, rootSha256: Uint8Array, host: string): FirmamentError | null {
  const now = Math.floor(Date.now() / 1000);
  try {
    const fault = serverFault(socket.getPeerX509Certificate(), rootSha256, host, now);
    return fault === undefined ? null : new FirmamentError('NET_SERVER_UNTRUSTED', fault, { host });
  } catch (cause) {
    return new FirmamentError('NET_SERVER_UNTRUSTED', undefined, { host }, { cause });
  }
}
