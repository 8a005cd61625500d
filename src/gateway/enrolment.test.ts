import assert from 'node:assert/strict';
import { randomBytes, X509Certificate } from 'node:crypto';
import { after, before, test } from 'node:test';
import { privateKey } from '#crypto';
import { ENROLMENTS, RENEWALS, type EnrolmentAnswer } from '../api/enrolment.ts';
import { httpStatus } from '../api/status.ts';
import { fromHex } from '../bytes.ts';
import {
  createClientCertificate,
  createRootCertificate,
  readCertificateRequest,
} from '../net/authority.ts';
import { createCertificateRequest, p256PrivatePem } from '../net/certificate-request.ts';
import { createClient, type Client } from '../net/client.ts';
import { createServer, type Server } from '../net/server.ts';
import type { TlsCredentials } from '../net/tls.ts';
import { openEdge, silent, type Edge } from '../testing/gateway-edge.ts';
import { openAuthority } from './authority.ts';
import { enrolmentRoutes } from './enrolment-routes.ts';
import { enrol } from './enrolment.ts';

const LABELS = { type: 'lamp', model: 'L1', hardware: '1.0' };
let edge: Edge;
let server: Server;
let url: string;
let client: Client;
let vendor: TlsCredentials;

before(async () => {
  edge = await openEdge();
  vendor = await createRootCertificate('a vendor', 3652, edge.now);
  server = listener(1000);
  url = `https://127.0.0.1:${await server.listen()}`;
  client = clientFor();
});

after(async () => {
  await client[Symbol.asyncDispose]();
  await server.close();
  await edge[Symbol.asyncDispose]();
});

function listener(burst: number): Server {
  const made = createServer({
    tls: edge.authority.server,
    host: '127.0.0.1',
    port: 0,
    status: httpStatus,
    logger: silent,
    limits: { grace: 50 },
  });
  const vendors = [{ name: 'ACME devices', certificatePem: vendor.certificatePem }];
  enrolmentRoutes(made.app, { ...edge.parts, vendors, failures: { perSecond: 0.01, burst } });
  return made;
}

function clientFor(credentials?: TlsCredentials): Client {
  const pins = { root: fromHex(edge.authority.rootHash) };
  return createClient({ pins, ...(credentials && { credentials }) });
}

async function post(path: string, body: object, by = client, to = url): Promise<EnrolmentAnswer> {
  const answer = await by.request({
    method: 'POST',
    url: to + path,
    headers: { 'content-type': 'application/json' },
    body: new TextEncoder().encode(JSON.stringify(body)),
    maxBytes: 16_384,
  });
  assert.equal(answer.status, 201);
  return JSON.parse(new TextDecoder().decode(answer.body)) as EnrolmentAnswer;
}

async function freshCsr(): Promise<{ csr: string; privateKeyPem: string }> {
  const key = privateKey('P-256', new Uint8Array(randomBytes(32)));
  return { csr: await createCertificateRequest(key, 'admin'), privateKeyPem: p256PrivatePem(key) };
}

const INVALID = { code: 'ENROLMENT_CODE_INVALID' };

test('a code and a key become a device; the same request again gets the same certificate', async () => {
  const { csr } = await freshCsr();
  const code = edge.codes.make('L1', 900);
  assert.match(code, /^[a-z2-7]{26}$/);
  const request = { code, csr, ...LABELS, mac: '02:00:00:00:00:01', name: 'kitchen' };
  const answer = await post(ENROLMENTS, request);
  const certificate = new X509Certificate(answer.certificate ?? '');
  assert.equal(certificate.subject, `CN=${answer.device}`);
  assert.equal(certificate.verify(new X509Certificate(answer.root).publicKey), true);
  assert.deepEqual(await post(ENROLMENTS, request), answer);
  const device = edge.devices.get(answer.device);
  assert.equal(device?.name, 'kitchen');
  assert.equal(device?.tier, 'certificate');
});

