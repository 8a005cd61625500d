import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hex } from '../../bytes.ts';
import type { Cbor } from '../../cbor/value.ts';
import { encodeKey, thumbprint } from '../../cose/key.ts';
import { operatorProof, registerStatement } from '../../author/statements.ts';
import { fixtureAuthor, fixtureKey, fixtureNetwork } from '../../testing/fixture.ts';
import { fixtureLedger } from '../../testing/release-fixture.ts';
import { authorKey } from '../line.ts';
import { decodeAuthorValue } from '../map-value.ts';
import { getAuthor } from '../state.ts';
import { createStatement, type Statement } from '../statement.ts';

const network = fixtureNetwork();
const { networkId } = network.genesis;
const author = fixtureAuthor(networkId);
const recovery = author.recovery.map((key) => key.publicKey);
const fields = { name: 'acme', recovery, threshold: 1 };

function statementOf(payload: ReadonlyMap<Cbor, Cbor>, subject = hex(author.author)): Statement {
  const issuer = hex(author.author);
  const claims = { kind: 'author.register', issuer, subject, counter: 1n } as const;
  return createStatement(author.key, { ...claims, network: hex(networkId) }, payload);
}

function payloadOf(changes: readonly (readonly [number, Cbor])[]): ReadonlyMap<Cbor, Cbor> {
  return new Map<Cbor, Cbor>([
    [1, encodeKey(author.key.publicKey)],
    [2, recovery.map(encodeKey)],
    [3, 1],
    [4, 'acme'],
    ...changes,
  ]);
}

function refused(statement: Statement, code: string): void {
  const ledger = fixtureLedger(network.genesis);
  assert.throws(() => ledger.apply(statement), { code });
  assert.equal(getAuthor(ledger.view, author.author), undefined);
}

test('an author is on the map with its key', () => {
  const ledger = fixtureLedger(network.genesis);
  ledger.apply(registerStatement(author, 7n, fields));
  const record = getAuthor(ledger.view, author.author);
  assert.deepEqual([record?.name, record?.counters, record?.threshold], ['acme', [7n], 1]);
  assert.deepEqual(record?.recovery, recovery.map(encodeKey));
  const value = ledger.view.getMap(authorKey(author.author));
  assert.deepEqual(value && decodeAuthorValue(value), {
    keys: [thumbprint(author.key.publicKey)],
    delegations: [],
    rotations: 0,
    status: 0,
  });
  assert.throws(() => ledger.apply(registerStatement(author, 8n, fields)), {
    code: 'AUTHOR_EXISTS',
  });
});

test('the author is the key that signs', () => {
  refused(
    statementOf(payloadOf([]), hex(fixtureAuthor(networkId, { name: 'x' }).author)),
    'STATEMENT_SUBJECT',
  );
  const other = fixtureKey('other', 'P-256').publicKey;
  refused(statementOf(payloadOf([[1, encodeKey(other)]])), 'STATEMENT_SIGNER_UNKNOWN');
});

test('recovery keys: one to eight, all different, with a threshold within them (T01)', () => {
  const spares = Array.from({ length: 9 }, (_, i) => encodeKey(fixtureKey(`spare ${i}`).publicKey));
  const first = spares[0] as Uint8Array;
  refused(statementOf(payloadOf([[2, []]])), 'AUTHOR_INVALID');
  refused(statementOf(payloadOf([[2, spares]])), 'AUTHOR_INVALID');
  refused(statementOf(payloadOf([[2, [first, first]]])), 'AUTHOR_INVALID');
  refused(statementOf(payloadOf([[2, [encodeKey(author.key.publicKey)]]])), 'AUTHOR_INVALID');
  refused(statementOf(payloadOf([[3, 0]])), 'AUTHOR_INVALID');
  refused(statementOf(payloadOf([[3, 2]])), 'AUTHOR_INVALID');
});

test('a payload of another shape is malformed', () => {
  const rest = [...payloadOf([])];
  refused(statementOf(new Map(rest.filter(([key]) => key !== 4))), 'STATEMENT_MALFORMED');
  refused(statementOf(payloadOf([[6, 1]])), 'STATEMENT_MALFORMED');
  refused(statementOf(payloadOf([[4, 'a\nb']])), 'STATEMENT_MALFORMED');
  refused(statementOf(payloadOf([[4, 'x'.repeat(65)]])), 'STATEMENT_MALFORMED');
  refused(statementOf(payloadOf([[1, new Uint8Array(5)]])), 'STATEMENT_MALFORMED');
  refused(statementOf(payloadOf([[2, [new Uint8Array(5)]]])), 'STATEMENT_MALFORMED');
  refused(statementOf(payloadOf([[5, ['a']]])), 'STATEMENT_MALFORMED');
});

test("an author is an operator's own only by the word of its governance key", () => {
  const [a, b] = network.operators;
  assert.ok(a && b);
  const ledger = fixtureLedger(network.genesis);
  const proof = operatorProof('a', a.governance, networkId, author.author);
  ledger.apply(registerStatement(author, 1n, { ...fields, operator: proof }));
  assert.equal(getAuthor(ledger.view, author.author)?.operator, 'a');

  const others = [
    operatorProof('a', b.governance, networkId, author.author),
    operatorProof('nobody', a.governance, networkId, author.author),
    operatorProof('a', a.governance, networkId, fixtureAuthor(networkId, { name: 'x' }).author),
    operatorProof(
      'a',
      a.governance,
      fixtureNetwork({ label: 'o' }).genesis.networkId,
      author.author,
    ),
  ];
  for (const operator of others)
    refused(registerStatement(author, 1n, { ...fields, operator }), 'AUTHOR_OPERATOR_UNPROVEN');
});

test('a network that registers with approval takes nobody by itself', () => {
  const closed = fixtureNetwork({ policy: { registration: 'approval' } });
  const other = fixtureAuthor(closed.genesis.networkId);
  const ledger = fixtureLedger(closed.genesis);
  assert.throws(() => ledger.apply(registerStatement(other, 1n, fields)), {
    code: 'AUTHOR_APPROVAL_REQUIRED',
  });
});
