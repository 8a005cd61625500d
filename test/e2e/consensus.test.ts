/** The consortium engine for real: four members, each a CometBFT of its own, and a node that follows them. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { COMMIT, decodeCommit, MAX_COMMIT } from '../../src/api/commit.ts';
import { encodeGroup, REGISTRATIONS } from '../../src/api/registration.ts';
import { declareStatement } from '../../src/author/statements.ts';
import { node } from '../../src/cli/node.ts';
import { buildSampleFirmware } from '../../src/device/firmware/sample.ts';
import { FirmamentError } from '../../src/errors.ts';
import { findBinary } from '../../src/ledger/cometbft/binary.ts';
import { appHash } from '../../src/light/app-hash.ts';
import { appHashOf, decodeCertificate } from '../../src/light/certificate.ts';
import { verifyCommit } from '../../src/light/verify.ts';
import { ensureEngineKeys, memberOf, type PlannedMember } from '../../src/node/engine-member.ts';
import type { NetworkPlan } from '../../src/node/setup.ts';
import { submitPolicy } from '../../src/node/submit-policy.ts';
import { chainIdOf, validatorsOf } from '../../src/registry/orderer.ts';
import type { Root } from '../../src/registry/root.ts';
import { freePorts } from '../../src/testing/free-ports.ts';
import { changedPolicy, governanceKeys } from '../../src/testing/governance.ts';
import { startTestNetwork, type TestDevice, type TestNetwork } from '../../src/testing/network.ts';
import { testAuthor, type TestAuthor } from '../../src/testing/network-author.ts';
import { requirePart } from '../../src/testing/require.ts';

const ROOT = join(import.meta.dirname, '../..');
const timeoutMs = 20_000;
const MEMBERS = ['a/n1', 'b/n1', 'c/n1', 'd/n1'];

const there = await findBinary({
  named: process.env['FIRMAMENT_COMETBFT'],
  project: ROOT,
  path: process.env['PATH'],
}).then(
  () => true,
  () => false,
);
const HOW = 'scripts/install-cometbft';

async function until(what: string, holds: () => boolean, ms = 20_000): Promise<void> {
  const end = performance.now() + ms;
  while (!holds()) {
    if (performance.now() > end) assert.fail(`not in time: ${what}`);
    await sleep(50);
  }
}

/** An author, and a device that follows its line, in a network. */
class Scene {
  readonly network: TestNetwork;
  readonly author: TestAuthor;
  readonly device: TestDevice;
  #version = 0;

  constructor(network: TestNetwork, author: TestAuthor) {
    this.network = network;
    this.author = author;
    this.device = network.device([{ line: author.line(), anchor: author.anchor }]);
  }

  /** Publishes the next version and lets the device take it. */
  async updates(): Promise<void> {
    const version = `1.0.${++this.#version}`;
    const image = buildSampleFirmware({ version, model: 'lamp', size: 20_000 });
    await this.author.publish({ version, image });
    const { outcome, freshness, version: got } = await this.polls();
    assert.deepEqual([outcome, freshness, got], ['installed', 'fresh(own clock)', version]);
  }

  async polls(): ReturnType<Awaited<ReturnType<TestDevice['open']>>['agent']['poll']> {
    await using opened = await this.device.open();
    return await opened.agent.poll();
  }

  heights(names: readonly string[] = this.network.names): readonly number[] {
    return names.map((name) => this.network.node(name).health().height);
  }
}

