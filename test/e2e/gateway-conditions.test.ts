// A full device behind a real gateway when something is not as it should be: storage, battery, clock, consent, connection. The offer stands.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, before, suite, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { AgentEvent } from '../../src/device/agent.ts';
import type { Enrolment } from '../../src/device/enrolment.ts';
import {
  openGatewayDevice,
  type GatewayDevice,
  type GatewayDeviceOptions,
} from '../../src/device/gateway-device.ts';
import type { OfferEvent } from '../../src/device/offers.ts';
import { FirmamentError } from '../../src/errors.ts';
import type { Gateway } from '../../src/gateway/gateway.ts';
import { diskFiles, type Files } from '../../src/reader/files.ts';
import { freePorts } from '../../src/testing/free-ports.ts';
import { Owner, planGateway, runGateway, setSntp } from '../../src/testing/gateway.ts';
import { enrolLight } from '../../src/testing/light-device.ts';
import { startTestNetwork, type TestNetwork } from '../../src/testing/network.ts';
import { testAuthor, type TestAuthor } from '../../src/testing/network-author.ts';

const LAMP = { type: 'lamp', model: 'lamp', hardware: '1.0' };
const SIZE = 600_000;

let network: TestNetwork;
let author: TestAuthor;
let gateway: Gateway;
let owner: Owner;
let sntpPort: number;

before(async () => {
  network = await startTestNetwork({ operators: 1 });
  author = await testAuthor(network);
  await author.declare('lamp');
  const place = await planGateway(network, {
    lines: [{ line: author.line('lamp'), anchor: author.anchor, ...LAMP, hardware: ['1.0'] }],
  });
  [sntpPort = 0] = await freePorts(1);
  setSntp(place, sntpPort);
  gateway = await runGateway(place, network.clock);
  owner = new Owner(place);
  await author.publish({ version: '1.0.0', image: new Uint8Array(randomBytes(SIZE)) });
  await owner.poll();
});

after(async () => {
  await owner[Symbol.asyncDispose]();
  await gateway[Symbol.asyncDispose]();
  await network[Symbol.asyncDispose]();
});

interface Scene {
  readonly enrolment: Enrolment;
  readonly events: OfferEvent[];
  readonly agent: AgentEvent[];
  open(
    device?: Partial<GatewayDeviceOptions['device']>,
    rest?: Partial<Omit<GatewayDeviceOptions, 'enrolment' | 'device' | 'offers'>>,
    offers?: Partial<GatewayDeviceOptions['offers']>,
  ): Promise<GatewayDevice>;
  /** The gateway's row of the one offer. */
  offer(): Promise<{ readonly state: string; readonly detail: string; readonly reported: boolean }>;
}

async function scene(staleInstall?: 'never' | 'consent' | 'allow'): Promise<Scene> {
  const lines = [{ line: author.line('lamp'), anchor: author.anchor }];
  const { folder } = network.device(lines, staleInstall);
  const enrolment = await enrolLight(await owner.bundle(), LAMP);
  const events: OfferEvent[] = [];
  const agent: AgentEvent[] = [];
  return {
    enrolment,
    events,
    agent,
    open: (device = {}, rest = {}, offers = {}) =>
      openGatewayDevice(folder, {
        enrolment,
        sntp: null,
        ...rest,
        device: {
          clock: network.clock,
          onAgentEvent: (event) => void agent.push(event),
          ...device,
        },
        offers: {
          mode: 'force',
          pauses: [20, 100],
          retry: [50, 100],
          onEvent: (event) => void events.push(event),
          ...offers,
        },
      }),
    async offer() {
      const all = await owner.list<Awaited<ReturnType<Scene['offer']>>>(
        `offers?device=${enrolment.device}`,
      );
      return all[0] ?? { state: 'none', detail: '', reported: false };
    },
  };
}

async function until(what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
  const end = performance.now() + 20_000;
  while (!(await holds())) {
    assert.ok(performance.now() < end, what);
    await sleep(20);
  }
}

function runs({ device }: GatewayDevice): string {
  const { status } = device.bootloader;
  return 'image' in status ? status.image.version : status.kind;
}

const postponed =
  (detail: string) =>
  (event: OfferEvent): boolean =>
    event.type === 'attempt' && event.state === 'postponed' && event.detail === detail;

/** The storage, with what a write of the image comes to. */
function withWrites(write: (offset: number, bytes: Uint8Array) => void): Files {
  return {
    ...diskFiles,
    async write(path, offset, bytes) {
      if (path.endsWith('.cjs') || path.endsWith('staging')) write(offset, bytes);
      await diskFiles.write(path, offset, bytes);
    },
  };
}

