import assert from 'node:assert/strict';
import { test } from 'node:test';
import { originOf } from '../log/checkpoint.ts';
import { leafHash, nodeHash } from '../log/merkle.ts';
import { createReceipt } from '../log/receipt.ts';
import { fixtureAuthor, fixtureKey, fixtureLine, fixtureNetwork } from '../testing/fixture.ts';
import { checkReceipt } from './registration.ts';
import { declareStatement } from './statements.ts';

const { root, nodes } = fixtureNetwork();
const author = fixtureAuthor(root.networkId);
const statement = declareStatement(author, 5n, fixtureLine(author.author));
const other = declareStatement(author, 6n, fixtureLine(author.author));
const receiptKey = nodes[1]?.receipt as ReturnType<typeof fixtureKey>;
const left = leafHash(new Uint8Array(32));

function receipt(changes: Partial<Parameters<typeof createReceipt>[0]> = {}): Uint8Array {
  return createReceipt({
    key: receiptKey,
    origin: originOf(root.networkId),
    subject: statement.subject,
    size: 2,
    index: 1,
    path: [left],
    root: nodeHash(left, leafHash(statement.entry)),
    ...changes,
  });
}

const check = (bytes: Uint8Array, changes: object = {}) =>
  checkReceipt(root, statement, { entry: statement.entry, index: 1, receipt: bytes, ...changes });

test('a receipt by a node of the network, for this statement, is believed', () => {
  assert.deepEqual([check(receipt()).index, check(receipt()).size], [1, 2]);
});

test("any other receipt is the node's lie", () => {
  const lie = { code: 'AUTHOR_NODE_LIES' };
  const elsewhere = originOf(fixtureNetwork({ label: 'other' }).root.networkId);
  assert.throws(() => check(receipt({ key: fixtureKey('stranger') })), lie);
  assert.throws(() => check(receipt({ key: nodes[1]?.cosigner ?? receiptKey })), lie);
  assert.throws(() => check(receipt({ origin: elsewhere })), lie);
  assert.throws(() => check(receipt({ subject: 'another' })), lie);
  assert.throws(() => check(receipt({ root: left })), lie);
  assert.throws(() => check(receipt(), { index: 0 }), lie);
  assert.throws(() => check(new Uint8Array(9)), lie);
  const bent = receipt();
  bent[bent.length - 1] = (bent.at(-1) as number) ^ 1;
  assert.throws(() => check(bent), lie);
  // A good receipt, for another statement.
  const wrong = receipt({ root: nodeHash(left, leafHash(other.entry)) });
  assert.throws(() => check(wrong, { entry: other.entry }), lie);
});
