import assert from 'node:assert/strict';
import { beforeEach, suite, test } from 'node:test';
import { hex } from '../../bytes.ts';
import { encode } from '../../cbor/encode.ts';
import type { Cbor } from '../../cbor/value.ts';
import { encodeKey, thumbprint } from '../../cose/key.ts';
import { revocation, rotation, type KeyChange } from '../../author/key-changes.ts';
import { declareStatement, withdrawStatement } from '../../author/statements.ts';
import { fixtureKey, fixtureLine, fixtureNetwork } from '../../testing/fixture.ts';
import {
  authorWithRecovery,
  publish,
  recoveryStatement,
  register,
  withKey,
} from '../../testing/key-fixture.ts';
import {
  fixtureLedger,
  fixtureRelease,
  type FixtureLedger,
} from '../../testing/release-fixture.ts';
import { authorKey, lineKey } from '../line.ts';
import { decodeAuthorValue } from '../map-value.ts';
import { approve, recoveryPayload } from '../recovery.ts';
import { getAuthor, getRelease } from '../state.ts';
import { createStatement } from '../statement.ts';

const network = fixtureNetwork();
const { networkId } = network.genesis;
const author = authorWithRecovery(networkId, 'acme');
const [r1, r2, r3] = author.recovery as [never, never, never];
const line = fixtureLine(author.author);
const second = fixtureKey('second');
const third = fixtureKey('third');
const rotate = rotation(author.author, [second.publicKey]);
const oldId = thumbprint(author.key.publicKey);
let ledger: FixtureLedger;

const signed = (counter: bigint, change: KeyChange, signers = [r1, r2]) =>
  recoveryStatement(author, counter, change, signers);
const change = (kind: 'key.rotate' | 'key.revoke', body: Cbor): KeyChange => ({
  kind,
  subject: hex(author.author),
  body: encode(body),
});
const refused = (statement: Parameters<FixtureLedger['apply']>[0], code: string): void =>
  assert.throws(() => ledger.apply(statement), { code });
const listed = () =>
  decodeAuthorValue(ledger.view.getMap(authorKey(author.author)) ?? new Uint8Array());

beforeEach(() => {
  ledger = fixtureLedger(network.genesis);
  register(ledger, author, 2, line);
});

suite('who signs (T01)', () => {
  test('two of three recovery keys rotate, in any order', () => {
    ledger.apply(signed(2n, rotate, [r3, r1]));
    assert.deepEqual(getAuthor(ledger.view, author.author)?.keys, [encodeKey(second.publicKey)]);
  });

  test('fewer than the threshold do not, nor one twice', () => {
    refused(signed(2n, rotate, [r1]), 'RECOVERY_THRESHOLD');
    const claims = {
      kind: rotate.kind,
      issuer: hex(author.author),
      subject: rotate.subject,
      network: hex(networkId),
      counter: 2n,
    };
    const own = approve(r1, claims, rotate.body);
    const twice = createStatement(r1, claims, recoveryPayload(rotate.body, [own, own]));
    refused(twice, 'RECOVERY_THRESHOLD');
  });

  test('a release key does not, alone or beside a recovery key', () => {
    refused(signed(2n, rotate, [author.key as never, r1]), 'STATEMENT_SIGNER_UNKNOWN');
    refused(signed(2n, rotate, [author.key as never]), 'STATEMENT_SIGNER_UNKNOWN');
    refused(signed(2n, rotate, [r1, author.key as never]), 'STATEMENT_SIGNER_UNKNOWN');
  });

  test('an approval of something else is none', () => {
    const issuer = hex(author.author);
    const claims = { kind: rotate.kind, issuer, subject: issuer, network: hex(networkId) };
    const elsewhere = [
      approve(r1, { ...claims, counter: 3n }, rotate.body),
      approve(r1, { ...claims, network: 'ab'.repeat(32), counter: 2n }, rotate.body),
      approve(r1, { ...claims, kind: 'key.revoke', counter: 2n }, rotate.body),
      approve(r1, { ...claims, counter: 2n }, encode(new Map([[1, [encodeKey(third.publicKey)]]]))),
      {
        ...approve(r3, { ...claims, counter: 2n }, rotate.body),
        keyId: thumbprint(second.publicKey),
      },
    ];
    const codes = Array.from({ length: 4 }, () => 'COSE_SIGNATURE_INVALID');
    for (const [i, approval] of elsewhere.entries()) {
      const payload = recoveryPayload(rotate.body, [approval]);
      const forged = createStatement(r2, { ...claims, counter: 2n }, payload);
      refused(forged, codes[i] ?? 'STATEMENT_SIGNER_UNKNOWN');
    }
  });

  test('a statement is taken once, for its own network and author', () => {
    ledger.apply(signed(5n, rotate));
    refused(signed(5n, rotation(author.author, [third.publicKey])), 'STATEMENT_COUNTER');
    refused(signed(4n, rotation(author.author, [third.publicKey])), 'STATEMENT_COUNTER');
    const stranger = authorWithRecovery(networkId, 'stranger');
    refused(recoveryStatement(stranger, 9n, rotate, [r1, r2]), 'AUTHOR_UNKNOWN');
    const other = rotation(stranger.author, [third.publicKey]);
    refused(signed(9n, other), 'STATEMENT_SUBJECT');
    const revoke = revocation(stranger.author, oldId, 1);
    refused(signed(9n, revoke), 'STATEMENT_SUBJECT');
    const { networkId: elsewhere } = fixtureNetwork({ label: 'other' }).genesis;
    const foreign = recoveryStatement({ ...author, networkId: elsewhere }, 9n, rotate, [r1, r2]);
    refused(foreign, 'STATEMENT_NETWORK');
  });

  test('a thief who uses up the counter of a release key stops neither recovery nor the next key', () => {
    const max = 2n ** 64n - 1n;
    ledger.apply(declareStatement(author, max, fixtureLine(author.author, 'b')));
    ledger.apply(signed(2n, rotate));
    const next = withKey(author, second);
    ledger.apply(declareStatement(next, 1n, fixtureLine(author.author, 'c')));
    refused(declareStatement(next, 1n, fixtureLine(author.author, 'd')), 'STATEMENT_COUNTER');
  });
});

