import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { encodeGroup, REGISTRATIONS } from '../../src/api/registration.ts';
import { declareStatement, withdrawStatement } from '../../src/author/statements.ts';
import type { Cbor } from '../../src/cbor/value.ts';
import { openDatabase } from '../../src/database.ts';
import { codeOf } from '../../src/errors.ts';
import { createLocalLedger } from '../../src/ledger/local.ts';
import { WaitingGroups } from '../../src/ledger/waiting-groups.ts';
import { freezeOf } from '../../src/node/freeze.ts';
import { UrgentStatements } from '../../src/node/urgent-statements.ts';
import { createStatement, type Statement, type Transaction } from '../../src/registry/statement.ts';
import { isUrgent, URGENT_A_SIGNER } from '../../src/registry/urgent.ts';
import { fixtureLine, fixtureNetwork } from '../../src/testing/fixture.ts';
import { changedPolicy } from '../../src/testing/governance.ts';
import {
  declaration,
  openedReplica,
  ordered,
  registeredAuthor,
  SILENT,
  transactionOf,
} from '../../src/testing/ledger-fixture.ts';
import { testAuthor } from '../../src/testing/network-author.ts';
import { startFakeOrderer } from '../../src/testing/fake-orderer.ts';
import { fixtureRelease } from '../../src/testing/release-fixture.ts';
import { startTestNetwork, type TestNetwork } from '../../src/testing/network.ts';
import { sampleKey } from './sample-policy.ts';

suite('T11: when a node stops signing', () => {
  const quiet = { now: 1000, maxHold: 60, heardAt: 1000, waitingSince: undefined };

  test('not while the orderer is heard and nothing waits too long', () => {
    assert.equal(freezeOf(quiet), undefined);
    assert.equal(freezeOf({ ...quiet, heardAt: 940, waitingSince: 940 }), undefined);
  });

  test('when a withdrawal waits longer than maxHold, however often the orderer is heard', () => {
    const frozen = { code: 'NODE_FROZEN_WITHHELD', since: 999 };
    assert.deepEqual(freezeOf({ ...quiet, waitingSince: 939 }), frozen);
  });

  test('when the orderer was not heard as long', () => {
    const frozen = { code: 'NODE_FROZEN_UNHEARD', since: 999 };
    assert.deepEqual(freezeOf({ ...quiet, heardAt: 939 }), frozen);
  });
});

const network = fixtureNetwork();
const approved = network.operators.slice(0, 3);
const policyChange = (skew: number): Transaction =>
  transactionOf(changedPolicy(network.root, { skew }, approved).statement);

/** An ordering replica and the statements that wait beside it. */
function waiting() {
  const { replica } = openedReplica(network);
  const { author, group } = registeredAuthor(network, 'acme');
  ordered(replica, network, group);
  const database = openDatabase(':memory:');
  return { replica, author, database, urgent: new UrgentStatements(database, replica) };
}

