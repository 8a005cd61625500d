import assert from 'node:assert/strict';
import { beforeEach, suite, test } from 'node:test';
import { equal, hex } from '../../bytes.ts';
import { encode } from '../../cbor/encode.ts';
import type { Cbor } from '../../cbor/value.ts';
import { encodeKey, thumbprint } from '../../cose/key.ts';
import { sha256 } from '#crypto';
import {
  delegation,
  revocation,
  rotation,
  transfer,
  type KeyChange,
} from '../../author/key-changes.ts';
import { declareStatement, withdrawStatement } from '../../author/statements.ts';
import { fixtureKey, fixtureLine, fixtureNetwork } from '../../testing/fixture.ts';
import {
  acceptance,
  authorWithRecovery,
  publish,
  recoveryStatement,
  register,
  withKey,
} from '../../testing/key-fixture.ts';
import {
  fixtureAnchor,
  fixtureLedger,
  fixtureRelease,
  type FixtureLedger,
} from '../../testing/release-fixture.ts';
import { authorKey, lineKey, lineText } from '../line.ts';
import { decodeAuthorValue, decodeLineValue } from '../map-value.ts';
import { linksOf } from '../newest.ts';
import { getAuthor, getLine, getRelease } from '../state.ts';

const network = fixtureNetwork();
const { networkId } = network.genesis;
const owner = authorWithRecovery(networkId, 'owner', 1);
const heir = authorWithRecovery(networkId, 'heir', 1);
const line = fixtureLine(owner.author);
const key = lineKey(line);
const helper = fixtureKey('helper');
// A delegate signs under the thumbprint of its key.
const delegate = { ...withKey(owner, helper), author: thumbprint(helper.publicKey) };
const grant = delegation(line, helper.publicKey, true);
const end = delegation(line, helper.publicKey, false);
let ledger: FixtureLedger;
let counter: bigint;

const apply = (change: KeyChange, author = owner): void =>
  ledger.apply(recoveryStatement(author, ++counter, change));
const refused = (change: KeyChange, code: string, author = owner): void =>
  assert.throws(() => apply(change, author), { code });
const authorValue = (author: Uint8Array) =>
  decodeAuthorValue(ledger.view.getMap(authorKey(author)) ?? new Uint8Array());
const handOver = (to = heir): KeyChange => transfer(line, to.author, acceptance(to, line, owner));

beforeEach(() => {
  ledger = fixtureLedger(network.genesis);
  counter = 10n;
  register(ledger, owner, 1, line);
  register(ledger, heir, 1);
});

suite('line.delegate', () => {
  test('a delegate signs releases and anchors of its line, under its own name', () => {
    const early = fixtureRelease(delegate, line, 1n);
    assert.throws(() => ledger.apply(early.statement, early.attachment), {
      code: 'AUTHOR_UNKNOWN',
    });
    apply(grant);
    const release = publish(ledger, network, delegate, line, 1n, 1n);
    assert.deepEqual(ledger.line(line)?.newest?.digest, release.digest);
    const posing = fixtureRelease(withKey(owner, helper), line, 2n);
    assert.throws(() => ledger.apply(posing.statement, posing.attachment), {
      code: 'STATEMENT_SIGNER_UNKNOWN',
    });
    const next = fixtureRelease(delegate, line, 2n);
    ledger.apply(next.statement, next.attachment);
    assert.throws(() => ledger.apply(fixtureAnchor(delegate, 1n, next)), {
      code: 'STATEMENT_COUNTER',
    });
  });

  test('and nothing else: no withdrawal, no other line, no word about who may sign', () => {
    apply(grant);
    const release = publish(ledger, network, delegate, line, 1n, 1n);
    const withdrawal = { release: release.digest, lowest: 0n, reason: 'mine' };
    const refuses = (statement: Parameters<FixtureLedger['apply']>[0], code: string): void =>
      assert.throws(() => ledger.apply(statement), { code });
    refuses(withdrawStatement(delegate, 9n, line, withdrawal), 'AUTHOR_UNKNOWN');
    refuses(declareStatement(delegate, 9n, fixtureLine(delegate.author)), 'AUTHOR_UNKNOWN');
    ledger.apply(declareStatement(owner, 9n, fixtureLine(owner.author, 'lock')));
    const other = fixtureRelease(delegate, fixtureLine(owner.author, 'lock'), 1n);
    assert.throws(() => ledger.apply(other.statement, other.attachment), {
      code: 'AUTHOR_UNKNOWN',
    });
  });

  test('a delegate that is an author too is no more on the line for it', () => {
    const recovery = [fixtureKey('helper recovery')];
    const known = { ...delegate, name: 'helper', recovery };
    register(ledger, known, 1);
    apply(grant);
    const release = publish(ledger, network, delegate, line, 1n, 3n);
    const withdrawal = { release: release.digest, lowest: 0n, reason: 'mine' };
    assert.throws(() => ledger.apply(withdrawStatement(known, 9n, line, withdrawal)), {
      code: 'LINE_FOREIGN',
    });
    refused(transfer(line, heir.author, acceptance(heir, line, owner)), 'LINE_FOREIGN', known);
    refused(delegation(line, fixtureKey('x').publicKey, true), 'LINE_FOREIGN', known);
  });

  test('ended, it signs no more, and what it signed stands', () => {
    apply(grant);
    const release = publish(ledger, network, delegate, line, 1n, 1n);
    apply(end);
    assert.deepEqual(ledger.line(line)?.newest?.digest, release.digest);
    assert.equal(authorValue(owner.author).delegations.length, 1);
    const late = fixtureRelease(delegate, line, 2n);
    assert.throws(() => ledger.apply(late.statement, late.attachment), { code: 'AUTHOR_UNKNOWN' });
    refused(end, 'DELEGATION_INVALID');
    apply(grant);
    ledger.apply(late.statement, late.attachment);
    const replayed = fixtureAnchor(delegate, 1n, late);
    assert.throws(() => ledger.apply(replayed), { code: 'STATEMENT_COUNTER' });
  });

  test('what can not be is refused', () => {
    refused(end, 'DELEGATION_INVALID');
    apply(grant);
    refused(grant, 'DELEGATION_INVALID');
    refused(delegation(line, owner.key.publicKey, true), 'DELEGATION_INVALID');
    const [spare] = owner.recovery;
    assert.ok(spare);
    refused(delegation(line, spare.publicKey, true), 'DELEGATION_INVALID');
    refused(delegation(fixtureLine(heir.author), helper.publicKey, true), 'LINE_UNKNOWN');
    ledger.apply(declareStatement(heir, 9n, fixtureLine(heir.author)));
    refused(delegation(fixtureLine(heir.author), helper.publicKey, true), 'LINE_FOREIGN');
    refused({ ...grant, body: encode(new Map<Cbor, Cbor>([[2, true]])) }, 'STATEMENT_MALFORMED');
    refused({ ...grant, subject: 'x' }, 'LINE_MALFORMED');
    for (let i = 0; i < 7; i++) apply(delegation(line, fixtureKey(`d${i}`).publicKey, true));
    refused(delegation(line, fixtureKey('d7').publicKey, true), 'DELEGATION_INVALID');
  });
});

