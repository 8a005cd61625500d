import assert from 'node:assert/strict';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { encodeGroup, REGISTRATIONS } from '../../src/api/registration.ts';
import { decodePolicies, policiesPath } from '../../src/api/policy.ts';
import { codeOf } from '../../src/errors.ts';
import { parseRoot } from '../../src/registry/root.ts';
import type { Statement } from '../../src/registry/statement.ts';
import { changedPolicy, governanceKeys } from '../../src/testing/governance.ts';
import { testAuthor } from '../../src/testing/network-author.ts';
import { startTestNetwork, type TestNetwork } from '../../src/testing/network.ts';

async function until(
  what: string,
  holds: () => boolean | Promise<boolean>,
  ms = 20_000,
): Promise<void> {
  const end = performance.now() + ms;
  while (!(await holds())) {
    if (performance.now() > end) assert.fail(`not in time: ${what}`);
    await sleep(50);
  }
}

function change(network: TestNetwork, orderer: string, approvers: readonly string[]): Statement {
  const [operator = '', node = ''] = orderer.split('/');
  const folder = join(network.folder, 'network');
  const changes = { orderer: { engine: 'local', operator, node } } as const;
  return changedPolicy(network.root, changes, governanceKeys(folder, approvers)).statement;
}

async function submit(network: TestNetwork, to: string, statement: Statement): Promise<number> {
  const body = encodeGroup([{ statement: statement.bytes, attachment: null }]);
  const { status } = await network.client().request({
    method: 'POST',
    url: network.url(to, REGISTRATIONS),
    headers: { 'content-type': 'application/cbor' },
    body,
    maxBytes: 100_000,
  });
  return status;
}

async function versionAt(network: TestNetwork, name: string): Promise<number> {
  const client = network.client();
  const { body } = await client.request({ url: network.url(name, '/v1/root'), maxBytes: 1 << 20 });
  return parseRoot(body).policy.version;
}

test('T12: an orderer that is alive hands over by an ordinary block', async () => {
  await using network = await startTestNetwork();
  const author = await testAuthor(network);
  await author.declare('first');
  assert.equal(await submit(network, 'a/n1', change(network, 'b/n1', ['a', 'b', 'c'])), 201);
  for (const name of network.names)
    await until(`${name} knows the policy`, async () => (await versionAt(network, name)) === 2);
  await author.declare('second');
  const { body } = await network
    .client()
    .request({ url: network.url('c/n1', policiesPath(2)), maxBytes: 1 << 21 });
  assert.equal(decodePolicies(body).length, 1);
  const orders = network.logged.filter(
    ({ message, fields }) => message === 'duty' && fields['duty'] === 'order',
  );
  assert.deepEqual(
    orders.map(({ node }) => node),
    ['d/n1', 'b/n1'],
  );
});

test('T12: the orderer is gone, operators appoint another, and nothing acknowledged is lost', async () => {
  await using network = await startTestNetwork({ receiptWaitMs: 2_000 });
  const author = await testAuthor(network, { timeoutMs: 20_000 });
  const acknowledged = await author.declare('before');
  // One more block at the orderer that nobody else has: nothing of it was acknowledged.
  await network.stop('d/n1');
  const statement = change(network, 'c/n1', ['a', 'b', 'c']);
  await assert.rejects(submit(network, 'a/n1', statement), (error: unknown) => {
    assert.equal(codeOf(error), 'NODE_ORDERER_UNREACHABLE');
    return true;
  });
  for (const name of ['a/n1', 'b/n1', 'c/n1'])
    await until(`${name} knows the policy`, async () => (await versionAt(network, name)) === 2);
  const after = await author.declare('after');
  assert.ok(after.index > acknowledged.index);
  // The old orderer had nothing of its own: it comes back as a follower.
  await network.start('d/n1');
  await until('the old orderer follows', async () => (await versionAt(network, 'd/n1')) === 2);
  const sizes = network.running().map((node) => node.health().size);
  await until('all the same', () =>
    network.running().every((node) => node.health().size >= Math.max(...sizes)),
  );
});

test('T12: an old orderer with blocks that nobody acknowledged is superseded, and joins again once wiped', async () => {
  await using network = await startTestNetwork({ receiptWaitMs: 500 });
  const author = await testAuthor(network, { timeoutMs: 20_000 });
  await author.declare('before');
  await Promise.all(['a/n1', 'b/n1', 'c/n1'].map((name) => network.stop(name)));
  // Alone, it orders what will never be acknowledged.
  const alone = await testAuthor(network, { name: 'alone', timeoutMs: 1_000 }).catch(
    (error: unknown) => codeOf(error),
  );
  assert.equal(alone, 'AUTHOR_TIMEOUT');
  const { size } = network.node('d/n1').health();
  await network.stop('d/n1');
  await Promise.all(['a/n1', 'b/n1', 'c/n1'].map((name) => network.start(name)));
  await submit(network, 'b/n1', change(network, 'c/n1', ['a', 'b', 'c'])).catch(() => undefined);
  await until('c orders', async () => (await versionAt(network, 'a/n1')) === 2);
  await author.declare('after');
  await author.declare('later');
  await network.start('d/n1');
  await until('the old orderer halts', () => network.node('d/n1').health().status === 'halted');
  assert.equal(network.node('d/n1').health().halted?.code, 'LEDGER_SUPERSEDED');
  assert.equal(network.node('d/n1').health().size, size);
  await network.stop('d/n1');
  await rm(network.config('d/n1').data, { recursive: true });
  const wiped = await network.start('d/n1');
  const target = network.node('a/n1').health().size;
  await until('it follows again', () => wiped.health().size >= target);
  await author.declare('last');
});
