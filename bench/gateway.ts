/**
 * A gateway under many devices over TLS: how fast they connect, how soon a forced notice is with each of them beside
 * Mosquitto in the same run, and when all have downloaded and verified a 1 MiB image. The devices are a process of
 * their own, on the same cores.
 */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { p256PrivatePem } from '../src/net/certificate-request.ts';
import { freePorts } from '../src/testing/free-ports.ts';
import { Owner, planGateway, type GatewayPlace } from '../src/testing/gateway.ts';
import { enrolLight } from '../src/testing/light-device.ts';
import { treePss } from '../src/testing/demo/memory.ts';
import { MOSQUITTO, startMosquitto } from '../src/testing/mosquitto.ts';
import { startTestNetwork } from '../src/testing/network.ts';
import { testAuthor } from '../src/testing/network-author.ts';
import { startCommand, type RunningCommand } from '../src/testing/processes.ts';
import { sharedNow, type FleetMember } from './support/fleet-device.ts';
import { startFleet, type Fleet } from './support/fleet.ts';
import { openPublisher } from './support/mqtt-publisher.ts';
import type { BenchOptions, Row } from './support/row.ts';

const LAMP = { type: 'lamp', model: 'lamp', hardware: '1.0' };
const IMAGE = 1 << 20;
const LANES = 16;
/** Connections being made at one time. */
const CONNECTING = 32;
const SETTLE_MS = 3_000;
const ROUNDS = 5;
const MIB = 2 ** 20;
const GATEWAY = 'gateway';
const BROKER = 'mosquitto';
const SHARES = [0.5, 0.95, 0.99];

export async function rows({ quick, say }: BenchOptions): Promise<readonly Row[]> {
  const count = quick ? 60 : 1000;
  await using network = await startTestNetwork({ operators: 1 });
  const author = await testAuthor(network);
  await author.declare('lamp');
  const place = await planGateway(network, {
    lines: [{ line: author.line('lamp'), anchor: author.anchor, ...LAMP, hardware: ['1.0'] }],
    groups: { default: { functional: 'consent' }, first: {} },
  });
  say(`${count} devices enrol`);
  const members = await enrolAll(place, count);

  const starting = performance.now();
  await using gateway = await start(place);
  const ready = performance.now() - starting;
  await using owner = new Owner(place);
  await using fleet = startFleet();
  const half = Math.ceil(count / 2);
  const { ca, https } = { ca: members.ca, https: place.ports.https };
  const join = async (from: number, to: number): Promise<number> =>
    (await fleet.call({
      fleet: GATEWAY,
      what: 'connect',
      members: members.all.slice(from, to),
      place: { port: place.ports.mqtt, ca, https },
      lanes: CONNECTING,
    })) as number;
  const empty = pss(gateway);
  let connecting = await join(0, half);
  await sleep(SETTLE_MS);
  const idle = pss(gateway);
  connecting += await join(half, count);
  await sleep(SETTLE_MS);
  const full = pss(gateway);

  say('one device gets a release, so that its image is here');
  const [first] = members.all;
  await owner.call('PUT', `/v1/devices/${first?.id}/group`, { group: 'first' });
  await author.publish({ size: IMAGE, version: '1.0.0' });
  await fleet.call({ fleet: GATEWAY, what: 'expect', empty: false });
  await owner.poll();
  await fleet.call({ fleet: GATEWAY, what: 'arrived', count: 1 });
  await fleet.call({ fleet: GATEWAY, what: 'install', from: 0, to: 1 });

  const broker =
    MOSQUITTO === undefined
      ? undefined
      : await besideMosquitto(network.folder, place, members, fleet, say);
  await using mosquitto = broker;
  const notices: number[][] = [];
  const others: number[][] = [];
  for (let round = 1; round <= ROUNDS; round++) {
    say(`notices, round ${round} of ${ROUNDS}`);
    notices.push(await gatewayRound(owner, fleet, count - 1, round < ROUNDS));
    if (mosquitto) others.push(await mosquitto.round());
  }
  await mosquitto?.[Symbol.asyncDispose]();

  say('all download');
  const began = performance.now();
  const busy = (await fleet.call({
    fleet: GATEWAY,
    what: 'install',
    from: 1,
    to: count,
  })) as number;
  const downloading = performance.now() - began;
  const after = pss(gateway);
  return [
    {
      name: 'ready, with so many devices in its database',
      value: ready,
      unit: 'ms',
      aim: 'about 1,000',
    },
    {
      name: 'devices that connect over TLS 1.3, certificates',
      value: (count * 1000) / connecting,
      unit: '/s',
      note: `${count} devices, until each one's hello was taken; both ends on this machine`,
    },
    ...(mosquitto
      ? [
          {
            name: '  Mosquitto, without hellos',
            value: (count * 1000) / mosquitto.connecting,
            unit: '/s',
          },
        ]
      : []),
    { name: 'memory of the gateway without devices', value: empty / MIB, unit: 'MiB PSS' },
    {
      name: `memory, ${half} idle devices`,
      value: idle / MIB,
      unit: 'MiB PSS',
      ...(!quick && { aim: { atMost: 150 } }),
    },
    { name: `memory, ${count} idle devices`, value: full / MIB, unit: 'MiB PSS' },
    { name: 'memory after all downloaded', value: after / MIB, unit: 'MiB PSS' },
    ...SHARES.flatMap((share): Row[] => {
      const beside = mosquitto && median(others, share);
      return [
        {
          name: `forced notice, p${share * 100}`,
          value: median(notices, share),
          unit: 'ms',
          ...(beside !== undefined && { aim: { atMost: 2 * beside } }),
          note: `from the owner's word, offers written to disk; median of ${ROUNDS} rounds; aim: twice Mosquitto`,
        },
        ...(beside === undefined
          ? []
          : [{ name: '  Mosquitto', value: beside, unit: 'ms', note: 'from the first publish' }]),
      ];
    }),
    {
      name: 'all have downloaded and verified 1 MiB',
      value: downloading / 1000,
      unit: 's',
      note: `all begin at once; told to come again ${busy} times; each says what it does, and that is kept`,
    },
  ];
}

