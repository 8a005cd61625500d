import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { randomBytes } from 'node:crypto';
import { encodeGroup, REGISTRATIONS } from '../api/registration.ts';
import { encodePolicies } from '../api/policy.ts';
import { FirmamentError } from '../errors.ts';
import type { Client, ClientRequest } from '../net/client.ts';
import { fixtureNetwork } from '../testing/fixture.ts';
import { changedPolicy, governanceKeys } from '../testing/governance.ts';
import { startTestNetwork } from '../testing/network.ts';
import { createAuthor, keepRoot, pinnedRoot, pinRoot } from './author.ts';
import { newestRoot, openAuthorNetwork } from './policies.ts';

const { root, operators } = fixtureNetwork();
const second = changedPolicy(root, { skew: 60 }, operators);
const third = changedPolicy(second.root, { skew: 61 }, operators);
const forged = changedPolicy(root, { skew: 1 }, operators.slice(0, 2));

const folder = await mkdtemp(join(tmpdir(), 'firmament-policies-'));
after(() => rm(folder, { recursive: true }));

function newAuthor(name: string) {
  return createAuthor({
    directory: join(folder, name),
    name,
    passphrase: 'p',
    random: (length) => new Uint8Array(randomBytes(length)),
    clock: () => 1_800_000_000,
    cost: { N: 1024, r: 8, p: 1 },
  });
}

/** What the node of each operator has from a version on, the last one first; undefined: it does not answer. */
function told(answers: Readonly<Record<string, readonly Uint8Array[] | undefined>>) {
  const request = async ({ url, signal }: ClientRequest) => {
    const { hostname, searchParams } = new URL(url);
    const [operator = ''] = hostname.split('-');
    if (operator !== 'd') await sleep(5);
    if (signal?.aborted) throw new FirmamentError('NET_ABORTED');
    const changes = answers[operator];
    if (!changes) throw new FirmamentError('NET_UNREACHABLE');
    const body = encodePolicies(changes.slice(Number(searchParams.get('from')) - 2));
    return { status: 200, headers: {}, body };
  };
  const client = { request } as unknown as Client;
  const network = { root, client, pause: 1, [Symbol.asyncDispose]: async () => undefined };
  return newestRoot(network);
}

test('T08: operators move an author on, whoever hands their word over', async () => {
  const chain = [second.statement.bytes, third.statement.bytes];
  const found = await told({ a: chain, b: undefined, c: chain, d: [] });
  assert.equal(found.policy.version, 3);
  assert.equal(found.policy.skew, 61);
});

test('T08: a policy that too few approved moves nobody', async () => {
  const lie = [forged.statement.bytes];
  assert.equal(await told({ a: lie, b: lie, c: [], d: [] }), root);
  const found = await told({ a: lie, b: [second.statement.bytes], c: undefined, d: undefined });
  assert.equal(found.policy.skew, 60);
});

test('T08: one operator that knows of nothing new is not believed alone', async () => {
  const found = await told({ b: [second.statement.bytes], d: [] });
  assert.equal(found.policy.version, 2);
});

test('when nobody answers the pinned policy stands', async () => {
  assert.equal(await told({}), root);
});

test('the folder keeps the newest root, and goes back to none', async () => {
  const author = await newAuthor('kept');
  await pinRoot(author, root.bytes);
  await keepRoot(author, third.root);
  await keepRoot(author, second.root);
  assert.equal((await pinnedRoot(author))?.policy.version, 3);
  // The file with which it registered leads to what is in force.
  assert.equal((await pinRoot(author, root.bytes)).policy.version, 3);
  const other = changedPolicy(second.root, { skew: 62 }, operators).root;
  await assert.rejects(pinRoot(author, other.bytes), { code: 'AUTHOR_NETWORK' });
  const foreign = fixtureNetwork({ label: 'other' }).root;
  await assert.rejects(keepRoot(author, foreign), { code: 'AUTHOR_NETWORK' });
});

test('an author that asks the nodes has the policy in force in its folder', async () => {
  await using network = await startTestNetwork();
  const author = await newAuthor('asking');
  await pinRoot(author, network.root.bytes);
  const keys = governanceKeys(join(network.folder, 'network'), ['a', 'b', 'c']);
  const { statement } = changedPolicy(network.root, { skew: 77 }, keys);
  await network.client().request({
    method: 'POST',
    url: network.url('a/n1', REGISTRATIONS),
    headers: { 'content-type': 'application/cbor' },
    body: encodeGroup([{ statement: statement.bytes, attachment: null }]),
    maxBytes: 100_000,
  });
  await using opened = await openAuthorNetwork(author);
  assert.equal(opened.root.policy.skew, 77);
  assert.deepEqual((await pinnedRoot(author))?.hash, opened.root.hash);
});
