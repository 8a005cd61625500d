import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { codeOf } from '../../src/errors.ts';
import type { Head } from '../../src/ledger/close-block.ts';
import { BlockTimes } from '../../src/node/block-times.ts';
import { submitPolicy } from '../../src/node/submit-policy.ts';
import { signBlock, unverifiedBlock } from '../../src/registry/block.ts';
import { fixtureNetwork } from '../../src/testing/fixture.ts';
import { startFakeOrderer } from '../../src/testing/fake-orderer.ts';
import { changedPolicy, governanceKeys } from '../../src/testing/governance.ts';
import {
  declaration,
  openedReplica,
  ordered,
  registeredAuthor,
} from '../../src/testing/ledger-fixture.ts';
import { startTestNetwork } from '../../src/testing/network.ts';
import { testAuthor } from '../../src/testing/network-author.ts';

const SKEW = 60;
const network = fixtureNetwork();
const { replica } = openedReplica(network);
const { author, group } = registeredAuthor(network, 'acme');
ordered(replica, network, group);
ordered(replica, network, [declaration(author, 0)]);
const [first, second] = replica.blocks(1, 1 << 20);
assert.ok(first && second);

/** The block with another time, under its orderer's signature. */
function at(bytes: Uint8Array, time: number): Uint8Array {
  const { statement, name } = network.orderer;
  return signBlock(statement, name, replica.origin, { ...unverifiedBlock(bytes), time });
}

const NOW = network.genesis.time + 1_000;

function times(acknowledged = 0): BlockTimes {
  return new BlockTimes({
    clock: () => NOW,
    skew: () => SKEW,
    newest: () => replica.headAt(0),
    acknowledged: () => acknowledged,
  });
}

suite('T31: a block ahead of the own clock by more than the skew is not taken in', () => {
  test('up to the skew it is', () => {
    const blocks = [at(first, NOW), at(second, NOW + SKEW)];
    assert.deepEqual(times().usable(blocks), blocks);
  });

  test('nor what comes upon it; what comes before it is', () => {
    const ahead = at(second, NOW + SKEW + 1);
    assert.deepEqual(times().usable([first, ahead, at(second, NOW)]), [first]);
    assert.throws(() => times().usable([ahead]), { code: 'LEDGER_TIME_AHEAD' });
  });

  test('one that k operators acknowledged is: their clocks had reached it', () => {
    const ahead = at(second, NOW + SKEW + 1);
    const { size } = unverifiedBlock(second);
    assert.deepEqual(times(size).usable([ahead]), [ahead]);
    assert.throws(() => times(size - 1).usable([ahead]), { code: 'LEDGER_TIME_AHEAD' });
  });

  test('one that has the time of the block before it moves nothing on', () => {
    const blocks = [at(first, NOW + 9_000), at(second, NOW + 9_000)];
    const { size } = unverifiedBlock(first);
    assert.deepEqual(times(size).usable(blocks), blocks);
  });

  test('what can not be read is for the replica to judge', () => {
    const bytes = [Uint8Array.of(1, 2, 3)];
    assert.deepEqual(times().usable(bytes), bytes);
  });
});

suite('T31: a head made after its orderer had none is not from before that', () => {
  const head = (height: number, time: number): Head => ({ ...replica.headAt(1), height, time });

  test('backdated by more than the skew', () => {
    const judged = times();
    judged.heardNothing(6, NOW);
    for (const [height, time] of [
      [6, NOW - 9_000],
      [7, NOW - SKEW],
      [8, NOW - SKEW - 1],
    ] as const)
      judged.took(head(height, time));
    const refused = [6, 7, 8].filter((height) => judged.isBackdated(head(height, 0)));
    assert.deepEqual(refused, [8]);
  });

  test('what another orderer said does not bind this one', () => {
    const judged = times();
    judged.heardNothing(6, NOW);
    judged.forget();
    judged.took(head(7, NOW - 9_000));
    assert.equal(judged.isBackdated(head(7, 0)), false);
  });
});

/** Whether operators cosign what an orderer orders whose clock is off by so much, after a quiet hour. */
async function isCosigned(off: number): Promise<boolean> {
  let passed = 0;
  const clock = (): number => Math.floor(Date.now() / 1000) + passed;
  const start = ['a/n1', 'b/n1', 'c/n1'];
  await using net = await startTestNetwork({ clock, start, receiptWaitMs: 500 });
  await using orderer = await startFakeOrderer(net);
  const signer = await testAuthor(net, { timeoutMs: 4_000 });
  passed = 3_600;
  // Everybody hears that there is nothing more.
  await sleep(500);
  const { size } = orderer.replica.head();
  orderer.shift(off);
  const declared = signer.declare('off').catch(() => undefined);
  const cosigned = (): boolean =>
    start.some((name) => (net.node(name).health().quorum?.size ?? 0) > size);
  for (let i = 0; i < 30 && !cosigned(); i++) await sleep(100);
  assert.ok(orderer.replica.head().size > size);
  const answer = cosigned();
  // It writes into the network's folder.
  await declared;
  return answer;
}

suite('T31: by a network whose skew is 120 seconds', { timeout: 60_000 }, () => {
  test('an orderer whose clock is right enough gets its quorum', async () => {
    assert.deepEqual([await isCosigned(60), await isCosigned(-60)], [true, true]);
  });

  test('one whose blocks are from the future does not', async () => {
    assert.equal(await isCosigned(600), false);
  });

  test('nor one that backdates', async () => {
    assert.equal(await isCosigned(-600), false);
  });

  test('one whose clock went a day ahead is replaced, and leaves nothing of that day behind', async () => {
    const ahead = new Map([['d/n1', 0]]);
    const now = (): number => Math.floor(Date.now() / 1000);
    await using net = await startTestNetwork({ start: [], receiptWaitMs: 500 });
    const clock = (name: string) => (): number => now() + (ahead.get(name) ?? 0);
    await Promise.all(net.names.map((name) => net.start(name, { clock: clock(name) })));
    const signer = await testAuthor(net, { timeoutMs: 4_000 });
    const { height } = net.node('a/n1').health();
    ahead.set('d/n1', 86_400);
    const declared = signer.declare('in vain').catch(codeOf);
    await sleep(1_500);
    assert.equal(net.node('d/n1').health().height, height + 1);
    assert.equal(net.node('a/n1').health().height, height);
    // Right again or not: what it made stands in its way.
    await net.stop('d/n1');
    const approvers = governanceKeys(join(net.folder, 'network'), ['a', 'b', 'c']);
    const orderer = { engine: 'local', operator: 'c', node: 'n1' } as const;
    const { root, statement } = changedPolicy(net.root, { orderer }, approvers);
    await submitPolicy({ from: net.root, to: root, statement, timeoutMs: 20_000 });
    assert.equal(await declared, 'AUTHOR_TIMEOUT');
    await signer.declare('after');
  });
});
