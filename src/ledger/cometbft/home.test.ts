import assert from 'node:assert/strict';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { hex } from '../../bytes.ts';
import { validatorAddress } from '../../light/validators.ts';
import { consortiumOf, type EngineMember } from '../../registry/orderer.ts';
import { fixtureKey, fixtureNetwork, type FixtureNode } from '../../testing/fixture.ts';
import { changedPolicy } from '../../testing/governance.ts';
import { decided, openedReplica, transactionOf } from '../../testing/ledger-fixture.ts';
import { emptyEvery } from './member-home.ts';
import { checkVersion, findBinary } from './binary.ts';
import { startOfChain } from './chain-start.ts';
import { addressOf, genesisText, hasBlocks, prepareHome } from './home.ts';
import { configText, type HomeOptions } from './engine-config.ts';
import { engineSockets } from './sockets.ts';

const FOLDER = mkdtempSync(join(tmpdir(), 'home-'));
after(() => rmSync(FOLDER, { recursive: true }));

const network = fixtureNetwork({ engine: 'cometbft' });
const { members } = consortiumOf(network.genesis.policy.orderer);
const start = startOfChain(openedReplica(network).replica);
const [first] = network.nodes as readonly [FixtureNode];
const [member] = members as readonly [EngineMember];
const options = (name: string): HomeOptions => ({
  home: join(FOLDER, name),
  start,
  members,
  member,
  consensusKey: first.consensus,
  nodeKey: first.p2p,
  hasVoted: () => false,
  abci: '/run/abci.sock',
  rpc: '/run/rpc.sock',
  emptyEvery: 900,
});

test('every member derives the same genesis, with the hash of the ledger before the chain', () => {
  const other = startOfChain(openedReplica(network).replica);
  assert.equal(genesisText(start), genesisText(other));
  const genesis = JSON.parse(genesisText(start));
  assert.equal(genesis.app_hash, hex(start.appHash).toUpperCase());
  assert.equal(genesis.chain_id, `firmament-${hex(network.genesis.networkId).slice(0, 32)}-1`);
  assert.equal(genesis.genesis_time, '2027-01-15T08:00:00.000Z');
  assert.equal(genesis.validators.length, 4);
  assert.equal(genesis.validators[0].address, hex(addressOf(member.key)).toUpperCase());
  assert.deepEqual(addressOf(member.key), validatorAddress(member.key));
});

test('whatever a policy says, the engine can read how often it makes empty blocks', () => {
  const { replica } = openedReplica(network);
  assert.equal(emptyEvery(replica), Math.floor(network.genesis.policy.maxHold / 4));
  const times = { maxAge: 2 ** 52, maxHold: 2 ** 51 };
  const change = changedPolicy(network.root, times, network.operators);
  decided(replica, [[transactionOf(change.statement)]]);
  // A Go duration holds 2^63 nanoseconds; with a longer one no member could begin any more.
  assert.equal(emptyEvery(replica), 86_400);
});

test('the engine is closed to everybody but the members', () => {
  const config = configText(options('config'));
  for (const line of [
    'filter_peers = true',
    'pex = false',
    'laddr = "unix:///run/rpc.sock"',
    'proxy_app = "unix:///run/abci.sock"',
    'unsafe = false',
    'prometheus = false',
    'create_empty_blocks_interval = "900s"',
  ])
    assert.ok(config.includes(`${line}\n`), line);
  const peers = /persistent_peers = "(.*)"/.exec(config)?.[1]?.split(',') ?? [];
  assert.deepEqual(
    peers,
    members.slice(1).map(({ peer, address }) => `${hex(peer)}@${address}`),
  );
  assert.ok(config.includes('laddr = "tcp://a-n1.test:26656"\n'));
  const listening = configText({ ...options('config'), listen: '10.0.0.1:1' });
  assert.ok(listening.includes('laddr = "tcp://10.0.0.1:1"\n'));
});

test('keys and genesis stay as they are, and so does what was signed last', async () => {
  const kept = options('kept');
  await prepareHome(kept);
  const state = join(kept.home, 'data', 'priv_validator_state.json');
  assert.equal(JSON.parse(readFileSync(state, 'utf8')).height, '0');
  for (const file of ['priv_validator_key.json', 'node_key.json'])
    assert.equal(statSync(join(kept.home, 'config', file)).mode & 0o077, 0);
  writeFileSync(state, '{"height":"7","round":0,"step":3}');
  await prepareHome(kept);
  assert.equal(JSON.parse(readFileSync(state, 'utf8')).height, '7');
  for (const changed of [
    { consensusKey: fixtureKey('other') },
    { nodeKey: fixtureKey('other') },
    { start: { ...start, time: start.time + 1 } },
  ])
    await assert.rejects(prepareHome({ ...kept, ...changed }), { code: 'ENGINE_HOME_FOREIGN' });
  assert.equal(await hasBlocks(kept.home), false);
  mkdirSync(join(kept.home, 'data', 'blockstore.db'));
  assert.equal(await hasBlocks(kept.home), true);
});

test('a key that has voted does not begin again without the record of what it signed', async () => {
  const lost = { ...options('lost'), hasVoted: () => true };
  await assert.rejects(prepareHome(lost), { code: 'ENGINE_STATE_LOST' });
  assert.equal(existsSync(lost.home), false);
  await prepareHome({ ...lost, hasVoted: () => false });
  await prepareHome(lost);
});

test('sockets lie in a folder of this user alone, also when the home has a long path', async () => {
  const own = await engineSockets(join(FOLDER, 's'));
  assert.equal(own.abci, join(FOLDER, 's', 'run', 'abci.sock'));
  assert.equal(statSync(join(FOLDER, 's', 'run')).mode & 0o777, 0o700);
  const far = await engineSockets(join(FOLDER, 'x'.repeat(120)));
  assert.ok(far.abci.length < 100 && !far.abci.startsWith(FOLDER));
  await own[Symbol.asyncDispose]();
  await far[Symbol.asyncDispose]();
});

function program(name: string, says: string): string {
  const file = join(FOLDER, name);
  mkdirSync(join(file, '..'), { recursive: true });
  writeFileSync(file, `#!/bin/sh\necho '${says}'\n`);
  chmodSync(file, 0o755);
  return file;
}

test('a binary of a version that is tested, found in the project before the path', async () => {
  const project = join(FOLDER, 'project');
  await assert.rejects(findBinary({ project }), { code: 'ENGINE_BINARY_MISSING' });
  const onPath = program('path/cometbft', '0.38.26');
  const path = `/nowhere:${join(FOLDER, 'path')}`;
  assert.equal(await findBinary({ project, path }), onPath);
  const own = program('project/.firmament/bin/cometbft-v0.39.4', '0.39.4');
  assert.equal(await findBinary({ project, path }), own);
  const named = program('named', 'v0.39.4+abc');
  assert.equal(await findBinary({ named, project, path }), named);
  await assert.rejects(findBinary({ named: join(FOLDER, 'no'), project, path }), {
    code: 'ENGINE_BINARY_MISSING',
  });
});

test('any other version is refused, and the error says how to get the right one', async () => {
  for (const says of ['1.0.1', '0.38.19', '0.39.40', '', 'cometbft 0.39.4'])
    await assert.rejects(checkVersion(program('other', says)), (error: Error) => {
      assert.match(error.message, /scripts\/install-cometbft/);
      return (error as { code?: string }).code === 'ENGINE_BINARY_VERSION';
    });
});
