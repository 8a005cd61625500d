import assert from 'node:assert/strict';
import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test as declare, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { topic } from '../api/downlink.ts';
import { createServerCertificate } from '../net/authority.ts';
import { freePorts } from '../testing/free-ports.ts';
import {
  certificateDevice,
  hear,
  mqttConnect,
  mqttOptions,
  openEdge,
  readAuthority,
  silent,
  type Edge,
  type EdgeDevice,
} from '../testing/gateway-edge.ts';
import { requirePart } from '../testing/require.ts';
import { openExternalBroker, type ExternalBroker } from './external-broker.ts';

const PRESENT = ['/usr/sbin/mosquitto', '/usr/bin/mosquitto'].find((path) => {
  try {
    execFileSync(path, ['-h'], { stdio: 'ignore' });
    return true;
  } catch (error) {
    return (error as { readonly code?: string }).code !== 'ENOENT';
  }
});

// Each waits for what a broker does: one that does not do it fails the test.
const test = (name: string, run: (t: TestContext) => Promise<void>): void =>
  void declare(name, { timeout: 10_000 }, run);

let edge: Edge;
let lamp: EdgeDevice;
let port: number;
let broker: ChildProcess | undefined;

before(async () => {
  edge = await openEdge();
  lamp = await certificateDevice(edge);
  [port = 0] = await freePorts(1);
});

after(async () => {
  await stopBroker();
  await edge[Symbol.asyncDispose]();
});

// As in docs/operations.md, "An external broker".
async function writeConfiguration(): Promise<string> {
  const { directory, authority } = edge;
  const path = (name: string, content: string): string => {
    writeFileSync(join(directory, name), content);
    return join(directory, name);
  };
  const server = await createServerCertificate(
    readAuthority(directory),
    'mosquitto',
    ['127.0.0.1'],
    90,
    edge.now,
  );
  const gateway = await certificateDevice(edge);
  if (gateway.proof.kind !== 'certificate') throw new Error('no certificate');
  path('gateway.crt', gateway.proof.credentials.certificatePem);
  path('gateway.key', gateway.proof.credentials.privateKeyPem);
  const acl = `user ${gateway.id}\ntopic readwrite firmament/v1/#\n\n${['offer', 'time']
    .map((channel) => `pattern read firmament/v1/%u/${channel}`)
    .concat(
      ['hello', 'ask', 'status', 'report'].map(
        (channel) => `pattern write firmament/v1/%u/${channel}`,
      ),
    )
    .join('\n')}\n`;
  const lines = [
    `listener ${port} 127.0.0.1`,
    `cafile ${path('ca.crt', authority.rootPem)}`,
    `certfile ${path('broker.crt', server.certificatePem)}`,
    `keyfile ${path('broker.key', server.privateKeyPem)}`,
    'require_certificate true',
    'use_identity_as_username true',
    'allow_anonymous false',
    `acl_file ${path('acl', acl)}`,
    'max_packet_size 65536',
    'persistence false',
    ...(process.getuid?.() === 0 ? ['user root'] : []),
  ];
  return path('mosquitto.conf', `${lines.join('\n')}\n`);
}

let sessions = 0;
// A broker that is not ours takes client ids at their word.
const options = (device: EdgeDevice) => ({
  ...mqttOptions(edge, device, port),
  clientId: `${device.id}-${(sessions += 1)}`,
});

async function startBroker(): Promise<void> {
  broker = spawn(PRESENT ?? 'mosquitto', ['-c', join(edge.directory, 'mosquitto.conf')], {
    stdio: 'ignore',
  });
  for (let i = 0; i < 100; i++) {
    const probe = await mqttConnect(options(lamp)).catch(() => undefined);
    if (probe) {
      await probe.endAsync();
      return;
    }
    await sleep(30);
  }
  throw new Error('mosquitto does not answer');
}

async function stopBroker(): Promise<void> {
  const child = broker;
  broker = undefined;
  if (!child) return;
  const exit = once(child, 'exit');
  child.kill('SIGKILL');
  await exit;
}

function openGateway(): ExternalBroker {
  const { directory, devices } = edge;
  return openExternalBroker({
    broker: {
      kind: 'external',
      url: `mqtts://127.0.0.1:${port}`,
      ca: join(directory, 'ca.crt'),
      certificate: join(directory, 'gateway.crt'),
      key: join(directory, 'gateway.key'),
      username: null,
      password: null,
    },
    name: 'test',
    devices,
    logger: silent,
    quiet: 60_000,
    retry: 50,
  });
}

