import assert from 'node:assert/strict';
import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { sha256 } from '#crypto';
import { hex, utf8 } from '../bytes.ts';
import { encode } from '../cbor/encode.ts';
import { openDatabase } from '../database.ts';
import { appHash } from '../light/app-hash.ts';
import { lineKey } from '../registry/line.ts';
import { consortiumOf } from '../registry/orderer.ts';
import { BATCH_INTERVAL, reportBatchStatement } from '../registry/rules/report-batch.ts';
import { parseStatement, type Transaction } from '../registry/statement.ts';
import { certificateFor } from '../testing/certificates.ts';
import { fixtureConsortium, fixtureLine, fixtureNetwork } from '../testing/fixture.ts';
import { changedPolicy } from '../testing/governance.ts';
import {
  decided,
  declaration,
  dumped,
  openedReplica,
  ordered,
  provenBlock,
  refusalOf,
  registeredAuthor,
  transactionOf,
} from '../testing/ledger-fixture.ts';
import { openReplica, type Replica } from './replica.ts';
import { replicaSource } from './replica-source.ts';

const network = fixtureNetwork({ engine: 'cometbft' });
const { time } = network.genesis;
const { author, group: registration } = registeredAuthor(network, 'acme');
const CHAIN = 1;

/** What is of the ledger alone: not how far this node's own engine got. */
function ledgerOf(replica: { readonly database: Parameters<typeof dumped>[0] }): string {
  return dumped(replica.database).replace(/^\["engine".*\n/m, '');
}

test('what is decided is on disk once it is committed, and nowhere before', () => {
  const { replica, database } = openedReplica(network);
  const before = dumped(database);
  const decision = replica.decide([registration, [declaration(author, 0)]], time + 7);
  assert.ok(decision.head);
  assert.equal(decision.head.height, 1);
  assert.equal(decision.head.time, time + 7);
  const { size, root, epoch } = decision.head;
  assert.deepEqual(decision.appHash, appHash({ size, root, stateRoot: epoch.stateRoot }));
  assert.deepEqual(decision.validatorUpdates, []);
  // Every way to read shows the ledger as it was.
  const [first] = registration;
  assert.ok(first);
  assert.equal(replica.find(first.statement.signingDigest), undefined);
  assert.equal(replica.findEntry(first.statement.entry), undefined);
  assert.equal(replica.statement(1), undefined);
  assert.equal(replica.head().height, 0);
  assert.throws(() => replica.headAt(1), { code: 'LEDGER_HEIGHT_UNKNOWN' });
  assert.equal(replica.view().get(`author/${hex(author.author)}`), undefined);
  const key = lineKey(fixtureLine(author.author, 'model 0'));
  assert.equal(replica.at(0).value(key), undefined);
  replica.at(0).prove(key);
  assert.equal(dumped(database), before);
  assert.equal(replica.enginePosition(CHAIN), undefined);

  assert.deepEqual(replica.commitDecided({ chain: CHAIN, height: 1 }), decision.head);
  assert.deepEqual(replica.head(), decision.head);
  assert.deepEqual(replica.find(first.statement.signingDigest), {
    index: 1,
    height: 1,
    known: true,
  });
  assert.deepEqual(replica.enginePosition(CHAIN), { height: 1, head: decision.head });
  assert.ok(replica.at(1).value(key));
});

test('a decision is dropped by the next one, by giving it up, and by the end of the process', async () => {
  const { replica, database } = openedReplica(network);
  const before = dumped(database);
  replica.abandonDecided();
  const first = replica.decide([registration], time);
  replica.abandonDecided();
  assert.throws(() => replica.commitDecided({ chain: CHAIN, height: 1 }), {
    code: 'LEDGER_UNDECIDED',
  });
  replica.decide([[declaration(author, 0)]], time);
  const again = replica.decide([registration], time);
  assert.deepEqual(again, first);
  // What a power cut would leave.
  await using folder = await mkdtempDisposable(join(tmpdir(), 'firmament-decide-'));
  await replica.copyTo(join(folder.path, 'copy.db'));
  await using copy = openDatabase(join(folder.path, 'copy.db'));
  assert.equal(openReplica(copy, network.genesis).head().height, 0);
  const reopened = openReplica(database, network.genesis);
  assert.equal(reopened.head().height, 0);
  assert.equal(dumped(database), before);
  assert.deepEqual(replica.commitDecided({ chain: CHAIN, height: 1 }), first.head);
});

test('an engine block without anything new leaves head and app hash, and is counted', () => {
  const { replica } = openedReplica(network);
  const empty = replica.decide([], time + 100);
  assert.equal(empty.head, null);
  assert.equal(replica.commitDecided({ chain: CHAIN, height: 1 }).height, 0);
  decided(replica, [registration]);
  const known = replica.decide([registration, [declaration(author, 0), ...registration]], time);
  assert.equal(known.head?.size, 5);
  const repeated = replica.decide([registration], time + 200);
  assert.equal(repeated.head, null);
  const { size, root, epoch } = replica.head();
  assert.deepEqual(repeated.appHash, appHash({ size, root, stateRoot: epoch.stateRoot }));
  assert.notDeepEqual(repeated.appHash, empty.appHash);
  replica.commitDecided({ chain: CHAIN, height: 3 });
  assert.equal(replica.enginePosition(CHAIN)?.height, 3);
  assert.equal(replica.enginePosition(2), undefined);
});

test('the engine’s blocks are committed one after the other', () => {
  const { replica } = openedReplica(network);
  for (const engine of [
    { chain: CHAIN, height: 2 },
    { chain: CHAIN, height: 0 },
    { chain: 2, height: 1 },
  ]) {
    replica.decide([registration], time);
    assert.throws(() => replica.commitDecided(engine), { code: 'LEDGER_OUT_OF_ORDER' });
    assert.equal(replica.head().height, 0);
  }
  replica.commitDecided({ chain: CHAIN, height: 1 });
  replica.decide([], time);
  assert.throws(() => replica.commitDecided({ chain: CHAIN, height: 1 }), {
    code: 'LEDGER_OUT_OF_ORDER',
  });
});

test('time never goes back', () => {
  const { replica } = openedReplica(network);
  decided(replica, [registration], time + 50);
  assert.equal(decided(replica, [[declaration(author, 0)]], time - 50)?.time, time + 50);
});

test('what a block has no room for is refused, in the order of the groups', () => {
  const { replica } = openedReplica(network);
  decided(replica, [registration]);
  const groups = Array.from({ length: 35 }, (_, g) =>
    Array.from({ length: 15 }, (_each, i) => declaration(author, g * 15 + i)),
  );
  const { outcomes, head } = replica.decide(groups, time);
  const codes = outcomes.map(refusalOf);
  // 34 groups of 15 are 510 statements; of 512 two are left.
  assert.deepEqual(codes.slice(0, 34), Array.from({ length: 34 }));
  assert.equal(codes[34], 'LEDGER_BUSY');
  assert.equal(head?.size, 3 + 510 + 1);
});

function someGroups(authors: readonly (typeof author)[]): fc.Arbitrary<readonly Transaction[][]> {
  const pool = authors.flatMap((each, i) => [
    ...registeredAuthor(network, `author ${i}`).group,
    ...Array.from({ length: 4 }, (_, model) => declaration(each, model)),
  ]);
  // The same signing digest with another attachment, or with a signature that is none.
  const hostile = pool.flatMap(({ statement }) => {
    const bytes = statement.bytes.slice();
    bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) ^ 1;
    return [
      { statement, attachment: new Uint8Array(9) },
      { statement: parseStatement(bytes), attachment: null },
    ];
  });
  const transaction = fc.oneof(
    { weight: 5, arbitrary: fc.constantFrom(...pool) },
    { weight: 1, arbitrary: fc.constantFrom(...hostile) },
  );
  return fc.array(fc.array(transaction, { minLength: 1, maxLength: 4 }), { maxLength: 6 });
}

