// Two authors, forty devices of every tier, an embedded and an external broker; and while releases travel, the gateway is
// killed, the broker is killed, a node goes: nothing is lost.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { enrolDevice } from '../../src/device/enrolment.ts';
import { buildSampleFirmware } from '../../src/device/firmware/sample.ts';
import { p256PrivatePem } from '../../src/net/certificate-request.ts';
import { freePorts } from '../../src/testing/free-ports.ts';
import {
  Owner,
  planGateway,
  runGateway,
  setBroker,
  type GatewayPlace,
} from '../../src/testing/gateway.ts';
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

const LAMP = { type: 'lamp', model: 'lamp', hardware: '1.0' };
const LOCK = { type: 'lock', model: 'lock', hardware: '2' };
const PATIENT = 60_000;

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

  async function everyOffer(owner: Owner, devices: number): Promise<void> {
    const open = ['offered', 'accepted', 'downloading', 'installing', 'postponed'];
    const end = performance.now() + PATIENT;
    let offers = await owner.list<OfferRow>('offers');
    while (offers.some(({ state }) => open.includes(state))) {
      assert.ok(performance.now() < end, 'an offer without an end');
      await sleep(100);
      offers = await owner.list<OfferRow>('offers');
    }
    // Each device has installed each of the two releases once, and nothing failed.
    const installed = offers.filter(({ state }) => state === 'installed');
    assert.equal(installed.length, 2 * devices);
    assert.equal(new Set(installed.map(({ device, digest }) => device + digest)).size, 2 * devices);
    assert.deepEqual(
      offers.filter(({ state }) => state === 'refused'),
      [],
    );
  }

  test(
    'embedded broker: force and self validation, kill -9, a node gone',
    { timeout: 180_000 },
    async () => {
      const place = await planGateway(network, followed());
      let gateway = await startProcess(place);
      const owner = cleanup.use(new Owner(place));
      await owner.poll();
      const full: RunningCommand[] = [];
      for (let i = 0; i < 3; i++) {
        const { folder } = network.device([{ line: lamps.line('lamp'), anchor: lamps.anchor }]);
        await enrolDevice(join(folder, 'gateway'), { bundle: await owner.bundle('lamp'), ...LAMP });
        const mode = i === 0 ? ['--mode', 'self', '--interval', '1'] : [];
        full.push(cleanup.use(startCommand(['device', 'run', folder, '--gateway', ...mode])));
      }
      const light = [
        ...(await lightDevices(owner, 12, () => LAMP)),
        ...(await lightDevices(owner, 6, () => LOCK)),
        ...(await lightDevices(owner, 7, () => ({ ...LOCK, tier: 'psk' }))),
        ...(await lightDevices(owner, 4, () => ({ ...LAMP, mode: 'self', interval: 500 }), 'asks')),
      ];
      const allRun = async (version: string): Promise<void> => {
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
      };
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
      await everyOffer(owner, full.length + light.length);
      await network.start('a/n1');
    },
  );

  test(
    'external broker: killed in the middle, with all that it retained',
    { timeout: 120_000 },
    async (t) => {
      const how = 'apt-get install mosquitto mosquitto-clients';
      if (!requirePart(t, 'mosquitto', MOSQUITTO !== undefined, how)) return;
      const place = await planGateway(network, followed());
      const [port = 0] = await freePorts(1);
      const first = await runGateway(place, network.clock);
      const owner = cleanup.use(new Owner(place));
      // The gateway enrols as a device of its own, to be a client of the broker.
      const { device, credential } = await enrolLight(await owner.bundle(), {
        ...LAMP,
        type: 'gateway',
      });
      assert.ok(credential.tier === 'certificate');
      writeFileSync(join(place.folder, 'own.crt'), credential.certificatePem);
      writeFileSync(join(place.folder, 'own.key'), p256PrivatePem(credential.key), { mode: 0o600 });
      setBroker(place, {
        kind: 'external',
        url: `mqtts://127.0.0.1:${port}`,
        ca: 'data/authority/root.pem',
        certificate: 'own.crt',
        key: 'own.key',
      });
      await first[Symbol.asyncDispose]();
      const authority = join(place.folder, 'data', 'authority');
      const { folder } = place;
      const broker = cleanup.use(
        await startMosquitto({ folder, port, authority, gateway: device }),
      );
      cleanup.use(await runGateway(place, network.clock));
      await publish('3.0.0');
      await owner.poll();
      const devices = [
        ...(await lightDevices(owner, 4, () => LAMP)),
        ...(await lightDevices(owner, 4, () => LOCK)),
      ];
      await Promise.all(devices.map((each) => each.runs('3.0.0', PATIENT)));
      await publish('4.0.0');
      const polled = owner.poll();
      await broker.kill();
      await polled;
      await broker.start();
      await Promise.all(devices.map((each) => each.runs('4.0.0', PATIENT)));
      await everyOffer(owner, devices.length);
    },
  );
});
