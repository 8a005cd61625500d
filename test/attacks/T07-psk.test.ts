/** T07: what a PSK author's devices and the registry refuse. That the PSK goes nowhere: T07-secret.test.ts. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { sha256 } from '#crypto';
import { rotation } from '../../src/author/key-changes.ts';
import { registerAuthor, type Session } from '../../src/author/publish.ts';
import { declareStatement, registerStatement } from '../../src/author/statements.ts';
import { hex, utf8 } from '../../src/bytes.ts';
import { encodeKey } from '../../src/cose/key.ts';
import { encodeProvisioning, parseProvisioning } from '../../src/device/provision.ts';
import { provisionOf } from '../../src/device/trust-memory.ts';
import type { ReleaseClaims } from '../../src/registry/claims.ts';
import { createReleaseMac, preSharedKey, type PreSharedKey } from '../../src/registry/psk.ts';
import { getAuthor } from '../../src/registry/state.ts';
import type { Statement } from '../../src/registry/statement.ts';
import { buildEnvelope } from '../../src/suit/build.ts';
import { parseEnvelope } from '../../src/suit/envelope.ts';
import { acceptProof, acceptRelease } from '../../src/trust/accept.ts';
import {
  fixtureAuthor,
  fixtureKey,
  fixtureLine,
  fixtureNetwork,
  type FixtureNetwork,
} from '../../src/testing/fixture.ts';
import { recoveryStatement, withKey } from '../../src/testing/key-fixture.ts';
import {
  fixtureLedger,
  fixtureRelease,
  type FixtureLedger,
} from '../../src/testing/release-fixture.ts';
import { CLASS, SampleLedger, VENDOR } from './sample-ledger.ts';
import { envelopeOf, NEW_READER, NOW, proveLine, provisionFor } from './sample-proof.ts';

const PSK = preSharedKey(sha256(utf8('psk')));
const OTHER = preSharedKey(sha256(utf8('another psk')));

const allowed = fixtureNetwork({ policy: { mode: 'private', pskAuthors: true } });

/** An author, a PSK author if it has one, registered with its line. */
function enrolled(network: FixtureNetwork, psk: PreSharedKey | null) {
  const ledger = fixtureLedger(network.genesis);
  const author = fixtureAuthor(network.genesis.networkId);
  const line = fixtureLine(author.author);
  const recovery = author.recovery.map((key) => key.publicKey);
  const named = psk ? { psk: psk.keyId } : {};
  const fields = { name: 'acme', recovery, threshold: 1, ...named };
  ledger.apply(registerStatement(author, 1n, fields));
  ledger.apply(declareStatement(author, 2n, line));
  const release = (claims: Partial<ReleaseClaims>, with_?: PreSharedKey) =>
    fixtureRelease(author, line, 3n, claims, with_ ? { psk: with_ } : {});
  return { ledger, author, line, release };
}

function refused(
  ledger: FixtureLedger,
  { statement, attachment }: { statement: Statement; attachment: Uint8Array },
): void {
  assert.throws(() => ledger.apply(statement, attachment), { code: 'RELEASE_CLAIMS' });
}

suite('T07: the registry', () => {
  test('knows PSK authors only where the policy allows them', () => {
    const { ledger, author } = enrolled(allowed, PSK);
    assert.deepEqual(getAuthor(ledger.view, author.author)?.psk, PSK.keyId);
    for (const policy of [{}, { mode: 'private' as const }])
      assert.throws(() => enrolled(fixtureNetwork({ policy }), PSK), {
        code: 'AUTHOR_PSK_FORBIDDEN',
      });
    assert.equal(enrolled(allowed, null).author.name, 'acme');
  });

  test('asks for the MAC of a rotated release key too', () => {
    const { ledger, author, line } = enrolled(allowed, PSK);
    const next = fixtureKey('next');
    ledger.apply(recoveryStatement(author, 2n, rotation(author.author, [next.publicKey])));
    const rotated = withKey(author, next);
    refused(ledger, fixtureRelease(rotated, line, 3n));
    const good = fixtureRelease(rotated, line, 3n, {}, { psk: PSK });
    ledger.apply(good.statement, good.attachment);
  });

  test('takes no other form of key id', () => {
    const { author } = enrolled(allowed, PSK);
    const recovery = author.recovery.map((key) => key.publicKey);
    for (const psk of [PSK.keyId.slice(1), PSK.key]) {
      const fields = { name: 'acme', recovery, threshold: 1, psk };
      assert.throws(
        () => fixtureLedger(allowed.genesis).apply(registerStatement(author, 1n, fields)),
        { code: 'STATEMENT_MALFORMED' },
      );
    }
  });

  test('takes a release of a PSK author with its MAC, and none without', () => {
    const { ledger, release } = enrolled(allowed, PSK);
    refused(ledger, release({}));
    const good = release({}, PSK);
    ledger.apply(good.statement, good.attachment);
  });

  test('takes no MAC in the name of another PSK, and none of another form', () => {
    const { ledger, release } = enrolled(allowed, PSK);
    refused(ledger, release({}, OTHER));
    refused(ledger, release({ mac: utf8('a MAC') }));
    assert.throws(() => ledger.apply(release({ mac: new Uint8Array(257) }).statement), {
      code: 'STATEMENT_MALFORMED',
    });
  });

  test('takes no MAC on a release of an author without a PSK', () => {
    const { ledger, release } = enrolled(allowed, null);
    refused(ledger, release({}, PSK));
    const good = release({});
    ledger.apply(good.statement, good.attachment);
  });

  test('is not asked where it would refuse', async () => {
    const { root } = fixtureNetwork();
    const session = { author: { psk: PSK.keyId }, network: { root } } as unknown as Session;
    await assert.rejects(registerAuthor(session), { code: 'AUTHOR_PSK_FORBIDDEN' });
  });
});

