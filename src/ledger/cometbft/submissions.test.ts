import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fromBase64 } from '../../bytes.ts';
import { openDatabase, type Database } from '../../database.ts';
import { fail, FirmamentError } from '../../errors.ts';
import { encodeGroup, MAX_GROUP } from '../../registry/group.ts';
import type { Transaction } from '../../registry/statement.ts';
import { fixtureNetwork } from '../../testing/fixture.ts';
import { changedPolicy } from '../../testing/governance.ts';
import {
  declaration,
  openedReplica,
  registeredAuthor,
  SILENT,
  transactionOf,
} from '../../testing/ledger-fixture.ts';
import { until } from '../../testing/cometbft.ts';
import { PendingGroups } from './pending.ts';
import type { EngineRpc, Params } from './rpc.ts';
import { Submissions, type SubmissionsOptions } from './submissions.ts';
import { TransactionCache } from './transaction-cache.ts';
import { EngineWatch } from './watch.ts';

const network = fixtureNetwork({ engine: 'cometbft' });
const { author, group: registration } = registeredAuthor(network, 'acme');

function waiting(
  options: Partial<SubmissionsOptions> = {},
  database: Database = openDatabase(':memory:'),
) {
  const { replica } = openedReplica(network);
  const cache = new TransactionCache();
  const sent: Uint8Array[][] = [];
  const rpc: EngineRpc = {
    call: async () => fail('ENGINE_RPC'),
    calls: async (_, params: readonly Params[]) => {
      sent.push(params.map(({ tx }) => fromBase64(tx as string)));
      return params.map(() => ({ result: {} }));
    },
    [Symbol.dispose]() {},
  };
  const pending = new PendingGroups(database);
  const submissions = new Submissions({
    replica,
    cache,
    pending,
    rpc,
    clock: () => network.genesis.time,
    logger: SILENT,
    isReady: () => true,
    orderWaitMs: 20,
    againMs: 30,
    queueStatements: 8,
    queueBytes: 1 << 20,
    ...options,
  });
  return { submissions, pending, sent, cache, replica, database };
}

const bytesOf = (group: readonly Transaction[]): Uint8Array =>
  encodeGroup(
    group.map(({ statement, attachment }) => ({ statement: statement.bytes, attachment })),
  );

test('what is not ordered in time is on disk before its caller is told so, and is put forward again', async () => {
  const { submissions, pending, sent, cache, database } = waiting();
  await assert.rejects(submissions.submit(registration), { code: 'LEDGER_UNORDERED' });
  const [row] = pending.all();
  assert.deepEqual(row?.bytes, bytesOf(registration));
  await until(() => sent.length >= 2, 'another attempt', 10_000);
  submissions.close();
  const again = waiting({}, database);
  await until(() => again.sent.length >= 1, 'an attempt after a restart', 10_000);
  assert.deepEqual(again.sent[0]?.[0], bytesOf(registration));
  const { id } = cache.parsed(bytesOf(registration));
  const placements = [{ index: 1, height: 1, known: false }];
  again.submissions.committed(new Map([[id, { placements }]]));
  assert.equal(again.submissions.queued, 0);
  assert.deepEqual(new PendingGroups(database).all(), []);
  again.submissions.close();
});

test('a refusal that stands a little later ends the wait, and takes what was kept', async () => {
  const { submissions, pending, cache, sent } = waiting({ orderWaitMs: 1, againMs: 4_000 });
  await assert.rejects(submissions.submit(registration), { code: 'LEDGER_UNORDERED' });
  const { id } = cache.parsed(bytesOf(registration));
  const refusal = new FirmamentError('AUTHOR_UNKNOWN');
  // At once it proves nothing: the block with what it builds upon may be on its way.
  for (let i = 0; i < 3; i++) submissions.refused(id, refusal);
  assert.equal(submissions.queued, 1);
  const before = sent.length;
  await until(() => sent.length > before, 'an attempt before the next round of them', 3_000);
  const again = submissions.submit(registration);
  submissions.refused(id, refusal);
  await assert.rejects(again, { code: 'AUTHOR_UNKNOWN' });
  assert.equal(pending.size, 0);
  assert.equal(submissions.queued, 0);
  submissions.close();
});

test('a block that had no room for a group refuses it for no good', async () => {
  const { submissions, pending, sent, cache } = waiting({ orderWaitMs: 1 });
  await assert.rejects(submissions.submit(registration), { code: 'LEDGER_UNORDERED' });
  const { id } = cache.parsed(bytesOf(registration));
  // Whoever proposed the block chose what else stands in it.
  submissions.committed(new Map([[id, { refused: new FirmamentError('LEDGER_BUSY') }]]));
  assert.equal(pending.size, 1);
  assert.equal(submissions.queued, registration.length);
  const { length } = sent;
  await until(() => sent.length > length, 'another attempt', 10_000);
  submissions.close();
});

