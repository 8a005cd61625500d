import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { equal } from '../bytes.ts';
import { decodeKey, thumbprint } from '../cose/key.ts';
import { fixtureNetwork } from '../testing/fixture.ts';
import {
  createAuthor,
  openAuthor,
  pinnedRoot,
  pinRoot,
  requireRoot,
  unlockAuthor,
} from './author.ts';
import { openCounters } from './counters.ts';
import { openKeyFile } from './keys.ts';

const options = {
  name: 'Acme',
  passphrase: 'p',
  random: (length: number): Uint8Array => new Uint8Array(randomBytes(length)),
  clock: () => 1_800_000_000,
  cost: { N: 1024, r: 8, p: 1 },
};
let folder: string;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'firmament-author-'));
});
after(() => rm(folder, { recursive: true }));

test('a new author has a release key and recovery keys in files of their own', async () => {
  const directory = join(folder, 'one');
  const made = await createAuthor({
    ...options,
    directory,
    recoveryKeys: 3,
    recoveryPassphrase: 'r',
  });
  const author = await openAuthor(directory, options.clock);
  assert.deepEqual(author.id, made.id);
  assert.equal(author.threshold, 2);
  assert.deepEqual(
    author.recovery.map(({ file }) => file),
    ['recovery-1.key', 'recovery-2.key', 'recovery-3.key'],
  );
  // What devices are provisioned with names the author.
  const anchor = new Uint8Array(await readFile(join(directory, 'release.pub')));
  assert.deepEqual(thumbprint(decodeKey(anchor)), author.id);
  const { key } = await unlockAuthor(author, 'p');
  assert.equal(key.curve, 'P-256');
  for (const { file, publicKey } of author.recovery) {
    const spare = await openKeyFile(join(directory, file), 'r');
    assert.deepEqual(spare.publicKey, publicKey);
    assert.ok(!equal(spare.secret, key.secret));
  }
  await assert.rejects(unlockAuthor(author, 'q'), { code: 'AUTHOR_PASSPHRASE_WRONG' });
  await assert.rejects(createAuthor({ ...options, directory }), { code: 'AUTHOR_FILE_EXISTS' });
});

test('an author that no registry would take is not made', async () => {
  const directory = join(folder, 'never');
  const bad = [
    { recoveryKeys: 0 },
    { recoveryKeys: 9 },
    { threshold: 2 },
    { name: '' },
    { name: 'a\nb' },
  ];
  for (const change of bad)
    await assert.rejects(createAuthor({ ...options, directory, ...change }), {
      code: 'AUTHOR_INVALID',
    });
});

test('a folder of another key than its author file says is refused', async () => {
  const [one, two] = [join(folder, 'mixed-1'), join(folder, 'mixed-2')];
  await createAuthor({ ...options, directory: one });
  const other = await createAuthor({ ...options, directory: two });
  await assert.rejects(unlockAuthor({ ...other, directory: one }, 'p'), {
    code: 'AUTHOR_FILE_INVALID',
  });
  await writeFile(join(one, 'author.json'), '{"type":"firmament/author/v1"}');
  await assert.rejects(openAuthor(one, options.clock), { code: 'AUTHOR_FILE_INVALID' });
});

test('a network is pinned once', async () => {
  const author = await createAuthor({ ...options, directory: join(folder, 'pinned') });
  await assert.rejects(requireRoot(author), { code: 'AUTHOR_NETWORK' });
  const { root } = fixtureNetwork();
  await pinRoot(author, root.bytes);
  await pinRoot(author, root.bytes);
  assert.deepEqual((await pinnedRoot(author))?.networkId, root.networkId);
  const other = fixtureNetwork({ label: 'other' }).root;
  await assert.rejects(pinRoot(author, other.bytes), { code: 'AUTHOR_NETWORK' });
  await assert.rejects(pinRoot(author, new Uint8Array(3)), { code: 'POLICY_MALFORMED' });
});

test('counters grow across restarts, also when the clock goes back', async () => {
  const directory = join(folder, 'counters');
  let now = 1_800_000_000;
  const clock = (): number => now;
  assert.deepEqual(await openCounters(directory, clock).next(2), [
    1_800_000_000_000n,
    1_800_000_000_001n,
  ]);
  now -= 1000;
  assert.deepEqual(await openCounters(directory, clock).next(1), [1_800_000_000_002n]);
  now += 5000;
  assert.deepEqual(await openCounters(directory, clock).next(1), [1_800_004_000_000n]);
  await writeFile(join(directory, 'counter.json'), '{"type":"firmament/counter/v1","last":"many"}');
  await assert.rejects(openCounters(directory, clock).next(1), { code: 'AUTHOR_FILE_INVALID' });
});