suite('key.rotate', () => {
  test('the old key signs no more and stays listed, with a count of rotations', () => {
    const release = publish(ledger, network, author, line, 1n);
    ledger.apply(signed(2n, rotate));
    const value = listed();
    const ids = [oldId, thumbprint(second.publicKey)].map(hex).toSorted();
    assert.deepEqual([value.keys.map(hex), value.rotations], [ids, 1]);
    assert.deepEqual(ledger.line(line)?.newest?.digest, release.digest);
    const late = fixtureRelease(author, line, 2n);
    assert.throws(() => ledger.apply(late.statement, late.attachment), {
      code: 'STATEMENT_SIGNER_UNKNOWN',
    });
    publish(ledger, network, withKey(author, second), line, 2n);
  });

  test('a key that stays goes on counting', () => {
    ledger.apply(signed(2n, rotation(author.author, [author.key.publicKey, second.publicKey])));
    refused(declareStatement(author, 2n, fixtureLine(author.author, 'b')), 'STATEMENT_COUNTER');
    ledger.apply(declareStatement(author, 3n, fixtureLine(author.author, 'b')));
    ledger.apply(declareStatement(withKey(author, second), 1n, fixtureLine(author.author, 'c')));
  });

  test('recovery keys may change with it: from then on the new ones count', () => {
    const fresh = [1, 2].map((i) => fixtureKey(`fresh ${i}`));
    const keys = fresh.map((key) => key.publicKey);
    ledger.apply(signed(2n, rotation(author.author, [second.publicKey], { keys, threshold: 2 })));
    const next = rotation(author.author, [third.publicKey]);
    refused(signed(3n, next), 'STATEMENT_SIGNER_UNKNOWN');
    refused(signed(3n, next, [fresh[0] as never]), 'RECOVERY_THRESHOLD');
    ledger.apply(signed(3n, next, fresh as never));
  });

  test('release keys of now and of before are never recovery keys', () => {
    const bad = [
      rotation(author.author, [fixtureKey('author acme recovery 1').publicKey]),
      rotation(author.author, [second.publicKey, second.publicKey]),
      rotation(author.author, [second.publicKey], { keys: [second.publicKey], threshold: 1 }),
      rotation(author.author, [second.publicKey], { keys: [author.key.publicKey], threshold: 1 }),
      rotation(author.author, [second.publicKey], { keys: [third.publicKey], threshold: 2 }),
      rotation(author.author, [second.publicKey], { keys: [third.publicKey], threshold: 0 }),
    ];
    for (const each of bad) refused(signed(2n, each), 'AUTHOR_INVALID');
  });

  test('a rotation never fails for want of room: the oldest keys are listed no more', () => {
    for (let i = 0; i < 42; i++)
      ledger.apply(signed(BigInt(i + 2), rotation(author.author, [fixtureKey(`k${i}`).publicKey])));
    const ids = listed().keys.map(hex);
    assert.equal(ids.length, 41);
    assert.ok(!ids.includes(hex(oldId)));
    assert.ok(ids.includes(hex(thumbprint(fixtureKey('k1').publicKey))));
  });

  test('a body or payload of another shape is malformed', () => {
    const keys = [encodeKey(second.publicKey)];
    const many = Array.from({ length: 9 }, (_, i) => encodeKey(fixtureKey(`n${i}`).publicKey));
    const bodies: Cbor[] = [
      new Map(),
      new Map<Cbor, Cbor>([[1, []]]),
      new Map<Cbor, Cbor>([[1, many]]),
      new Map<Cbor, Cbor>([[1, [new Uint8Array(5)]]]),
      new Map<Cbor, Cbor>([
        [1, keys],
        [4, 1],
      ]),
      new Map<Cbor, Cbor>([
        [1, keys],
        [2, keys],
      ]),
      [1],
    ];
    for (const body of bodies)
      refused(signed(2n, change('key.rotate', body)), 'STATEMENT_MALFORMED');
    const issuer = hex(author.author);
    const claims = { kind: 'key.rotate', issuer, subject: issuer, counter: 2n } as const;
    const approval: Cbor = [new Uint8Array(32), new Uint8Array(64)];
    const payloads: Cbor[] = [
      [],
      new Map<Cbor, Cbor>([[1, rotate.body]]),
      new Map<Cbor, Cbor>([
        [1, 'text'],
        [2, []],
      ]),
      new Map<Cbor, Cbor>([
        [1, rotate.body],
        [2, [[new Uint8Array(31), new Uint8Array(64)]]],
      ]),
      new Map<Cbor, Cbor>([
        [1, rotate.body],
        [2, Array.from({ length: 9 }, () => approval)],
      ]),
    ];
    for (const payload of payloads) {
      const statement = createStatement(r1, { ...claims, network: hex(networkId) }, payload);
      refused(statement, 'STATEMENT_MALFORMED');
    }
  });
});