test('every node decides the same bytes, a follower derives them, and an engine that lost its data repeats them', () => {
  const authors = [0, 1].map((i) => registeredAuthor(network, `author ${i}`).author);
  fc.assert(
    fc.property(
      fc.array(fc.tuple(someGroups(authors), fc.integer({ min: -5, max: 50 })), { maxLength: 5 }),
      (blocks) => {
        const [one, other, follower] = [0, 1, 2].map(() => openedReplica(network)) as [
          Opened,
          Opened,
          Opened,
        ];
        const outcomes: unknown[] = [];
        blocks.forEach(([groups, at], i) => {
          const decisions = [one, other].map(({ replica }) => {
            const decision = replica.decide(groups, time + at);
            replica.commitDecided({ chain: CHAIN, height: i + 1 });
            return decision;
          });
          assert.deepEqual(seen(decisions[0]), seen(decisions[1]));
          outcomes.push(seen(decisions[0]));
          const head = decisions[0]?.head;
          if (!head) return;
          assert.deepEqual(one.replica.block(head.height), other.replica.block(head.height));
          for (const { replica } of [one, other])
            replica.certify(head.height, certificateFor(network, head));
        });
        for (const bytes of one.replica.blocks(1, 1 << 24)) follower.replica.append(bytes);
        assert.equal(dumped(one.database), dumped(other.database));
        assert.equal(ledgerOf(follower), ledgerOf(one));
        // A follower that becomes a member: its engine has everything before it.
        for (const node of [one, follower]) {
          node.replica.forgetEngine();
          blocks.forEach(([groups, at], i) => {
            assert.deepEqual(seen(node.replica.decide(groups, time + at)), outcomes[i]);
            node.replica.commitDecided({ chain: CHAIN, height: i + 1 });
          });
          assert.equal(dumped(node.database), dumped(other.database));
        }
      },
    ),
    { numRuns: 25 },
  );
});