suite('line.transfer', () => {
  test('needs the acceptance of the new owner, for this line from this owner', () => {
    const other = fixtureLine(owner.author, 'lock');
    const bad = [
      acceptance(heir, other, owner),
      acceptance(heir, line, heir),
      acceptance(withKey(heir, helper), line, owner),
      acceptance({ ...heir, networkId: sha256(networkId) }, line, owner),
      new Uint8Array(64),
    ];
    for (const each of bad) refused(transfer(line, heir.author, each), 'TRANSFER_INVALID');
    const own = transfer(line, owner.author, acceptance(owner, line, owner));
    refused(own, 'TRANSFER_INVALID');
    const stranger = authorWithRecovery(networkId, 'stranger');
    refused(handOver(stranger), 'AUTHOR_UNKNOWN');
    refused(transfer(other, heir.author, acceptance(heir, other, owner)), 'LINE_UNKNOWN');
    refused(
      { ...handOver(), body: encode(new Map<Cbor, Cbor>([[1, heir.author]])) },
      'STATEMENT_MALFORMED',
    );
  });

  test('the old release stays newest, the new owner publishes, the old one does not', () => {
    const old = publish(ledger, network, owner, line, 1n);
    apply(handOver());
    assert.deepEqual(ledger.line(line)?.newest?.digest, old.digest);
    const value = ledger.view.getMap(key);
    const entry = ledger.view.getMap(authorKey(heir.author));
    assert.ok(value && entry && equal(decodeLineValue(value).authorHash, sha256(entry)));
    const listed = authorValue(heir.author).keys.map(hex);
    assert.ok(listed.includes(hex(thumbprint(owner.key.publicKey))));
    const late = fixtureRelease(owner, line, 2n);
    assert.throws(() => ledger.apply(late.statement, late.attachment), { code: 'LINE_FOREIGN' });
    const withdrawal = { release: old.digest, lowest: 0n, reason: 'mine' };
    assert.throws(() => ledger.apply(withdrawStatement(owner, 900n, line, withdrawal)), {
      code: 'LINE_FOREIGN',
    });
    refused(handOver(), 'LINE_FOREIGN');
    assert.throws(() => ledger.apply(declareStatement(owner, 901n, line)), { code: 'LINE_EXISTS' });
    const next = publish(ledger, network, heir, line, 2n);
    assert.deepEqual(ledger.line(line)?.newest?.digest, next.digest);
    ledger.apply(withdrawStatement(heir, 900n, line, { ...withdrawal, release: next.digest }));
    assert.deepEqual(ledger.line(line)?.newest?.digest, old.digest);
  });

  test("a key change of the new owner rewrites the line, one of the old owner's does not", () => {
    apply(handOver());
    const before = ledger.line(line)?.authorHash;
    apply(rotation(owner.author, [fixtureKey('owner 2').publicKey]));
    assert.deepEqual(ledger.line(line)?.authorHash, before);
    apply(rotation(heir.author, [fixtureKey('heir 2').publicKey]), heir);
    const entry = ledger.view.getMap(authorKey(heir.author));
    assert.deepEqual(ledger.line(line)?.authorHash, sha256(entry ?? new Uint8Array()));
  });

  test('its delegates go, and what they signed stays listed, over two transfers', () => {
    apply(grant);
    publish(ledger, network, delegate, line, 1n, 1n);
    apply(end);
    apply(handOver());
    assert.equal(authorValue(heir.author).delegations.length, 1);
    const late = fixtureRelease(delegate, line, 2n);
    assert.throws(() => ledger.apply(late.statement, late.attachment), { code: 'AUTHOR_UNKNOWN' });
    apply(transfer(line, owner.author, acceptance(owner, line, heir)), heir);
    assert.equal(authorValue(owner.author).delegations.length, 1);
    publish(ledger, network, owner, line, 2n, 500n);
  });

  test('links only grow at their end', () => {
    apply(grant);
    const before = linksOf(ledger.view, key);
    apply(handOver());
    const after = linksOf(ledger.view, key);
    assert.deepEqual(after.slice(0, before.length), before);
    const given = ledger.height * 2 - 1;
    assert.deepEqual(after.slice(before.length), [
      given,
      ...(getAuthor(ledger.view, heir.author)?.links ?? []),
    ]);
    apply(rotation(heir.author, [fixtureKey('heir 2').publicKey]), heir);
    apply(transfer(line, owner.author, acceptance(owner, line, heir)), heir);
    assert.deepEqual(linksOf(ledger.view, key).slice(0, after.length), after);
  });

  test('an owner before can not take back what the new one signed, by taking its key for its own', () => {
    const old = publish(ledger, network, owner, line, 1n);
    apply(handOver());
    const next = publish(ledger, network, heir, line, 2n);
    const own = fixtureKey('owner 2').publicKey;
    apply(rotation(owner.author, [own, heir.key.publicKey]));
    apply(revocation(owner.author, thumbprint(heir.key.publicKey), 0));
    assert.equal(getRelease(ledger.view, key, next.digest)?.status, 'available');
    apply(revocation(owner.author, thumbprint(owner.key.publicKey), 0));
    assert.equal(getRelease(ledger.view, key, old.digest)?.status, 'withdrawn');
  });

  test('the new owner may revoke a key of the one before', () => {
    const old = publish(ledger, network, owner, line, 1n);
    apply(handOver());
    apply(revocation(heir.author, thumbprint(owner.key.publicKey), 0), heir);
    assert.equal(getRelease(ledger.view, key, old.digest)?.status, 'withdrawn');
    assert.deepEqual(authorValue(heir.author).keys, [thumbprint(heir.key.publicKey)]);
  });

  test('lines that come with many keys never keep their new owner from rotating', () => {
    for (let i = 0; i < 24; i++) apply(rotation(owner.author, [fixtureKey(`o${i}`).publicKey]));
    refused(handOver(), 'TRANSFER_INVALID');
    const [spare] = heir.recovery;
    assert.ok(spare);
    const poor = authorWithRecovery(networkId, 'poor', 1);
    const theirs = fixtureLine(poor.author);
    register(ledger, poor, 1, theirs);
    apply(rotation(poor.author, [spare.publicKey]), poor);
    const given = transfer(theirs, heir.author, acceptance(heir, theirs, poor));
    refused(given, 'TRANSFER_INVALID', poor);
  });

  test('the receiver of 1,024 lines takes no more', () => {
    for (let i = 0; i < 1024; i++)
      ledger.apply(declareStatement(heir, BigInt(i + 2), fixtureLine(heir.author, `m${i}`)));
    refused(handOver(), 'LINE_LIMIT');
    // T16: a key change rewrites them all, and is still one statement of a block.
    const start = performance.now();
    apply(rotation(heir.author, [fixtureKey('heir 2').publicKey]), heir);
    const entry = ledger.view.getMap(authorKey(heir.author)) ?? new Uint8Array();
    for (const i of [0, 511, 1023]) {
      const value = ledger.line(fixtureLine(heir.author, `m${i}`));
      assert.deepEqual(value?.authorHash, sha256(entry));
    }
    assert.ok(performance.now() - start < 5_000, 'a rotation over 1,024 lines takes seconds');
  });

  test('the text of a line keeps the name of who declared it', () => {
    apply(handOver());
    const record = getLine(ledger.view, key);
    assert.deepEqual([record?.text, record?.owner], [lineText(line), heir.author]);
    assert.ok(encodeKey(heir.key.publicKey).length > 0);
  });
});
