// Two authors, one gateway and forty devices: full ones with two slots and with one, small ones of both tiers, and one of a shell. They
// are behind the embedded broker and then, the same ones, behind Mosquitto. While releases travel the gateway is killed, the broker
// is killed, a node goes: nothing is lost.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { hex } from '../../src/bytes.ts';
import { enrolDevice } from '../../src/device/enrolment.ts';
import { buildSampleFirmware } from '../../src/device/firmware/sample.ts';
import { p256PrivatePem } from '../../src/net/certificate-request.ts';
import { freePorts } from '../../src/testing/free-ports.ts';
import { Owner, planGateway, setBroker, type GatewayPlace } from '../../src/testing/gateway.ts';
import {
  enrolLight,
  LightDevice,
  type LightDeviceOptions,
} from '../../src/testing/light-device.ts';
import { MOSQUITTO, startMosquitto } from '../../src/testing/mosquitto.ts';
import { startTestNetwork, type TestNetwork } from '../../src/testing/network.ts';
import { testAuthor, type TestAuthor } from '../../src/testing/network-author.ts';
import { startCommand, type RunningCommand } from '../../src/testing/processes.ts';
import { requirePart } from '../../src/testing/require.ts';
import { hasShellDevice, ShellDevice } from '../../src/testing/shell-device.ts';

const LAMP = { type: 'lamp', model: 'lamp', hardware: '1.0' };
const LOCK = { type: 'lock', model: 'lock', hardware: '2' };
const PATIENT = 60_000;
const LONG = { timeout: 180_000 };
const HOW = 'apt-get install mosquitto mosquitto-clients curl';

interface OfferRow {
  readonly device: string;
  readonly digest: string;
  readonly state: string;
}

