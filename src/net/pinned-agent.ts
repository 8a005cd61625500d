/** Keep-alive connections that carry nothing before the server has proven to hold the pinned key. */
import { Agent } from 'node:https';
import type { RequestOptions } from 'node:https';
import type { Duplex } from 'node:stream';
import { connect, createSecureContext } from 'node:tls';
import type { SecureContext, TLSSocket } from 'node:tls';
import { equal } from '../bytes.ts';
import { fail, FirmamentError } from '../errors.ts';
import { peerSpkiSha256 } from './tls.ts';
import type { TlsCredentials } from './tls.ts';

/** What a request hands to the agent beside Node's own options. */
export interface PinnedRequestOptions extends RequestOptions {
  /** SHA-256 of the server's TLS key (SPKI), 32 bytes. */
  readonly pin: Uint8Array;
}

/**
 * The server's certificate is self-signed, so no chain is checked: the key is, on every connection,
 * before the socket is given to a request. Sessions are never resumed: a resumed one shows no fresh proof.
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
    const pin = (options as PinnedRequestOptions | undefined)?.pin;
    return `${super.getName(options)}:${pin?.toHex() ?? ''}`;
  }

  override createConnection(
    options: RequestOptions,
    created: (error: Error | null, socket: Duplex) => void,
  ): undefined {
    const { host, port, servername, pin } = options as PinnedRequestOptions;
    const socket = connect({
      host: host ?? '127.0.0.1',
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
    socket.once('secureConnect', () => settle(pinError(socket, pin)));
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

function pinError(socket: TLSSocket, pin: Uint8Array): FirmamentError | null {
  let presented: Uint8Array | undefined;
  try {
    presented = peerSpkiSha256(socket);
  } catch (error) {
    return error as FirmamentError;
  }
  if (presented && !socket.isSessionReused() && equal(presented, pin)) return null;
  return new FirmamentError('NET_PIN_MISMATCH', undefined, {
    pinned: pin.toHex(),
    presented: presented?.toHex(),
  });
}
