// A gateway is trusted for nothing: neither with what it offers nor with what it says at enrolment.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { suite, test } from 'node:test';
import { privateKey } from '#crypto';
import { formatBundle } from '../../src/api/enrolment.ts';
import { httpStatus } from '../../src/api/status.ts';
import { hex } from '../../src/bytes.ts';
import { requestEnrolment } from '../../src/device/enrolment.ts';
import {
  createRootCertificate,
  createServerCertificate,
  certificateSha256,
} from '../../src/net/authority.ts';
import { createClientCertificate, readCertificateRequest } from '../../src/net/authority.ts';
import { createCertificateRequest } from '../../src/net/certificate-request.ts';
import { createServer, type Server } from '../../src/net/server.ts';
import { silent } from '../../src/testing/gateway-edge.ts';
import { availableRelease, honestNode, SampleDevice } from './sample-device.ts';
import { SampleLedger } from './sample-ledger.ts';

const now = Math.floor(Date.now() / 1000);
const root = await createRootCertificate('gateway', 10, now);
const tls = await createServerCertificate(root, 'gateway', ['127.0.0.1'], 10, now);
const key = privateKey('P-256', new Uint8Array(randomBytes(32)));
const LAMP = { type: 'lamp', model: 'L1', hardware: '1.0' };

/** Answers every enrolment so; `asked` has what came in. */
async function gateway(
  answer: Readonly<Record<string, unknown>>,
): Promise<{ readonly server: Server; readonly bundle: string; readonly asked: unknown[] }> {
  const server = createServer({
    tls,
    host: '127.0.0.1',
    port: 0,
    status: httpStatus,
    logger: silent,
  });
  const asked: unknown[] = [];
  server.app.post('/v1/enrolments', async (request, reply) => {
    asked.push(request.body);
    return reply.code(201).send(answer);
  });
  const port = await server.listen();
  const bundle = formatBundle({
    gateway: `127.0.0.1:${port}`,
    code: 'a'.repeat(26),
    rootHash: hex(certificateSha256(root.certificatePem)),
  });
  return { server, bundle, asked };
}

async function honestAnswer(of = key): Promise<Record<string, unknown>> {
  const request = await readCertificateRequest(await createCertificateRequest(of, 'x'));
  const device = hex(request.spkiSha256.subarray(0, 16));
  return {
    device,
    certificate: await createClientCertificate(root, request, device, 10, now),
    root: root.certificatePem,
    mqtt: '127.0.0.1:8883',
    https: '127.0.0.1:8443',
  };
}

suite('T29: enrolment gives an identity and no more', () => {
  test('an honest answer is taken', async () => {
    const { server, bundle } = await gateway(await honestAnswer());
    await using running = server;
    assert.ok(running);
    const enrolled = await requestEnrolment({ bundle, key, ...LAMP });
    assert.equal(enrolled.credential.tier, 'certificate');
  });

  test('an anchor, a line or a floor in the answer or the bundle', async () => {
    for (const field of ['anchor', 'line', 'networkRoot', 'floor']) {
      const { server, bundle } = await gateway({ ...(await honestAnswer()), [field]: 'ab' });
      await using running = server;
      assert.ok(running);
      await assert.rejects(requestEnrolment({ bundle, key, ...LAMP }), {
        code: 'TRUST_UNPROVISIONED',
      });
      const honest = await gateway(await honestAnswer());
      await using other = honest.server;
      assert.ok(other);
      const more = `${honest.bundle}&${field}=ab`;
      await assert.rejects(requestEnrolment({ bundle: more, key, ...LAMP }), {
        code: 'TRUST_UNPROVISIONED',
      });
      assert.deepEqual(honest.asked, []);
    }
  });

  test('nothing is sent to a server of another root', async () => {
    const { server, bundle, asked } = await gateway(await honestAnswer());
    await using running = server;
    assert.ok(running);
    const other = bundle.replace(/r=..../, 'r=0000');
    await assert.rejects(requestEnrolment({ bundle: other, key, ...LAMP }), {
      code: 'NET_SERVER_UNTRUSTED',
    });
    assert.deepEqual(asked, []);
  });

  test('a certificate for another key, another root, another model', async () => {
    const other = privateKey('P-256', new Uint8Array(randomBytes(32)));
    const { device } = await honestAnswer();
    const rogue = await createRootCertificate('rogue', 10, now);
    for (const wrong of [
      { ...(await honestAnswer(other)), device },
      { ...(await honestAnswer()), root: rogue.certificatePem },
      { ...(await honestAnswer()), mqtt: 'no address' },
    ]) {
      const { server, bundle } = await gateway(wrong);
      await using running = server;
      assert.ok(running);
      await assert.rejects(requestEnrolment({ bundle, key, ...LAMP }), {
        code: 'ENROLMENT_ANSWER_INVALID',
      });
      await assert.rejects(requestEnrolment({ bundle: `${bundle}&m=L2`, key, ...LAMP }), {
        code: 'ENROLMENT_BUNDLE_INVALID',
      });
    }
  });
});

suite('T17, T28: an offer is a hint', () => {
  const ledger = new SampleLedger();
  const author = ledger.author('author');
  const first = availableRelease(ledger, author, 1n);
  const before = honestNode(ledger, author, [first]);
  const second = availableRelease(ledger, author, 2n);
  const node = honestNode(ledger, author, [first, second]);
  const order = (digest: Uint8Array) => ({ digest, nonce: new Uint8Array(16).fill(7) });

  test('what no followed line offers is not installed, whoever orders it', async () => {
    const device = await SampleDevice.boot(ledger, author);
    const forged = await device.obey(order(new Uint8Array(32).fill(1)), node);
    assert.equal(forged.code, 'TRUST_NOT_NEWEST');
    const superseded = await device.obey(order(first.digest), node);
    assert.equal(superseded.code, 'TRUST_NOT_NEWEST');
    assert.equal(device.runs, undefined);
  });

  test('an order is about its release, and the report carries its nonce', async () => {
    const device = await SampleDevice.boot(ledger, author);
    const { outcome } = await device.obey(order(second.digest), node);
    assert.equal(outcome, 'installed');
    assert.equal(device.runs, hex(second.digest));
    assert.ok(hex(device.reports[0] as Uint8Array).includes('07'.repeat(16)));
    assert.equal((await device.obey(order(second.digest), node)).outcome, 'up-to-date');
  });

  test('a stale head from a gateway is refused once a newer one was seen', async () => {
    const device = await SampleDevice.boot(ledger, author);
    assert.equal((await device.obey(order(second.digest), node)).outcome, 'installed');
    const { code } = await device.obey(order(first.digest), before);
    assert.ok(['TRUST_HEAD_ROLLBACK', 'TRUST_HEAD_FORK', 'TRUST_NOT_NEWEST'].includes(`${code}`));
    assert.equal(device.runs, hex(second.digest));
  });
});
