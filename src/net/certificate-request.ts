/** PKCS #10 requests for a P-256 key that stays where it is. See docs/spec/enrolment.md. */
import { createPrivateKey, webcrypto } from 'node:crypto';
import type { PrivateKey } from '../crypto/key.ts';
import { check } from '../errors.ts';

const P256 = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };

/** The key as TLS takes it: PKCS #8, PEM. Errors: CRYPTO_KEY_INVALID when it is not of P-256. */
export function p256PrivatePem(key: PrivateKey): string {
  const own = createPrivateKey({ key: jwkOf(key), format: 'jwk' });
  return own.export({ type: 'pkcs8', format: 'pem' });
}

/** A request for a certificate of this key, PEM. Whoever issues it ignores the name. Errors: CRYPTO_KEY_INVALID. */
export async function createCertificateRequest(key: PrivateKey, name: string): Promise<string> {
  // @peculiar/x509 throws at import unless the metadata shim came first
  await import('reflect-metadata');
  const x509 = await import('@peculiar/x509');
  const jwk = jwkOf(key);
  const { d: _secret, ...publicJwk } = jwk;
  const { subtle } = webcrypto;
  const request = await x509.Pkcs10CertificateRequestGenerator.create(
    {
      name: [{ CN: [name] }],
      keys: {
        privateKey: await subtle.importKey('jwk', jwk, P256, false, ['sign']),
        publicKey: await subtle.importKey('jwk', publicJwk, P256, true, ['verify']),
      },
      signingAlgorithm: P256,
    },
    webcrypto,
  );
  return `${request.toString('pem')}\n`;
}

function jwkOf({ curve, secret, publicKey }: PrivateKey): {
  readonly kty: string;
  readonly crv: string;
  readonly d: string;
  readonly x: string;
  readonly y: string;
} {
  check(curve === 'P-256', 'CRYPTO_KEY_INVALID', 'a key of P-256 is needed');
  const base64url = (bytes: Uint8Array): string =>
    bytes.toBase64({ alphabet: 'base64url', omitPadding: true });
  return {
    kty: 'EC',
    crv: 'P-256',
    d: base64url(secret),
    x: base64url(publicKey.bytes.subarray(0, 32)),
    y: base64url(publicKey.bytes.subarray(32)),
  };
}