suite('key.revoke', () => {
  const status = (digest: Uint8Array) => getRelease(ledger.view, lineKey(line), digest)?.status;

  test('an author keeps a release key: rotate first', () => {
    refused(signed(2n, revocation(author.author, oldId, 1)), 'AUTHOR_INVALID');
    const unknown = revocation(author.author, thumbprint(third.publicKey), 1);
    refused(signed(2n, unknown), 'STATEMENT_SUBJECT');
    const malformed = change('key.revoke', new Map<Cbor, Cbor>([[1, oldId]]));
    refused(signed(2n, malformed), 'STATEMENT_MALFORMED');
  });

  test('it reaches back to its index on every line, and newest falls back', () => {
    const other = fixtureLine(author.author, 'lock');
    ledger.apply(declareStatement(author, 3n, other));
    const good = publish(ledger, network, author, line, 1n);
    const from = ledger.height * 2 + 1;
    const stolen = publish(ledger, network, author, line, 2n);
    const elsewhere = publish(ledger, network, author, other, 1n, 300n);
    ledger.apply(signed(2n, rotate));
    const after = publish(ledger, network, withKey(author, second), line, 3n);
    ledger.apply(signed(3n, revocation(author.author, oldId, from)));
    assert.deepEqual(
      [good, stolen, after].map(({ digest }) => status(digest)),
      ['available', 'withdrawn', 'available'],
    );
    assert.deepEqual(ledger.line(line)?.newest?.digest, after.digest);
    assert.equal(ledger.line(other)?.newest, null);
    const fallen = getRelease(ledger.view, lineKey(other), elsewhere.digest);
    assert.equal(fallen?.status, 'withdrawn');
    // Its good releases stand, so it stays listed.
    assert.ok(listed().keys.map(hex).includes(hex(oldId)));
    assert.equal(listed().rotations, 2);
  });

  test('newest falls back to the release before the theft', () => {
    const good = publish(ledger, network, author, line, 1n);
    const from = ledger.height * 2 + 1;
    publish(ledger, network, author, line, 2n);
    ledger.apply(signed(2n, rotate));
    ledger.apply(signed(3n, revocation(author.author, oldId, from)));
    assert.deepEqual(ledger.line(line)?.newest?.digest, good.digest);
  });

  test('from index 0 the key was never to be trusted: it is listed no more', () => {
    const release = publish(ledger, network, author, line, 1n);
    ledger.apply(signed(2n, rotate));
    ledger.apply(signed(3n, revocation(author.author, oldId, 0)));
    assert.equal(status(release.digest), 'withdrawn');
    assert.deepEqual(listed().keys, [thumbprint(second.publicKey)]);
  });

  test('a withdrawal by the thief stays, and the author goes on above it', () => {
    const release = publish(ledger, network, author, line, 1n);
    const theft = { release: release.digest, lowest: 2n, reason: 'mine now' };
    ledger.apply(withdrawStatement(author, 200n, line, theft));
    ledger.apply(signed(2n, rotate));
    ledger.apply(signed(3n, revocation(author.author, oldId, 1)));
    const next = publish(ledger, network, withKey(author, second), line, 2n);
    assert.deepEqual(ledger.line(line)?.newest?.digest, next.digest);
  });

  test('one of two active keys goes, and the other keeps its own counter', () => {
    ledger.apply(signed(2n, rotation(author.author, [author.key.publicKey, second.publicKey])));
    const other = withKey(author, second);
    ledger.apply(declareStatement(other, 7n, fixtureLine(author.author, 'b')));
    ledger.apply(signed(3n, revocation(author.author, oldId, 1)));
    refused(declareStatement(other, 7n, fixtureLine(author.author, 'c')), 'STATEMENT_COUNTER');
    ledger.apply(declareStatement(other, 8n, fixtureLine(author.author, 'c')));
  });
});
