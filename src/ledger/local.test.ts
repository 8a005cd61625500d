import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { FirmamentError } from '../errors.ts';
import { fixtureKey, fixtureNetwork } from '../testing/fixture.ts';
import {
  declaration,
  dumped,
  openedReplica,
  ordered,
  registeredAuthor,
  resigned,
  SILENT,
  transactionOf,
} from '../testing/ledger-fixture.ts';
import { createFollowingLedger, follow, recover } from './follow.ts';
import type { BlockSource } from './ledger.ts';
import { createLocalLedger, type LocalLedgerOptions } from './local.ts';
import { replicaSource } from './replica-source.ts';

const network = fixtureNetwork({ operators: 1 });
const { author, group: registration } = registeredAuthor(network, 'acme');

function localLedger(options: Partial<LocalLedgerOptions> = {}) {
  const opened = openedReplica(network);
  const ledger = createLocalLedger({
    replica: opened.replica,
    key: network.orderer.statement,
    clock: () => network.genesis.time + 60,
    logger: SILENT,
    ...options,
  });
  return { ...opened, ledger };
}

function declarations(count: number, from = 0) {
  return Array.from({ length: count }, (_, i) => declaration(author, from + i));
}

test('a submit is answered once its block is on disk', async () => {
  const { ledger, replica } = localLedger();
  const placements = await ledger.submit(registration);
  assert.deepEqual(placements, [{ index: 1, height: 1, known: false }]);
  assert.equal(replica.head().time, network.genesis.time + 60);
  assert.deepEqual(await ledger.submit(registration), [{ index: 1, height: 1, known: true }]);
  assert.equal(ledger.status().head.height, 1);
});

test('what arrives together shares a block, and a refusal is told to whom it belongs', async () => {
  const { ledger, replica } = localLedger();
  const results = await Promise.allSettled([
    ledger.submit(registration),
    ledger.submit(declarations(2)),
    ledger.submit([declaration(registeredAuthor(network, 'ghost').author, 0)]),
    ledger.submit(declarations(1, 5)),
  ]);
  assert.deepEqual(
    results.map((result) => (result.status === 'fulfilled' ? 'ordered' : result.reason.code)),
    ['ordered', 'ordered', 'AUTHOR_UNKNOWN', 'ordered'],
  );
  assert.equal(replica.head().height, 1);
  assert.equal(replica.head().size, 1 + 4 + 1);
});

test('groups share a block up to its bound, the rest goes into the next', async () => {
  const { ledger, replica } = localLedger();
  await ledger.submit(registration);
  await Promise.all([ledger.submit(declarations(260)), ledger.submit(declarations(260, 260))]);
  assert.equal(replica.head().height, 3);
  await Promise.all(
    Array.from({ length: 150 }, (_, i) => ledger.submit([declaration(author, 520 + i)])),
  );
  assert.equal(replica.head().height, 5);
  const follower = openedReplica(network).replica;
  for (const bytes of replica.blocks(1, 1 << 24)) follower.append(bytes);
  assert.deepEqual(follower.head().root, replica.head().root);
});

test('groups that fit no block and queues that are full are refused', async () => {
  const { ledger } = localLedger({ queueStatements: 3, queueBytes: 1 << 30 });
  await assert.rejects(ledger.submit([]), { code: 'LEDGER_GROUP_INVALID' });
  await assert.rejects(ledger.submit(Array.from({ length: 513 }, () => declaration(author, 0))), {
    code: 'LEDGER_GROUP_INVALID',
  });
  const [first] = registration;
  assert.ok(first);
  const huge = Array.from({ length: 129 }, () =>
    transactionOf(first.statement, new Uint8Array(1 << 16)),
  );
  await assert.rejects(ledger.submit(huge), { code: 'LEDGER_GROUP_INVALID' });
  const waiting = ledger.submit([...registration, ...declarations(2)]);
  await assert.rejects(ledger.submit(registration), { code: 'LEDGER_BUSY' });
  await waiting;
  await ledger.submit(registration);
});

test('a ledger that closes orders what waits, and takes nothing more', async () => {
  const { ledger, replica } = localLedger();
  const waiting = ledger.submit(registration);
  await ledger[Symbol.asyncDispose]();
  assert.equal((await waiting)[0]?.height, 1);
  await assert.rejects(ledger.submit(registration), { code: 'LEDGER_CLOSED' });
  assert.equal(replica.head().height, 1);
});

test('only the orderer’s key makes a local ledger', () => {
  assert.throws(() => localLedger({ key: fixtureKey('somebody') }), { code: 'LEDGER_NOT_ORDERER' });
});

test('a long poll answers with the next block, or with nothing after its time', async () => {
  const { ledger, replica } = localLedger();
  assert.deepEqual(await ledger.blocks(1, 20), []);
  const polled = ledger.blocks(1, 5000);
  await ledger.submit(registration);
  assert.deepEqual(await polled, [replica.block(1)]);
  const stop = new AbortController();
  const aborted = ledger.blocks(2, 5000, stop.signal);
  stop.abort();
  await assert.rejects(aborted, { name: 'AbortError' });
});

