import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import { sha256 } from '#crypto';
import { concat, hex } from '../../bytes.ts';
import { encode } from '../../cbor/encode.ts';
import type { Cbor } from '../../cbor/value.ts';
import { createEncrypt } from '../../cose/encrypt.ts';
import { releaseStatement, withdrawStatement } from '../../author/statements.ts';
import { buildManifest, encodeSequence, wrap } from '../../suit/build.ts';
import type { Parameters as SuitParameters } from '../../suit/parameters.ts';
import { fixtureAuthor, fixtureLine, fixtureNetwork } from '../../testing/fixture.ts';
import {
  enroll,
  fixtureLedger,
  fixtureRelease,
  type FixtureLedger,
} from '../../testing/release-fixture.ts';
import { lineKey, lineText, type Line } from '../line.ts';
import { getRelease } from '../state.ts';
import { createStatement } from '../statement.ts';

const network = fixtureNetwork();
const { networkId } = network.genesis;
const author = fixtureAuthor(networkId);
const line = fixtureLine(author.author);
const CLAIMS = { version: '1', urgency: 'functional', documents: [] } as const;
let ledger: FixtureLedger;

beforeEach(() => {
  ledger = fixtureLedger(network.genesis);
  enroll(ledger, author, line);
});

function publish(sequence: bigint, claims: Parameters<typeof fixtureRelease>[3] = {}) {
  const release = fixtureRelease(author, line, sequence, claims);
  ledger.apply(release.statement, release.attachment);
  return release;
}

function refused(manifest: Uint8Array, code: string, sequence = 1n, of: Line = line): void {
  const statement = releaseStatement(author, sequence, of, manifest, CLAIMS);
  assert.throws(() => ledger.apply(statement, manifest), { code });
}

test('a release is recorded and pending', () => {
  const via = publish(1n);
  const release = publish(5n, { applies: [1n, 4n], via: via.digest, supportUntil: 2_000_000_000 });
  const record = getRelease(ledger.view, lineKey(line), release.digest);
  const { digest, size } = release.image;
  assert.ok(record);
  assert.partialDeepStrictEqual(record, {
    sequence: 5n,
    digest: release.digest,
    entry: release.statement.entry,
    index: ledger.height * 2 - 1,
    status: 'registered',
    applies: [1n, 4n],
    via: via.digest,
    images: [{ component: 0, digest, size }],
    previous: via.digest,
  });
  assert.deepEqual(ledger.line(line)?.pending, {
    sequence: 5n,
    digest: release.digest,
    entry: release.statement.entry,
    applies: [1n, 4n],
    via: null, // nobody can have the waypoint yet
  });
});

test('the manifest is the one that was signed (T20)', () => {
  const one = fixtureRelease(author, line, 1n);
  const two = fixtureRelease(author, line, 2n);
  assert.throws(() => ledger.apply(one.statement, two.attachment), { code: 'ATTACHMENT_MISMATCH' });
  const longer = concat(one.attachment, Uint8Array.of(0));
  assert.throws(() => ledger.apply(one.statement, longer), { code: 'ATTACHMENT_MISMATCH' });
  const huge = wrap(new Uint8Array(70_000));
  refused(huge, 'ATTACHMENT_MISMATCH');
});

test('what is signed is a SUIT_Digest by SHA-256', () => {
  const { attachment } = fixtureRelease(author, line, 1n);
  const signed = (payload: Uint8Array) =>
    createStatement(
      author.key,
      {
        kind: 'release',
        issuer: hex(author.author),
        subject: lineText(line),
        network: hex(networkId),
        counter: 1n,
        release: CLAIMS,
      },
      payload,
    );
  const sha384 = encode([-43, new Uint8Array(48)]);
  assert.throws(() => ledger.apply(signed(sha384), attachment), { code: 'RELEASE_CLAIMS' });
  for (const payload of [encode(new Map<Cbor, Cbor>([[1, 2]])), sha256(attachment)])
    assert.throws(() => ledger.apply(signed(payload), attachment), { name: 'FirmamentError' });
});

