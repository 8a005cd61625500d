import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { openDatabase } from '../../src/database.ts';
import { recover, type HeldBlocks } from '../../src/ledger/follow.ts';
import { replicaSource } from '../../src/ledger/replica-source.ts';
import { followPolicy, type Neighbour } from '../../src/ledger/rival-history.ts';
import { openReplica, type Replica } from '../../src/ledger/replica.ts';
import { Appointment } from '../../src/node/appointment.ts';
import { dutyOf } from '../../src/node/duty.ts';
import { policiesFrom } from '../../src/node/policy-chain.ts';
import { openBlock, signBlock } from '../../src/registry/block.ts';
import { nodesOf } from '../../src/registry/policy.ts';
import type { Statement, Transaction } from '../../src/registry/statement.ts';
import { fixtureNetwork, type FixtureNode } from '../../src/testing/fixture.ts';
import { changedPolicy } from '../../src/testing/governance.ts';
import {
  declaration,
  openedReplica,
  ordered,
  registeredAuthor,
  resigned,
  SILENT,
  transactionOf,
} from '../../src/testing/ledger-fixture.ts';

const network = fixtureNetwork();
const { time } = network.genesis;
const { author, group: registration } = registeredAuthor(network, 'acme');
const [a, b, c, d] = network.operators as unknown as readonly [Op, Op, Op, Op];
type Op = (typeof network.operators)[number];
const key = (operator: Op): FixtureNode => operator.nodes[0] as FixtureNode;

function appointing(operator: Op, approvers: readonly Op[] = [a, b, c]): Statement {
  const orderer = { engine: 'local', operator: operator.name, node: 'n1' } as const;
  return changedPolicy(network.root, { orderer }, approvers).statement;
}

/** Replicas with the same first block, and as many more as asked for. */
function replicas(count: number, blocks = 1): readonly Replica[] {
  const first = openedReplica(network).replica;
  ordered(first, network, registration);
  for (let i = 1; i < blocks; i++) ordered(first, network, [declaration(author, i)]);
  const others = Array.from({ length: count - 1 }, () => openedReplica(network).replica);
  for (const other of others) for (const block of first.blocks(1, 1 << 24)) other.append(block);
  return [first, ...others];
}

function take(replica: Replica, groups: readonly (readonly Transaction[])[], by: Op): Uint8Array {
  const { head } = replica.propose(groups, time, key(by).statement);
  assert.ok(head);
  return replica.block(head.height);
}

function neighbour(replica: Replica): Neighbour {
  return { ...replicaSource(replica), policies: async (from) => policiesFrom(replica, from) };
}

const live = (): AbortSignal => new AbortController().signal;