test('a follower a thousand blocks behind catches up, and then follows', async () => {
  const { ledger, replica, database } = localLedger();
  ordered(replica, network, registration);
  for (let model = 0; model < 1000; model++)
    ordered(replica, network, [declaration(author, model)]);
  const behind = openedReplica(network);
  await using following = createFollowingLedger({
    replica: behind.replica,
    source: ledger,
    logger: SILENT,
    waitMs: 1000,
    forward: (group) => ledger.submit(group),
  });
  const caughtUp = Promise.withResolvers<void>();
  following.onHead((head) => head.height === 1002 && caughtUp.resolve());
  const placements = await following.submit([declaration(author, 1000)]);
  assert.equal(placements[0]?.height, 1002);
  await caughtUp.promise;
  assert.deepEqual(behind.replica.head(), replica.head());
  assert.equal(dumped(behind.database), dumped(database));
});

test('a follower waits out a source that fails, and a source that repeats itself', async () => {
  const { replica } = localLedger();
  ordered(replica, network, registration);
  const behind = openedReplica(network).replica;
  const stop = new AbortController();
  const answers: (() => readonly Uint8Array[])[] = [
    () => {
      throw new FirmamentError('LEDGER_BUSY');
    },
    () => [new Uint8Array(100)],
    () => [replica.block(1)],
    () => [replica.block(1)],
  ];
  let asked = 0;
  const heads: number[] = [];
  const source: BlockSource = {
    async blocks() {
      const answer = answers[asked++];
      if (!answer) stop.abort();
      return answer?.() ?? [];
    },
  };
  await follow({
    replica: behind,
    source,
    signal: stop.signal,
    logger: SILENT,
    backoffMs: 1,
    onHead: (head) => heads.push(head.height),
    onLie: () => assert.fail('no lie was told'),
  });
  assert.equal(asked, 5);
  assert.deepEqual(heads, [1]);
});

test('a follower stops at a lie, says so once, and again after a restart', async () => {
  const { replica } = localLedger();
  ordered(replica, network, registration);
  ordered(replica, network, [declaration(author, 0)]);
  const lie = resigned(network, replica.block(2), ({ size }) => ({ size: size + 2 }));
  const behind = openedReplica(network).replica;
  const lies: number[] = [];
  const options = {
    replica: behind,
    source: { blocks: async () => [replica.block(1), lie] },
    signal: new AbortController().signal,
    logger: SILENT,
    onLie: () => lies.push(behind.head().height),
  };
  await follow(options);
  assert.deepEqual(lies, [1]);
  await follow(options);
  assert.deepEqual(lies, [1, 1]);
});

test('T12: an orderer takes over the longest chain that its followers hold before it orders', async () => {
  const { replica } = localLedger();
  const short = openedReplica(network).replica;
  ordered(replica, network, registration);
  short.append(replica.block(1));
  ordered(replica, network, [declaration(author, 0)]);
  const restored = openedReplica(network).replica;
  let down = 2;
  const flaky: BlockSource = {
    async blocks(from, waitMs, signal) {
      if (down-- > 0) throw new FirmamentError('LEDGER_CLOSED');
      return replicaSource(replica).blocks(from, waitMs, signal);
    },
  };
  await recover({
    replica: restored,
    sources: [
      { operator: 'a', ...replicaSource(short) },
      { operator: 'b', ...flaky },
    ],
    needed: 2,
    signal: AbortSignal.timeout(5000),
    logger: SILENT,
    backoffMs: 1,
  });
  assert.deepEqual(restored.head(), replica.head());
});

test('an orderer without enough answers goes on asking, and one that forked itself is told', async () => {
  const restored = openedReplica(network).replica;
  const stop = new AbortController();
  // Two nodes of one operator are one answer (T09).
  const twin = { operator: 'a', ...replicaSource(openedReplica(network).replica) };
  const asking = recover({
    replica: restored,
    sources: [twin, { ...twin }],
    needed: 2,
    signal: stop.signal,
    logger: SILENT,
    backoffMs: 1,
  });
  await sleep(10);
  stop.abort();
  await assert.rejects(asking, { name: 'AbortError' });

  const { replica } = localLedger();
  ordered(replica, network, registration);
  ordered(replica, network, [declaration(author, 0)]);
  ordered(restored, network, registration, network.genesis.time + 1);
  const options = {
    replica: restored,
    sources: [{ operator: 'a', ...replicaSource(replica) }],
    needed: 1,
    signal: AbortSignal.timeout(5000),
    logger: SILENT,
  };
  await assert.rejects(recover(options), { code: 'LEDGER_ORDERER_LIES' });
});
