import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import { sha256 } from '#crypto';
import { fail } from '../errors.ts';
import { utf8 } from '../bytes.ts';
import { openDatabase, type Database } from '../database.ts';
import { leafHash, verifyInclusion } from '../log/merkle.ts';
import { pathOfLeaf } from '../log/padded-tree.ts';
import { memoryView } from '../registry/view.ts';
import { initialize } from '../registry/genesis.ts';
import { parseReportBatch } from '../registry/rules/report-batch.ts';
import { setBatchTime, setNodeCounter } from '../registry/state.ts';
import type { Statement, Transaction } from '../registry/statement.ts';
import { fixtureNetwork, type FixtureNode } from '../testing/fixture.ts';
import { SILENT } from '../testing/ledger-fixture.ts';
import { batchOnce, type BatchingParts } from './batching.ts';
import { ReportBatches } from './report-batches.ts';
import { StatementCounter } from './statement-counter.ts';

const network = fixtureNetwork();
const node = network.nodes[0] as FixtureNode;
const author = sha256(utf8('author'));
const rootOf = (name: string): Uint8Array => sha256(utf8(`root ${name}`));
const bounds = { batches: 3, bytes: 100, allBytes: 150, waiting: 6, age: 1_000 };
let database: Database;
let batches: ReportBatches;

beforeEach(() => {
  database = openDatabase(':memory:');
  batches = new ReportBatches(database, bounds);
});

const add = (name: string, at = 0, size = 10, whose = author): void =>
  batches.add({ root: rootOf(name), author: whose, sealed: new Uint8Array(size) }, at);
const held = (whose = author): number => batches.sealedFor(whose, 0).length;

test('room for so many batches and bytes of an author, and bytes of all; the oldest make room', () => {
  for (const name of ['a', 'b', 'c', 'd']) add(name);
  assert.deepEqual(
    batches.sealedFor(author, 0).map(({ number }) => number),
    [2, 3, 4],
  );
  add('e', 0, 95);
  assert.equal(held(), 1);
  add('f', 0, 60, rootOf('another author'));
  assert.equal(held(), 0);
  assert.equal(held(rootOf('another author')), 1);
});

test('what was handed over is given up after its time', () => {
  add('a');
  add('b', 1_001);
  assert.deepEqual(
    batches.sealedFor(author, 0).map(({ root }) => root),
    [rootOf('b')],
  );
});

test('so many roots wait; one that is known stays as it is', () => {
  for (let i = 0; i < bounds.waiting; i++) add(`${i}`, 0, 1);
  assert.throws(() => add('one more'), { code: 'NODE_OVERLOADED' });
  add('0', 0, 50);
  assert.equal(batches.waiting().length, bounds.waiting);
});

const view = memoryView();
initialize(view, network.genesis);
const fixture = (now: number) => {
  const ordered: Statement[] = [];
  let refuse: 'STATEMENT_COUNTER' | 'LEDGER_BUSY' | undefined;
  const replica = {
    genesis: network.genesis,
    view: () => view,
    find: () => undefined,
  };
  const clock = { now };
  const parts: BatchingParts = {
    name: node.name,
    replica,
    batches,
    ledger: {
      submit(group: readonly Transaction[]) {
        if (refuse) return Promise.reject(failure(refuse));
        ordered.push(...group.map(({ statement }) => statement));
        return Promise.resolve([]);
      },
    },
    counter: new StatementCounter(node.name, replica, () => clock.now),
    statementKey: node.statement,
    gather: 600,
    clock: () => clock.now,
    random: (length) => crypto.getRandomValues(new Uint8Array(length)),
    logger: SILENT,
  };
  return { parts, ordered, clock, refuse: (code?: typeof refuse) => void (refuse = code) };
};

test('roots are gathered for a while, then stand under one statement', async () => {
  const { parts, ordered, clock } = fixture(1_000);
  await batchOnce(parts);
  add('a', 1_000);
  add('b', 1_200);
  clock.now = 1_599;
  await batchOnce(parts);
  assert.equal(ordered.length, 0);
  assert.equal(batches.placeOf(rootOf('a')), null);
  clock.now = 1_600;
  await batchOnce(parts);
  await batchOnce(parts);
  assert.equal(ordered.length, 1);
  const root = parseReportBatch(ordered[0] as Statement);
  for (const name of ['a', 'b']) {
    const place = batches.placeOf(rootOf(name));
    assert.ok(place);
    const { index, leaves } = place;
    assert.equal(leaves.length, 16);
    const path = pathOfLeaf(leaves, index);
    verifyInclusion({ leafHash: leafHash(rootOf(name)), index, size: 16, path, root });
  }
  assert.equal(batches.placeOf(rootOf('c')), undefined);
});

test('what did not get through is put forward as it is; what was overtaken, anew', async () => {
  const { parts, ordered, clock, refuse } = fixture(5_000);
  add('a', 0);
  refuse('LEDGER_BUSY');
  await batchOnce(parts);
  const waiting = batches.pending();
  assert.ok(waiting);
  await batchOnce(parts);
  assert.deepEqual(batches.pending()?.digest, waiting.digest);
  refuse('STATEMENT_COUNTER');
  await batchOnce(parts);
  assert.equal(batches.pending(), undefined);
  assert.equal(batches.waiting().length, 1);
  refuse();
  setNodeCounter(view, node.name, 9_000_000n);
  await batchOnce(parts);
  assert.equal(ordered[0]?.counter, 9_000_001n);
  setBatchTime(view, node.name, clock.now);
  add('b', 0);
  clock.now += 59;
  await batchOnce(parts);
  assert.equal(ordered.length, 1);
  clock.now += 1;
  await batchOnce(parts);
  assert.equal(ordered.length, 2);
});

function failure(code: 'STATEMENT_COUNTER' | 'LEDGER_BUSY'): unknown {
  try {
    return fail(code);
  } catch (error) {
    return error;
  }
}
