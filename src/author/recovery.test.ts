import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { hex } from '../bytes.ts';
import { thumbprint } from '../cose/key.ts';
import { fixtureNetwork } from '../testing/fixture.ts';
import { createAuthor, openAuthor, saveAuthor, unlockAuthor, type Author } from './author.ts';
import { approveRequest, revocation, rotation, signedStatements } from './key-changes.ts';
import { encodeRequest, parseRequest, readRequest, writeRequest } from './key-request-file.ts';
import { openKeyFile } from './keys.ts';
import { openNetwork } from './network.ts';
import { prepareRecovery, prepareReleaseKey, requestChanges, submitRequest } from './recovery.ts';

const clock = (): number => 1_800_000_000;
const making = {
  passphrase: 'p',
  random: (length: number): Uint8Array => new Uint8Array(randomBytes(length)),
  cost: { N: 2, r: 1, p: 1 },
};
const { root } = fixtureNetwork();
let folder: string;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'firmament-recovery-'));
});
after(() => rm(folder, { recursive: true }));

function authorIn(name: string): Promise<Author> {
  return createAuthor({ ...making, directory: join(folder, name), name, recoveryKeys: 3, clock });
}

async function approved(author: Author, count: number) {
  const key = await prepareReleaseKey(author, making);
  const changes = [
    rotation(author.id, [key]),
    revocation(author.id, thumbprint(author.publicKey), 7),
  ];
  let request = await requestChanges(author, root.networkId, changes);
  for (const { file } of author.recovery.slice(0, count))
    request = approveRequest(request, await openKeyFile(join(author.directory, file), 'p'));
  return request;
}

test('a request goes from holder to holder in a file, and is complete with the last that it takes', async () => {
  const author = await authorIn('files');
  const path = join(folder, 'request.json');
  const one = await approved(author, 1);
  assert.throws(() => signedStatements(one), { code: 'RECOVERY_THRESHOLD' });
  await writeRequest(path, one);
  assert.deepEqual(await readRequest(path), one);
  const two = await approved(author, 2);
  assert.equal(signedStatements(two).length, 2);
  assert.deepEqual(parseRequest(new TextEncoder().encode(encodeRequest(two))), two);
  const { key } = await unlockAuthor(author, 'p');
  assert.throws(() => approveRequest(one, key), { code: 'STATEMENT_SIGNER_UNKNOWN' });
});

test('a request of another shape is refused', async () => {
  const good = JSON.parse(encodeRequest(await approved(await authorIn('shapes'), 1)));
  const [change] = good.changes;
  const bad = [
    { ...good, type: 'x' },
    { ...good, author: 'ab' },
    { ...good, threshold: 0 },
    { ...good, recovery: [1] },
    { ...good, recovery: Array.from({ length: 9 }, () => good.recovery[0]) },
    { ...good, changes: [] },
    { ...good, changes: Array.from({ length: 17 }, () => change) },
    { ...good, changes: [7] },
    { ...good, changes: [{ ...change, kind: 'release' }] },
    { ...good, changes: [{ ...change, counter: '-1' }] },
    { ...good, changes: [{ ...change, body: 'x' }] },
    { ...good, changes: [{ ...change, approvals: [1] }] },
    { ...good, changes: [{ ...change, approvals: Array.from({ length: 9 }, () => ({})) }] },
    { ...good, changes: [{ ...change, approvals: [{ keyId: 'ab', signature: 'ab' }] }] },
    { ...good, changes: [{ ...change, statement: 1 }] },
  ];
  for (const each of bad)
    assert.throws(() => parseRequest(new TextEncoder().encode(JSON.stringify(each))), {
      code: 'AUTHOR_FILE_INVALID',
    });
});

test('a rotation that was cut off is finished by the next command, with the key that was made', async () => {
  const author = await authorIn('cut');
  const next = await prepareReleaseKey(author, making);
  assert.deepEqual(await prepareReleaseKey(author, making), next);
  const { key: still } = await unlockAuthor(author, 'p');
  assert.deepEqual(still.publicKey, author.publicKey);
  // The author file is the step that counts.
  await saveAuthor({ ...author, publicKey: next, retired: [author.publicKey] });
  const opened = await openAuthor(author.directory, clock);
  const { key } = await unlockAuthor(opened, 'p');
  assert.deepEqual([key.publicKey, opened.id], [next, author.id]);
  assert.ok(!(await readdir(author.directory)).includes('release.key.new'));
});

test('new recovery keys have files of their own', async () => {
  const author = await authorIn('recovery');
  const set = await prepareRecovery(author, 2, 2, making);
  for (const key of set.keys) {
    const file = `recovery-${hex(thumbprint(key)).slice(0, 8)}.key`;
    const made = await openKeyFile(join(author.directory, file), 'p');
    assert.deepEqual(made.publicKey, key);
  }
  for (const [count, threshold] of [
    [0, 0],
    [9, 1],
    [2, 3],
    [2, 0],
  ] as const)
    await assert.rejects(prepareRecovery(author, count, threshold, making), {
      code: 'AUTHOR_INVALID',
    });
});

test('a request is submitted by its own author, on its network, and before any other', async () => {
  const author = await authorIn('submit');
  const request = await approved(author, 2);
  await using network = openNetwork(root, { pause: 1 });
  const patience = { timeoutMs: 1 };
  const submit = (asked: typeof request, by = author) =>
    submitRequest(by, network, asked, patience);
  const stranger = await authorIn('stranger');
  await assert.rejects(submit(request, stranger), { code: 'AUTHOR_FILE_INVALID' });
  await assert.rejects(submit({ ...request, network: 'ab'.repeat(32) }), {
    code: 'AUTHOR_NETWORK',
  });
  // Nobody answers: it stays under way, and no other may overtake it.
  await assert.rejects(submit(request), { code: 'AUTHOR_TIMEOUT' });
  await assert.rejects(submit(await approved(author, 2)), { code: 'AUTHOR_REQUEST_UNFINISHED' });
  await assert.rejects(submit(request), { code: 'AUTHOR_TIMEOUT' });
  const kept = join(author.directory, 'key-request.json');
  await writeFile(kept, (await readFile(kept, 'utf8')).slice(1));
  await assert.rejects(submit(request), { code: 'AUTHOR_FILE_INVALID' });
});
