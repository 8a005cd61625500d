// A gateway is copied while it runs, and becomes another one's place: nothing of then is good twice (T25, T29).
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
import { restoreBackup } from '../../src/gateway/backup.ts';
import { enrolLight, LightDevice } from '../../src/testing/light-device.ts';
import type { TestNetwork } from '../../src/testing/network.ts';
import { runCommand } from '../../src/testing/processes.ts';
import { eventually, LAMP, lampWorld, QUICK, type LampWorld, type OfferRow } from './lamp-world.ts';

suite('backup of a gateway', () => {
  let network: TestNetwork;
  let world: LampWorld;

  before(async () => {
    world = await lampWorld();
    ({ network } = world);
  });
  after(() => world[Symbol.asyncDispose]());

  test('a backup of a running gateway becomes one elsewhere, and nothing of then is good twice', async () => {
    const { version } = await world.publish();
    const place = await world.plan();
    const first = await world.start(place);
    const { owner } = first;
    await using stack = new AsyncDisposableStack();
    stack.use(first.gateway);
    await owner.poll();
    const lamp = new LightDevice(await enrolLight(await owner.bundle(), LAMP), QUICK);
    const psk = { ...LAMP, tier: 'psk' as const };
    const keyed = new LightDevice(await enrolLight(await owner.bundle(), psk), QUICK);
    await lamp.runs(version);
    await keyed.runs(version);
    await lamp[Symbol.asyncDispose]();
    await keyed[Symbol.asyncDispose]();
    const away = await enrolLight(await owner.bundle(), LAMP);
    const later = await world.publish();
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
    const second = await world.start(place);
    await using gateway = second.gateway;
    await using asking = second.owner;
    assert.equal(gateway.rootHash, first.gateway.rootHash);
    await assert.rejects(enrolLight(spent, LAMP), { code: 'ENROLMENT_CODE_INVALID' });
    await using back = new LightDevice(lamp.enrolment, QUICK, lamp.running);
    await using keyedBack = new LightDevice(keyed.enrolment, QUICK, keyed.running);
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
    await using vetoed = new LightDevice(away, QUICK);
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
