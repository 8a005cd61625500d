import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import { concat, hex } from '../bytes.ts';
import { encodeSign1 } from '../cose/sign1.ts';
import { anchorStatement, declareStatement, releaseStatement } from '../author/statements.ts';
import {
  fixtureAuthor,
  fixtureKey,
  fixtureLine,
  fixtureNetwork,
  holdStatement,
} from '../testing/fixture.ts';
import {
  enroll,
  fixtureAnchor,
  fixtureLedger,
  fixtureRelease,
  type FixtureLedger,
} from '../testing/release-fixture.ts';
import { createStatement, parseStatement } from './statement.ts';

const network = fixtureNetwork();
const { networkId } = network.genesis;
const author = fixtureAuthor(networkId);
const line = fixtureLine(author.author);
const [node] = network.nodes;
let ledger: FixtureLedger;

beforeEach(() => {
  ledger = fixtureLedger(network.genesis);
  enroll(ledger, author, line);
});

test('what an author signs is applied, on both curves', () => {
  for (const curve of ['P-256', 'Ed25519'] as const) {
    ledger = fixtureLedger(network.genesis);
    const other = fixtureAuthor(networkId, { name: 'both', curve });
    const own = fixtureLine(other.author);
    enroll(ledger, other, own);
    const release = fixtureRelease(other, own, 1n);
    ledger.apply(release.statement, release.attachment);
    ledger.apply(fixtureAnchor(other, 3n, release));
    assert.deepEqual(ledger.line(own)?.pending?.entry, release.statement.entry);
  }
});

test('a statement for another network, or for none, is refused (T04)', () => {
  const { networkId: other } = fixtureNetwork({ label: 'other' }).genesis;
  const foreign = declareStatement(
    { ...author, networkId: other },
    9n,
    fixtureLine(author.author, 'b'),
  );
  assert.throws(() => ledger.apply(foreign), { code: 'STATEMENT_NETWORK' });
  const { networkId: _, ...bench } = author;
  const test = fixtureRelease(bench, line, 1n);
  assert.throws(() => ledger.apply(test.statement, test.attachment), { code: 'STATEMENT_NETWORK' });
});

test('attachments belong to releases and to nothing else (T20)', () => {
  const release = fixtureRelease(author, line, 1n);
  assert.throws(() => ledger.apply(release.statement), { code: 'ATTACHMENT_MISSING' });
  const declare = declareStatement(author, 9n, fixtureLine(author.author, 'b'));
  assert.throws(() => ledger.apply(declare, release.attachment), { code: 'ATTACHMENT_MISSING' });
});

test('an author that is not registered, or that is none, can say nothing', () => {
  const stranger = fixtureAuthor(networkId, { name: 'stranger' });
  const declare = declareStatement(stranger, 9n, fixtureLine(stranger.author));
  assert.throws(() => ledger.apply(declare), { code: 'AUTHOR_UNKNOWN' });
  for (const issuer of ['', 'ab', 'operator/a/node/n1', hex(author.author).toUpperCase()]) {
    const claims = { kind: 'line.declare', issuer, subject: 'x', counter: 9n } as const;
    const none = createStatement(author.key, { ...claims, network: hex(networkId) }, new Map());
    assert.throws(() => ledger.apply(none), { code: 'AUTHOR_UNKNOWN' });
  }
});

test('only a release key in force speaks for the author', () => {
  const [spare] = author.recovery;
  for (const key of [spare, fixtureKey('thief', 'P-256')]) {
    assert.ok(key);
    const declare = declareStatement({ ...author, key }, 9n, fixtureLine(author.author, 'b'));
    assert.throws(() => ledger.apply(declare), { code: 'STATEMENT_SIGNER_UNKNOWN' });
  }
});

test('a signature by another key under the right kid is refused', () => {
  const declare = declareStatement(author, 9n, fixtureLine(author.author, 'b'));
  const { sign1 } = declare;
  const signature = sign1.signature.map((byte, i) => (i === 40 ? byte ^ 1 : byte));
  const forged = parseStatement(encodeSign1({ ...sign1, signature }));
  assert.throws(() => ledger.apply(forged), { code: 'COSE_SIGNATURE_INVALID' });
});