async function connected(gateway: ExternalBroker): Promise<void> {
  while (!gateway.connected) await sleep(10);
}

/** The retained offer that a device finds; undefined for none. */
async function offerFor(device: EdgeDevice): Promise<string | undefined> {
  const client = await mqttConnect(options(device));
  const { promise, resolve } = Promise.withResolvers<string>();
  client.on('message', (_name, payload) => resolve(payload.toString()));
  await client.subscribeAsync(topic(device.id, 'offer'), { qos: 1 });
  const offer = await Promise.race([promise, sleep(150, undefined)]);
  await client.endAsync();
  return offer;
}

const HOW = 'apt-get install mosquitto';

test('Mosquitto between gateway and devices: messages, offers, restarts, foreign topics', async (t) => {
  if (!requirePart(t, 'mosquitto', PRESENT !== undefined, HOW)) return;
  await writeConfiguration();
  // The gateway is there first: its broker may come later.
  await using gateway = openGateway();
  const heard = hear(gateway);
  await gateway.publish(lamp.id, 'offer', 'first', { retain: true });
  await startBroker();
  await connected(gateway);
  await sleep(100);
  assert.equal(await offerFor(lamp), 'first');

  const will = {
    topic: topic(lamp.id, 'hello'),
    payload: Buffer.alloc(0),
    qos: 1 as const,
    retain: false,
  };
  const client = await mqttConnect({ ...options(lamp), will });
  await client.publishAsync(topic(lamp.id, 'hello'), 'here', { qos: 1 });
  await heard.until(`hello ${lamp.id} here`);
  assert.equal(gateway.online(lamp.id), true);

  // Another device's topics are the broker's to refuse.
  const plug = await certificateDevice(edge);
  await client.publishAsync(topic(plug.id, 'hello'), 'forged', { qos: 1 });
  await client.publishAsync(topic(lamp.id, 'offer'), 'forged', { qos: 1, retain: true });
  await client.publishAsync(topic(lamp.id, 'status'), 'after', { qos: 1 });
  await heard.until(`status ${lamp.id} after`);
  assert.ok(!heard.events.some((event) => event.includes('forged')));
  assert.equal(await offerFor(lamp), 'first');

  // What is retained from a device is a ghost: it may be older than the gateway.
  await client.publishAsync(topic(lamp.id, 'ask'), 'ghost', { qos: 1, retain: true });
  client.stream.destroy();
  await heard.until(`disconnected ${lamp.id}`);
  assert.equal(gateway.online(lamp.id), false);

  // A broker that lost everything gets the offers again.
  await stopBroker();
  await startBroker();
  await connected(gateway);
  await sleep(100);
  assert.equal(await offerFor(lamp), 'first');
});

test('a new gateway: what an earlier one left is corrected, what was said meanwhile arrives', async (t) => {
  if (!requirePart(t, 'mosquitto', PRESENT !== undefined, HOW)) return;
  const plug = await certificateDevice(edge);
  {
    await using old = openGateway();
    hear(old);
    await connected(old);
    await old.publish(lamp.id, 'offer', 'stale', { retain: true });
    await old.publish(plug.id, 'offer', 'kept', { retain: true });
    await sleep(50);
  }
  const client = await mqttConnect(options(lamp));
  await client.publishAsync(topic(lamp.id, 'status'), 'meanwhile', { qos: 1 });
  await client.endAsync();
  await using gateway = openGateway();
  const heard = hear(gateway);
  await gateway.publish(plug.id, 'offer', 'kept', { retain: true });
  await heard.until(`status ${lamp.id} meanwhile`);
  await sleep(150);
  assert.equal(await offerFor(lamp), undefined);
  assert.equal(await offerFor(plug), 'kept');

  // Revoked: no more of it is heard, and its offer is gone.
  edge.devices.revoke(plug.id);
  await sleep(50);
  const still = await mqttConnect(options(plug));
  await still.publishAsync(topic(plug.id, 'hello'), 'still here', { qos: 1 });
  await still.endAsync();
  assert.equal(await offerFor(plug), undefined);
  assert.ok(!heard.events.some((event) => event.includes('still here')));
});

test('a gateway whose broker nobody answers for: strangers with another root', async (t) => {
  if (!requirePart(t, 'mosquitto', PRESENT !== undefined, HOW)) return;
  await using foreign = await openEdge();
  writeFileSync(join(edge.directory, 'ca.crt'), foreign.authority.rootPem);
  await using gateway = openGateway();
  hear(gateway);
  await sleep(200);
  assert.equal(gateway.connected, false);
});