type Opened = ReturnType<typeof openedReplica>;

function seen(decision: ReturnType<Replica['decide']> | undefined): unknown {
  return (
    decision && {
      ...decision,
      // Why a group was refused when it was new is not kept.
      outcomes: decision.outcomes.map((each) => ('refused' in each ? 'refused' : each)),
    }
  );
}

test('what was too early in one block of the engine and in time in a later one is so again', () => {
  const { replica } = openedReplica(network);
  const [node] = network.nodes;
  assert.ok(node);
  const batch = (counter: bigint): readonly Transaction[] => [
    transactionOf(
      reportBatchStatement(
        node.statement,
        node.name,
        network.genesis.networkId,
        counter,
        new Uint8Array(32),
      ),
    ),
  ];
  const blocks = [
    { groups: [registration, batch(1n)], at: 0 },
    { groups: [batch(2n)], at: 10 },
    { groups: [batch(2n)], at: BATCH_INTERVAL },
    { groups: [batch(3n), [declaration(author, 0)]], at: BATCH_INTERVAL + 10 },
    { groups: [batch(3n), [declaration(author, 1)]], at: 2 * BATCH_INTERVAL },
  ];
  const run = (): readonly unknown[] =>
    blocks.map(({ groups, at }, i) => {
      const decision = replica.decide(groups, time + at);
      replica.commitDecided({ chain: CHAIN, height: i + 1 });
      return seen(decision);
    });
  const first = run();
  assert.equal(replica.head().height, 4);
  replica.forgetEngine();
  assert.deepEqual(run(), first);
});

test('an engine that repeats another history is stopped', () => {
  const { replica } = openedReplica(network);
  decided(replica, [[...registration, declaration(author, 0)]], time + 9);
  replica.forgetEngine();
  assert.throws(() => replica.decide([registration], time + 9), { code: 'LEDGER_REPLAY' });
  // At another time it made no block: the engine sees that by the app hash.
  assert.equal(replica.decide([[...registration, declaration(author, 0)]], time).head, null);
  assert.throws(() => replica.decide([registration], time + 9), { code: 'LEDGER_REPLAY' });
  assert.throws(() => replica.commitDecided({ chain: CHAIN, height: 1 }), {
    code: 'LEDGER_UNDECIDED',
  });
  const strange = replica.decide([[declaration(author, 5)]], time + 9);
  assert.ok(strange.outcomes[0] && 'refused' in strange.outcomes[0]);
  assert.equal(strange.head, null);
});

test('blocks are handed on once they are certified, in order', async () => {
  const { replica } = openedReplica(network);
  const heads = [decided(replica, [registration]), decided(replica, [[declaration(author, 0)]])];
  const [first, second] = heads;
  assert.ok(first && second);
  assert.deepEqual(replica.uncertified(), heads);
  assert.equal(replica.certified().height, 0);
  assert.deepEqual(replica.blocks(1, 1 << 20), []);
  assert.throws(() => replica.served(1), { code: 'LEDGER_HEIGHT_UNKNOWN' });
  const polled = replicaSource(replica).blocks(1, 5_000);
  const heard: number[] = [];
  replica.onCertified((head) => heard.push(head.height));
  assert.throws(() => replica.certify(2, certificateFor(network, second)), {
    code: 'LEDGER_OUT_OF_ORDER',
  });
  assert.throws(() => replica.certify(3, certificateFor(network, second)), {
    code: 'LEDGER_HEIGHT_UNKNOWN',
  });
  replica.certify(1, certificateFor(network, first));
  replica.certify(1, new Uint8Array());
  assert.equal((await polled).length, 1);
  assert.deepEqual(heard, [1]);
  assert.equal(replica.certified(), first);
  assert.deepEqual(replica.uncertified(), [second]);
  replica.certify(2, certificateFor(network, second, { height: 9 }));
  assert.equal(replica.blocks(1, 1 << 20).length, 2);
  assert.deepEqual(replica.uncertified(), []);
  assert.deepEqual(sha256(replica.block(2)), second.hash);
});

test('a member that became a follower has its own blocks certified by others', () => {
  const { replica } = openedReplica(network);
  const other = openedReplica(network).replica;
  for (const each of [replica, other]) decided(each, [registration]);
  other.certify(1, certificateFor(network, other.head()));
  const next = provenBlock(other, network, [[declaration(author, 0)]]);
  assert.throws(() => replica.append(other.served(2)), { code: 'LEDGER_OUT_OF_ORDER' });
  replica.append(other.served(1));
  assert.equal(replica.certified().height, 1);
  assert.deepEqual(replica.append(other.served(2)), next);
  assert.deepEqual(replica.append(other.served(1)), next);
});

