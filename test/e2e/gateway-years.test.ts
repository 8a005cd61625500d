// What happens to a gateway over the years: policies change, files get lost, nodes lie, it is moved to another machine.
import assert from 'node:assert/strict';
import { rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { sha256 } from '#crypto';
import { hex } from '../../src/bytes.ts';
import { enrolDevice } from '../../src/device/enrolment.ts';
import { buildSampleFirmware } from '../../src/device/firmware/sample.ts';
import { openGatewayDevice, type GatewayDevice } from '../../src/device/gateway-device.ts';
import type { Gateway } from '../../src/gateway/gateway.ts';
import { submitPolicy } from '../../src/node/submit-policy.ts';
import { Owner, planGateway, runGateway, type GatewayPlace } from '../../src/testing/gateway.ts';
import { changedPolicy, governanceKeys, type Changed } from '../../src/testing/governance.ts';
import { enrolLight, LightDevice } from '../../src/testing/light-device.ts';
import { startTestNetwork, type TestNetwork } from '../../src/testing/network.ts';
import { testAuthor, type TestAuthor } from '../../src/testing/network-author.ts';

const LAMP = { type: 'lamp', model: 'lamp', hardware: '1.0' };

async function eventually(what: string, holds: () => Promise<boolean> | boolean): Promise<void> {
  const end = performance.now() + 30_000;
  while (!(await holds())) {
    assert.ok(performance.now() < end, what);
    await sleep(50);
  }
}

suite('a gateway over the years', () => {
  let network: TestNetwork;
  let author: TestAuthor;
  const cleanup = new AsyncDisposableStack();
  let versions = 0;

  before(async () => {
    network = cleanup.use(await startTestNetwork({ operators: 2 }));
    author = await testAuthor(network);
    await author.declare('lamp');
  });
  after(() => cleanup.disposeAsync());

  const publish = async (): Promise<{ readonly version: string; readonly image: Uint8Array }> => {
    const version = `${++versions}.0.0`;
    const image = buildSampleFirmware({ version, model: 'lamp', size: 20_000 });
    await author.publish({ version, image });
    return { version, image };
  };
  const plan = (rootFile = network.rootFile): Promise<GatewayPlace> =>
    planGateway(
      { folder: network.folder, rootFile },
      {
        lines: [{ line: author.line('lamp'), anchor: author.anchor, ...LAMP, hardware: ['1.0'] }],
      },
    );
  const start = async (place: GatewayPlace): Promise<{ gateway: Gateway; owner: Owner }> => {
    const gateway = await runGateway(place, network.clock);
    return { gateway, owner: new Owner(place) };
  };
  const fullDevice = async (owner: Owner): Promise<GatewayDevice> => {
    const { folder } = network.device([{ line: author.line('lamp'), anchor: author.anchor }]);
    const gateway = join(folder, 'gateway');
    const bundle = await owner.bundle('lamp');
    return openGatewayDevice(folder, {
      enrolment: await enrolDevice(gateway, { bundle, ...LAMP }),
      device: { clock: network.clock },
      offers: { mode: 'force', pauses: [50, 200], retry: [50, 200] },
    });
  };
  const runs = (device: GatewayDevice, image: Uint8Array): Promise<void> =>
    eventually('it runs the image', () => {
      const { slots } = device.device;
      const { active } = slots.state;
      return active !== null && slots.state.slots[active]?.sha256 === hex(sha256(image));
    });

  test('an image that is lost or cut short on the disk comes again', async () => {
    const { version, image } = await publish();
    const place = await plan();
    const { gateway, owner } = await start(place);
    await using running = gateway;
    await using asking = owner;
    const hardware = { ...LAMP, pauses: [50, 200] as const, retry: [50, 200] as const };
    await using first = new LightDevice(await enrolLight(await owner.bundle(), LAMP), hardware);
    await owner.poll();
    await first.runs(version);
    const file = join(place.folder, 'data', 'images', hex(sha256(image)));
    for (const harm of [() => rmSync(file), () => truncateSync(file, 10_000)]) {
      harm();
      await using next = new LightDevice(await enrolLight(await asking.bundle(), LAMP), hardware);
      await next.runs(version);
    }
    assert.ok(running.https > 0);
    const said = (await owner.list<{ readonly detail: string }>('events')).map(
      ({ detail }) => detail,
    );
    for (const word of ['missing', 'damaged'])
      assert.equal(said.filter((detail) => detail.endsWith(`was ${word} here`)).length, 1, word);
  });

  test('T08: a device that pins an older root than its gateway gets the changes that lead on', async () => {
    const folder = join(network.folder, 'network');
    const keys = governanceKeys(folder, ['a', 'b']);
    const changes: Changed[] = [];
    let from = network.root;
    for (const maxHold of [1800, 900]) {
      const change = changedPolicy(from, { maxHold }, keys);
      await submitPolicy({ ...change, from, to: change.root, timeoutMs: 20_000 });
      changes.push(change);
      from = change.root;
    }
    const rootFile = join(network.folder, 'newest-root.cbor');
    writeFileSync(rootFile, from.bytes);
    const { image } = await publish();
    const place = await plan(rootFile);
    const { gateway, owner } = await start(place);
    await using running = gateway;
    await using asking = owner;
    await owner.poll();
    await using device = await fullDevice(asking);
    await runs(device, image);
    assert.equal(device.device.root.root.policy.version, 3);
    assert.ok(running.https > 0);
  });
});
