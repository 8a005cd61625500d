/** TLS for devices: certificates of the gateway's authority and pre-shared keys on one port, and who a connection is. */
import { constants, randomBytes } from 'node:crypto';
import { createServer, type Server, type TLSSocket } from 'node:tls';
import { fail } from '../errors.ts';
import { peerSpkiSha256, type TlsCredentials } from '../net/tls.ts';
import type { Devices } from './devices.ts';
import { activeDevice } from './enrolment.ts';

// Every TLS 1.3 suite here is of SHA-256: OpenSSL passes over a pre-shared key whose hash is another, after asking for it.
const CIPHERS = [
  'TLS_AES_128_GCM_SHA256',
  'TLS_CHACHA20_POLY1305_SHA256',
  'ECDHE-ECDSA-AES128-GCM-SHA256',
  'ECDHE-ECDSA-CHACHA20-POLY1305',
  'ECDHE-PSK-CHACHA20-POLY1305',
  // For MicroPython and mbedTLS; no forward secrecy.
  'PSK-AES128-GCM-SHA256',
].join(':');

export interface DeviceTlsOptions {
  readonly tls: TlsCredentials;
  readonly rootPem: string;
  readonly devices: Devices;
  /** Milliseconds. */
  readonly handshake: number;
  readonly maxConnections: number;
}

const pskIdentities = new WeakMap<TLSSocket, string>();

/** A server that is not listening yet. Connections that prove nothing are closed by it. Errors: NET_CERTIFICATE_INVALID. */
export function createDeviceTlsServer(options: DeviceTlsOptions): Server {
  const { devices } = options;
  try {
    const server = createServer({
      ...deviceContext(options.tls, options.rootPem),
      requestCert: true,
      // Who a connection is, `deviceOf` says: Node's own verdict knows certificates only.
      rejectUnauthorized: false,
      handshakeTimeout: options.handshake,
      pskIdentityHint: '',
      pskCallback: (socket, identity) => {
        pskIdentities.set(socket, identity);
        // A stranger's handshake fails like one with a wrong key: nobody learns which identities exist.
        return devices.psk(identity) ?? randomBytes(32);
      },
    });
    server.maxConnections = options.maxConnections;
    server.on('tlsClientError', (_error, socket) => socket.destroy());
    return server;
  } catch (cause) {
    return fail('NET_CERTIFICATE_INVALID', undefined, {}, cause);
  }
}

/** New connections meet the new certificate. */
export function replaceDeviceCertificate(
  server: Server,
  tls: TlsCredentials,
  rootPem: string,
): void {
  server.setSecureContext(deviceContext(tls, rootPem));
}

function deviceContext(
  tls: TlsCredentials,
  rootPem: string,
): Parameters<Server['setSecureContext']>[0] {
  return {
    cert: tls.certificatePem,
    key: tls.privateKeyPem,
    ca: rootPem,
    minVersion: 'TLSv1.2',
    ciphers: CIPHERS,
    // A peer stays who it was at the handshake, and each handshake proves its key anew.
    secureOptions: constants.SSL_OP_NO_RENEGOTIATION | constants.SSL_OP_NO_TICKET,
  };
}

/**
 * The device at the other end, active and proven by its key; undefined for anyone else. A certificate counts when the
 * authority signed it; without one, a pre-shared key when the handshake rested on it. Node's `authorized` says
 * nothing about the latter: true for every such connection in some releases, false in others.
 */
export function deviceOf(socket: TLSSocket, devices: Devices): string | undefined {
  const shown = shownKey(socket);
  if (shown === 'unreadable') return undefined;
  if (shown) return socket.authorized ? activeDevice(devices, shown) : undefined;
  const identity = restsOnPsk(socket) ? pskIdentities.get(socket) : undefined;
  return identity !== undefined && devices.psk(identity) ? identity : undefined;
}

// That an identity was asked for proves nothing: the handshake may have gone on without it. In TLS 1.3 a pre-shared key
// looks like a resumed session, and this server has no others (SSL_OP_NO_TICKET).
function restsOnPsk(socket: TLSSocket): boolean {
  if (socket.getProtocol() === 'TLSv1.3') return socket.isSessionReused();
  return socket.getCipher().name.includes('PSK-');
}

function shownKey(socket: TLSSocket): Uint8Array | 'unreadable' | undefined {
  try {
    return peerSpkiSha256(socket);
  } catch {
    return 'unreadable';
  }
}
