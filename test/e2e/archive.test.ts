import assert from 'node:assert/strict';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { exportRelease, restoreImages } from '../../src/author/archive.ts';
import { decodeMissing } from '../../src/api/registration.ts';
import { hex } from '../../src/bytes.ts';
import type { PollResult } from '../../src/device/agent.ts';
import type { DeviceOptions } from '../../src/device/device.ts';
import { openArchive } from '../../src/store/archive.ts';
import { testAuthor, type TestAuthor, type TestRelease } from '../../src/testing/network-author.ts';
import { startTestNetwork, type TestDevice, type TestNetwork } from '../../src/testing/network.ts';

const YEARS = 10 * 365 * 86_400;
let network: TestNetwork;
let author: TestAuthor;
let old: TestRelease;
let newest: TestRelease;
let archive: string;
/** At 1.0.0. */
let early: TestDevice;

const later = (): number => network.clock() + YEARS;
const out = (name: string): string => join(network.folder, name);

function exported(release: TestRelease, file: string) {
  return exportRelease(author.session.network, release.digest, {
    out: file,
    patience: { timeoutMs: 20_000 },
    now: network.clock(),
  });
}

before(async () => {
  network = await startTestNetwork({ operators: 3, policy: { copies: 2, copiesElsewhere: 1 } });
  author = await testAuthor(network);
  old = await author.publish({ version: '1.0.0' });
  early = network.device([{ line: author.line(), anchor: author.anchor }]);
  await using device = await early.open();
  assert.equal((await device.agent.poll()).version, '1.0.0');
  newest = await author.publish({ version: '2.0.0', size: 600_000 });
  archive = out('newest.car');
  const made = await exported(newest, archive);
  assert.deepEqual([made.version, made.links, made.freshness], ['2.0.0', 1, 'fresh(own clock)']);
});
after(() => network[Symbol.asyncDispose]());

type Stale = Parameters<TestNetwork['device']>[1];

async function poll(
  staleInstall: Stale,
  options: Partial<DeviceOptions>,
): Promise<{ readonly result: PollResult; readonly image: Uint8Array | undefined }> {
  const made = network.device([{ line: author.line(), anchor: author.anchor }], staleInstall);
  await using device = await made.open({ archives: [archive], ...options });
  const result = await device.agent.poll();
  const { active } = device.slots.state;
  if (active === null) return { result, image: undefined };
  return { result, image: new Uint8Array(await readFile(device.slots.path(active))) };
}

test('an archive is what a node answered, and nothing is left beside it', async () => {
  await using read = await openArchive(archive);
  assert.deepEqual(read.release, newest.digest);
  assert.deepEqual(
    read.images.map(({ size }) => size),
    [600_000],
  );
  assert.deepEqual(read.root, network.root.bytes);
  assert.deepEqual(
    readdirSync(network.folder).filter((name) => name.startsWith('.')),
    [],
  );
  await assert.rejects(exported(newest, archive), { code: 'AUTHOR_FILE_EXISTS' });
});

test('what the line does not offer is not exported', async () => {
  await assert.rejects(exported(old, out('old.car')), { code: 'TRUST_NOT_NEWEST' });
});

test('a young archive installs without consent, and without any network', async () => {
  const { result, image } = await poll('never', {});
  assert.equal(result.outcome, 'installed', String(result.code));
  assert.equal(result.freshness, 'fresh(own clock)');
  assert.deepEqual(image, newest.image);
});

test('all cosigners gone: a factory-new device installs with consent and not without (T18)', async () => {
  const clock = later;
  const without = await poll('consent', { clock });
  assert.deepEqual([without.result.code, without.image], ['DEVICE_CONSENT_NEEDED', undefined]);
  const never = await poll('never', { clock, consent: true });
  assert.deepEqual([never.result.code, never.image], ['TRUST_STALE', undefined]);
  for (const [stale, consent] of [
    ['consent', true],
    ['allow', false],
  ] as const) {
    const { result, image } = await poll(stale, { clock, consent });
    assert.deepEqual([result.outcome, result.freshness], ['installed', 'stale(age)']);
    assert.deepEqual(image, newest.image);
  }
});

test('an archive of a release that was withdrawn since is refused once the device knows', async () => {
  const device = network.device([{ line: author.line(), anchor: author.anchor }], 'allow');
  const three = await author.publish({ version: '3.0.0' });
  const file = out('three.car');
  await exported(three, file);
  await author.withdraw(three);
  {
    await using open = await device.open();
    assert.equal((await open.agent.poll()).version, '2.0.0');
  }
  await using offline = await device.open({ archives: [file] });
  const { code } = await offline.agent.poll();
  assert.equal(code, 'TRUST_HEAD_ROLLBACK');
});

test('a device that needs a waypoint takes two archives, one after the other', async () => {
  const { sequence, digest: via } = newest;
  const claims = { applies: [sequence, sequence + 1n], via } as const;
  const four = await author.publish({ version: '4.0.0', claims });
  const files = [out('four.car'), out('via.car')] as const;
  await exported(four, files[0]);
  await exported(newest, files[1]);
  const open = (archives: readonly string[]) =>
    early.open({ archives, clock: later, consent: true });
  {
    await using alone = await open([files[0]]);
    assert.equal((await alone.agent.poll()).code, 'RELEASE_UNKNOWN');
  }
  await using device = await open(files);
  for (const version of ['2.0.0', '4.0.0']) {
    const result = await device.agent.poll();
    assert.deepEqual(
      [result.version, result.freshness],
      [version, 'stale(age)'],
      String(result.message),
    );
  }
  assert.equal((await device.agent.poll()).outcome, 'up-to-date');
});

test('a damaged or shortened archive is refused', async () => {
  const bytes = new Uint8Array(await readFile(archive));
  const changed = bytes.slice();
  changed[bytes.length - 1000]! ^= 1;
  await writeFile(out('damaged.car'), changed);
  await assert.rejects(openArchive(out('damaged.car')), { code: 'STORE_DIGEST_MISMATCH' });
  await writeFile(out('short.car'), bytes.subarray(0, bytes.length - 1000));
  await assert.rejects(openArchive(out('short.car')), { code: 'STORE_CAR_MALFORMED' });
});

test('a node that lost its blocks, and is alone, gets them back by hand', async () => {
  const name = network.names[0] as string;
  for (const each of network.names) await network.stop(each);
  await rm(join(network.config(name).data, 'blocks'), { recursive: true });
  await network.start(name);
  await using read = await openArchive(archive);
  const client = network.client();
  const missing = async (): Promise<number> => {
    const url = network.url(name, `/v1/images/${hex(read.images[0]!.digest)}/missing`);
    return decodeMissing((await client.request({ url, maxBytes: 1 << 20 })).body).length;
  };
  assert.equal(await missing(), 3);
  const { network: reached } = author.session;
  await restoreImages(reached, network.named(name), read, { timeoutMs: 20_000 });
  assert.equal(await missing(), 0);
});