suite('T12: the block by which another orderer takes over', () => {
  test('its first transaction appoints its signer: everybody goes on under the new one', () => {
    const [follower, taker] = replicas(2) as [Replica, Replica];
    const block = take(taker, [[transactionOf(appointing(c))], [declaration(author, 7)]], c);
    assert.equal(follower.append(block).height, 2);
    assert.equal(follower.orderer()?.name, 'c/n1');
    follower.append(take(taker, [[declaration(author, 8)]], c));
    assert.throws(() => ordered(follower, network, [declaration(author, 9)]), {
      code: 'LEDGER_NOT_ORDERER',
    });
    // A block of before, given again, changes nothing.
    assert.equal(follower.append(follower.block(1)).height, 3);
    assert.equal(follower.halted(), undefined);
  });

  test('without an appointment, or with another than its signer’s, nobody orders', () => {
    const [, taker] = replicas(2) as [Replica, Replica];
    const by = (groups: readonly (readonly Transaction[])[], op: Op) => () =>
      taker.propose(groups, time, key(op).statement);
    const code = { code: 'LEDGER_NOT_ORDERER' };
    // The appointment would be left out with the refused rest of its group: so is the block.
    const ghost = declaration(registeredAuthor(network, 'ghost').author, 1);
    assert.throws(by([[transactionOf(appointing(c)), ghost], [declaration(author, 7)]], c), code);
    assert.equal(taker.head().height, 1);
    assert.throws(by([[declaration(author, 7)]], c), code);
    assert.throws(by([[transactionOf(appointing(b))]], c), code);
    assert.throws(by([[declaration(author, 7)], [transactionOf(appointing(c))]], c), code);
    assert.throws(by([[transactionOf(appointing(c, [a, b]))]], c), code);
    assert.throws(by([[transactionOf(appointing(c)), declaration(author, 7)], []], b), code);
  });

  test('signed by somebody else, upon another block, or upon an older one, it is refused and halts nobody', () => {
    const [follower, taker] = replicas(2, 2) as [Replica, Replica];
    const good = take(taker, [[transactionOf(appointing(c))]], c);
    const otherSigner = resigned({ ...network, orderer: key(c) }, good, () => ({
      transactions: [{ statement: appointing(b).bytes, attachment: null }],
    }));
    const otherHistory = resigned({ ...network, orderer: key(c) }, good, () => ({
      previous: new Uint8Array(32),
    }));
    const tooFew = resigned({ ...network, orderer: key(c) }, good, () => ({
      transactions: [{ statement: appointing(c, [a, b]).bytes, attachment: null }],
    }));
    const older = resigned({ ...network, orderer: key(c) }, good, () => ({ height: 2 }));
    for (const bytes of [otherSigner, otherHistory, tooFew, older])
      assert.throws(() => follower.append(bytes), { code: 'BLOCK_SIGNER' });
    assert.equal(follower.halted(), undefined);
    assert.equal(follower.append(good).height, 3);
  });

  test('an appointed orderer that lies in that very block is found out like any other', () => {
    const [follower, taker] = replicas(2) as [Replica, Replica];
    const good = take(taker, [[transactionOf(appointing(c))]], c);
    const lie = resigned({ ...network, orderer: key(c) }, good, ({ size }) => ({ size: size + 1 }));
    assert.throws(() => follower.append(lie), { code: 'LEDGER_ORDERER_LIES' });
    assert.deepEqual(follower.evidence()[0]?.bytes, lie);
  });
});

