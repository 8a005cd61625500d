// What happens to a gateway over the years: policies change, files get lost, nodes lie, it is moved to another machine.
import assert from 'node:assert/strict';
import {
  existsSync,
  globSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { sha256 } from '#crypto';
import { hex } from '../../src/bytes.ts';
import { enrolDevice } from '../../src/device/enrolment.ts';
import { buildSampleFirmware } from '../../src/device/firmware/sample.ts';
import { openGatewayDevice, type GatewayDevice } from '../../src/device/gateway-device.ts';
import { restoreBackup } from '../../src/gateway/backup.ts';
import type { Gateway } from '../../src/gateway/gateway.ts';
import { submitPolicy } from '../../src/node/submit-policy.ts';
import { Owner, planGateway, runGateway, type GatewayPlace } from '../../src/testing/gateway.ts';
import { changedPolicy, governanceKeys, type Changed } from '../../src/testing/governance.ts';
import { enrolLight, LightDevice } from '../../src/testing/light-device.ts';
import { startTestNetwork, type TestNetwork } from '../../src/testing/network.ts';
import { testAuthor, type TestAuthor } from '../../src/testing/network-author.ts';
import { runCommand } from '../../src/testing/processes.ts';

interface OfferRow {
  readonly offer: string;
  readonly state: string;
  readonly reported: boolean;
}

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

  test('a backup of a running gateway becomes one elsewhere, and nothing of then is good twice', async () => {
    const { version } = await publish();
    const place = await plan();
    const first = await start(place);
    const { owner } = first;
    await using stack = new AsyncDisposableStack();
    stack.use(first.gateway);
    await owner.poll();
    const hardware = { ...LAMP, pauses: [50, 200] as const };
    const lamp = new LightDevice(await enrolLight(await owner.bundle(), LAMP), hardware);
    const psk = { ...LAMP, tier: 'psk' as const };
    const keyed = new LightDevice(await enrolLight(await owner.bundle(), psk), hardware);
    await lamp.runs(version);
    await keyed.runs(version);
    await lamp[Symbol.asyncDispose]();
    await keyed[Symbol.asyncDispose]();
    const away = await enrolLight(await owner.bundle(), LAMP);
    const later = await publish();
    await owner.poll();
    const open = (await owner.list<OfferRow>(`offers?device=${lamp.id}`))[0];
    assert.equal(open?.state, 'offered');
    const spent = await owner.bundle();
    await owner.call('POST', '/v1/decisions/consent', { device: lamp.id });
    await owner.call('POST', '/v1/decisions/veto', { device: away.device });

    const directory = join(network.folder, 'backup');
    const backup = ['gateway', 'backup', directory, '--config', place.config];
    // It goes on while it is copied.
    const [copied] = await Promise.all([runCommand(backup), owner.poll()]);
    assert.equal(copied.code, 0, copied.stderr.join('\n'));
    assert.match(copied.stdout.join('\n'), /3 devices, 2 images/);
    const again = await runCommand(backup);
    assert.match(again.stderr.join('\n'), /GATEWAY_BACKUP_EXISTS/);
    const files = globSync('**', { cwd: directory }).filter((name) => !/[0-9a-f]{64}/.test(name));
    assert.deepEqual(files.toSorted(), [
      '.',
      'authority',
      join('authority', 'authority.pem'),
      'backup.json',
      'gateway.db',
      'images',
    ]);
    for (const name of ['', 'gateway.db', join('authority', 'authority.pem')])
      assert.equal(statSync(join(directory, name)).mode & 0o077, 0, name);
    assert.ok(!existsSync(join(place.folder, 'data', 'snapshot.db')));
    // After the copy: a code is spent, and the gateway is gone for good.
    await enrolLight(spent, LAMP);
    await owner[Symbol.asyncDispose]();
    await first.gateway[Symbol.asyncDispose]();
    const resting = ['gateway', 'backup', `${directory}-2`, '--config', place.config];
    assert.equal((await runCommand(resting)).code, 0);

    const moved = JSON.parse(readFileSync(place.config, 'utf8')) as object;
    const config = join(place.folder, 'moved.json');
    writeFileSync(config, JSON.stringify({ ...moved, data: 'elsewhere' }));
    const restore = ['gateway', 'restore', directory, '--config', config];
    assert.equal((await runCommand(restore)).code, 0);
    const twice = await runCommand(restore);
    assert.match(twice.stderr.join('\n'), /GATEWAY_RESTORE_OCCUPIED/);
    rmSync(join(place.folder, 'data'), { recursive: true });
    renameSync(join(place.folder, 'elsewhere'), join(place.folder, 'data'));
    const second = await start(place);
    await using gateway = second.gateway;
    await using asking = second.owner;
    assert.equal(gateway.rootHash, first.gateway.rootHash);
    await assert.rejects(enrolLight(spent, LAMP), { code: 'ENROLMENT_CODE_INVALID' });
    await using back = new LightDevice(lamp.enrolment, hardware, lamp.running);
    await using keyedBack = new LightDevice(keyed.enrolment, hardware, keyed.running);
    await back.runs(later.version);
    await keyedBack.runs(later.version);
    let offers: readonly OfferRow[] = [];
    await eventually('told', async () => {
      offers = await asking.list<OfferRow>(`offers?device=${lamp.id}`);
      return offers[0]?.state === 'installed';
    });
    assert.deepEqual(
      offers.map(({ state, reported }) => [state, reported]),
      [
        ['installed', false],
        ['superseded', true],
        ['installed', true],
      ],
    );
    assert.ok(!offers.slice(0, 1).some(({ offer }) => offer === open?.offer));
    // What forbids is kept.
    await using vetoed = new LightDevice(away, hardware);
    await vetoed.event(({ type }) => type === 'gateway-connected');
    await asking.poll();
    assert.deepEqual(await asking.list(`offers?device=${away.device}`), []);
  });

  test('an unfinished backup, a damaged and a foreign one are refused', async () => {
    const directory = join(network.folder, 'backup');
    const restoreTo = (data: string): Promise<unknown> =>
      restoreBackup({ data: join(network.folder, data) }, directory, network.clock());
    const description = join(directory, 'backup.json');
    const said = readFileSync(description, 'utf8');
    const INVALID = { code: 'GATEWAY_BACKUP_INVALID' };
    for (const wrong of [
      '',
      '{}',
      said.replace('gateway-backup/v1', 'gateway-backup/v2'),
      said.replace(/"root": "../, '"root": "xx'),
      said.replace('"devices": 3', '"devices": 4'),
    ]) {
      writeFileSync(description, wrong);
      await assert.rejects(restoreTo('not-there'), INVALID, wrong);
    }
    writeFileSync(description, said);
    const [image = ''] = globSync('images/*', { cwd: directory });
    writeFileSync(join(directory, image), 'another image');
    const { images } = (await restoreTo('with-one-image')) as { readonly images: number };
    assert.equal(images, 1);
    truncateSync(join(directory, 'gateway.db'), 10_000);
    await assert.rejects(restoreTo('not-there'), INVALID);
    assert.ok(!existsSync(join(network.folder, 'not-there')));
  });
});
