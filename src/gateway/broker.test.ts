import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, test as declare, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect as tlsConnect, type TLSSocket } from 'node:tls';
import type { MqttClient } from 'mqtt';
import { topic } from '../api/downlink.ts';
import { createTlsIdentity, type TlsIdentity } from '../net/tls.ts';
import {
  certificateDevice,
  edgeBroker,
  ended,
  hear,
  mqttConnect,
  mqttOptions,
  openEdge,
  pskDevice,
  type Edge,
  type EdgeDevice,
  type Heard,
} from '../testing/gateway-edge.ts';
import { requirePart } from '../testing/require.ts';
import type { EmbeddedBroker } from './broker.ts';
import { createCertificateRequest } from '../net/certificate-request.ts';
import {
  createClientCertificate,
  createRootCertificate,
  readCertificateRequest,
} from '../net/authority.ts';
import { privateKey } from '#crypto';
import { readAuthority } from '../testing/gateway-edge.ts';

// Each waits for what a broker does: one that does not do it fails the test.
const test = (name: string, run: (t: TestContext) => Promise<void>): void =>
  void declare(name, { timeout: 10_000 }, run);

let edge: Edge;
let broker: EmbeddedBroker;
let heard: Heard;
let lamp: EdgeDevice;
let plug: EdgeDevice;
let stranger: TlsIdentity;
const clients: MqttClient[] = [];

before(async () => {
  edge = await openEdge();
  broker = await edgeBroker(edge, {
    messages: { perSecond: 1, burst: 100 },
    sessions: { perSecond: 100, burst: 100 },
  });
  heard = hear(broker);
  lamp = await certificateDevice(edge);
  plug = await pskDevice(edge);
  stranger = await createTlsIdentity();
});

after(async () => {
  for (const client of clients) client.end(true);
  await broker[Symbol.asyncDispose]();
  await edge[Symbol.asyncDispose]();
});

const join = async (device: EdgeDevice, more: object = {}): Promise<MqttClient> => {
  const client = await mqttConnect({ ...mqttOptions(edge, device, broker.port), ...more });
  clients.push(client);
  return client;
};
const firstMessage = (client: MqttClient): Promise<readonly [string, string]> =>
  new Promise((resolve) =>
    client.once('message', (name, payload) => resolve([name, payload.toString()])),
  );

for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
  test(`both tiers on one port over ${version}: a session is its key's, whatever the client id`, async () => {
    for (const device of [lamp, plug]) {
      const client = await join(device, { minVersion: version, maxVersion: version });
      assert.equal((client.stream as TLSSocket).getProtocol(), version);
      await client.publishAsync(topic(device.id, 'hello'), version, { qos: 1 });
      // acknowledged means taken
      assert.ok(heard.events.includes(`hello ${device.id} ${version}`));
      assert.equal(broker.online(device.id), true);
      await client.endAsync();
      await heard.until(`disconnected ${device.id}`);
    }
  });
}

test('a retained offer waits for the device, comes again, and goes with an empty one', async () => {
  await broker.publish(lamp.id, 'offer', '{"offer":1}', { retain: true });
  const client = await join(lamp, { clean: false });
  const first = firstMessage(client);
  await client.subscribeAsync(topic(lamp.id, 'offer'), { qos: 1 });
  assert.deepEqual(await first, [topic(lamp.id, 'offer'), '{"offer":1}']);
  const gone = firstMessage(client);
  await broker.publish(lamp.id, 'offer', '', { retain: true });
  assert.deepEqual(await gone, [topic(lamp.id, 'offer'), '']);
  await client.endAsync();
  const again = await join(lamp);
  let came = 0;
  again.on('message', () => (came += 1));
  await again.subscribeAsync(topic(lamp.id, 'offer'), { qos: 1 });
  await broker.publish(lamp.id, 'time', 'now', { retain: false });
  await sleep(50);
  assert.equal(came, 0);
  await again.endAsync();
});

test('strangers: no certificate, a foreign one, a wrong or unknown pre-shared key', async () => {
  const { cert: _cert, key: _key, ...bare } = mqttOptions(edge, lamp, broker.port);
  const foreign = { cert: stranger.certificatePem, key: stranger.privateKeyPem };
  const wrong = { pskCallback: () => ({ identity: plug.id, psk: randomBytes(32) }) };
  // The key of a device that has none: unknown here.
  const unknown = { pskCallback: () => ({ identity: lamp.id, psk: new Uint8Array(32) }) };
  const psk = mqttOptions(edge, plug, broker.port);
  const before = heard.events.length;
  for (const maxVersion of ['TLSv1.2', 'TLSv1.3'] as const)
    for (const options of [
      bare,
      { ...bare, ...foreign },
      { ...psk, ...wrong },
      { ...psk, ...unknown },
    ])
      await assert.rejects(
        mqttConnect(Object.assign({ maxVersion }, options)),
        JSON.stringify(Object.keys(options)),
      );
  assert.equal(heard.events.length, before);
});