suite('T12: an old orderer with a history of its own', () => {
  /** d went on alone by two blocks; the others took over from the block that all have. */
  function parted() {
    const [old, taker] = replicas(2, 2) as [Replica, Replica];
    ordered(old, network, [declaration(author, 20)]);
    ordered(old, network, [declaration(author, 21)]);
    take(taker, [[transactionOf(appointing(c))]], c);
    return { old, taker };
  }

  test('finds it superseded, halts for good and keeps the block that shows it', async () => {
    const { old, taker } = parted();
    for (let i = 30; i < 40; i++) take(taker, [[declaration(author, i)]], c);
    await assert.rejects(
      followPolicy(old, neighbour(taker), () => 0, live()),
      { code: 'LEDGER_SUPERSEDED' },
    );
    assert.equal(old.halted()?.code, 'LEDGER_SUPERSEDED');
    assert.equal(old.halted()?.height, 3);
    assert.deepEqual(old.evidence()[0]?.bytes, taker.block(3));
    assert.throws(() => ordered(old, network, [declaration(author, 22)]), {
      code: 'LEDGER_HALTED',
    });
  });

  test('also when its own history is the longer one', async () => {
    const { old, taker } = parted();
    for (let i = 30; i < 40; i++) ordered(old, network, [declaration(author, i)]);
    await assert.rejects(
      followPolicy(old, neighbour(taker), () => 0, live()),
      { code: 'LEDGER_SUPERSEDED' },
    );
  });

  test('without blocks of its own it follows', async () => {
    const [old, taker] = replicas(2, 4) as [Replica, Replica];
    take(taker, [[transactionOf(appointing(c))]], c);
    take(taker, [[declaration(author, 30)]], c);
    assert.equal(await followPolicy(old, neighbour(taker), () => 0, live()), true);
    assert.equal(old.orderer()?.name, 'c/n1');
    assert.equal(old.halted(), undefined);
    assert.equal(await followPolicy(old, neighbour(taker), () => 0, live()), false);
  });

  test('a hand-over that drops what k operators acknowledged supersedes nothing', async () => {
    const { old, taker } = parted();
    const acknowledged = (): number => old.headAt(3).size;
    await assert.rejects(followPolicy(old, neighbour(taker), acknowledged, live()), {
      code: 'BLOCK_SIGNER',
    });
    assert.equal(old.halted(), undefined);
    ordered(old, network, [declaration(author, 50)]);
  });

  test('nobody else makes it halt: not without approvals, not without a block that says so', async () => {
    const { old, taker } = parted();
    const few = appointing(c, [a, b]).bytes;
    const lies: readonly Partial<Neighbour>[] = [
      { policies: async () => [few] },
      { policies: async () => [new Uint8Array(9)] },
      // A true appointment, and blocks that are not what it leads to.
      { blocks: async () => [old.block(1)] },
      { blocks: async () => [taker.block(1)] },
    ];
    for (const lie of lies) {
      const lying = { ...neighbour(taker), ...lie };
      await followPolicy(old, lying, () => 0, live()).catch((error: { code?: string }) => {
        assert.match(error.code ?? '', /^(BLOCK|STATEMENT|POLICY|LEDGER_OUT)_?/);
      });
      assert.equal(old.halted(), undefined);
    }
    const theirs = openBlock(taker.block(3), key(c).statement.publicKey, 'c/n1', taker.origin);
    const other = signBlock(key(b).statement, 'b/n1', taker.origin, theirs);
    assert.throws(() => old.supersede(other, 0), { code: 'BLOCK_SIGNER' });
    assert.throws(() => old.supersede(old.block(3), 0), { code: 'BLOCK_SIGNER' });
    assert.throws(() => old.supersede(new Uint8Array(4), 0), { code: 'BLOCK_MALFORMED' });
    assert.equal(old.halted(), undefined);
  });

  test('also when it had ordered the same change itself, and nobody knew', async () => {
    const [old, taker] = replicas(2) as [Replica, Replica];
    const change = transactionOf(appointing(c));
    ordered(old, network, [change, declaration(author, 20)]);
    take(taker, [[change]], c);
    const next = take(taker, [[declaration(author, 30)]], c);
    // Nothing of that is a lie of the new orderer's.
    assert.throws(() => old.append(next), { code: 'LEDGER_OUT_OF_ORDER' });
    assert.throws(() => old.append(taker.block(2)), { code: 'BLOCK_SIGNER' });
    assert.equal(await followPolicy(old, neighbour(taker), () => old.head().size, live()), false);
    assert.equal(old.halted(), undefined);
    const superseded = { code: 'LEDGER_SUPERSEDED' };
    await assert.rejects(
      followPolicy(old, neighbour(taker), () => 0, live()),
      superseded,
    );
  });

  test('its own hand-over supersedes nothing', () => {
    const [taker] = replicas(2) as [Replica, Replica];
    const own = take(taker, [[transactionOf(appointing(c))]], c);
    take(taker, [[declaration(author, 30)]], c);
    assert.throws(() => taker.supersede(own, 0), { code: 'BLOCK_SIGNER' });
  });

  test('after a second change it knows the policy that was in force where they part', async () => {
    const [old, taker] = replicas(2) as [Replica, Replica];
    const first = take(taker, [[transactionOf(appointing(c))]], c);
    old.append(first);
    const root = changedPolicy(
      network.root,
      { orderer: { engine: 'local', operator: 'c', node: 'n1' } },
      [a, b, c],
    ).root;
    const back = changedPolicy(root, { orderer: { engine: 'local', operator: 'a', node: 'n1' } }, [
      a,
      b,
      d,
    ]);
    take(old, [[declaration(author, 20)]], c);
    take(taker, [[transactionOf(back.statement)]], a);
    await assert.rejects(
      followPolicy(old, neighbour(taker), () => 0, live()),
      { code: 'LEDGER_SUPERSEDED' },
    );
  });
});

