// Devices of every tier behind a real gateway: enrolment, offers, answers, reports, and a gateway that goes and comes back.
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { enrolDevice, openEnrolment } from '../../src/device/enrolment.ts';
import { openGatewayDevice } from '../../src/device/gateway-device.ts';
import type { OfferEvent } from '../../src/device/offers.ts';
import { buildSampleFirmware } from '../../src/device/firmware/sample.ts';
import type { Gateway } from '../../src/gateway/gateway.ts';
import { Owner, planGateway, runGateway, type GatewayPlace } from '../../src/testing/gateway.ts';
import { enrolLight, LightDevice } from '../../src/testing/light-device.ts';
import { startTestNetwork, type TestNetwork } from '../../src/testing/network.ts';
import { testAuthor, type TestAuthor } from '../../src/testing/network-author.ts';
import { requirePart } from '../../src/testing/require.ts';

const LAMP = { type: 'lamp', model: 'lamp', hardware: '1.0' };
const SHELL_DEVICE = join(import.meta.dirname, '../../examples/shell-device/device.sh');
const MOSQUITTO = 'apt-get install mosquitto mosquitto-clients';

function firmware(version: string, broken = false): Uint8Array {
  return buildSampleFirmware({ version, model: 'lamp', size: 20_000, broken });
}

async function eventually(what: string, holds: () => Promise<boolean> | boolean): Promise<void> {
  const end = performance.now() + 30_000;
  while (!(await holds())) {
    assert.ok(performance.now() < end, what);
    await sleep(50);
  }
}

interface DeviceRow {
  readonly id: string;
  readonly online: boolean;
  readonly current: { readonly version: string } | null;
  readonly next: { readonly waits: string | null } | null;
}

interface OfferRow {
  readonly device: string;
  readonly mode: string;
  readonly state: string;
  readonly detail: string;
  readonly reported: boolean;
}

