import assert from 'node:assert/strict';
import { globSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { hex } from '../bytes.ts';
import { encodePrivateKey } from '../cose/key.ts';
import { memberName } from '../registry/orderer.ts';
import { testPlan } from '../testing/network-plan.ts';
import { readNodeConfig, readNodeKeys } from './config.ts';
import { ensureEngineKeys, memberOf } from './engine-member.ts';
import { parsePlan } from './plan.ts';
import { createNetwork } from './setup.ts';

test('a member list says whether PSK authors are allowed (T07); not, unless it says so', async () => {
  const members = readFileSync(join(import.meta.dirname, '../../examples/members.json'), 'utf8');
  const plan = JSON.parse(members) as Record<string, unknown>;
  assert.equal(parsePlan(members).pskAuthors, false);
  const allowing = parsePlan(JSON.stringify({ ...plan, mode: 'private', pskAuthors: true }));
  assert.equal(allowing.pskAuthors, true);
  assert.throws(() => parsePlan(JSON.stringify({ ...plan, pskAuthors: 'yes' })), {
    code: 'NODE_CONFIG',
  });
  const folder = mkdtempSync(join(tmpdir(), 'firmament-setup-'));
  try {
    const made = await createNetwork(allowing, join(folder, 'private'), 1_000_000);
    assert.equal(made.genesis.policy.pskAuthors, true);
    const elsewhere = createNetwork({ ...allowing, mode: 'consortium' }, folder, 1_000_000);
    await assert.rejects(elsewhere, { code: 'POLICY_QUORUM' });
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('a network is never made over another', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'firmament-setup-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const members = join(import.meta.dirname, '../../examples/members.json');
  const plan = parsePlan(readFileSync(members, 'utf8'));
  const { genesis, rootFile } = await createNetwork(plan, folder, 1_000_000);
  const root = readFileSync(rootFile);
  await assert.rejects(createNetwork(plan, folder, 1_000_000), { code: 'NODE_NETWORK_EXISTS' });
  assert.deepEqual(readFileSync(rootFile), root);
  for (const path of ['genesis.cbor', 'acme/one/genesis.cbor'])
    assert.deepEqual(new Uint8Array(readFileSync(join(folder, path))), genesis.bytes);
});

test('members of the consortium engine: each its own two keys, in its own key file only', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'firmament-setup-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const plan = parsePlan(
    JSON.stringify({
      ...(await testPlan({ consortium: 'in force', followers: 1 })),
      orderer: undefined,
    }),
  );
  const { genesis, configs } = await createNetwork(plan, folder, 1_000_000);
  const { orderer } = genesis.policy;
  assert.ok(orderer.engine === 'cometbft');
  assert.equal(orderer.chain, 1);
  assert.deepEqual(orderer.members.map(memberName), ['a/n1', 'b/n1', 'c/n1', 'd/n1']);
  const files = globSync('**/*', { cwd: folder, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
  for (const member of orderer.members) {
    const config = readNodeConfig(configs.get(memberName(member)) ?? '');
    const { engine } = readNodeKeys(config.keys);
    assert.ok(engine);
    assert.deepEqual(memberOf(config.node, engine, { address: member.address }), member);
    for (const key of [engine.consensus, engine.peer]) {
      const secret = hex(encodePrivateKey(key));
      const holders = files.filter((file) => readFileSync(file, 'latin1').includes(secret));
      assert.deepEqual(holders, [config.keys]);
    }
    // The engine's own record of its votes must not go back with a backup of the data.
    assert.ok(!config.engine.home.startsWith(config.data));
  }
  assert.equal(readNodeKeys(readNodeConfig(configs.get('d/n2') ?? '').keys).engine, undefined);
});

test('a node gets its keys for the engine later: once, and nothing else in its key file changes', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'firmament-setup-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const { configs } = await createNetwork(await testPlan(), folder, 1_000_000);
  const { keys } = readNodeConfig(configs.get('a/n1') ?? '');
  const before = readNodeKeys(keys);
  const made = ensureEngineKeys(keys);
  assert.deepEqual(ensureEngineKeys(keys), made);
  assert.deepEqual(readNodeKeys(keys), { ...before, engine: made });
  assert.equal(statSync(keys).mode & 0o077, 0);
});

test('a member list names an orderer or the consortium engine, not both', async () => {
  const plan = await testPlan();
  const text = (changes: object): string => JSON.stringify({ ...plan, ...changes });
  assert.equal(parsePlan(text({ engine: undefined })).engine, 'local');
  for (const changes of [
    { engine: 'cometbft' },
    { orderer: undefined },
    { engine: 'raft' },
    {
      operators: [{ ...plan.operators[0], nodes: [{ ...plan.operators[0]?.nodes[0], engine: 1 }] }],
    },
  ])
    assert.throws(() => parsePlan(text(changes)), { code: 'NODE_CONFIG' });
});