suite('T11: what waits to be ordered', () => {
  test('a withdrawal, revocation or policy change that the own state accepts, from when it was first seen', async () => {
    const { replica, author, database, urgent } = waiting();
    assert.equal(urgent.keep([declaration(author, 0)], 5), false);
    assert.equal(urgent.waitingSince(), undefined);
    assert.equal(urgent.keep([policyChange(1)], 10), true);
    assert.equal(urgent.keep([policyChange(1)], 20), false);
    assert.equal(urgent.waitingSince(), 10);
    // A restart does not start the time anew.
    assert.equal(new UrgentStatements(database, replica).waitingSince(), 10);
  });

  test('until it is ordered, or cannot be any more', async () => {
    const { replica, author, urgent } = waiting();
    urgent.keep([policyChange(1)], 10);
    urgent.keep([policyChange(2)], 20);
    ordered(replica, network, [declaration(author, 0)]);
    await sleep(1);
    assert.equal(urgent.waitingSince(), 10);
    // Version 2 is there then: the other change of the same version is void.
    ordered(replica, network, [policyChange(2)]);
    await sleep(1);
    assert.equal(urgent.waitingSince(), undefined);
  });

  test('asked for again with a later counter, it has waited since it was asked for first', async () => {
    const { replica, author, urgent, database } = waiting();
    const line = fixtureLine(author.author, 'model 0');
    const release = fixtureRelease(author, line, 1n);
    const withdrawal = (counter: bigint): Transaction =>
      transactionOf(
        withdrawStatement(author, counter, line, {
          release: release.digest,
          lowest: 2n,
          reason: 'r',
        }),
      );
    const { statement, attachment } = release;
    ordered(replica, network, [declaration(author, 0), { statement, attachment }]);
    await sleep(1);
    urgent.keep([withdrawal(10n)], 10);
    // A later statement of the same author is ordered, and the withdrawal is not: its counter is spent.
    ordered(replica, network, [declaration(author, 9)]);
    await sleep(1);
    assert.equal(urgent.waitingSince(), undefined);
    urgent.keep([withdrawal(20n)], 500);
    assert.equal(urgent.waitingSince(), 10);
    ordered(replica, network, [withdrawal(20n)]);
    await sleep(1);
    assert.equal(urgent.waitingSince(), undefined);
    assert.equal(database.prepare('SELECT count(*) AS n FROM urgent_asked').get()?.['n'], 0);
  });

  test('nothing that the rules refuse, and only so much of one signer', () => {
    const { urgent } = waiting();
    const few = changedPolicy(network.root, {}, network.operators.slice(0, 2)).statement;
    assert.throws(() => urgent.keep([transactionOf(few)], 1), { code: 'POLICY_APPROVALS' });
    for (let skew = 0; skew < URGENT_A_SIGNER; skew++) urgent.keep([policyChange(skew)], skew);
    assert.throws(() => urgent.keep([policyChange(99)], 99), { code: 'LEDGER_BUSY' });
    const [, b, c, d] = network.operators;
    assert.ok(b && c && d);
    const others = changedPolicy(network.root, { skew: 99 }, [b, c, d]).statement;
    assert.equal(urgent.keep([transactionOf(others)], 99), true);
  });
});

function fake(
  kind: 'release.withdraw' | 'line.declare',
  signer: string,
  counter: number,
): Statement {
  const claims = { kind, issuer: 'x', subject: 'x', network: 'x', counter: BigInt(counter) };
  return createStatement(sampleKey(signer), claims, new Map<Cbor, Cbor>());
}

suite('T11: withdrawals, revocations and policy changes are ordered before all else', () => {
  const lanes = () => new WaitingGroups({ statements: 100, bytes: 1 << 20 });
  const entry = (statement: Statement) => ({
    group: [transactionOf(statement)],
    bytes: statement.bytes.length,
    resolve: () => undefined,
    reject: () => undefined,
  });
  const order = (groups: WaitingGroups): readonly string[] =>
    groups
      .take({ statements: Infinity, bytes: Infinity })
      .map(({ group }) => `${group[0]?.statement.kind} ${group[0]?.statement.counter}`);

  test('also when a flood came first and fills its own room', () => {
    const groups = lanes();
    for (let i = 0; i < 100; i++) groups.push(entry(fake('line.declare', 'flood', i)), 0, 60);
    assert.throws(() => groups.push(entry(fake('line.declare', 'flood', 100)), 0, 60), {
      code: 'LEDGER_BUSY',
    });
    groups.push(entry(fake('release.withdraw', 'author', 1)), 0, 60);
    assert.equal(order(groups)[0], 'release.withdraw 1');
    assert.equal(groups.statements, 0);
  });

  test('at most q a signer and maxHold: what comes beyond waits like the rest', () => {
    const groups = lanes();
    for (let i = 0; i < URGENT_A_SIGNER; i++)
      groups.count([transactionOf(fake('release.withdraw', 'busy', i))], 100);
    groups.push(entry(fake('line.declare', 'first', 1)), 150, 60);
    groups.push(entry(fake('release.withdraw', 'busy', 17)), 150, 60);
    groups.push(entry(fake('release.withdraw', 'other', 1)), 150, 60);
    assert.deepEqual(order(groups), [
      'release.withdraw 1',
      'line.declare 1',
      'release.withdraw 17',
    ]);
    groups.push(entry(fake('line.declare', 'first', 2)), 161, 60);
    groups.push(entry(fake('release.withdraw', 'busy', 18)), 161, 60);
    assert.equal(order(groups)[0], 'release.withdraw 18');
  });

  test('an orderer orders the policy change first, and its block shows it', async () => {
    const { replica, author } = waiting();
    await using ledger = createLocalLedger({
      replica,
      key: network.orderer.statement,
      clock: () => network.genesis.time,
      logger: SILENT,
    });
    const size = replica.head().size;
    const [declared, changed] = await Promise.all([
      ledger.submit([declaration(author, 0)]),
      ledger.submit([policyChange(1)]),
    ]);
    assert.equal(changed[0]?.index, size);
    assert.equal(declared[0]?.index, size + 1);
    assert.ok(isUrgent([policyChange(1)]) && !isUrgent([declaration(author, 0)]));
  });
});