suite('devices behind a gateway', () => {
  let network: TestNetwork;
  let author: TestAuthor;
  let place: GatewayPlace;
  let gateway: Gateway;
  let owner: Owner;

  before(async () => {
    network = await startTestNetwork({ operators: 1 });
    author = await testAuthor(network);
    await author.declare('lamp');
    const line = author.line('lamp');
    place = await planGateway(network, {
      lines: [{ line, anchor: author.anchor, type: 'lamp', model: 'lamp', hardware: ['1.0'] }],
      groups: { asks: { validation: 'self' }, careful: { functional: 'consent' } },
    });
    gateway = await runGateway(place, network.clock);
    owner = new Owner(place);
    await author.publish({ version: '1.0.0', image: firmware('1.0.0') });
    await owner.poll();
  });

  after(async () => {
    await owner[Symbol.asyncDispose]();
    await gateway[Symbol.asyncDispose]();
    await network[Symbol.asyncDispose]();
  });

  const light = async (
    options: Partial<ConstructorParameters<typeof LightDevice>[1]> = {},
    group?: string,
  ): Promise<LightDevice> => {
    const enrolment = await enrolLight(await owner.bundle(), { ...LAMP, ...options });
    if (group !== undefined)
      await owner.call('PUT', `/v1/devices/${enrolment.device}/group`, { group });
    return new LightDevice(enrolment, { ...LAMP, pauses: [50, 200], ...options });
  };
  const row = async (id: string): Promise<DeviceRow> => {
    const found = (await owner.list<DeviceRow>('devices')).find((device) => device.id === id);
    assert.ok(found);
    return found;
  };
  const offersTo = async (id: string): Promise<readonly OfferRow[]> =>
    owner.list<OfferRow>(`offers?device=${id}`);

  test('a full device checks for itself, installs, and its report counts', async () => {
    const made = network.device([{ line: author.line('lamp'), anchor: author.anchor }]);
    const folder = join(made.folder, 'gateway');
    const enrolled = await enrolDevice(folder, { bundle: await owner.bundle('lamp'), ...LAMP });
    assert.deepEqual(await openEnrolment(folder), enrolled);
    const events: OfferEvent[] = [];
    await using full = await openGatewayDevice(made.folder, {
      enrolment: enrolled,
      device: { clock: network.clock },
      offers: { mode: 'force', onEvent: (event) => events.push(event) },
    });
    await eventually('it runs 1.0.0', () => full.device.slots.state.active !== null);
    await eventually(
      'reported',
      async () => (await offersTo(enrolled.device))[0]?.reported === true,
    );
    const [offer] = await offersTo(enrolled.device);
    assert.equal(offer?.state, 'installed');
    assert.equal(offer?.mode, 'force');
    assert.equal((await row(enrolled.device)).current?.version, '1.0.0');
    assert.equal(full.device.bootloader.status.kind, 'running');
  });

  test('small devices of both tiers get it when they come', async () => {
    await using certified = await light();
    await using keyed = await light({ tier: 'psk' });
    await certified.runs('1.0.0');
    await keyed.runs('1.0.0');
    for (const { id } of [certified, keyed])
      await eventually('told', async () => (await offersTo(id))[0]?.state === 'installed');
  });

  test('self validation: nothing comes until the device asks', async () => {
    await using quiet = await light({}, 'asks');
    await eventually('heard of', async () => (await row(quiet.id)).next?.waits === 'until it asks');
    assert.deepEqual(await offersTo(quiet.id), []);
    await using asking = await light({ mode: 'self', interval: 100 }, 'asks');
    await asking.runs('1.0.0');
    assert.equal((await offersTo(asking.id))[0]?.mode, 'self');
  });

  test('a device whose owner is asked first gets it on the word', async () => {
    await using careful = await light({}, 'careful');
    await eventually('it waits', async () => (await row(careful.id)).next?.waits === 'consent');
    assert.deepEqual(await offersTo(careful.id), []);
    await owner.call('POST', '/v1/decisions/consent', { device: careful.id });
    await careful.runs('1.0.0');
  });

  test('a low battery postpones, and the offer stands', async () => {
    let battery = 10;
    // The gateway heard of a full one: the device itself looks again when it begins.
    let hellos = 0;
    await using tired = await light({
      battery: () => (hellos++ === 0 ? 100 : battery),
      retry: [50, 100],
    });
    await tired.event((event) => event.type === 'attempt' && event.state === 'postponed');
    await eventually('told', async () => (await offersTo(tired.id))[0]?.state === 'postponed');
    assert.equal(tired.running.version, '');
    battery = 90;
    await tired.runs('1.0.0');
  });

  test('a failed trial is told, and not tried again at once', async () => {
    await using unlucky = await light({
      outcome: () => ({ state: 'rolled-back', detail: 'DEVICE_TRIAL_FAILED' }),
    });
    await eventually('told', async () => (await offersTo(unlucky.id))[0]?.state === 'rolled-back');
    await owner.poll();
    assert.equal((await offersTo(unlucky.id)).length, 1);
    assert.equal((await row(unlucky.id)).next?.waits, 'retry later');
  });

  test('who is revoked is cut off and stays out', async () => {
    await using gone = await light();
    await gone.runs('1.0.0');
    const from = gone.events.length;
    await owner.call('POST', `/v1/devices/${gone.id}/revoke`);
    await gone.event((event) => event.type === 'gateway-lost', 10_000, from);
    await sleep(500);
    assert.equal((await row(gone.id)).online, false);
    assert.ok(!gone.events.slice(from).some((event) => event.type === 'gateway-connected'));
  });

  test('a gateway that comes back finds its devices, and who was away gets the offer on return', async () => {
    await using staying = await light();
    await staying.runs('1.0.0');
    const away = await light();
    await away.runs('1.0.0');
    const { enrolment, running } = away;
    await away[Symbol.asyncDispose]();
    await author.publish({ version: '1.1.0', image: firmware('1.1.0') });
    const from = staying.events.length;
    await gateway[Symbol.asyncDispose]();
    // Its devices are served though no node is there.
    await network.stop('a/n1');
    gateway = await runGateway(place, network.clock);
    await staying.event((event) => event.type === 'gateway-connected', 30_000, from);
    await network.start('a/n1');
    await owner.poll();
    await staying.runs('1.1.0');
    await using back = new LightDevice(enrolment, { ...LAMP, pauses: [50, 200] }, running);
    await back.runs('1.1.0');
  });

  test('a device of mosquitto_sub, mosquitto_pub, curl and a shell', async (t) => {
    const has = (tool: string): boolean => spawnSync('which', [tool]).status === 0;
    const present = has('mosquitto_sub') && has('mosquitto_pub') && has('curl');
    if (!requirePart(t, 'mosquitto', present, MOSQUITTO)) return;
    const folder = join(network.folder, 'shell-device');
    const enrol = ['enrol', folder, await owner.bundle('lamp'), 'lamp', 'lamp', '1.0'];
    const child = spawn('sh', [SHELL_DEVICE, ...enrol], { stdio: ['ignore', 'pipe', 'inherit'] });
    let id = '';
    child.stdout.on('data', (chunk: Uint8Array) => (id += new TextDecoder().decode(chunk)));
    assert.deepEqual(await once(child, 'close'), [0, null]);
    id = id.trim();
    // A group of its own: mosquitto_sub is a child of the shell.
    const running = spawn('sh', [SHELL_DEVICE, 'run', folder, 'force', '20'], {
      detached: true,
      stdio: ['ignore', 'ignore', 'inherit'],
    });
    try {
      await eventually('told', async () => (await offersTo(id))[0]?.state === 'installed');
      const { current } = await row(id);
      assert.equal(readFileSync(join(folder, 'version'), 'utf8'), current?.version);
      assert.ok(readFileSync(join(folder, 'image')).length === 20_000);
    } finally {
      process.kill(-(running.pid as number), 'SIGKILL');
      await once(running, 'close');
    }
    const wrong = spawn('sh', [
      SHELL_DEVICE,
      ...enrol.with(2, `${enrol[2]}`.replace(/r=../, 'r=zz')),
    ]);
    assert.deepEqual(await once(wrong, 'close'), [1, null]);
    const other = `${enrol[2]}`.replace(/r=[0-9a-f]{4}/, 'r=0000');
    const stranger = spawn('sh', [SHELL_DEVICE, ...enrol.with(2, other)]);
    let says = '';
    stranger.stderr.on('data', (chunk: Uint8Array) => (says += new TextDecoder().decode(chunk)));
    assert.deepEqual(await once(stranger, 'close'), [1, null]);
    assert.match(says, /another root/);
  });
});