suite('two authors, forty devices', () => {
  let network: TestNetwork;
  let lamps: TestAuthor;
  let locks: TestAuthor;
  const cleanup = new AsyncDisposableStack();

  before(async () => {
    network = cleanup.use(await startTestNetwork({ operators: 4 }));
    lamps = await testAuthor(network);
    locks = await testAuthor(network);
    await lamps.declare('lamp');
    await locks.declare('lock');
    await publish('1.0.0');
  });
  after(() => cleanup.disposeAsync());

  async function publish(version: string): Promise<void> {
    for (const [author, model] of [
      [lamps, 'lamp'],
      [locks, 'lock'],
    ] as const)
      await author.publish({
        line: author.line(model),
        version,
        image: buildSampleFirmware({ version, model, size: 30_000 }),
      });
  }

  function followed(): Parameters<typeof planGateway>[1] {
    return {
      lines: [
        { line: lamps.line('lamp'), anchor: lamps.anchor, ...LAMP, hardware: ['1.0'] },
        { line: locks.line('lock'), anchor: locks.anchor, ...LOCK, hardware: ['1', '2'] },
      ],
      groups: { asks: { validation: 'self' } },
    };
  }

  async function startProcess(place: GatewayPlace): Promise<RunningCommand> {
    const gateway = startCommand(['gateway', 'start', place.config]);
    await gateway.event((event) => typeof event['rootHash'] === 'string');
    return gateway;
  }

  async function lightDevices(
    owner: Owner,
    count: number,
    options: (i: number) => LightDeviceOptions,
    group?: string,
  ): Promise<readonly LightDevice[]> {
    const devices: LightDevice[] = [];
    for (let i = 0; i < count; i++) {
      const wanted = { pauses: [50, 500] as const, ...options(i) };
      const enrolment = await enrolLight(await owner.bundle(), wanted);
      if (group !== undefined)
        await owner.call('PUT', `/v1/devices/${enrolment.device}/group`, { group });
      devices.push(cleanup.use(new LightDevice(enrolment, wanted)));
    }
    return devices;
  }

  /** Each device has installed each of so many releases once, and nothing failed. */
  async function everyOffer(owner: Owner, devices: number, releases: number): Promise<void> {
    const open = ['offered', 'accepted', 'downloading', 'installing', 'postponed'];
    const end = performance.now() + PATIENT;
    let offers = await owner.list<OfferRow>('offers?limit=1000');
    while (offers.some(({ state }) => open.includes(state))) {
      const left = offers.filter(({ state }) => open.includes(state));
      assert.ok(performance.now() < end, `without an end: ${JSON.stringify(left)}`);
      await sleep(100);
      offers = await owner.list<OfferRow>('offers?limit=1000');
    }
    const installed = offers.filter(({ state }) => state === 'installed');
    assert.equal(installed.length, releases * devices);
    const pairs = new Set(installed.map(({ device, digest }) => device + digest));
    assert.equal(pairs.size, releases * devices);
    assert.deepEqual(
      offers.filter(({ state }) => state === 'refused'),
      [],
    );
  }

  let place: GatewayPlace;
  let gateway: RunningCommand;
  let owner: Owner;
  const full: RunningCommand[] = [];
  const light: LightDevice[] = [];
  let shell: ShellDevice | undefined;

  const devices = (): number => full.length + light.length + (shell ? 1 : 0);

  async function allRun(version: string): Promise<void> {
    const end = performance.now() + PATIENT;
    await Promise.all([
      ...light.map((device) => device.runs(version, PATIENT)),
      ...full.map((device) =>
        device.event(
          ({ type, state, running }) =>
            type === 'attempt' &&
            state === 'installed' &&
            (running as { readonly version?: string }).version === version,
          PATIENT,
        ),
      ),
    ]);
    for (;;) {
      if (!shell || shell.version === version) return;
      assert.ok(performance.now() < end, `the shell device runs ${shell.version}`);
      await sleep(100);
    }
  }

  test('behind the embedded broker: force and self, kill -9, a node gone', LONG, async (t) => {
    place = await planGateway(network, followed());
    gateway = await startProcess(place);
    owner = cleanup.use(new Owner(place));
    await owner.poll();
    for (let i = 0; i < 3; i++) {
      const lines = [{ line: lamps.line('lamp'), anchor: lamps.anchor }];
      const { folder } = network.device(lines, 'consent', i === 2 ? 'single' : 'ab');
      await enrolDevice(join(folder, 'gateway'), { bundle: await owner.bundle('lamp'), ...LAMP });
      const mode = i === 0 ? ['--mode', 'self', '--interval', '1'] : [];
      full.push(cleanup.use(startCommand(['device', 'run', folder, '--gateway', ...mode])));
    }
    light.push(
      ...(await lightDevices(owner, 13, () => LAMP)),
      ...(await lightDevices(owner, 9, () => LOCK)),
      ...(await lightDevices(owner, 10, (i) => ({ ...(i % 2 ? LOCK : LAMP), tier: 'psk' }))),
      ...(await lightDevices(owner, 4, () => ({ ...LAMP, mode: 'self', interval: 500 }), 'asks')),
    );
    if (requirePart(t, 'mosquitto', hasShellDevice(), HOW)) {
      const folder = join(network.folder, 'shell-device');
      const bundle = await owner.bundle('lock');
      shell = cleanup.use(await ShellDevice.enrol(folder, bundle, ['lock', 'lock', '1']));
      shell.run(2);
      assert.equal(devices(), 40);
    }
    await allRun('1.0.0');

    await publish('2.0.0');
    await network.stop('a/n1');
    const polled = owner.poll().catch(() => undefined);
    await sleep(150);
    await gateway.kill();
    await polled;
    gateway = cleanup.use(await startProcess(place));
    await owner.poll();
    await allRun('2.0.0');
    await everyOffer(owner, devices(), 2);
    await network.start('a/n1');
  });

  test(
    'the same ones behind Mosquitto, which is killed with all that it retained',
    LONG,
    async (t) => {
      if (!requirePart(t, 'mosquitto', MOSQUITTO !== undefined, HOW)) return;
      // The gateway enrols as a device of its own, to be a client of the broker.
      const { device, credential } = await enrolLight(await owner.bundle(), {
        ...LAMP,
        type: 'gateway',
      });
      assert.ok(credential.tier === 'certificate');
      writeFileSync(join(place.folder, 'own.crt'), credential.certificatePem);
      writeFileSync(join(place.folder, 'own.key'), p256PrivatePem(credential.key), { mode: 0o600 });
      // Where the embedded one was: devices with a certificate notice nothing. Pre-shared keys have a port of their own.
      const { mqtt: port } = place.ports;
      const [pskPort = 0] = await freePorts(1);
      setBroker(place, {
        kind: 'external',
        url: `mqtts://127.0.0.1:${port}`,
        ca: 'data/authority/root.pem',
        certificate: 'own.crt',
        key: 'own.key',
      });
      await gateway.kill();
      await shell?.stop();
      const keys = new Map(shell ? [[shell.id, shell.psk]] : []);
      for (const [i, each] of light.entries()) {
        const { enrolment, running } = each;
        if (enrolment.credential.tier !== 'psk') continue;
        keys.set(enrolment.device, hex(enrolment.credential.psk));
        await each[Symbol.asyncDispose]();
        const moved = { ...enrolment, mqtt: `127.0.0.1:${pskPort}` };
        const { type, model, hardware } = enrolment;
        const options = { type, model, hardware, pauses: [50, 500] as const };
        light[i] = cleanup.use(new LightDevice(moved, options, running));
      }
      const authority = join(place.folder, 'data', 'authority');
      const broker = cleanup.use(
        await startMosquitto({
          folder: place.folder,
          port,
          authority,
          gateway: device,
          psk: { port: pskPort, keys },
        }),
      );
      gateway = cleanup.use(await startProcess(place));
      shell?.setPort(pskPort);
      shell?.run(2);
      await publish('3.0.0');
      await owner.poll();
      await allRun('3.0.0');

      await publish('4.0.0');
      const polled = owner.poll();
      await broker.kill();
      await polled;
      await broker.start();
      await allRun('4.0.0');
      await everyOffer(owner, devices(), 4);
    },
  );
});
