/**
 * A certificate authority of P-256 keys: its root, the server certificate of its owner, client certificates for
 * others' keys, and the judgement of whoever knows such a root by its hash. See docs/spec/enrolment.md.
 */
import { createHash, createPublicKey, randomBytes, webcrypto, X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
import type * as x509Types from '@peculiar/x509';
import { concat, equal } from '../bytes.ts';
import { check, fail } from '../errors.ts';
import type { TlsCredentials } from './tls.ts';

const P256 = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
const SERVER_AUTH = '1.3.6.1.5.5.7.3.1';
const CLIENT_AUTH = '1.3.6.1.5.5.7.3.2';
const DAY = 86_400;
const MAX_REQUEST = 8_192;
// A clock that says less is not set: certificates made by it would be over when it is.
const EARLIEST = Date.UTC(2026, 0, 1) / 1000;

/** What a certificate request proves: that its sender holds this key. */
export interface CertificateRequest {
  /** DER SubjectPublicKeyInfo of a P-256 key. */
  readonly spki: Uint8Array;
  readonly spkiSha256: Uint8Array;
  /** x and y, 64 bytes. */
  readonly point: Uint8Array;
}

/** A self-signed root. `now` in POSIX seconds. */
export async function createRootCertificate(
  name: string,
  days: number,
  now: number,
): Promise<TlsCredentials> {
  const x509 = await library();
  const keys = await webcrypto.subtle.generateKey(P256, true, ['sign', 'verify']);
  const certificate = await x509.X509CertificateGenerator.createSelfSigned(
    {
      serialNumber: serial(),
      name: [{ CN: [name] }],
      keys,
      signingAlgorithm: P256,
      notBefore: dateOf(EARLIEST),
      notAfter: dateOf(Math.max(now, EARLIEST) + days * DAY),
      extensions: [
        new x509.BasicConstraintsExtension(true, 0, true),
        new x509.KeyUsagesExtension(
          x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign,
          true,
        ),
        await x509.SubjectKeyIdentifierExtension.create(keys.publicKey, false, webcrypto),
      ],
    },
    webcrypto,
  );
  return {
    certificatePem: `${certificate.toString('pem')}\n`,
    privateKeyPem: await privatePem(keys.privateKey),
  };
}

/** A fresh key and a server certificate for `hosts` (names or addresses); `certificatePem` ends with the root. */
export async function createServerCertificate(
  root: TlsCredentials,
  name: string,
  hosts: readonly string[],
  days: number,
  now: number,
): Promise<TlsCredentials> {
  const x509 = await library();
  const keys = await webcrypto.subtle.generateKey(P256, true, ['sign', 'verify']);
  const alternatives = new x509.SubjectAlternativeNameExtension(
    [...new Set(hosts)].map((value) => ({ type: isIP(value) === 0 ? 'dns' : 'ip', value })),
  );
  const spki = new Uint8Array(await webcrypto.subtle.exportKey('spki', keys.publicKey));
  const leaf = await issue(root, spki, name, SERVER_AUTH, days, now, [alternatives]);
  return {
    certificatePem: leaf + root.certificatePem,
    privateKeyPem: await privatePem(keys.privateKey),
  };
}

/** A client certificate for another's key; its subject is `commonName`, whatever was asked for. */
export function createClientCertificate(
  root: TlsCredentials,
  request: CertificateRequest,
  commonName: string,
  days: number,
  now: number,
): Promise<string> {
  return issue(root, request.spki, commonName, CLIENT_AUTH, days, now, []);
}

/** Reads a PKCS #10 request (PEM). Errors: NET_REQUEST_INVALID; NET_KEY_UNSUPPORTED for another key than P-256. */
export async function readCertificateRequest(pem: string): Promise<CertificateRequest> {
  check(pem.length <= MAX_REQUEST, 'NET_REQUEST_INVALID', 'the certificate request is too large');
  const x509 = await library();
  try {
    const request = new x509.Pkcs10CertificateRequest(pem);
    const spki = new Uint8Array(request.publicKey.rawData);
    const key = createPublicKey({ key: Buffer.from(spki), format: 'der', type: 'spki' });
    check(key.asymmetricKeyDetails?.namedCurve === 'prime256v1', 'NET_KEY_UNSUPPORTED');
    check(await request.verify(webcrypto), 'NET_REQUEST_INVALID', 'not signed by its own key');
    const jwk = key.export({ format: 'jwk' });
    const fields = [jwk.x ?? '', jwk.y ?? ''];
    const point = concat(
      ...fields.map((field) => Uint8Array.fromBase64(field, { alphabet: 'base64url' })),
    );
    // One encoding of one key, whether its point came compressed or not.
    const canonical = createPublicKey({ key: jwk, format: 'jwk' });
    const der = Uint8Array.from(canonical.export({ type: 'spki', format: 'der' }));
    return { spki: der, spkiSha256: digest(der), point };
  } catch (cause) {
    if (cause instanceof Error && 'code' in cause && String(cause.code).startsWith('NET_'))
      throw cause;
    return fail('NET_REQUEST_INVALID', 'not a certificate request', {}, cause);
  }
}

/** SHA-256 of a certificate's DER: how others know a root. Errors: NET_CERTIFICATE_INVALID. */
export function certificateSha256(pem: string): Uint8Array {
  try {
    return digest(new X509Certificate(pem).raw);
  } catch (cause) {
    return fail('NET_CERTIFICATE_INVALID', undefined, {}, cause);
  }
}

/** Whether a server certificate of this root covers all of `hosts` and is valid from `now` for `days` more. */
export function coversHosts(
  pem: string,
  rootPem: string,
  hosts: readonly string[],
  days: number,
  now: number,
): boolean {
  try {
    const leaf = new X509Certificate(pem);
    return (
      isIssuedBy(leaf, rootPem, now) &&
      leaf.validToDate.getTime() / 1000 > now + days * DAY &&
      hosts.every((host) => (isIP(host) === 0 ? leaf.checkHost(host) : leaf.checkIP(host)))
    );
  } catch {
    return false;
  }
}

/** Whether `certificate` is one that this CA signed and that is valid at `now`; never throws. */
export function isIssuedBy(certificate: X509Certificate, caPem: string, now: number): boolean {
  try {
    const ca = new X509Certificate(caPem);
    return (
      ca.ca &&
      certificate.checkIssued(ca) &&
      certificate.verify(ca.publicKey) &&
      isValidAt(certificate, now)
    );
  } catch {
    return false;
  }
}

/**
 * Judges the certificate that a server proved to hold the key of: signed by the root with this SHA-256, which it sends
 * too, for `host`, as a server, valid at `now`. Says why not, or undefined when all holds.
 */
export function serverFault(
  leaf: X509Certificate | undefined,
  rootSha256: Uint8Array,
  host: string,
  now: number,
): string | undefined {
  const root = leaf?.issuerCertificate;
  if (!leaf || !root) return 'it sent no chain';
  if (!equal(digest(root.raw), rootSha256)) return 'its root is another';
  if (!root.ca || !root.verify(root.publicKey)) return 'its root is no root';
  if (leaf.ca || !leaf.checkIssued(root) || !leaf.verify(root.publicKey))
    return 'the root did not sign its certificate';
  // A device's certificate, under the same root, is for clients only.
  if (!leaf.keyUsage?.includes(SERVER_AUTH)) return 'its certificate is not for a server';
  const named = isIP(host) === 0 ? leaf.checkHost(host) : leaf.checkIP(host);
  if (named === undefined) return 'its certificate is for another address';
  return isValidAt(leaf, now) && isValidAt(root, now)
    ? undefined
    : 'its certificate is not valid now';
}

function isValidAt(certificate: X509Certificate, now: number): boolean {
  return (
    certificate.validFromDate.getTime() <= now * 1000 &&
    now * 1000 < certificate.validToDate.getTime()
  );
}

async function issue(
  root: TlsCredentials,
  spki: Uint8Array,
  commonName: string,
  usage: string,
  days: number,
  now: number,
  more: readonly x509Types.Extension[],
): Promise<string> {
  const x509 = await library();
  const rootCertificate = new x509.X509Certificate(root.certificatePem);
  const signingKey = await webcrypto.subtle.importKey(
    'pkcs8',
    x509.PemConverter.decodeFirst(root.privateKeyPem),
    P256,
    false,
    ['sign'],
  );
  const publicKey = new x509.PublicKey(spki);
  const from = Math.max(now, EARLIEST);
  const until = Math.min(from + days * DAY, rootCertificate.notAfter.getTime() / 1000);
  const certificate = await x509.X509CertificateGenerator.create(
    {
      serialNumber: serial(),
      subject: [{ CN: [commonName] }],
      issuer: rootCertificate.subjectName,
      publicKey,
      signingKey,
      signingAlgorithm: P256,
      // Devices' clocks may be a little behind.
      notBefore: dateOf(from - DAY),
      notAfter: dateOf(until),
      extensions: [
        new x509.BasicConstraintsExtension(false, undefined, true),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
        new x509.ExtendedKeyUsageExtension([usage]),
        await x509.AuthorityKeyIdentifierExtension.create(
          rootCertificate.publicKey,
          false,
          webcrypto,
        ),
        ...more,
      ],
    },
    webcrypto,
  );
  return `${certificate.toString('pem')}\n`;
}

// Needed when certificates are made and never to serve with them: loaded then.
async function library(): Promise<typeof x509Types> {
  // @peculiar/x509 throws at import unless the metadata shim came first
  await import('reflect-metadata');
  return import('@peculiar/x509');
}

async function privatePem(key: webcrypto.CryptoKey): Promise<string> {
  const x509 = await library();
  const pkcs8 = await webcrypto.subtle.exportKey('pkcs8', key);
  return `${x509.PemConverter.encode(pkcs8, 'PRIVATE KEY')}\n`;
}

// RFC 5280 4.1.2.2: positive, at most 20 octets
function serial(): string {
  const bytes = randomBytes(16);
  bytes[0] = ((bytes[0] ?? 0) & 0x3f) | 0x40;
  return bytes.toString('hex');
}

function dateOf(seconds: number): Date {
  return new Date(seconds * 1000);
}

function digest(bytes: Uint8Array): Uint8Array {
  return Uint8Array.from(createHash('sha256').update(bytes).digest());
}
