import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import { concat } from '../../bytes.ts';
import { withdrawStatement } from '../../author/statements.ts';
import {
  fixtureAuthor,
  fixtureLine,
  fixtureNetwork,
  holdStatement,
  type FixtureNode,
} from '../../testing/fixture.ts';
import {
  enroll,
  fixtureAnchor,
  fixtureImage,
  fixtureLedger,
  fixtureRelease,
  type FixtureLedger,
  type FixtureRelease,
} from '../../testing/release-fixture.ts';
import { getAnchor, getHolds } from '../state.ts';
import { lineKey } from '../line.ts';

const network = fixtureNetwork();
const { networkId } = network.genesis;
const author = fixtureAuthor(networkId);
const line = fixtureLine(author.author);
const node = network.nodes[0] as FixtureNode;
let ledger: FixtureLedger;
let release: FixtureRelease;

beforeEach(() => {
  ledger = fixtureLedger(network.genesis);
  enroll(ledger, author, line);
  release = fixtureRelease(author, line, 1n);
  ledger.apply(release.statement, release.attachment);
});

const imageKey = () => ({
  line: lineKey(line),
  release: release.digest,
  image: release.image.digest,
});

let counter = 100n;
function anchor(changes: Parameters<typeof fixtureAnchor>[3] = {}): void {
  ledger.apply(fixtureAnchor(author, ++counter, release, changes));
}

function hold(changes: Partial<Parameters<typeof holdStatement>[3]> = {}): void {
  const own = { line, release: release.digest, image: release.image.digest };
  ledger.apply(holdStatement(node, networkId, ++counter, { ...own, ...changes }));
}

test('an anchor fits the image of the release (T23)', () => {
  const { digest, size, root } = release.image;
  const zero = new Uint8Array(32);
  const dagPb = concat(Uint8Array.of(1, 0x70, 0x12, 0x20), digest);
  const invalid: Parameters<typeof fixtureAnchor>[3][] = [
    { size: size + 1 },
    { size: 0, chunks: [] },
    { image: zero },
    { component: 1 },
    { chunks: [digest, digest] },
    { chunks: [] },
    { chunks: [zero] },
    { chunks: [digest.subarray(1)] },
    { root: dagPb },
    { root: concat(root.subarray(0, 4), zero) },
  ];
  for (const changes of invalid) assert.throws(() => anchor(changes), { code: 'ANCHOR_INVALID' });
  assert.throws(() => anchor({ release: zero }), { code: 'RELEASE_UNKNOWN' });
  assert.throws(() => anchor({ root: zero }), { code: 'STATEMENT_MALFORMED' });
  anchor();
  assert.deepEqual(getAnchor(ledger.view, imageKey()), {
    size,
    root,
    index: ledger.height * 2 - 1,
  });
  assert.throws(() => anchor(), { code: 'ANCHOR_EXISTS' });
});

test('an image of several chunks has a dag-pb root', () => {
  const image = fixtureImage('x'.repeat(600_000));
  release = fixtureRelease(author, line, 2n, {}, { image });
  ledger.apply(release.statement, release.attachment);
  release = { ...release, image };
  const raw = concat(Uint8Array.of(1, 0x55, 0x12, 0x20), image.root.subarray(4));
  assert.throws(() => anchor({ root: raw }), { code: 'ANCHOR_INVALID' });
  assert.throws(() => anchor({ chunks: image.chunks.slice(1) }), { code: 'ANCHOR_INVALID' });
  anchor();
});

test('a withdrawn release is anchored no more', () => {
  const { digest } = release;
  ledger.apply(
    withdrawStatement(author, ++counter, line, { release: digest, lowest: 0n, reason: 'x' }),
  );
  assert.throws(() => anchor(), { code: 'RELEASE_WITHDRAWN' });
});

test('a hold is of an anchored image, and ends', () => {
  const until = 1000;
  assert.throws(() => hold({ until }), { code: 'ANCHOR_UNKNOWN' });
  anchor();
  assert.throws(() => hold({ until, image: new Uint8Array(32) }), { code: 'ANCHOR_UNKNOWN' });
  assert.throws(() => hold({ until: ledger.height + 1 }), { code: 'HOLD_INVALID' });
  assert.throws(() => hold({ until: ledger.height + 2 + (1 << 24) }), { code: 'HOLD_INVALID' });
  hold({ until: 1000 });
  hold({ until: 2000 });
  assert.deepEqual(getHolds(ledger.view, imageKey()), [{ node: node.name, until: 2000 }]);
});

test('a hold is about the release that its subject names', () => {
  anchor();
  const other = fixtureRelease(author, line, 2n);
  ledger.apply(other.statement, other.attachment);
  const own = { line, release: release.digest, image: release.image.digest, until: 1000 };
  const { statement, operator } = node;
  const forged = holdStatement({ ...node, statement, operator }, networkId, ++counter, {
    ...own,
    release: other.digest,
  });
  assert.throws(() => ledger.apply(forged), { code: 'ANCHOR_UNKNOWN' });
});

test('only what is held is dropped', () => {
  anchor();
  assert.throws(() => hold(), { code: 'HOLD_INVALID' });
  hold({ until: 1000 });
  hold();
  assert.deepEqual(getHolds(ledger.view, imageKey()), []);
});