test(
  'four validators from the beginning: f may go, with more nothing is published and nothing is lost',
  { timeout: 90_000 },
  async (t) => {
    if (!requirePart(t, 'cometbft', there, HOW)) return;
    await using network = await startTestNetwork({
      consortium: 'in force',
      followers: 1,
      replicate: () => 'all',
      policy: { maxHold: 8, maxAge: 90 },
    });
    const scene = new Scene(network, await testAuthor(network));
    await scene.updates();
    await until('the node that is no member follows', () => new Set(scene.heights()).size === 1);
    const health = (name: string) => network.node(name).health().engine;
    const { member, validator, ready } = health('a/n1') ?? {};
    assert.deepEqual([member, validator, ready], [true, true, true]);
    assert.equal(health('d/n2')?.member, false);
    for (const name of ['a/n1', 'd/n2']) await checkCommit(network, name);

    await network.stop('c/n1');
    await scene.updates();

    const other = await testAuthor(network);
    await network.stop('b/n1');
    const { height } = network.node('a/n1').health();
    const waiting = scene.author.declare('while two are gone');
    const refused = refusal(network, 'a/n1', other);
    await sleep(3_000);
    const polled = await scene.polls();
    assert.deepEqual([polled.outcome, polled.freshness], ['up-to-date', 'fresh(own clock)']);
    assert.equal(network.node('a/n1').health().height, height);

    // Kept, and to be asked for again: nobody is told that it was in vain.
    const { code, details } = await refused;
    assert.deepEqual(
      [code, details['status'], details['retryAfter']],
      ['LEDGER_UNORDERED', 503, 1],
    );
    // T11: a ledger that stands still is not signed for as if it did not.
    const frozen = (name: string) => network.node(name).health().frozen?.code;
    for (const name of ['a/n1', 'd/n2'])
      await until(`${name} is frozen`, () => frozen(name) === 'NODE_FROZEN_UNHEARD');
    await network.start('b/n1');
    await waiting;
    for (const name of ['a/n1', 'd/n2'])
      await until(`${name} signs again`, () => frozen(name) === undefined);
    await scene.updates();
    await network.start('c/n1');
    await until('all are where the others are', () => new Set(scene.heights()).size === 1);
  },
);

test(
  'a network of one orderer moves to four validators by a change of policy, and a device notices nothing',
  { timeout: 90_000 },
  async (t) => {
    if (!requirePart(t, 'cometbft', there, HOW)) return;
    await using network = await startTestNetwork({
      consortium: 'ready',
      followers: 1,
      start: ['a/n1', 'b/n1', 'd/n1', 'd/n2'],
      replicate: () => 'all',
    });
    // Its operator forgot to install the engine.
    await network.start('c/n1', { programs: { named: '/nowhere/cometbft' } });
    const scene = new Scene(network, await testAuthor(network));
    await scene.updates();
    await assert.rejects(checkCommit(network, 'a/n1'), { code: 'NODE_NO_COMMIT' });
    const members = MEMBERS.map((name) => {
      const { engine } = network.keys(name);
      const planned = plannedMember(network.plan, name);
      assert.ok(engine && planned);
      return memberOf(name, engine, planned);
    });
    const approvers = governanceKeys(join(network.folder, 'network'), ['a', 'b', 'c']);
    const orderer = { engine: 'cometbft', chain: 2, members } as const;
    const { root, statement } = changedPolicy(network.root, { orderer }, approvers);
    const moving = submitPolicy({ from: network.root, to: root, statement, timeoutMs });
    // Whatever goes on meanwhile goes on.
    const polled = await scene.polls();
    assert.deepEqual([polled.outcome, polled.freshness], ['up-to-date', 'fresh(own clock)']);
    await moving;
    await scene.updates();
    await scene.updates();
    await until('all are where the others are', () => new Set(scene.heights()).size === 1);
    const { status, engine } = network.node('c/n1').health();
    assert.equal(status, 'fault');
    assert.match(engine?.fault ?? '', /scripts\/install-cometbft/);
    await network.stop('c/n1');
    const without = network.start('c/n1', { programs: { named: '/nowhere/cometbft' } });
    await assert.rejects(without, { code: 'ENGINE_BINARY_MISSING' });
    await network.start('c/n1');
    const ready = (name: string): boolean => network.node(name).health().engine?.ready === true;
    await until('all take part', () => MEMBERS.every(ready));
    await until('all are where the others are', () => new Set(scene.heights()).size === 1);
    for (const name of network.names) await checkCommit(network, name, root);
    // From the root that began with one orderer.
    const out: string[] = [];
    const io = {
      stdout: (line: string) => void out.push(line),
      stderr: (line: string) => void out.push(line),
    };
    const audit = ['verify-commit', 'd/n2', '--root', network.rootFile, '--json'];
    assert.equal(await node(audit, io), 0, out.join(''));
    const { policy, validators, operators } = JSON.parse(out.join('')) as Record<string, unknown>;
    assert.deepEqual([policy, validators, (operators as string[]).length], [2, 4, 3]);
    // A node that slept through it finds its way by itself.
    await network.stop('d/n2');
    await scene.updates();
    const keys = ensureEngineKeys(network.config('d/n2').keys);
    await network.start('d/n2');
    await until('it follows', () => new Set(scene.heights()).size === 1);
    // It becomes a member, without a vote, while everything goes on.
    const [port] = await freePorts(1);
    const joining = memberOf('d/n2', keys, { address: `127.0.0.1:${port}`, validator: false });
    const more = { ...orderer, members: [...members, joining] };
    const changed = changedPolicy(root, { orderer: more }, approvers);
    await submitPolicy({ from: root, to: changed.root, statement: changed.statement, timeoutMs });
    await until('it takes part', () => ready('d/n2'));
    await scene.updates();
  },
);