test('a high s is refused, though it verifies (T05)', () => {
  const order = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;
  const declare = declareStatement(author, 9n, fixtureLine(author.author, 'b'));
  const { sign1 } = declare;
  const s = BigInt(`0x${hex(sign1.signature.subarray(32))}`);
  const high = Uint8Array.fromHex((order - s).toString(16).padStart(64, '0'));
  const signature = concat(sign1.signature.subarray(0, 32), high);
  const forged = parseStatement(encodeSign1({ ...sign1, signature }));
  assert.throws(() => ledger.apply(forged), { code: 'STATEMENT_HIGH_S' });
});

test('counters of an author and of a node only grow (T04)', () => {
  for (const counter of [2n, 1n, 0n]) {
    const declare = declareStatement(author, counter, fixtureLine(author.author, 'b'));
    assert.throws(() => ledger.apply(declare), { code: 'STATEMENT_COUNTER' });
  }
  const release = fixtureRelease(author, line, 1n);
  ledger.apply(release.statement, release.attachment);
  ledger.apply(fixtureAnchor(author, 3n, release));
  assert.ok(node);
  const hold = { line, release: release.digest, image: release.image.digest, until: 1000 };
  ledger.apply(holdStatement(node, networkId, 5n, hold));
  for (const counter of [5n, 4n]) {
    const again = holdStatement(node, networkId, counter, hold);
    assert.throws(() => ledger.apply(again), { code: 'STATEMENT_COUNTER' });
  }
});

test('an author speaks about its own lines only (T03)', () => {
  const other = fixtureAuthor(networkId, { name: 'other' });
  enroll(ledger, other, fixtureLine(other.author));
  const release = fixtureRelease(author, line, 1n);
  const { version, urgency, documents } = release.statement.release ?? {};
  assert.ok(version !== undefined && urgency !== undefined && documents !== undefined);
  const claims = { version, urgency, documents };
  const foreign = releaseStatement(other, 1n, line, release.attachment, claims);
  assert.throws(() => ledger.apply(foreign, release.attachment), { code: 'LINE_FOREIGN' });
  const anchor = { release: release.digest, image: release.image.digest, component: 0 };
  const { size, root, chunks } = release.image;
  const anchored = anchorStatement(other, 9n, line, { ...anchor, size, root, chunks });
  assert.throws(() => ledger.apply(anchored), { code: 'LINE_FOREIGN' });
});

test('a node that the policy does not list holds nothing', () => {
  const release = fixtureRelease(author, line, 1n);
  ledger.apply(release.statement, release.attachment);
  ledger.apply(fixtureAnchor(author, 3n, release));
  const hold = { line, release: release.digest, image: release.image.digest, until: 1000 };
  assert.ok(node);
  const stranger = { ...node, name: 'z/n1' };
  assert.throws(() => ledger.apply(holdStatement(stranger, networkId, 1n, hold)), {
    code: 'STATEMENT_SIGNER_UNKNOWN',
  });
  const thief = { ...node, statement: node.cosigner };
  assert.throws(() => ledger.apply(holdStatement(thief, networkId, 1n, hold)), {
    code: 'STATEMENT_SIGNER_UNKNOWN',
  });
});

test('a line that was never declared is unknown', () => {
  const other = fixtureLine(author.author, 'undeclared');
  const release = fixtureRelease(author, other, 1n);
  assert.throws(() => ledger.apply(release.statement, release.attachment), {
    code: 'LINE_UNKNOWN',
  });
  assert.throws(() => ledger.apply(fixtureAnchor(author, 9n, release)), { code: 'LINE_UNKNOWN' });
});

test('a refused statement uses up no counter', () => {
  const bad = declareStatement(author, 9n, line);
  assert.throws(() => ledger.apply(bad), { code: 'LINE_EXISTS' });
  ledger.apply(declareStatement(author, 9n, fixtureLine(author.author, 'b')));
});