suite('a device behind a gateway, when', { concurrency: 2 }, () => {
  test('its storage is full: postponed, and done once there is room', async () => {
    const one = await scene();
    let full = true;
    const files = withWrites((offset, bytes) => {
      if (full && offset + bytes.length > SIZE / 2) throw new FirmamentError('DEVICE_STORAGE_FULL');
    });
    await using device = await one.open({ files });
    await until('postponed', () => one.events.some(postponed('DEVICE_STORAGE_FULL')));
    await until('told', async () => (await one.offer()).detail === 'DEVICE_STORAGE_FULL');
    assert.equal(runs(device), 'empty');
    full = false;
    await until('installed', () => runs(device) === '1.0.0');
    await until('told', async () => (await one.offer()).state === 'installed');
  });

  test('it is interrupted: the next start goes on where the download was', async () => {
    const one = await scene();
    let room = SIZE / 2;
    const files = withWrites((offset, bytes) => {
      if (offset + bytes.length > room) throw new FirmamentError('DEVICE_STORAGE_IO');
    });
    {
      await using device = await one.open({ files });
      await until('interrupted', () => one.events.some(postponed('DEVICE_STORAGE_IO')));
      assert.equal(runs(device), 'empty');
    }
    room = SIZE;
    one.agent.length = 0;
    await using device = await one.open({ files });
    await until('installed', () => runs(device) === '1.0.0');
    const first = one.agent.find((event) => event.type === 'progress');
    assert.ok(first && first.done > SIZE / 4, JSON.stringify(first));
  });

  test('its battery is low: nothing is begun before it is charged', async () => {
    const one = await scene();
    let percent = 100;
    let asked = 0;
    // The gateway heard of a full one; when it begins the device looks for itself.
    const battery = (): number => (asked++ === 0 ? 100 : percent);
    percent = 19;
    await using device = await one.open({}, {}, { battery });
    await until('postponed', () => one.events.some(postponed('DEVICE_BATTERY_LOW')));
    assert.equal(one.agent.length, 0);
    percent = 20;
    await until('installed', () => runs(device) === '1.0.0');
  });

  test('its clock has lost the time, or runs ahead: k operators answer its nonce, through the gateway', async () => {
    for (const clock of [() => 0, () => network.clock() + 365 * 86_400]) {
      const one = await scene('never');
      await using device = await one.open({ clock });
      await until('installed', () => runs(device) === '1.0.0');
      const accepted = one.agent.findLast((event) => event.type === 'accepted');
      assert.equal(accepted?.freshness, 'fresh(nonce)');
      const { floor } = device.device.state.state;
      assert.ok(floor > 0 && floor <= network.clock());
      await until('reported', async () => (await one.offer()).reported);
    }
  });
});

suite('a device behind a gateway that reaches no node, when', { concurrency: 2 }, () => {
  before(() => network.stop('a/n1'));

  test("its clock has lost the time: the gateway's word stands in, over TLS or by SNTP", async () => {
    for (const sntp of [null, { host: '127.0.0.1', port: sntpPort }]) {
      const one = await scene();
      await using device = await one.open({ clock: () => 0 }, { sntp });
      await until('installed', () => runs(device) === '1.0.0');
      assert.equal(device.device.clock.name(), 'gateway clock');
      const accepted = one.agent.findLast((event) => event.type === 'accepted');
      assert.equal(accepted?.freshness, 'fresh(gateway clock)');
      await until('reported', async () => (await one.offer()).reported);
    }
  });

  test('its clock is ahead: what it can not call fresh waits for the owner, and says so', async () => {
    const one = await scene();
    const clock = (): number => network.clock() + 365 * 86_400;
    {
      await using device = await one.open({ clock });
      await until('postponed', () => one.events.some(postponed('DEVICE_CONSENT_NEEDED')));
      await until('told', async () => (await one.offer()).detail === 'DEVICE_CONSENT_NEEDED');
      assert.equal(runs(device), 'empty');
    }
    await using device = await one.open({ clock, consent: true });
    await until('installed', () => runs(device) === '1.0.0');
    const accepted = one.agent.findLast((event) => event.type === 'accepted');
    assert.match(accepted?.freshness ?? '', /^stale\(/);
    await until('told', async () => (await one.offer()).state === 'installed');
  });

  test('its clock is ahead, and its maker said never: it waits until the clock is right', async () => {
    const one = await scene('never');
    let ahead = 365 * 86_400;
    await using device = await one.open({ clock: () => network.clock() + ahead, consent: true });
    await until('postponed', () => one.events.some(postponed('TRUST_STALE')));
    assert.equal(runs(device), 'empty');
    ahead = 0;
    await until('installed', () => runs(device) === '1.0.0');
  });
});