async function until(
  what: string,
  holds: () => boolean | Promise<boolean>,
  ms = 20_000,
): Promise<void> {
  const end = performance.now() + ms;
  while (!(await holds())) {
    if (performance.now() > end) assert.fail(`not in time: ${what}`);
    await sleep(20);
  }
}

/** Sends a statement to a node and answers the code with which it was refused, if it was. */
async function send(
  net: TestNetwork,
  to: string,
  { bytes }: Statement,
): Promise<string | undefined> {
  try {
    await net.client().request({
      method: 'POST',
      url: net.url(to, REGISTRATIONS),
      headers: { 'content-type': 'application/cbor' },
      body: encodeGroup([{ statement: bytes, attachment: null }]),
      maxBytes: 1 << 16,
    });
    return undefined;
  } catch (error) {
    return codeOf(error);
  }
}

test('T11: nodes of an orderer that is gone stop signing after maxHold, say so, and go on when it is back', async () => {
  let ahead = 0;
  const clock = (): number => Math.floor(Date.now() / 1000) + ahead;
  await using net = await startTestNetwork({ clock, receiptWaitMs: 500 });
  const author = await testAuthor(net);
  const frozen = (name: string): string | undefined => net.node(name).health().frozen?.code;
  const signedAt = (): number => net.node('a/n1').health().quorum?.time ?? 0;
  await net.stop('d/n1');
  // What it answered last has arrived.
  await sleep(300);
  ahead = 3_590;
  await sleep(200);
  assert.equal(frozen('a/n1'), undefined);
  ahead = 4_000;
  await until('they are frozen', () =>
    ['a/n1', 'b/n1', 'c/n1'].every((name) => frozen(name) === 'NODE_FROZEN_UNHEARD'),
  );
  const before = signedAt();
  // A long time passes, in which an unfrozen node would have signed again.
  ahead = 40_000;
  await sleep(1_200);
  assert.equal(signedAt(), before);
  await net.start('d/n1');
  await until('they sign again', () => frozen('a/n1') === undefined);
  await author.declare('after');
  assert.ok(signedAt() > before);
});

test('T11: an orderer that withholds a withdrawal freezes the ledger, and a flood of others changes nothing', async () => {
  let ahead = 0;
  const clock = (): number => Math.floor(Date.now() / 1000) + ahead;
  const start = ['a/n1', 'b/n1', 'c/n1'];
  await using net = await startTestNetwork({
    clock,
    receiptWaitMs: 500,
    start,
    replicate: () => 'all',
  });
  await using orderer = await startFakeOrderer(net);
  const author = await testAuthor(net, { timeoutMs: 5_000 });
  const release = await author.publish();
  orderer.withhold('release.withdraw');
  const withdrawn = author.withdraw(release).catch(codeOf);
  await sleep(700);
  const waits = (name: string): number | undefined => net.node(name).health().frozen?.since;
  ahead = 3_500;
  await sleep(300);
  assert.equal(waits('a/n1'), undefined);
  // Ordered all the while: other statements do not stop the timer.
  const flood = await testAuthor(net, { timeoutMs: 8_000 });
  for (let i = 0; i < 5; i++) await flood.declare(`flood ${i}`);
  ahead = 3_700;
  await until('all are frozen', () =>
    ['a/n1', 'b/n1', 'c/n1'].every((name) => waits(name) !== undefined),
  );
  assert.equal(net.node('b/n1').health().frozen?.code, 'NODE_FROZEN_WITHHELD');
  const { size } = net.node('a/n1').health().quorum ?? { size: 0 };
  const { session } = flood;
  const signer = { key: session.key, author: session.author.id, networkId: net.root.networkId };
  const line = flood.line('after the freeze');
  const refused = await send(net, 'a/n1', declareStatement(signer, BigInt(clock()) << 20n, line));
  assert.equal(refused, undefined);
  await sleep(1_000);
  // Ordered, and not signed: no device is told of it as of something fresh.
  assert.ok(net.node('a/n1').health().size > size);
  assert.equal(net.node('a/n1').health().quorum?.size, size);
  assert.equal(await withdrawn, 'AUTHOR_TIMEOUT');
});
