import assert from 'node:assert/strict';
import { connect as netConnect } from 'node:net';
import { after, before, test as declare } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect as tlsConnect, type TLSSocket } from 'node:tls';
import type { MqttClient } from 'mqtt';
import { topic } from '../api/downlink.ts';
import {
  certificateDevice,
  edgeBroker,
  hear,
  mqttConnect,
  mqttOptions,
  openEdge,
  type Edge,
  type EdgeDevice,
  type Heard,
} from '../testing/gateway-edge.ts';
import type { EmbeddedBroker } from './broker.ts';

// Each waits for what a broker does: one that does not do it fails the test.
const test = (name: string, run: () => Promise<void>): void =>
  void declare(name, { timeout: 10_000 }, run);

let edge: Edge;
let broker: EmbeddedBroker;
let heard: Heard;
let lamp: EdgeDevice;
let plug: EdgeDevice;
const clients: MqttClient[] = [];

before(async () => {
  edge = await openEdge();
  broker = await edgeBroker(edge);
  heard = hear(broker);
  lamp = await certificateDevice(edge);
  plug = await certificateDevice(edge);
});

after(async () => {
  for (const client of clients) client.end(true);
  await broker[Symbol.asyncDispose]();
  await edge[Symbol.asyncDispose]();
});

const join = async (device: EdgeDevice): Promise<MqttClient> => {
  const client = await mqttConnect(mqttOptions(edge, device, broker.port));
  clients.push(client);
  return client;
};

test('a device that does not read is cut off and keeps nothing back from the others', async () => {
  const frozen = await certificateDevice(edge);
  const slow = await join(frozen);
  await slow.subscribeAsync(topic(frozen.id, 'offer'), { qos: 0 });
  (slow.stream as TLSSocket).pause();
  const client = await join(lamp);
  await client.subscribeAsync(topic(lamp.id, 'time'));
  let longest = 0;
  let last = performance.now();
  let came = 0;
  client.on('message', () => {
    longest = Math.max(longest, performance.now() - last);
    last = performance.now();
    came += 1;
  });
  const payload = 'x'.repeat(20_000);
  // More than a loopback's buffers hold.
  for (let i = 0; i < 600 && broker.online(frozen.id); i++) {
    await broker.publish(frozen.id, 'offer', payload, { retain: false });
    await broker.publish(lamp.id, 'time', String(i), { retain: false });
  }
  await sleep(50);
  assert.equal(broker.online(frozen.id), false);
  assert.ok(came > 10 && longest < 1000, `${came} messages, ${longest} ms`);
  await client.endAsync();
});

test('too many connections of one address; a session begun too often', async () => {
  await using small = await edgeBroker(edge, {
    perAddress: 1,
    sessions: { perSecond: 0.01, burst: 2 },
  });
  hear(small);
  const first = await mqttConnect(mqttOptions(edge, lamp, small.port));
  await assert.rejects(mqttConnect(mqttOptions(edge, plug, small.port)));
  await first.endAsync();
  await sleep(50);
  const second = await mqttConnect(mqttOptions(edge, lamp, small.port));
  await second.endAsync();
  await sleep(50);
  await assert.rejects(mqttConnect(mqttOptions(edge, lamp, small.port)));
});

test('who never says CONNECT, or never ends its handshake, is hung up on', async () => {
  await using hasty = await edgeBroker(edge, { connect: 100, handshake: 100 });
  hear(hasty);
  const { cert, key } = mqttOptions(edge, lamp, hasty.port);
  const socket = tlsConnect({
    host: '127.0.0.1',
    port: hasty.port,
    ca: edge.authority.rootPem,
    cert,
    key,
  } as object);
  socket.on('error', () => {});
  await new Promise<void>((resolve) => socket.once('close', () => resolve()));
  const silent = netConnect({ host: '127.0.0.1', port: hasty.port });
  silent.on('error', () => {}).resume();
  await new Promise<void>((resolve) => silent.once('close', () => resolve()));
});

test('sixteen messages of QoS 2 may be half done, no more', async () => {
  const device = await certificateDevice(edge);
  const { cert, key } = mqttOptions(edge, device, broker.port);
  const socket = tlsConnect({
    host: '127.0.0.1',
    port: broker.port,
    ca: edge.authority.rootPem,
    cert,
    key,
  } as object);
  socket.on('error', () => {}).resume();
  const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
  // CONNECT: MQTT 3.1.1, clean session, no client id (sections 3.1 and 3.3).
  socket.write(Uint8Array.of(0x10, 12, 0, 4, 77, 81, 84, 84, 4, 2, 0, 60, 0, 0));
  await heard.until(`connected ${device.id}`);
  const name = new TextEncoder().encode(topic(device.id, 'status'));
  for (let id = 1; id <= 16; id++)
    socket.write(Uint8Array.of(0x34, name.length + 5, 0, name.length, ...name, 0, id, 120));
  await heard.until(`status ${device.id}`, 16);
  await sleep(50);
  assert.equal(broker.online(device.id), true);
  socket.write(Uint8Array.of(0x34, name.length + 5, 0, name.length, ...name, 0, 17, 120));
  await closed;
});
