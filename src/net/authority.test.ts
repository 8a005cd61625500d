import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { generateKeyPairSync, randomBytes, webcrypto, X509Certificate } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { privateKey } from '#crypto';
import type { PrivateKey } from '../crypto/key.ts';
import {
  certificateSha256,
  coversHosts,
  createClientCertificate,
  createRootCertificate,
  createServerCertificate,
  isIssuedBy,
  readCertificateRequest,
} from './authority.ts';
import { requirePart } from '../testing/require.ts';
import { createCertificateRequest, p256PrivatePem } from './certificate-request.ts';
import { createClient } from './client.ts';
import { createServer } from './server.ts';
import { createTlsIdentity, spkiSha256, type TlsCredentials } from './tls.ts';

const now = Math.floor(Date.now() / 1000);
let directory: string;
let root: TlsCredentials;
let server: TlsCredentials;
let key: PrivateKey;
let csr: string;
let client: string;

before(async () => {
  directory = mkdtempSync(join(tmpdir(), 'firmament-authority-'));
  root = await createRootCertificate('a root', 3652, now);
  server = await createServerCertificate(root, 'a server', ['127.0.0.1', 'gw.test'], 90, now);
  key = privateKey('P-256', new Uint8Array(randomBytes(32)));
  csr = await createCertificateRequest(key, 'CN=evil');
  client = await createClientCertificate(root, await readCertificateRequest(csr), 'me', 825, now);
});

after(() => rmSync(directory, { recursive: true }));