test('a fifth member begins with a snapshot, and checks out', { timeout: 90_000 }, async (t) => {
  if (!requirePart(t, 'cometbft', there, HOW)) return;
  await using network = await startTestNetwork({
    consortium: 'in force',
    followers: 1,
    followersJoin: true,
    start: MEMBERS,
    snapshotEvery: 4,
    replicate: () => 'all',
  });
  const scene = new Scene(network, await testAuthor(network));
  for (let i = 0; i < 3; i++) await scene.updates();
  await network.start('d/n2');
  const fifth = () => network.node('d/n2').health();
  await until('it takes part', () => fifth().engine?.ready === true, 60_000);
  assert.ok(network.logged.some(({ message }) => message === 'begun with a snapshot'));
  await scene.updates();
  await until('all are where the others are', () => new Set(scene.heights()).size === 1);
  // It serves what was there before it began.
  await using opened = await scene.device.open({ onlyNodes: ['d/n2'] });
  assert.equal((await opened.agent.poll()).outcome, 'up-to-date');
  await checkCommit(network, 'd/n2');
});

/** What a node says to somebody who wants a statement ordered. */
async function refusal(
  network: TestNetwork,
  name: string,
  author: TestAuthor,
): Promise<FirmamentError> {
  const { session } = author;
  const signer = {
    key: session.key,
    author: session.author.id,
    networkId: network.root.networkId,
  };
  const counter = BigInt(Date.now()) << 20n;
  const { bytes } = declareStatement(signer, counter, author.line('in vain'));
  return network
    .client()
    .request({
      method: 'POST',
      url: network.url(name, REGISTRATIONS),
      headers: { 'content-type': 'application/cbor' },
      body: encodeGroup([{ statement: bytes, attachment: null }]),
      maxBytes: 1 << 16,
    })
    .then(
      () => assert.fail('it was ordered'),
      (error: unknown) => {
        assert.ok(error instanceof FirmamentError);
        return error;
      },
    );
}

/** The newest commit of a node, as an auditor checks it who knows the root alone. */
async function checkCommit(
  network: TestNetwork,
  name: string,
  root: Root = network.root,
): Promise<void> {
  const { body } = await network
    .client()
    .request({ url: network.url(name, COMMIT), maxBytes: MAX_COMMIT });
  const { certificate, head } = decodeCommit(body);
  const decoded = decodeCertificate(certificate);
  const { orderer } = root.policy;
  assert.ok(orderer.engine === 'cometbft');
  verifyCommit(decoded, validatorsOf(orderer), chainIdOf(root.networkId, orderer.chain));
  assert.deepEqual(appHashOf(decoded), appHash(head));
}

function plannedMember({ operators }: NetworkPlan, name: string): PlannedMember | undefined {
  return operators
    .flatMap((operator) =>
      operator.nodes.map((node) => ({ ...node, name: `${operator.name}/${node.name}` })),
    )
    .find((node) => node.name === name)?.engine;
}
