/**
 * TLS identities: a P-256 key with a self-signed certificate. Peers pin SHA-256 of the key (its DER
 * SubjectPublicKeyInfo); names and dates in the certificate decide nothing. See docs/spec/net.md.
 */
import { createHash, webcrypto, X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import { fail } from '../errors.ts';

export interface TlsCredentials {
  readonly certificatePem: string;
  readonly privateKeyPem: string;
}

export interface TlsIdentity extends TlsCredentials {
  /** SHA-256 of the SubjectPublicKeyInfo in DER, 32 bytes: what a peer pins. */
  readonly spkiSha256: Uint8Array;
}

// RFC 5280 4.1.2.5: the date for "no well-defined expiration"
const NEVER = new Date('9999-12-31T23:59:59Z');
const ALWAYS = new Date('2020-01-01T00:00:00Z');

/**
 * A fresh P-256 key and a self-signed certificate for localhost, 127.0.0.1, ::1 and `hosts` (names or
 * addresses). The certificate library is loaded here and nowhere else: it is needed once in a node's life.
 */
export async function createTlsIdentity(
  options: { readonly name?: string; readonly hosts?: readonly string[] } = {},
): Promise<TlsIdentity> {
  // @peculiar/x509 throws at import unless the metadata shim came first
  await import('reflect-metadata');
  const x509 = await import('@peculiar/x509');
  const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
  const hosts = new Set(['localhost', '127.0.0.1', '::1', ...(options.hosts ?? [])]);
  const certificate = await x509.X509CertificateGenerator.createSelfSigned(
    {
      name: [{ CN: [options.name ?? 'firmament'] }],
      keys,
      signingAlgorithm: algorithm,
      notBefore: ALWAYS,
      notAfter: NEVER,
      extensions: [
        new x509.BasicConstraintsExtension(false, undefined, true),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
        new x509.SubjectAlternativeNameExtension(
          [...hosts].map((value) => ({ type: isIP(value) === 0 ? 'dns' : 'ip', value })),
        ),
      ],
    },
    webcrypto,
  );
  const certificatePem = `${certificate.toString('pem')}\n`;
  const pkcs8 = new Uint8Array(await webcrypto.subtle.exportKey('pkcs8', keys.privateKey));
  const privateKeyPem = x509.PemConverter.encode(pkcs8, 'PRIVATE KEY');
  return {
    certificatePem,
    privateKeyPem: `${privateKeyPem}\n`,
    spkiSha256: spkiSha256(certificatePem),
  };
}

/** SHA-256 of the key in a certificate (PEM or DER), 32 bytes. Errors: NET_CERTIFICATE_INVALID. */
export function spkiSha256(certificate: string | Uint8Array | X509Certificate): Uint8Array {
  try {
    const parsed =
      certificate instanceof X509Certificate ? certificate : new X509Certificate(certificate);
    const spki = parsed.publicKey.export({ type: 'spki', format: 'der' });
    return Uint8Array.from(createHash('sha256').update(spki).digest());
  } catch (cause) {
    return fail('NET_CERTIFICATE_INVALID', 'not a certificate with a usable key', {}, cause);
  }
}

/**
 * SHA-256 of the key that the peer of this connection proved to have, or undefined when it showed no
 * certificate. The handshake proved possession: TLS checks the peer's signature whatever signed the certificate.
 */
export function peerSpkiSha256(socket: Socket): Uint8Array | undefined {
  if (!(socket instanceof TLSSocket)) return undefined;
  const certificate = socket.getPeerX509Certificate();
  return certificate === undefined ? undefined : spkiSha256(certificate);
}
