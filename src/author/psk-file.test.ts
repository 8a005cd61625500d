import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { sha256 } from '#crypto';
import { hex, utf8 } from '../bytes.ts';
import { preSharedKey } from '../registry/psk.ts';
import { createAuthor, openAuthor, unlockPsk } from './author.ts';
import { createPskFile, openPskFile } from './psk-file.ts';

const options = {
  random: (length: number) => new Uint8Array(randomBytes(length)),
  cost: { N: 1024, r: 8, p: 1 },
};
const clock = (): number => 0;
const psk = preSharedKey(sha256(utf8('psk')));
let folder: string;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'firmament-psk-'));
});
after(() => rm(folder, { recursive: true }));

test('a PSK comes back from its file with the passphrase, and only with it', async () => {
  const path = join(folder, 'psk.key');
  await createPskFile(path, psk, 'correct horse', options);
  assert.equal((await stat(path)).mode & 0o777, 0o600);
  assert.deepEqual(await openPskFile(path, 'correct horse'), psk);
  await assert.rejects(openPskFile(path, 'correct horsf'), { code: 'AUTHOR_PASSPHRASE_WRONG' });
  assert.ok(!(await readFile(path, 'utf8')).includes(hex(psk.key)));
});

test('a file that names another PSK is refused', async () => {
  const path = join(folder, 'renamed.key');
  await createPskFile(path, psk, 'p', options);
  const text = await readFile(path, 'utf8');
  await writeFile(path, text.replace(hex(psk.keyId), '00'.repeat(16)));
  await assert.rejects(openPskFile(path, 'p'), { code: 'AUTHOR_PASSPHRASE_WRONG' });
  const lying = join(folder, 'lying.key');
  await createPskFile(lying, { ...psk, keyId: new Uint8Array(16) }, 'p', options);
  await assert.rejects(openPskFile(lying, 'p'), { code: 'AUTHOR_FILE_INVALID' });
});

test('an author has a PSK when it was made with one, and that one only', async () => {
  const made = { name: 'Acme', passphrase: 'p', clock, ...options };
  const plain = await createAuthor({ ...made, directory: join(folder, 'plain') });
  assert.equal(plain.psk, undefined);
  assert.equal(await unlockPsk(plain, 'p'), undefined);
  const directory = join(folder, 'author');
  const author = await createAuthor({ ...made, directory, psk: true });
  const found = await unlockPsk(await openAuthor(directory, clock), 'p');
  assert.deepEqual(found?.keyId, author.psk);
  await rm(join(directory, 'psk.key'));
  await createPskFile(join(directory, 'psk.key'), psk, 'p', options);
  await assert.rejects(unlockPsk(author, 'p'), { code: 'AUTHOR_FILE_INVALID' });
});