test('a certificate of the authority whose key no device enrolled opens nothing', async () => {
  const { certificatePem, privateKeyPem } = edge.authority.server;
  const options = {
    ...mqttOptions(edge, lamp, broker.port),
    cert: certificatePem,
    key: privateKeyPem,
  };
  await assert.rejects(mqttConnect(options));
  const device = await certificateDevice(edge);
  edge.devices.revoke(device.id);
  await assert.rejects(mqttConnect(mqttOptions(edge, device, broker.port)));
});

test('an enrolled key in a certificate that is over, or that its holder signed itself', async () => {
  const key = privateKey('P-256', new Uint8Array(randomBytes(32)));
  const request = await readCertificateRequest(await createCertificateRequest(key, ''));
  const device = await certificateDevice(edge, key);
  const root = readAuthority(edge.directory);
  const spent = await createClientCertificate(
    root,
    request,
    device.id,
    1,
    Date.UTC(2026, 0, 1) / 1000,
  );
  const rogue = { ...root, ...(await createRootCertificate('test root', 3652, edge.now)) };
  const forged = await createClientCertificate(rogue, request, device.id, 825, edge.now);
  for (const cert of [spent, forged]) {
    const options = { ...mqttOptions(edge, device, broker.port), cert };
    await assert.rejects(mqttConnect(options));
  }
  await (await join(device)).endAsync();
});

test('foreign topics: refused with 0x80, by filter or by name, and nothing of them arrives', async () => {
  const client = await join(lamp, { clean: false });
  let came = 0;
  const count = heard.events.filter((event) => event === `disconnected ${lamp.id}`).length;
  client.on('message', () => (came += 1));
  const filters = ['#', '+/+/+/+', `firmament/v1/${plug.id}/#`, topic(plug.id, 'offer'), '$SYS/#'];
  const granted = await client
    .subscribeAsync([...filters, topic(lamp.id, 'offer')], { qos: 1 })
    .catch((error: unknown) => error);
  // the client library rejects when any was refused
  if (Array.isArray(granted)) assert.ok(granted.slice(0, -1).every(({ qos }) => qos === 128));
  else assert.match(String(granted), /128|subscri/i);
  await broker.publish(plug.id, 'offer', 'secret', { retain: true });
  await sleep(50);
  await client.endAsync();
  // Nothing was kept for a session that asked to be kept.
  await heard.until(`disconnected ${lamp.id}`, count + 1);
  for (const device of [lamp, plug])
    await broker.publish(device.id, 'offer', 'meanwhile', { retain: false });
  const again = await join(lamp, { clean: false });
  again.on('message', () => (came += 1));
  await sleep(50);
  // Nor are its subscriptions.
  await broker.publish(lamp.id, 'offer', 'not asked for', { retain: false });
  await sleep(100);
  assert.equal(came, 0);
  await again.endAsync();
  await broker.publish(plug.id, 'offer', '', { retain: true });
});

test("publishing to another's topic, to an offer or nowhere of ours ends the session", async () => {
  const before = heard.events.length;
  for (const name of [
    topic(plug.id, 'hello'),
    topic(lamp.id, 'offer'),
    topic(lamp.id, 'time'),
    'x/y',
    '$SYS/x',
  ]) {
    const client = await join(lamp);
    client.publish(name, 'forged', { qos: 0 });
    await ended(client);
  }
  assert.deepEqual(
    heard.events.slice(before).filter((event) => event.includes('forged')),
    [],
  );
});

test("a will on another's topic is no session; one's own empty hello is a quiet goodbye", async () => {
  const will = {
    topic: topic(plug.id, 'hello'),
    payload: Buffer.from('forged'),
    qos: 1 as const,
    retain: false,
  };
  await assert.rejects(join(lamp, { will }));
  const count = heard.events.filter((event) => event.startsWith('hello')).length;
  const own = { ...will, topic: topic(lamp.id, 'hello'), payload: Buffer.alloc(0) };
  const client = await join(lamp, { will: own });
  client.stream.destroy();
  await sleep(100);
  assert.equal(heard.events.filter((event) => event.startsWith('hello')).length, count);
});