function hasOpenssl(): boolean {
  try {
    execFileSync('openssl', ['version'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

function openssl(purpose: string, pem: string, rootPem = root.certificatePem): string {
  writeFileSync(join(directory, 'root.pem'), rootPem);
  writeFileSync(join(directory, 'leaf.pem'), pem);
  const args = ['verify', '-x509_strict', '-purpose', purpose, '-CAfile', 'root.pem', 'leaf.pem'];
  return execFileSync('openssl', args, { cwd: directory, encoding: 'utf8', stdio: 'pipe' });
}

test('openssl agrees: server and client certificates under the root, each for its purpose only', async (t) => {
  if (!requirePart(t, 'openssl', hasOpenssl(), 'apt-get install openssl')) return;
  assert.match(openssl('sslserver', server.certificatePem), /OK/);
  assert.match(openssl('sslclient', client), /OK/);
  assert.throws(() => openssl('sslclient', server.certificatePem));
  assert.throws(() => openssl('sslserver', client));
  const other = await createRootCertificate('a root', 3652, now);
  assert.throws(() => openssl('sslclient', client, other.certificatePem));
});

test('a client certificate is for the requested key and for nothing else that was asked', () => {
  const certificate = new X509Certificate(client);
  assert.equal(certificate.subject, 'CN=me');
  assert.equal(certificate.ca, false);
  assert.deepEqual(certificate.keyUsage, ['1.3.6.1.5.5.7.3.2']);
  const days = (certificate.validToDate.getTime() / 1000 - now) / 86_400;
  assert.ok(days > 824 && days <= 825, String(days));
  assert.ok(certificate.serialNumber.length >= 32);
});

test('requests: only P-256, only with their own signature, only so large', async () => {
  const read = await readCertificateRequest(csr);
  assert.deepEqual(read.spkiSha256, spkiSha256(client));
  assert.deepEqual(read.point, key.publicKey.bytes);
  await import('reflect-metadata');
  const x509 = await import('@peculiar/x509');
  for (const namedCurve of ['P-384', 'P-521']) {
    const algorithm = { name: 'ECDSA', namedCurve, hash: 'SHA-256' };
    const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
    const generator = x509.Pkcs10CertificateRequestGenerator;
    const other = await generator.create(
      { name: [], keys, signingAlgorithm: algorithm },
      webcrypto,
    );
    await assert.rejects(readCertificateRequest(other.toString('pem')), {
      code: 'NET_KEY_UNSUPPORTED',
    });
  }
  // The last byte belongs to the signature.
  const der = new Uint8Array(new x509.Pkcs10CertificateRequest(csr).rawData);
  der[der.length - 1] = (der.at(-1) ?? 0) ^ 1;
  const broken = x509.PemConverter.encode(der, 'CERTIFICATE REQUEST');
  const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).publicKey;
  const bad = [
    broken,
    '',
    'x',
    'A'.repeat(10_000),
    client,
    rsa.export({ type: 'spki', format: 'pem' }),
  ];
  for (const pem of bad)
    await assert.rejects(readCertificateRequest(pem), { code: 'NET_REQUEST_INVALID' });
});

test('which certificates are of an authority, and cover its hosts, and for how long', async () => {
  const leaf = new X509Certificate(client);
  assert.equal(isIssuedBy(leaf, root.certificatePem, now), true);
  assert.equal(isIssuedBy(leaf, root.certificatePem, now + 900 * 86_400), false);
  const other = await createRootCertificate('a root', 3652, now);
  assert.equal(isIssuedBy(leaf, other.certificatePem, now), false);
  const mixed = { ...root, privateKeyPem: other.privateKeyPem };
  const forged = await createClientCertificate(
    mixed,
    await readCertificateRequest(csr),
    'me',
    1,
    now,
  );
  assert.equal(isIssuedBy(new X509Certificate(forged), root.certificatePem, now), false);
  assert.equal(isIssuedBy(leaf, client, now), false);
  assert.equal(isIssuedBy(leaf, 'nonsense', now), false);
  const covers = (hosts: readonly string[], at = now): boolean =>
    coversHosts(server.certificatePem, root.certificatePem, hosts, 30, at);
  assert.equal(covers(['127.0.0.1', 'gw.test']), true);
  assert.equal(covers(['127.0.0.1', 'other.test']), false);
  assert.equal(covers(['127.0.0.1'], now + 61 * 86_400), false);
});

test('a clock that is not set makes no certificates that are over when it is', async () => {
  const early = await createRootCertificate('a root', 3652, 1000);
  const made = await createServerCertificate(early, 'x', ['localhost'], 3652, 1000);
  assert.ok(new X509Certificate(made.certificatePem).validToDate.getTime() > Date.UTC(2035, 0));
});

/** What a client that trusts `trusted` (SHA-256 of a root) says of a server with these credentials. */
async function ask(tls: TlsCredentials, trusted: Uint8Array, host = '127.0.0.1'): Promise<number> {
  await using listening = createServer({ tls, host: '127.0.0.1', port: 0, limits: { grace: 50 } });
  let seen = 0;
  listening.app.get('/', () => {
    seen += 1;
    return {};
  });
  const port = await listening.listen();
  await using asking = createClient({ pins: { root: trusted } });
  try {
    const { status } = await asking.request({ url: `https://${host}:${port}/`, maxBytes: 100 });
    return status;
  } finally {
    // refused before the first byte of a request
    assert.ok(seen <= 1);
    seen = 0;
  }
}

test('a client that knows the root asks a server under it, by its address', async () => {
  assert.equal(await ask(server, certificateSha256(root.certificatePem)), 200);
});

test('any other server is refused', async () => {
  const trusted = certificateSha256(root.certificatePem);
  const twin = await createRootCertificate('a root', 3652, now);
  const leafOnly = server.certificatePem.slice(0, server.certificatePem.indexOf('-----END') + 26);
  const long = Date.UTC(2026, 0, 1) / 1000;
  const cases: Record<string, TlsCredentials> = {
    'another root': await createServerCertificate(twin, 'a server', ['127.0.0.1'], 90, now),
    'the real root behind a leaf of another': {
      ...(await createServerCertificate(twin, 'a server', ['127.0.0.1'], 90, now)),
    },
    "a device's certificate": {
      certificatePem: client + root.certificatePem,
      privateKeyPem: p256PrivatePem(key),
    },
    'another address': await createServerCertificate(root, 'a server', ['10.0.0.1'], 90, now),
    'a certificate that is over': await createServerCertificate(root, 'x', ['127.0.0.1'], 1, long),
    'no chain': { ...server, certificatePem: leafOnly },
    'a self-signed one': await createTlsIdentity(),
  };
  const swapped = cases['the real root behind a leaf of another'] as TlsCredentials;
  cases['the real root behind a leaf of another'] = {
    ...swapped,
    certificatePem: swapped.certificatePem.replace(twin.certificatePem, root.certificatePem),
  };
  for (const [what, tls] of Object.entries(cases))
    await assert.rejects(ask(tls, trusted), { code: 'NET_SERVER_UNTRUSTED' }, what);
  await assert.rejects(ask(server, trusted, 'localhost'), { code: 'NET_SERVER_UNTRUSTED' });
  // The name would fit, were it a server's.
  const named = await createClientCertificate(
    root,
    await readCertificateRequest(csr),
    'localhost',
    1,
    now,
  );
  const tls = { certificatePem: named + root.certificatePem, privateKeyPem: p256PrivatePem(key) };
  await assert.rejects(ask(tls, trusted, 'localhost'), { code: 'NET_SERVER_UNTRUSTED' });
});

test('a certificate that was replaced meets new connections', async () => {
  const trusted = certificateSha256(root.certificatePem);
  const other = await createServerCertificate(root, 'x', ['10.0.0.1'], 90, now);
  await using listening = createServer({
    tls: other,
    host: '127.0.0.1',
    port: 0,
    limits: { grace: 50 },
  });
  listening.app.get('/', () => ({}));
  const url = `https://127.0.0.1:${await listening.listen()}/`;
  await using asking = createClient({ pins: { root: trusted } });
  await assert.rejects(asking.request({ url, maxBytes: 100 }), { code: 'NET_SERVER_UNTRUSTED' });
  listening.replaceCertificate(server);
  assert.equal((await asking.request({ url, maxBytes: 100 })).status, 200);
  assert.throws(() => listening.replaceCertificate({ certificatePem: 'x', privateKeyPem: 'y' }), {
    code: 'NET_CERTIFICATE_INVALID',
  });
});