test('a spent code is spent: for another key, without one, and when it has run out', async () => {
  const code = edge.codes.make('L1', 900);
  const { csr } = await freshCsr();
  await post(ENROLMENTS, { code, csr, ...LABELS });
  const before = edge.devices.list().length;
  const other = await freshCsr();
  await assert.rejects(post(ENROLMENTS, { code, csr: other.csr, ...LABELS }), INVALID);
  await assert.rejects(post(ENROLMENTS, { code, tier: 'psk', ...LABELS }), INVALID);
  assert.equal(edge.devices.list().length, before);
});

test('a race for one code has one winner', async () => {
  const code = edge.codes.make('L1', 900);
  const before = edge.devices.list().length;
  const requests = await Promise.all(Array.from({ length: 6 }, freshCsr));
  const results = await Promise.allSettled(
    requests.map(({ csr }) => post(ENROLMENTS, { code, csr, ...LABELS })),
  );
  assert.equal(results.filter(({ status }) => status === 'fulfilled').length, 1);
  assert.equal(edge.devices.list().length, before + 1);
  // The same request twice at once: one certificate.
  const again = edge.codes.make('L1', 900);
  const [{ csr } = await freshCsr()] = requests;
  const twins = await Promise.all(
    [1, 2].map(() => post(ENROLMENTS, { code: again, csr, ...LABELS })),
  );
  assert.deepEqual(twins[0], twins[1]);
});

test('unknown, expired, for another model: one answer for all', async () => {
  const { csr } = await freshCsr();
  const expired = edge.codes.make('L1', 900);
  edge.now += 901;
  const other = edge.codes.make('L2', 900);
  const details: string[] = [];
  for (const code of ['a'.repeat(26), expired, other])
    await assert.rejects(
      post(ENROLMENTS, { code, csr, ...LABELS }),
      (error: Error & { code: string }) => {
        assert.equal(error.code, INVALID.code);
        details.push(error.message);
        return true;
      },
    );
  assert.equal(new Set(details).size, 1);
  // It was not spent by that.
  await post(ENROLMENTS, { code: other, csr, ...LABELS, model: 'L2' });
});

test('a code and its certificate are one transaction: what fails spends nothing', async () => {
  const { csr } = await freshCsr();
  const code = edge.codes.make('L1', 900);
  const failing = Object.assign(Object.create(edge.devices) as typeof edge.devices, {
    add() {
      throw new Error('disk full');
    },
  });
  await assert.rejects(
    enrol({ ...edge.parts, devices: failing }, { code, csr, ...LABELS }, null),
    /disk full/,
  );
  assert.equal(edge.codes.spent(code), undefined);
  await post(ENROLMENTS, { code, csr, ...LABELS });
});

test('bad requests are refused and spend nothing', async () => {
  const { csr } = await freshCsr();
  const code = edge.codes.make('L1', 900);
  const bad = { code: 'ENROLMENT_CSR_INVALID' };
  await assert.rejects(post(ENROLMENTS, { code, csr: 'nonsense', ...LABELS }), bad);
  await assert.rejects(post(ENROLMENTS, { code, ...LABELS }), { code: 'NET_REQUEST_INVALID' });
  await assert.rejects(post(ENROLMENTS, { code, csr, ...LABELS, model: 7 }), {
    code: 'NET_REQUEST_INVALID',
  });
  await assert.rejects(post(ENROLMENTS, { code, csr, ...LABELS, name: 'a\nb' }), {
    code: 'NET_REQUEST_INVALID',
  });
  await assert.rejects(post(ENROLMENTS, [] as object), { code: 'NET_REQUEST_INVALID' });
  // Without a code nothing is said about the request.
  await assert.rejects(post(ENROLMENTS, { code: 'x', csr: 'nonsense', ...LABELS }), INVALID);
  await post(ENROLMENTS, { code, csr, ...LABELS });
});

