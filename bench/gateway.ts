/**
 * A gateway under many devices over TLS: how fast they connect, how soon a forced notice is with each of them beside
 * Mosquitto in the same run, and when all have downloaded and verified a 1 MiB image.
 */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { connectAsync, type MqttClient } from 'mqtt';
import { topic } from '../src/api/downlink.ts';
import type { Enrolment } from '../src/device/enrolment.ts';
import { p256PrivatePem } from '../src/net/certificate-request.ts';
import { freePorts } from '../src/testing/free-ports.ts';
import { Owner, planGateway } from '../src/testing/gateway.ts';
import { enrolLight, LightDevice } from '../src/testing/light-device.ts';
import { treePss } from '../src/testing/demo/memory.ts';
import { MOSQUITTO, startMosquitto } from '../src/testing/mosquitto.ts';
import { startTestNetwork } from '../src/testing/network.ts';
import { testAuthor } from '../src/testing/network-author.ts';
import { startCommand } from '../src/testing/processes.ts';
import type { BenchOptions, Row } from './support/row.ts';

const LAMP = { type: 'lamp', model: 'lamp', hardware: '1.0' };
const IMAGE = 1 << 20;
const AT_ONCE = 16;
const PATIENT = 600_000;

export async function rows({ quick, say }: BenchOptions): Promise<readonly Row[]> {
  const count = quick ? 50 : 1000;
  await using network = await startTestNetwork({ operators: 1 });
  const author = await testAuthor(network);
  await author.declare('lamp');
  const place = await planGateway(network, {
    lines: [{ line: author.line('lamp'), anchor: author.anchor, ...LAMP, hardware: ['1.0'] }],
  });
  await using gateway = startCommand(['gateway', 'start', place.config]);
  await gateway.event((event) => typeof event['rootHash'] === 'string');
  await using owner = new Owner(place);
  say(`${count} devices enrol`);
  const enrolments = await inTurns(count, async () => enrolLight(await owner.bundle(), LAMP));

  await using devices = new AsyncDisposableStack();
  const offered = new Map<string, number>();
  const installed = Promise.withResolvers<number>();
  const allTold = Promise.withResolvers<void>();
  let connected = 0;
  let done = 0;
  const allConnected = Promise.withResolvers<void>();
  const began = performance.now();
  for (const enrolment of enrolments)
    devices.use(
      new LightDevice(enrolment, {
        ...LAMP,
        gate: allTold.promise,
        onEvent(event) {
          if (event.type === 'gateway-connected' && ++connected === count) allConnected.resolve();
          if (event.type === 'offer') offered.set(enrolment.device, performance.now());
          if (offered.size === count) allTold.resolve();
          if (event.type === 'attempt' && event.state === 'installed' && ++done === count)
            installed.resolve(performance.now());
        },
      }),
    );
  await within(allConnected.promise, () => `${connected} of ${count} connected`);
  const connecting = performance.now() - began;
  const pss = treePss(gateway.pid) ?? Number.NaN;

  say('a release for all of them');
  await author.publish({ size: IMAGE, version: '1.0.0' });
  const announced = performance.now();
  await owner.poll();
  const end = await within(installed.promise, () => `${done} of ${count} installed`);
  const first = Math.min(...offered.values());
  const notices = [...offered.values()].map((at) => at - first).toSorted((a, b) => a - b);
  const mosquitto =
    MOSQUITTO === undefined
      ? undefined
      : await mosquittoNotices(network.folder, place.folder, enrolments, say);
  const beside = (share: number): Pick<Row, 'aim'> =>
    mosquitto ? { aim: { atMost: Math.max(2 * quantile(mosquitto, share), 50) } } : {};
  return [
    {
      name: 'devices that connect over TLS 1.3, certificates',
      value: (count * 1000) / connecting,
      unit: '/s',
      note: `${count} devices; both ends on this machine`,
    },
    { name: 'memory of the gateway, all connected', value: pss / 2 ** 20, unit: 'MiB PSS' },
    ...[0.5, 0.95, 0.99].flatMap((share): Row[] => [
      {
        name: `forced notice, p${share * 100}`,
        value: quantile(notices, share),
        unit: 'ms',
        ...beside(share),
        note: 'after the first device had it; downloads wait for the last; aim: twice Mosquitto, or 50 ms',
      },
      ...(mosquitto
        ? [{ name: '  Mosquitto', value: quantile(mosquitto, share), unit: 'ms' }]
        : []),
    ]),
    {
      name: `all have downloaded and verified 1 MiB`,
      value: (end - announced) / 1000,
      unit: 's',
      note: "from the owner's word on",
    },
  ];
}

/** The same devices at Mosquitto: one publishes a message of the same size to each, and the spread of their arrival. */
async function mosquittoNotices(
  folder: string,
  gateway: string,
  enrolments: readonly Enrolment[],
  say: (line: string) => void,
): Promise<readonly number[]> {
  say('the same with Mosquitto');
  const place = join(folder, 'mosquitto');
  mkdirSync(place);
  const [port = 0] = await freePorts(1);
  const [publisher, ...rest] = enrolments;
  if (!publisher) return [];
  const authority = join(gateway, 'data', 'authority');
  await using broker = await startMosquitto({
    folder: place,
    port,
    authority,
    gateway: publisher.device,
  });
  if (broker.pid === 0) throw new Error('mosquitto is gone');
  const arrived: number[] = [];
  const all = Promise.withResolvers<void>();
  const clients = await inTurns(rest.length, async (i) => {
    const { device } = rest[i] as Enrolment;
    const client = await mqttTo(rest[i] as Enrolment, port);
    client.on('message', () => {
      arrived.push(performance.now());
      if (arrived.length === rest.length) all.resolve();
    });
    await client.subscribeAsync(topic(device, 'offer'), { qos: 1 });
    return client;
  });
  const from = await mqttTo(publisher, port);
  const payload = 'x'.repeat(830);
  for (const { device } of rest)
    from.publish(topic(device, 'offer'), payload, { qos: 1, retain: true });
  await within(all.promise, () => `${arrived.length} of ${rest.length} arrived`);
  for (const client of [...clients, from]) client.end(true);
  const first = arrived[0] ?? 0;
  return arrived.map((at) => at - first);
}

function mqttTo({ device, credential, rootPem }: Enrolment, port: number): Promise<MqttClient> {
  if (credential.tier !== 'certificate') throw new Error('a certificate is needed');
  return connectAsync({
    protocol: 'mqtts',
    host: '127.0.0.1',
    port,
    clientId: device,
    protocolVersion: 4,
    reconnectPeriod: 0,
    ca: rootPem,
    cert: credential.certificatePem,
    key: p256PrivatePem(credential.key),
  });
}

async function inTurns<T>(count: number, make: (i: number) => Promise<T>): Promise<readonly T[]> {
  const made: T[] = [];
  let next = 0;
  const lane = async (): Promise<void> => {
    for (let i = next++; i < count; i = next++) made[i] = await make(i);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, lane));
  return made;
}

async function within<T>(promise: Promise<T>, what: () => string): Promise<T> {
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => late.reject(new Error(what())), PATIENT);
  try {
    return await Promise.race([promise, late.promise]);
  } finally {
    clearTimeout(timer);
  }
}

function quantile(sorted: readonly number[], share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}
