import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { randomBytes } from 'node:crypto';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fixtureKey } from '../testing/fixture.ts';
import { createKeyFile, openKeyFile, readKeyFile } from './keys.ts';
import { COST } from './sealed-file.ts';

const cost = { N: 1024, r: 8, p: 1 };
const random = (length: number): Uint8Array => new Uint8Array(randomBytes(length));
let folder: string;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'firmament-keys-'));
});
after(() => rm(folder, { recursive: true }));

test('a key comes back from its file with the passphrase, and only with it', async () => {
  for (const curve of ['P-256', 'Ed25519'] as const) {
    const path = join(folder, `${curve}.key`);
    const key = fixtureKey('k', curve);
    await createKeyFile(path, key, 'correct horse', { random, cost });
    assert.equal((await stat(path)).mode & 0o777, 0o600);
    assert.deepEqual(await openKeyFile(path, 'correct horse'), key);
    await assert.rejects(openKeyFile(path, 'correct horsf'), { code: 'AUTHOR_PASSPHRASE_WRONG' });
    await assert.rejects(openKeyFile(path, ''), { code: 'AUTHOR_PASSPHRASE_EMPTY' });
    const text = await readFile(path, 'utf8');
    assert.ok(!text.includes(key.secret.toHex()));
  }
});

test('the cost that files are made with is 2^17, 8, 1', async () => {
  const path = join(folder, 'full.key');
  await createKeyFile(path, fixtureKey('k'), 'p', { random });
  assert.deepEqual((await readKeyFile(path)).cost, { N: 131_072, r: 8, p: 1 });
  assert.deepEqual(COST, { N: 131_072, r: 8, p: 1 });
  assert.deepEqual(await openKeyFile(path, 'p'), fixtureKey('k'));
});

test('a key file is never overwritten', async () => {
  const path = join(folder, 'once.key');
  await createKeyFile(path, fixtureKey('one'), 'p', { random, cost });
  await assert.rejects(createKeyFile(path, fixtureKey('two'), 'p', { random, cost }), {
    code: 'AUTHOR_FILE_EXISTS',
  });
  assert.deepEqual(await openKeyFile(path, 'p'), fixtureKey('one'));
});

test('a changed file is refused, also one that asks for endless work', async () => {
  const path = join(folder, 'changed.key');
  await createKeyFile(path, fixtureKey('k'), 'p', { random, cost });
  const file = JSON.parse(await readFile(path, 'utf8'));
  const changed = async (change: object): Promise<void> =>
    writeFile(path, JSON.stringify({ ...file, ...change }));
  const kdf = file.kdf;
  const refused: [object, string][] = [
    [{ type: 'firmament/key/v2' }, 'AUTHOR_FILE_INVALID'],
    [{ kdf: { ...kdf, N: 2 ** 21 } }, 'AUTHOR_FILE_INVALID'],
    [{ kdf: { ...kdf, N: 2 ** 20, r: 32 } }, 'AUTHOR_FILE_INVALID'],
    [{ kdf: { ...kdf, N: 1000 } }, 'AUTHOR_FILE_INVALID'],
    [{ kdf: { ...kdf, name: 'none' } }, 'AUTHOR_FILE_INVALID'],
    [{ kdf: { ...kdf, salt: '00' } }, 'AUTHOR_FILE_INVALID'],
    [{ sealed: 'xyz' }, 'AUTHOR_FILE_INVALID'],
    [{ sealed: '00'.repeat(60) }, 'AUTHOR_PASSPHRASE_WRONG'],
    [{ kdf: { ...kdf, r: 9 } }, 'AUTHOR_PASSPHRASE_WRONG'],
  ];
  for (const [change, code] of refused) {
    await changed(change);
    await assert.rejects(openKeyFile(path, 'p'), { code }, JSON.stringify(change));
  }
  await writeFile(path, 'x'.repeat(10_000));
  await assert.rejects(openKeyFile(path, 'p'), { code: 'AUTHOR_FILE_INVALID' });
});

test('the public key of the file is bound to its secret', async () => {
  const path = join(folder, 'bound.key');
  const other = join(folder, 'other.key');
  await createKeyFile(path, fixtureKey('k'), 'p', { random, cost });
  await createKeyFile(other, fixtureKey('l'), 'p', { random, cost });
  const file = JSON.parse(await readFile(path, 'utf8'));
  const { publicKey } = JSON.parse(await readFile(other, 'utf8'));
  await writeFile(path, JSON.stringify({ ...file, publicKey }));
  await assert.rejects(openKeyFile(path, 'p'), { code: 'AUTHOR_PASSPHRASE_WRONG' });
});