test('the pre-shared tier: a key once, kept by the gateway only', async () => {
  const code = edge.codes.make(null, 900);
  const answer = await post(ENROLMENTS, { code, tier: 'psk', ...LABELS });
  assert.match(answer.psk ?? '', /^[0-9a-f]{64}$/);
  assert.match(answer.device, /^[0-9a-f]{32}$/);
  assert.equal(answer.certificate, undefined);
  assert.deepEqual(edge.devices.psk(answer.device), fromHex(answer.psk ?? ''));
  await assert.rejects(post(ENROLMENTS, { code, tier: 'psk', ...LABELS }), INVALID);
});

test('renewal: with the certificate, for the same key; not for another, nor once revoked', async () => {
  const own = await freshCsr();
  const code = edge.codes.make('L1', 900);
  const { device, certificate = '' } = await post(ENROLMENTS, { code, csr: own.csr, ...LABELS });
  await using known = clientFor({ certificatePem: certificate, privateKeyPem: own.privateKeyPem });
  edge.now += 86_400;
  const renewed = await post(RENEWALS, { csr: own.csr }, known);
  assert.equal(renewed.device, device);
  const until = (pem: string): number => new X509Certificate(pem).validToDate.getTime();
  assert.ok(until(renewed.certificate ?? '') > until(certificate));
  const { csr } = await freshCsr();
  await assert.rejects(post(RENEWALS, { csr }, known), { code: 'ENROLMENT_CSR_INVALID' });
  await assert.rejects(post(RENEWALS, { csr: own.csr }), { code: 'GATEWAY_DEVICE_UNKNOWN' });
  edge.devices.revoke(device);
  await assert.rejects(post(RENEWALS, { csr: own.csr }, known), { code: 'GATEWAY_DEVICE_UNKNOWN' });
});

test("a vendor's certificate is recorded as a claim, and gives nothing without a code", async () => {
  for (const [authority, claim] of [
    [vendor, 'ACME devices'],
    [await createRootCertificate('a vendor', 3652, edge.now), null],
  ] as const) {
    const { csr, privateKeyPem } = await freshCsr();
    const request = await readCertificateRequest(csr);
    const certificatePem = await createClientCertificate(
      authority,
      request,
      'unit 7',
      800,
      edge.now,
    );
    await using unit = clientFor({ certificatePem, privateKeyPem });
    await assert.rejects(post(ENROLMENTS, { code: 'none', csr, ...LABELS }, unit), INVALID);
    const code = edge.codes.make('L1', 900);
    const { device } = await post(ENROLMENTS, { code, csr, ...LABELS }, unit);
    assert.equal(edge.devices.get(device)?.vendorClaim, claim);
  }
});

test('whoever guesses is soon refused without a look', async () => {
  await using strict = listener(3);
  const to = `https://127.0.0.1:${await strict.listen()}`;
  const code = edge.codes.make('L1', 900);
  const { csr } = await freshCsr();
  for (let i = 0; i < 4; i++)
    await assert.rejects(post(ENROLMENTS, { code: `x${i}`, csr, ...LABELS }, client, to), INVALID);
  await assert.rejects(post(ENROLMENTS, { code, csr, ...LABELS }, client, to), {
    code: 'NET_RATE_LIMITED',
  });
});

test('codes are kept as hashes only', () => {
  const code = edge.codes.make('L1', 900);
  const rows = edge.database.prepare('SELECT * FROM code').all();
  assert.ok(rows.length > 0 && !JSON.stringify(rows).includes(code));
});

test('the authority is the same after a start; its server certificate follows hosts and time', async () => {
  const { directory, authority } = edge;
  const clock = (): number => edge.now;
  const reopen = (hosts: readonly string[]) =>
    openAuthority({ directory, name: 'test', hosts, clock });
  const again = await reopen(['gw.test']);
  assert.equal(again.rootHash, authority.rootHash);
  assert.deepEqual(again.server, authority.server);
  const moved = await reopen(['other.test']);
  assert.equal(moved.rootHash, authority.rootHash);
  assert.notDeepEqual(moved.server, authority.server);
  assert.equal(await moved.renew(), false);
  edge.now += 61 * 86_400;
  assert.equal(await moved.renew(), true);
  assert.equal(await moved.renew(), false);
});