test('a flood leaves room for what may not be held back (T11)', async () => {
  const { submissions } = waiting({ orderWaitMs: 1, queueBytes: bytesOf(registration).length });
  await assert.rejects(submissions.submit(registration), { code: 'LEDGER_UNORDERED' });
  await assert.rejects(submissions.submit([declaration(author, 0)]), { code: 'LEDGER_BUSY' });
  const change = changedPolicy(network.root, { maxHold: 7 }, network.operators);
  const urgent = [transactionOf(change.statement)];
  await assert.rejects(submissions.submit(urgent), { code: 'LEDGER_UNORDERED' });
  submissions.close();
});

test('a small transaction does not keep the block in memory that it came in', () => {
  const bytes = bytesOf(registration);
  const block = new Uint8Array(1 << 20);
  block.set(bytes, 1000);
  const cache = new TransactionCache();
  const { group } = cache.parsed(block.subarray(1000, 1000 + bytes.length));
  for (const { statement } of group)
    assert.ok(statement.bytes.buffer.byteLength <= bytes.length, 'a view of the whole block');
});

test('while the engine is behind, its state refuses nothing and nothing is put forward', async () => {
  let ready = false;
  const { submissions, sent, cache } = waiting({ isReady: () => ready, orderWaitMs: 5_000 });
  const submitted = submissions.submit(registration);
  const { id } = cache.parsed(bytesOf(registration));
  submissions.refused(id, new FirmamentError('AUTHOR_UNKNOWN'));
  await sleep(50);
  submissions.refused(id, new FirmamentError('AUTHOR_UNKNOWN'));
  assert.equal(submissions.queued, 1);
  assert.equal(sent.length, 0);
  ready = true;
  submissions.resend();
  await until(() => sent.length >= 1, 'an attempt', 10_000);
  submissions.committed(new Map([[id, { placements: [{ index: 1, height: 1, known: false }] }]]));
  assert.equal((await submitted)[0]?.index, 1);
  submissions.close();
});

test('one signer’s groups go out in the order in which they came, many in one request', async () => {
  const { submissions, sent } = waiting({ orderWaitMs: 5_000, queueStatements: 100 });
  const groups = Array.from({ length: 40 }, (_, i) => [declaration(author, i)]);
  const over = Promise.allSettled(groups.map((group) => submissions.submit(group)));
  await until(() => sent.flat().length >= 40, 'all of them', 10_000);
  assert.deepEqual(
    sent
      .flat()
      .slice(0, 40)
      .map((bytes) => bytes.toHex()),
    groups.map((group) => bytesOf(group).toHex()),
  );
  assert.ok(sent.length <= 3);
  submissions.close();
  await over;
});

test('more than the bound is refused at once, and a closed one takes nothing', async () => {
  const { submissions } = waiting({ queueStatements: 1, orderWaitMs: 5_000 });
  const first = submissions.submit(registration);
  await assert.rejects(submissions.submit([declaration(author, 0)]), { code: 'LEDGER_BUSY' });
  submissions.close();
  await assert.rejects(first, { code: 'LEDGER_UNORDERED' });
  await assert.rejects(submissions.submit(registration), { code: 'LEDGER_CLOSED' });
});

test('what is no transaction is refused', async () => {
  const { submissions } = waiting({ queueStatements: 1000, queueBytes: 64 << 20 });
  const seventeen = Array.from({ length: 17 }, (_, i) => declaration(author, i));
  const [one] = seventeen as [Transaction];
  const large = { ...one, attachment: new Uint8Array(MAX_GROUP) };
  for (const group of [[], seventeen, [large]])
    await assert.rejects(submissions.submit(group), { code: 'LEDGER_GROUP_INVALID' });
  submissions.close();
});

test('a disk that is full is told to the caller, who then knows that nothing was kept', async () => {
  const { submissions, pending } = waiting({ orderWaitMs: 1 });
  pending.keep = () => fail('DATABASE_FULL');
  await assert.rejects(submissions.submit(registration), { code: 'DATABASE_FULL' });
  submissions.close();
});

test('a height that stands still is a fault, and so is an engine that gave up', () => {
  let now = 1_000;
  let queued = 0;
  let restarts = 0;
  let emptyEvery = 10;
  const watch = new EngineWatch({
    clock: () => now,
    emptyEvery: () => emptyEvery,
    queued: () => queued,
    restarts: () => restarts,
  });
  assert.equal(watch.lastCommitAt(), undefined);
  watch.committed(990);
  assert.equal(watch.lastCommitAt(), 1_000);
  now += 31;
  assert.equal(watch.fault(), undefined);
  queued = 1;
  assert.match(watch.fault() ?? '', /31 s/);
  queued = 0;
  now += 20;
  assert.match(watch.fault() ?? '', /51 s/);
  // Caught up with, long after it was made: nothing was heard now (T11).
  watch.committed(900);
  assert.equal(watch.lastCommitAt(), 1_000);
  assert.equal(watch.fault(), undefined);
  // The policy may ask for them less often from now on.
  emptyEvery = 100;
  now += 60;
  assert.equal(watch.fault(), undefined);
  watch.consensusFailed();
  assert.match(watch.fault() ?? '', /consensus/);
  watch.committed(now);
  assert.equal(watch.fault(), undefined);
  restarts = 5;
  assert.match(watch.fault() ?? '', /again and again/);
});
