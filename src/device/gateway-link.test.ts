// What a hostile broker sends to a device's link: other topics, other forms, too much.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, before, suite, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { privateKey } from '#crypto';
import { MAX_PACKET, topic } from '../api/downlink.ts';
import { hex } from '../bytes.ts';
import {
  createClientCertificate,
  createRootCertificate,
  createServerCertificate,
  readCertificateRequest,
} from '../net/authority.ts';
import { createCertificateRequest } from '../net/certificate-request.ts';
import type { TlsCredentials } from '../net/tls.ts';
import { remainingLength, startRogueBroker, type RogueBroker } from '../testing/rogue-broker.ts';
import { GatewayLink, type LinkOptions } from './gateway-link.ts';

const now = Math.floor(Date.now() / 1000);
let root: TlsCredentials;
let enrolment: LinkOptions['enrolment'];
let broker: RogueBroker;
let link: GatewayLink;
const said: string[] = [];

const serverOf = (authority: TlsCredentials): Promise<TlsCredentials> =>
  createServerCertificate(authority, 'gateway', ['127.0.0.1'], 10, now);

async function until(what: string, holds: () => boolean): Promise<void> {
  const end = performance.now() + 10_000;
  while (!holds()) {
    assert.ok(performance.now() < end, `${what}; ${said.slice(-5).join(', ')}`);
    await sleep(5);
  }
}

function open(mqtt: string): GatewayLink {
  return new GatewayLink({
    enrolment: { ...enrolment, mqtt },
    pauses: [20, 40],
    handler: {
      offer: (payload) => void said.push(`offer ${payload.length} ${payload.slice(0, 40)}`),
      time: ({ time }) => void said.push(`time ${time}`),
      connected: () => void said.push('connected'),
      disconnected: (reason) => void said.push(`disconnected ${reason}`),
    },
  });
}

before(async () => {
  root = await createRootCertificate('a root', 10, now);
  const key = privateKey('P-256', new Uint8Array(randomBytes(32)));
  const request = await readCertificateRequest(await createCertificateRequest(key, 'x'));
  const device = hex(request.spkiSha256.subarray(0, 16));
  const certificatePem = await createClientCertificate(root, request, device, 10, now);
  const credential = { tier: 'certificate', key, certificatePem } as const;
  enrolment = { device, credential, rootPem: root.certificatePem, mqtt: '' };
  broker = await startRogueBroker({ tls: await serverOf(root) });
  link = open(`127.0.0.1:${broker.port}`);
  await until('connected', () => link.connected);
});

after(async () => {
  await link[Symbol.asyncDispose]();
  await broker[Symbol.asyncDispose]();
});

suite('a hostile broker', () => {
  test("has no say with topics that are not the device's own", async () => {
    const { device } = enrolment;
    const other = '0'.repeat(32);
    const from = said.length;
    for (const name of [
      topic(other, 'offer'),
      topic(other, 'time'),
      topic(device, 'hello'),
      `firmament/v2/${device}/offer`,
      `firmament/v1/${device}/offer/more`,
      `$SYS/${device}`,
      'x',
    ])
      broker.publish(name, '{"time":1,"synchronised":true}');
    broker.publish(topic(device, 'time'), '{"time":2,"synchronised":true}');
    await until('the own one came', () => said.length > from);
    assert.deepEqual(said.slice(from), ['time 2']);
  });

  test('has no say with payloads of another form', async () => {
    const { device } = enrolment;
    const from = said.length;
    for (const payload of ['', '[]', 'null', '{"time":-1}', '{"time":"1"}', '{"time":1', 'x'])
      broker.publish(topic(device, 'time'), payload);
    broker.publish(topic(device, 'time'), Uint8Array.of(0xff, 0xfe));
    broker.publish(topic(device, 'offer'), Uint8Array.of(0xff, 0xfe));
    broker.publish(topic(device, 'time'), '{"time":3,"synchronised":true}');
    await until('the right one came', () => said.length > from);
    assert.deepEqual(said.slice(from), ['time 3']);
  });

  test('a packet above the bound is passed over', async () => {
    const name = topic(enrolment.device, 'offer');
    const from = said.length;
    broker.publish(name, 'x'.repeat(MAX_PACKET + 1));
    broker.publish(name, 'y'.repeat(MAX_PACKET));
    await until('the largest came', () => said.length > from);
    assert.deepEqual(said.slice(from), [`offer ${MAX_PACKET} ${'y'.repeat(40)}`]);
  });

  test('a packet without end ends the session before it fills the memory, and the next begins', async () => {
    const from = said.length;
    const before = process.memoryUsage().rss;
    broker.write(Uint8Array.of(0x30, ...remainingLength(200 << 20)));
    const chunk = new Uint8Array(65_536);
    let sent = 0;
    while (said.length === from && sent < 200 << 20) {
      if (broker.write(chunk)) sent += chunk.length;
      await sleep(1);
    }
    assert.ok(sent < 32 << 20, `${sent} bytes were taken`);
    await until('again', () => said.at(-1) === 'connected');
    assert.ok(process.memoryUsage().rss - before < 100 << 20);
  });

  test('nor does one in the place of the greeting', async () => {
    await using endless = await startRogueBroker({
      tls: await serverOf(root),
      greeting: 'endless',
    });
    const from = said.length;
    await using link = open(`127.0.0.1:${endless.port}`);
    await until('closed', () => said.slice(from).some((what) => what.startsWith('disconnected')));
    assert.equal(link.connected, false);
    assert.ok(endless.sent() < 32 << 20, `${endless.sent()} bytes were taken`);
  });

  test('bytes that are no MQTT end the session, and the next begins', async () => {
    const from = said.length;
    broker.write(Uint8Array.of(0xf0, 0xff, 0xff, 0xff, 0xff, 0xff));
    await until('again', () => said.slice(from).includes('connected'));
    assert.match(said[from] ?? '', /^disconnected/);
  });

  test('a refused subscription is no connection', async () => {
    await using refusing = await startRogueBroker({ tls: await serverOf(root), grant: 128 });
    const from = said.length;
    await using refused = open(`127.0.0.1:${refusing.port}`);
    await until('refused', () => said.slice(from).some((what) => what.includes('refused')));
    assert.equal(refused.connected, false);
    await assert.rejects(refused.publish('hello', 'x'), { code: 'NET_UNREACHABLE' });
  });

  test('of another root is spoken to by nobody', async () => {
    const foreign = await createRootCertificate('a root', 10, now);
    await using stranger = await startRogueBroker({ tls: await serverOf(foreign) });
    const from = said.length;
    await using refused = open(`127.0.0.1:${stranger.port}`);
    await until('refused', () => said.length > from);
    assert.equal(refused.connected, false);
    assert.equal(stranger.sessions(), 0);
  });
});