test('what a device retains is retained for nobody', async () => {
  const client = await join(lamp);
  await client.publishAsync(topic(lamp.id, 'status'), 'kept?', { qos: 1, retain: true });
  await client.endAsync();
  assert.ok(heard.events.includes(`status ${lamp.id} kept?`));
});

test('packets: the first is a small CONNECT, no other is above 64 KiB', async () => {
  const client = await join(lamp);
  client.publish(topic(lamp.id, 'report'), Buffer.alloc(70_000), { qos: 0 });
  await ended(client);
  const { cert, key } = mqttOptions(edge, lamp, broker.port);
  for (const bytes of [
    [0x10, 0xff, 0xff, 0xff, 0x7f],
    [0x30, 0x02, 0, 0],
  ]) {
    const socket = tlsConnect({
      host: '127.0.0.1',
      port: broker.port,
      ca: edge.authority.rootPem,
      cert,
      key,
    } as object);
    socket.on('error', () => {});
    const { promise, resolve } = Promise.withResolvers<void>();
    socket.once('close', () => resolve());
    socket.once('secureConnect', () => socket.write(Uint8Array.from(bytes)));
    await promise;
  }
});

test('flooding ends the session of who floods', async () => {
  const device = await certificateDevice(edge);
  const client = await join(device);
  const end = ended(client);
  for (let i = 0; i < 300; i++) client.publish(topic(device.id, 'status'), 'x', { qos: 0 });
  await end;
  const taken = heard.events.filter((event) => event.startsWith(`status ${device.id}`)).length;
  assert.ok(taken <= 102, String(taken));
});

test('the same device again: the newer session stands', async () => {
  const first = await join(lamp);
  const end = ended(first);
  const second = await join(lamp);
  await end;
  assert.equal(second.connected, true);
  assert.equal(broker.online(lamp.id), true);
  await second.endAsync();
});

test('a revoked device: its live session ends, and it does not come back', async () => {
  for (const device of [await certificateDevice(edge), await pskDevice(edge)]) {
    const client = await join(device);
    await heard.until(`connected ${device.id}`);
    const end = ended(client);
    edge.devices.revoke(device.id);
    await end;
    assert.equal(broker.online(device.id), false);
    await assert.rejects(mqttConnect(mqttOptions(edge, device, broker.port)));
  }
  // While it connects, when there is no session yet to end.
  const hasty = await certificateDevice(edge);
  const client = await join(hasty);
  const end = ended(client);
  edge.devices.revoke(hasty.id);
  await end;
});

test("Debian's mosquitto_pub: a certificate, and a pre-shared key; not with MQTT 5", async (t) => {
  const present = await exits('mosquitto_pub', ['--help']);
  if (!requirePart(t, 'mosquitto', present !== undefined, 'apt-get install mosquitto-clients'))
    return;
  const { proof } = lamp;
  if (proof.kind !== 'certificate' || plug.proof.kind !== 'psk') throw new Error('other tiers');
  const file = (name: string, content: string): string => {
    writeFileSync(path.join(edge.directory, name), content);
    return path.join(edge.directory, name);
  };
  const to = ['-h', '127.0.0.1', '-p', String(broker.port), '-q', '1', '-m', 'from C'];
  const certificate = [
    '--cafile',
    file('root.pem', edge.authority.rootPem),
    '--cert',
    file('lamp.crt', proof.credentials.certificatePem),
    '--key',
    file('lamp.key', proof.credentials.privateKeyPem),
  ];
  const psk = ['--psk-identity', plug.id, '--psk', plug.proof.psk.toHex()];
  assert.equal(
    await exits('mosquitto_pub', [...to, ...certificate, '-t', topic(lamp.id, 'hello')]),
    0,
  );
  assert.equal(await exits('mosquitto_pub', [...to, ...psk, '-t', topic(plug.id, 'hello')]), 0);
  for (const device of [lamp, plug]) assert.ok(heard.events.includes(`hello ${device.id} from C`));
  const five = [...to, ...certificate, '-V', '5', '-t', topic(lamp.id, 'hello')];
  assert.notEqual(await exits('mosquitto_pub', five), 0);
});

/** The exit code; undefined when there is no such program. */
function exits(program: string, args: readonly string[]): Promise<number | undefined> {
  return new Promise((resolve) => {
    const child = spawn(program, args, { stdio: 'ignore' });
    child.once('error', () => resolve(undefined));
    child.once('exit', (code) => resolve(code ?? -1));
  });
}