test('claims and manifest say the same (T04)', () => {
  const other = fixtureRelease(author, fixtureLine(author.author, 'other'), 1n);
  refused(other.attachment, 'RELEASE_CLAIMS');
  const { attachment } = fixtureRelease(author, line, 1n);
  refused(attachment, 'RELEASE_CLAIMS', 2n);
});

test('T22 an image that must be decrypted is refused: the store would hold what the digest does not name', () => {
  const { bytes: encryptionInfo } = createEncrypt({
    cipher: 'A128GCM',
    contentKey: new Uint8Array(16),
    iv: new Uint8Array(12),
    recipients: [{ key: new Uint8Array(16) }],
  });
  const imageDigest = { algorithm: 'SHA-256', bytes: sha256(new Uint8Array(1)) } as const;
  const manifest = (parameters: SuitParameters): Uint8Array =>
    wrap(
      buildManifest({
        sequence: 1n,
        componentIds: [[Uint8Array.of(0)]],
        shared: [
          {
            kind: 'override-parameters',
            parameters: { vendorId: line.vendor, classId: line.class, imageDigest, imageSize: 1 },
          },
          { kind: 'condition', name: 'vendor-identifier', policy: 15 },
          { kind: 'condition', name: 'class-identifier', policy: 15 },
        ],
        sections: new Map([
          [
            'install',
            {
              content: encodeSequence([
                { kind: 'override-parameters', parameters },
                { kind: 'action', name: 'fetch', policy: 2 },
                { kind: 'condition', name: 'image-match', policy: 15 },
              ]),
            },
          ],
        ]),
      }),
    );
  refused(manifest({ uri: 'ipfs://x', encryptionInfo }), 'RELEASE_CLAIMS');
  const plain = manifest({ uri: 'ipfs://x' });
  ledger.apply(releaseStatement(author, 1n, line, plain, CLAIMS), plain);
});

test('every image has a SHA-256 digest and a size, and there is one at least', () => {
  const parameters = { vendorId: line.vendor, classId: line.class };
  const manifest = (more: object, match: boolean): Uint8Array =>
    wrap(
      buildManifest({
        sequence: 1n,
        componentIds: [[Uint8Array.of(0)]],
        shared: [
          { kind: 'override-parameters', parameters: { ...parameters, ...more } },
          { kind: 'condition', name: 'vendor-identifier', policy: 15 },
          { kind: 'condition', name: 'class-identifier', policy: 15 },
        ],
        sections: new Map([
          [
            'validate',
            {
              content: encodeSequence(
                match
                  ? [{ kind: 'condition', name: 'image-match', policy: 15 }]
                  : [{ kind: 'set-component-index', index: 0 }],
              ),
            },
          ],
        ]),
      }),
    );
  const bytes = sha256(new Uint8Array(1));
  const digest = { algorithm: 'SHA-256', bytes } as const;
  refused(manifest({}, false), 'RELEASE_CLAIMS');
  refused(manifest({ imageDigest: digest }, true), 'RELEASE_CLAIMS');
  const long = { algorithm: 'SHA-512', bytes: concat(bytes, bytes) } as const;
  refused(manifest({ imageDigest: long, imageSize: 1 }, true), 'RELEASE_CLAIMS');
  const good = manifest({ imageDigest: digest, imageSize: 1 }, true);
  ledger.apply(releaseStatement(author, 1n, line, good, CLAIMS), good);
});

test('a sequence is above the last, by 2^32 at most (T17)', () => {
  const first = publish(7n);
  assert.throws(() => ledger.apply(first.statement, first.attachment), { code: 'RELEASE_EXISTS' });
  for (const sequence of [7n, 6n, 0n, 8n + (1n << 32n)]) {
    const image = fixtureRelease(author, line, 99n).image;
    const release = fixtureRelease(author, line, sequence, {}, { image });
    assert.throws(() => ledger.apply(release.statement, release.attachment), {
      code: 'RELEASE_SEQUENCE',
    });
  }
  publish(7n + (1n << 32n));
});