suite('T07: a device with a PSK', () => {
  const ledger = new SampleLedger();
  const author = ledger.author('author');
  const release = ledger.publish(author, 1n);
  for (const operator of ['o1', 'o2']) ledger.apply(ledger.hold(operator, author, release));
  const signed = envelopeOf(release);
  const { digest } = parseEnvelope(signed);

  /** The release as a node hands it over, with these blocks behind the signature. */
  function envelopeWith(...macs: readonly Uint8Array[]): Uint8Array {
    const { authenticationBlocks } = parseEnvelope(signed);
    const blocks = [...authenticationBlocks, ...macs];
    return buildEnvelope({ manifest: release.attachment, authenticationBlocks: blocks });
  }

  function accept(envelope: Uint8Array, psk?: PreSharedKey) {
    const provision = provisionFor(ledger, author);
    const lines = provision.lines.map((line) => ({ ...line, ...(psk && { psk }) }));
    const proof = proveLine(ledger, author.line);
    const { judged } = acceptProof({ ...provision, lines }, NEW_READER, 0, proof, NOW);
    return acceptRelease(judged, envelope, null);
  }

  test('accepts a release with a MAC by it', () => {
    assert.equal(accept(envelopeWith(createReleaseMac(PSK, digest)), PSK).sequence, 1n);
  });

  test('refuses one that is only signed, truly, by the release key', () => {
    assert.throws(() => accept(signed, PSK), { code: 'TRUST_MAC_MISSING' });
    assert.equal(accept(signed).sequence, 1n);
  });

  test('refuses a MAC by another PSK, under its own name or the right one', () => {
    const other = createReleaseMac(OTHER, digest);
    assert.throws(() => accept(envelopeWith(other), PSK), { code: 'TRUST_MAC_MISSING' });
    const renamed = createReleaseMac({ ...OTHER, keyId: PSK.keyId }, digest);
    assert.throws(() => accept(envelopeWith(renamed), PSK), { code: 'TRUST_MAC_INVALID' });
  });

  test('refuses the MAC of another release', () => {
    const elsewhere = createReleaseMac(PSK, utf8('another digest'));
    assert.throws(() => accept(envelopeWith(elsewhere), PSK), { code: 'TRUST_MAC_INVALID' });
  });

  test('is not kept from a release by blocks that others put beside the MAC', () => {
    const junk = createReleaseMac({ ...OTHER, keyId: PSK.keyId }, digest);
    const good = createReleaseMac(PSK, digest);
    assert.equal(accept(envelopeWith(junk, good), PSK).sequence, 1n);
  });

  test('needs the signature as well: whoever has the PSK is not the author', () => {
    const mac = createReleaseMac(PSK, digest);
    const only = buildEnvelope({ manifest: release.attachment, authenticationBlocks: [mac] });
    assert.throws(() => accept(only, PSK), { code: 'SUIT_UNAUTHENTICATED' });
  });
});

suite('T07: provisioning', () => {
  const anchors = ['one', 'two'].map((name) => encodeKey(fixtureKey(name, 'P-256').publicKey));
  const fields = {
    name: 'lamp',
    model: 'lamp',
    vendorId: VENDOR,
    classId: CLASS,
    root: allowed.root.bytes,
    floor: 0,
    staleInstall: 'never',
    keyFile: 'device.key',
  } as const;
  const psk = { keyId: PSK.keyId, keyFile: 'psk.key' };
  const lineOf = (at: number, track: string) => ({ anchor: anchors[at] as Uint8Array, track });
  const stable = [lineOf(0, 'stable')];

  test('names a PSK or none, and nothing else', () => {
    const made = encodeProvisioning({ ...fields, lines: stable, psk });
    assert.deepEqual(parseProvisioning(made).psk, psk);
    const without = encodeProvisioning({ ...fields, lines: stable });
    assert.equal(parseProvisioning(without).psk, undefined);
    const json = JSON.parse(new TextDecoder().decode(made)) as Record<string, unknown>;
    const keyId = hex(PSK.keyId);
    for (const wrong of [null, {}, { keyId }, { keyId: 'x', keyFile: 'f' }, { ...psk, key: '' }])
      assert.throws(() => parseProvisioning(utf8(JSON.stringify({ ...json, psk: wrong }))), {
        code: 'DEVICE_PROVISIONING_INVALID',
      });
  });

  test('with a PSK is for the lines of one author', () => {
    const tracks = [...stable, lineOf(0, 'beta')];
    assert.equal(
      parseProvisioning(encodeProvisioning({ ...fields, lines: tracks, psk })).lines.length,
      2,
    );
    const mixed = [...stable, lineOf(1, 'stable')];
    encodeProvisioning({ ...fields, lines: mixed });
    assert.throws(() => encodeProvisioning({ ...fields, lines: mixed, psk }), {
      code: 'DEVICE_PROVISIONING_INVALID',
    });
  });

  test('never goes without the PSK that it names, nor with another', () => {
    const made = parseProvisioning(encodeProvisioning({ ...fields, lines: stable, psk }));
    assert.deepEqual(
      provisionOf(made, PSK).lines.map((line) => line.psk),
      [PSK],
    );
    const plain = parseProvisioning(encodeProvisioning({ ...fields, lines: stable }));
    assert.equal('psk' in provisionOf(plain, undefined).lines[0]!, false);
    for (const [provisioning, given] of [
      [made, undefined],
      [made, OTHER],
      [plain, PSK],
    ] as const)
      assert.throws(() => provisionOf(provisioning, given), {
        code: 'DEVICE_PROVISIONING_INVALID',
      });
  });
});
