import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import { hex } from '../../bytes.ts';
import type { Cbor } from '../../cbor/value.ts';
import { fixtureAuthor, fixtureLine, fixtureNetwork } from '../../testing/fixture.ts';
import type { FixtureNode } from '../../testing/fixture.ts';
import { enroll } from '../../testing/release-fixture.ts';
import { apply } from '../apply.ts';
import { initialize } from '../genesis.ts';
import { lineKey } from '../line.ts';
import { nodeIssuer } from '../policy.ts';
import { getBatchTime, getNodeCounter, setNodeCounter } from '../state.ts';
import { createStatement, type Statement } from '../statement.ts';
import { memoryView, overlay, type View } from '../view.ts';
import { BATCH_INTERVAL, parseReportBatch, reportBatchStatement } from './report-batch.ts';

const network = fixtureNetwork();
const { networkId, time: start } = network.genesis;
const [node, other] = network.nodes as readonly [FixtureNode, FixtureNode];
const ROOT = new Uint8Array(32).fill(7);
let view: View;
let height = 0;

beforeEach(() => {
  view = memoryView();
  height = 0;
  initialize(view, network.genesis);
});

function order(statement: Statement, time = start + height, attachment: Uint8Array | null = null) {
  const state = overlay(view);
  apply(state, { statement, attachment }, { height: height + 1, time, index: height * 2 + 1 });
  height++;
  state.commit();
}

const batch = (counter: bigint, by = node, root = ROOT): Statement =>
  reportBatchStatement(by.statement, by.name, networkId, counter, root);

function forged(changes: {
  readonly key?: FixtureNode['statement'];
  readonly subject?: string;
  readonly network?: string;
  readonly payload?: ReadonlyMap<Cbor, Cbor> | Uint8Array;
}): Statement {
  const own = hex(networkId);
  const claims = { issuer: nodeIssuer(node.name), subject: own, network: own, counter: 1n };
  const { key = node.statement, payload = new Map([[1, ROOT]]), ...rest } = changes;
  return createStatement(key, { kind: 'report.batch', ...claims, ...rest }, payload);
}

test('a node of the policy puts a root on the ledger, which changes no map entry', () => {
  const { length } = hex(batch(1n).payload);
  assert.equal(length, 36 * 2);
  order(batch(1n), start);
  assert.deepEqual(parseReportBatch(batch(1n)), ROOT);
  assert.equal(getBatchTime(view, node.name), start);
  assert.equal(getNodeCounter(view, node.name), 1n);
});

test('one batch a node and minute of block time', () => {
  order(batch(1n), start);
  assert.throws(() => order(batch(2n), start + BATCH_INTERVAL - 1), { code: 'BATCH_TOO_SOON' });
  order(batch(1n, other), start + 1);
  order(batch(2n), start + BATCH_INTERVAL);
  assert.throws(() => order(batch(3n), start + BATCH_INTERVAL), { code: 'BATCH_TOO_SOON' });
});

test('the time of a batch outlives what else the node says', () => {
  order(batch(1n), start);
  setNodeCounter(view, node.name, 5n);
  assert.equal(getBatchTime(view, node.name), start);
  assert.throws(() => order(batch(6n), start + 1), { code: 'BATCH_TOO_SOON' });
  assert.throws(() => order(batch(5n), start + 600), { code: 'STATEMENT_COUNTER' });
});

test('nobody but a node of the policy, with its own key', () => {
  const stranger = { ...node, name: 'nobody/1' };
  assert.throws(() => order(batch(1n, stranger)), { code: 'STATEMENT_SIGNER_UNKNOWN' });
  assert.throws(() => order(forged({ key: other.statement })), {
    code: 'STATEMENT_SIGNER_UNKNOWN',
  });
  assert.throws(() => order(forged({ key: node.receipt })), { code: 'STATEMENT_SIGNER_UNKNOWN' });
  const author = fixtureAuthor(networkId);
  const ledger = { view, height: 0, apply: (s: Statement) => order(s), line: () => undefined };
  enroll(ledger, author, fixtureLine(author.author));
  const before = view.getMap(lineKey(fixtureLine(author.author)));
  const own = hex(networkId);
  const claims = { issuer: hex(author.author), subject: own, network: own, counter: 9n };
  const byAuthor = createStatement(
    author.key,
    { kind: 'report.batch', ...claims },
    batch(1n).payload,
  );
  assert.throws(() => order(byAuthor), { code: 'STATEMENT_SIGNER_UNKNOWN' });
  order(batch(1n));
  assert.deepEqual(view.getMap(lineKey(fixtureLine(author.author))), before);
});

test('there is no field that could hold more', () => {
  const malformed: (ReadonlyMap<Cbor, Cbor> | Uint8Array)[] = [
    new Map<Cbor, Cbor>([
      [1, ROOT],
      [2, 17],
    ]),
    new Map([[1, new Uint8Array(33)]]),
    new Map([[1, new Uint8Array(31)]]),
    new Map([[2, ROOT]]),
    new Map(),
    ROOT,
  ];
  for (const payload of malformed)
    assert.throws(() => order(forged({ payload })), { code: 'STATEMENT_MALFORMED' });
  assert.throws(() => order(forged({ subject: 'ten devices' })), { code: 'STATEMENT_SUBJECT' });
  assert.throws(() => order(batch(1n), start, new Uint8Array(1)), { code: 'ATTACHMENT_MISSING' });
  assert.throws(() => order(forged({ network: hex(ROOT) })), { code: 'STATEMENT_NETWORK' });
  assert.equal(getBatchTime(view, node.name), undefined);
});

test('a batch is taken once', () => {
  order(batch(7n), start);
  for (const again of [batch(7n), batch(6n)])
    assert.throws(() => order(again, start + 600), { code: 'STATEMENT_COUNTER' });
});