async function start(place: GatewayPlace): Promise<RunningCommand> {
  const gateway = startCommand(['gateway', 'start', place.config]);
  await gateway.event((event) => typeof event['rootHash'] === 'string');
  return gateway;
}

function pss({ pid }: RunningCommand): number {
  return treePss(pid) ?? Number.NaN;
}

interface Members {
  readonly ca: string;
  readonly all: readonly FleetMember[];
}

/** At a gateway that is stopped again: what is measured later begins anew. */
async function enrolAll(place: GatewayPlace, count: number): Promise<Members> {
  await using gateway = await start(place);
  if (gateway.pid === 0) throw new Error('the gateway is gone');
  await using owner = new Owner(place);
  let ca = '';
  const all: FleetMember[] = [];
  let next = 0;
  const lane = async (): Promise<void> => {
    for (let i = next++; i < count; i = next++) {
      const { device: id, credential, rootPem } = await enrolLight(await owner.bundle(), LAMP);
      if (credential.tier !== 'certificate') throw new Error('a certificate is needed');
      const { certificatePem, key } = credential;
      ca = rootPem;
      all[i] = {
        id,
        certificatePem,
        keyPem: p256PrivatePem(key),
        address: `127.1.${i >> 8}.${i & 255}`,
      };
    }
  };
  await Promise.all(Array.from({ length: LANES }, lane));
  return { ca, all };
}

/** Milliseconds from the owner's consent until each device has its offer; taken back afterwards. */
async function gatewayRound(
  owner: Owner,
  fleet: Fleet,
  count: number,
  takeBack: boolean,
): Promise<number[]> {
  await fleet.call({ fleet: GATEWAY, what: 'expect', empty: false });
  const said = sharedNow();
  const word = owner.call('POST', '/v1/decisions/consent', {});
  const times = (await fleet.call({ fleet: GATEWAY, what: 'arrived', count })) as number[];
  await word;
  if (takeBack) {
    await fleet.call({ fleet: GATEWAY, what: 'expect', empty: true });
    await owner.call('POST', '/v1/decisions/consent', { takeBack: true });
    await fleet.call({ fleet: GATEWAY, what: 'arrived', count });
  }
  return times.map((at) => at - said);
}

interface Beside extends AsyncDisposable {
  readonly connecting: number;
  round(): Promise<number[]>;
}

/** The same devices at Mosquitto: one client publishes a message of the same size to each, retained, QoS 1. */
async function besideMosquitto(
  folder: string,
  place: GatewayPlace,
  { ca, all }: Members,
  fleet: Fleet,
  say: (line: string) => void,
): Promise<Beside> {
  say('the same devices connect to Mosquitto');
  mkdirSync(join(folder, 'mosquitto'));
  const [port = 0] = await freePorts(1);
  const [publisher, ...members] = all;
  if (!publisher) throw new Error('no devices');
  const authority = join(place.folder, 'data', 'authority');
  const broker = await startMosquitto({
    folder: join(folder, 'mosquitto'),
    port,
    authority,
    gateway: publisher.id,
  });
  const connecting = (await fleet.call({
    fleet: BROKER,
    what: 'connect',
    members,
    place: { port, ca },
    lanes: CONNECTING,
  })) as number;
  const from = await openPublisher(publisher, { port, ca });
  const payload = 'x'.repeat(830);
  return {
    connecting,
    async round() {
      await fleet.call({ fleet: BROKER, what: 'expect', empty: false });
      const said = sharedNow();
      from.publish(
        members.map(({ id }) => `firmament/v1/${id}/offer`),
        payload,
      );
      const times = (await fleet.call({
        fleet: BROKER,
        what: 'arrived',
        count: members.length,
      })) as number[];
      return times.map((at) => at - said);
    },
    async [Symbol.asyncDispose]() {
      from.close();
      await fleet.call({ fleet: BROKER, what: 'close' });
      await broker.kill();
    },
  };
}

function median(rounds: readonly (readonly number[])[], share: number): number {
  const each = rounds.map((times) =>
    quantile(
      times.toSorted((a, b) => a - b),
      share,
    ),
  );
  return quantile(
    each.toSorted((a, b) => a - b),
    0.5,
  );
}

function quantile(sorted: readonly number[], share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}