test('a waypoint is a release of this line that is still allowed', () => {
  const first = publish(1n);
  const other = fixtureLine(author.author, 'other');
  declare(other);
  const elsewhere = fixtureRelease(author, other, 1n);
  ledger.apply(elsewhere.statement, elsewhere.attachment);
  const via = (digest: Uint8Array) => () => publish(5n, { via: digest });
  assert.throws(via(elsewhere.digest), { code: 'RELEASE_VIA_UNKNOWN' });
  assert.throws(via(new Uint8Array(32)), { code: 'RELEASE_VIA_UNKNOWN' });
  const second = publish(2n);
  ledger.apply(
    withdrawStatement(author, 20n, line, { release: second.digest, lowest: 0n, reason: 'x' }),
  );
  assert.throws(via(second.digest), { code: 'RELEASE_VIA_UNKNOWN' });
  const third = publish(3n);
  ledger.apply(
    withdrawStatement(author, 21n, line, { release: third.digest, lowest: 2n, reason: 'x' }),
  );
  assert.throws(via(first.digest), { code: 'RELEASE_VIA_UNKNOWN' });
});

function declare(other: Line): void {
  const payload = new Map<Cbor, Cbor>([
    [1, other.vendor],
    [2, other.class],
    [3, other.track],
  ]);
  const claims = { issuer: hex(author.author), subject: lineText(other), network: hex(networkId) };
  ledger.apply(
    createStatement(author.key, { kind: 'line.declare', counter: 10n, ...claims }, payload),
  );
}

test('a withdrawal names a release of its line, once, and lowest only grows', () => {
  const first = publish(1n);
  const second = publish(2n);
  let counter = 30n;
  const withdraw = (release: Uint8Array, lowest: bigint) => () =>
    ledger.apply(withdrawStatement(author, ++counter, line, { release, lowest, reason: 'a hole' }));
  assert.throws(withdraw(new Uint8Array(32), 0n), { code: 'RELEASE_UNKNOWN' });
  assert.throws(withdraw(first.digest, 4n), { code: 'RELEASE_LOWEST' });
  withdraw(first.digest, 2n)();
  assert.throws(withdraw(first.digest, 2n), { code: 'RELEASE_WITHDRAWN' });
  assert.throws(withdraw(second.digest, 1n), { code: 'RELEASE_LOWEST' });
  withdraw(second.digest, 3n)();
  const line2 = ledger.line(line);
  assert.deepEqual([line2?.newest, line2?.pending, line2?.lowest], [null, null, 3n]);
});

test('the lowest sequence still allowed may be registered', () => {
  const first = publish(1n);
  const withdrawn = { release: first.digest, lowest: 2n, reason: 'x' };
  ledger.apply(withdrawStatement(author, 30n, line, withdrawn));
  publish(2n);
});

test('a withdrawal of another shape is malformed', () => {
  const first = publish(1n);
  const signed = (payload: ReadonlyMap<Cbor, Cbor>) =>
    createStatement(
      author.key,
      {
        kind: 'release.withdraw',
        issuer: hex(author.author),
        subject: lineText(line),
        network: hex(networkId),
        counter: 40n,
      },
      payload,
    );
  const good: readonly [Cbor, Cbor][] = [
    [1, first.digest],
    [2, 1],
    [3, 'x'],
  ];
  const bad: readonly (readonly [Cbor, Cbor])[] = [
    [1, first.digest.subarray(1)],
    [2, -1],
    [3, ''],
    [3, 'x\u0007'],
    [3, 'x'.repeat(257)],
    [4, 1],
  ];
  for (const change of bad)
    assert.throws(() => ledger.apply(signed(new Map([...good, change]))), {
      code: 'STATEMENT_MALFORMED',
    });
  ledger.apply(signed(new Map(good)));
});