test('voters change by policy, and a later certificate needs those of the policy before its block', () => {
  const { replica } = openedReplica(network);
  const [, b, c, d] = network.operators;
  assert.ok(b && c && d);
  const orderer = consortiumOf(network.genesis.policy.orderer);
  const foreign = fixtureNetwork({ label: 'spare' }).nodes[0];
  assert.ok(foreign);
  const [old] = orderer.members;
  assert.ok(old);
  const members = orderer.members.with(0, { ...old, key: foreign.consensus.publicKey });
  const change = changedPolicy(network.root, { orderer: { ...orderer, members } }, [b, c, d]);
  const decision = replica.decide([[transactionOf(change.statement)]], time);
  assert.deepEqual(decision.validatorUpdates, [
    { key: old.key, power: 0n },
    { key: foreign.consensus.publicKey, power: 10n },
  ]);
  const head = replica.commitDecided({ chain: CHAIN, height: 1 });
  const voters = [foreign, ...network.nodes.slice(1)];
  assert.throws(() => replica.certify(1, certificateFor(network, head, { validators: voters })), {
    code: 'COMMIT_SET',
  });
  replica.certify(1, certificateFor(network, head));
  const next = decided(replica, [registration]);
  assert.ok(next);
  assert.throws(() => replica.certify(2, certificateFor(network, next)), { code: 'COMMIT_SET' });
  replica.certify(2, certificateFor(network, next, { validators: voters }));

  const follower = openedReplica(network).replica;
  for (const bytes of replica.blocks(1, 1 << 20)) follower.append(bytes);
  assert.deepEqual(follower.certified(), next);
  // Repeated, the engine is told of the same change.
  follower.forgetEngine();
  const again = follower.decide([[transactionOf(change.statement)]], time);
  assert.deepEqual(again, decision);
});

test('one log from a local orderer to a consortium', () => {
  const local = fixtureNetwork();
  const { author: writer, group } = registeredAuthor(local, 'acme');
  const [a, b, c] = local.operators;
  assert.ok(a && b && c);
  const replica = openedReplica(local).replica;
  ordered(replica, local, group);
  const before = replica.head();
  const orderer = fixtureConsortium(local.nodes, 2);
  const change = changedPolicy(local.root, { orderer }, [a, b, c]);
  ordered(replica, local, [transactionOf(change.statement)], time + 5);
  const start = replica.head();
  assert.equal(replica.orderer(), undefined);
  assert.deepEqual(replica.ordering(), change.root.policy.orderer);
  assert.equal(replica.certified(), start);
  assert.deepEqual(replica.chainStart(2), start);
  assert.throws(() => replica.chainStart(3), { code: 'LEDGER_ENGINE' });
  assert.throws(() => ordered(replica, local, [declaration(writer, 0)]), {
    code: 'LEDGER_NOT_ORDERER',
  });
  provenBlock(replica, local, [[declaration(writer, 0)]], { chain: 2 });
  provenBlock(replica, local, [[declaration(writer, 1)]], { chain: 2, height: 3 });
  const { size, root } = replica.head();
  const path = replica.consistencyPath(before.size, size);
  assert.ok(path.length > 0 && root.length === 32);

  const follower = openedReplica(local).replica;
  for (const bytes of replica.blocks(1, 1 << 24)) follower.append(bytes);
  assert.deepEqual(follower.head(), replica.head());
  assert.deepEqual(follower.chainStart(2), start);
  const reopened = openedReplica(local);
  for (const bytes of replica.blocks(1, 1 << 24)) reopened.replica.append(bytes);
  const again = openReplica(reopened.database, local.genesis);
  assert.deepEqual(again.certified(), replica.head());
  assert.deepEqual(again.append(replica.block(1)), replica.head());
});

test('a database of before there were certificates is taken over', () => {
  const { replica, database } = openedReplica(network);
  database.exec('DROP TABLE certificate; PRAGMA user_version = 1');
  const again = openReplica(database, network.genesis);
  assert.deepEqual(again.head(), replica.head());
  provenBlock(again, network, [registration]);
  assert.equal(openReplica(database, network.genesis).certified().height, 1);
});

test('nobody decides for a network that one node orders', () => {
  const local = fixtureNetwork();
  const { replica } = openedReplica(local);
  assert.throws(() => replica.decide([], time), { code: 'LEDGER_ENGINE' });
  assert.throws(() => replica.append(encode([utf8('block'), utf8('certificate')])), {
    code: 'BLOCK_MALFORMED',
  });
});