suite('T12: nothing acknowledged is lost', () => {
  const spki = (operator: Op): Uint8Array =>
    nodesOf(network.root.policy).find(({ name }) => name === key(operator).name)?.node.spki ??
    new Uint8Array();

  test('the one that takes over asks n - f operators, and has the longest chain of theirs', async () => {
    const [short, taker] = replicas(2) as [Replica, Replica];
    const long = openedReplica(network).replica;
    for (const block of short.blocks(1, 1 << 24)) long.append(block);
    ordered(long, network, [declaration(author, 20)]);
    const held = (operator: string | null, replica: Replica): HeldBlocks => ({
      operator,
      ...replicaSource(replica),
    });
    const options = { replica: taker, logger: SILENT, backoffMs: 1 };
    // One operator's two nodes, and the asker's own, are not two operators.
    const same = recover({
      ...options,
      sources: [held('a', short), held('a', short), held(null, short)],
      needed: 2,
      signal: AbortSignal.timeout(50),
    });
    await assert.rejects(same, { name: 'AbortError' });
    const sources = [held('a', short), held('b', long)];
    await recover({ ...options, sources, needed: 2, signal: live() });
    assert.deepEqual(taker.head(), long.head());
  });

  test('a promise: from then on the appointed one alone is followed, also after a restart', () => {
    const { replica } = openedReplica(network);
    const database = openDatabase(':memory:');
    const appointment = new Appointment(database, replica);
    assert.equal(dutyOf('a/n1', replica, appointment.appointed()).kind, 'follow');
    let woken = 0;
    appointment.onChange(() => woken++);
    appointment.promise(appointing(c).bytes, spki(c));
    assert.equal(woken, 1);
    for (const known of [appointment, new Appointment(database, replica)]) {
      const duty = dutyOf('a/n1', replica, known.appointed());
      assert.ok(duty.kind === 'follow' && duty.promised && duty.orderer.name === 'c/n1');
      assert.equal(dutyOf('c/n1', replica, known.appointed()).kind, 'take over');
      // The old orderer, alive after all, orders no more.
      assert.equal(dutyOf('d/n1', replica, known.appointed()).kind, 'follow');
    }
    // The one that was appointed is gone too: another is, and asks.
    appointment.promise(appointing(b).bytes, spki(b));
    assert.equal(appointment.appointed()?.name, 'b/n1');
    appointment.promise(appointing(c).bytes, spki(c));
    // Its policy in force, the promise is fulfilled.
    replica.propose([[transactionOf(appointing(c))]], time, key(c).statement);
    assert.equal(appointment.appointed(), undefined);
    assert.equal(dutyOf('c/n1', replica, appointment.appointed()).kind, 'order');
    // Asked again: it is in force.
    appointment.promise(appointing(c).bytes, spki(c));
    assert.equal(appointment.appointed(), undefined);
  });

  test('nothing is promised to anybody but the node that enough operators appointed', () => {
    const { replica } = openedReplica(network);
    const appointment = new Appointment(openDatabase(':memory:'), replica);
    const attempts: readonly (readonly [Uint8Array, Op])[] = [
      [appointing(c).bytes, b],
      [appointing(c, [a, b]).bytes, c],
      [new Uint8Array(10), c],
      [registration[0]?.statement.bytes ?? new Uint8Array(), c],
    ];
    for (const [bytes, asker] of attempts)
      assert.throws(() => appointment.promise(bytes, spki(asker)), {
        code: 'NODE_TAKEOVER_INVALID',
      });
    assert.equal(appointment.appointed(), undefined);
  });
});

test('the ledger after a hand-over is read again as it was', () => {
  const database = openDatabase(':memory:');
  const replica = openReplica(database, network.genesis);
  ordered(replica, network, registration);
  take(replica, [[transactionOf(appointing(c))]], c);
  const again = openReplica(database, network.genesis);
  assert.equal(again.orderer()?.name, 'c/n1');
  assert.equal(policiesFrom(again, 2).length, 1);
  assert.equal(policiesFrom(again, 0).length, 1);
  assert.equal(policiesFrom(again, 3).length, 0);
});
