import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sha256 } from '#crypto';
import { hex } from '../../bytes.ts';
import type { Cbor } from '../../cbor/value.ts';
import { declareStatement, registerStatement } from '../../author/statements.ts';
import { fixtureAuthor, fixtureLine, fixtureNetwork } from '../../testing/fixture.ts';
import { enroll, fixtureLedger } from '../../testing/release-fixture.ts';
import { authorKey, lineText } from '../line.ts';
import { getAuthor, setAuthor } from '../state.ts';
import { createStatement } from '../statement.ts';

const network = fixtureNetwork();
const { networkId } = network.genesis;
const author = fixtureAuthor(networkId);
const line = fixtureLine(author.author);

test("a declared line is on the map, empty, and names its author's entry", () => {
  const ledger = fixtureLedger(network.genesis);
  enroll(ledger, author, line);
  const entry = ledger.view.getMap(authorKey(author.author));
  assert.deepEqual(ledger.line(line), {
    authorHash: entry && sha256(entry),
    newest: null,
    pending: null,
    lowest: 0n,
    status: 0,
  });
  assert.throws(() => ledger.apply(declareStatement(author, 3n, line)), { code: 'LINE_EXISTS' });
});

test('the subject is the line of the payload', () => {
  const ledger = fixtureLedger(network.genesis);
  enroll(ledger, author, line);
  const issuer = hex(author.author);
  const signed = (subject: string, payload: ReadonlyMap<Cbor, Cbor>) =>
    createStatement(
      author.key,
      { kind: 'line.declare', issuer, subject, network: hex(networkId), counter: 5n },
      payload,
    );
  const other = fixtureLine(author.author, 'other');
  const payload = new Map<Cbor, Cbor>([
    [1, other.vendor],
    [2, other.class],
    [3, 'stable'],
  ]);
  const text = lineText(other);
  const beta = signed(text.replace('stable', 'beta'), payload);
  assert.throws(() => ledger.apply(beta), { code: 'STATEMENT_SUBJECT' });
  const track = signed(text, new Map([...payload, [3, 'Not A Track']]));
  assert.throws(() => ledger.apply(track), { code: 'LINE_MALFORMED' });
  const short = signed(text, new Map([...payload, [1, new Uint8Array(15)]]));
  assert.throws(() => ledger.apply(short), { code: 'STATEMENT_MALFORMED' });
  ledger.apply(signed(text, payload));
});

test('an author has at most 1,024 lines (T16)', () => {
  const ledger = fixtureLedger(network.genesis);
  enroll(ledger, author, line);
  const record = getAuthor(ledger.view, author.author);
  assert.ok(record);
  setAuthor(ledger.view, { ...record, lines: 1024 });
  const more = declareStatement(author, 9n, fixtureLine(author.author, 'more'));
  assert.throws(() => ledger.apply(more), { code: 'LINE_LIMIT' });
  setAuthor(ledger.view, { ...record, lines: 1023 });
  ledger.apply(more);
});

test('a policy may ask for a proven vendor (T32)', () => {
  const strict = fixtureNetwork({ policy: { vendorProof: true } });
  const other = fixtureAuthor(strict.genesis.networkId);
  const ledger = fixtureLedger(strict.genesis);
  const recovery = other.recovery.map((key) => key.publicKey);
  ledger.apply(registerStatement(other, 1n, { name: 'acme', recovery, threshold: 1 }));
  const declare = declareStatement(other, 2n, fixtureLine(other.author));
  assert.throws(() => ledger.apply(declare), { code: 'LINE_VENDOR_UNPROVEN' });
});
