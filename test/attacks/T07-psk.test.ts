/** T07: what a PSK author's devices and the registry refuse. That the PSK goes nowhere: T07-secret.test.ts. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import { sha256 } from '#crypto';
import { createAuthor } from '../../src/author/author.ts';
import { rotation } from '../../src/author/key-changes.ts';
import { registerAuthor, type Session } from '../../src/author/publish.ts';
import { declareStatement, registerStatement } from '../../src/author/statements.ts';
import { hex, utf8 } from '../../src/bytes.ts';
import { encode } from '../../src/cbor/encode.ts';
import { author as authorCommand } from '../../src/cli/author.ts';
import { encodeKey, encodeMacKey } from '../../src/cose/key.ts';
import { openDevice, provisionDevice } from '../../src/device/device.ts';
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

  test('of a network without PSK authors is not even pinned, and the command says why', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'firmament-psk-'));
    try {
      const random = (length: number): Uint8Array => new Uint8Array(randomBytes(length));
      const cost = { N: 1024, r: 8, p: 1 };
      const made = { directory: join(folder, 'author'), name: 'Acme', psk: true };
      await createAuthor({ ...made, passphrase: 'p', random, cost, clock: () => 0 });
      await writeFile(join(folder, 'root.cbor'), fixtureNetwork().root.bytes);
      const said: string[] = [];
      const io = { stdout: () => undefined, stderr: (line: string) => void said.push(line) };
      const where = ['--dir', made.directory, '--root', join(folder, 'root.cbor')];
      assert.equal(await authorCommand(['register', ...where], io), 1);
      assert.match(said.join('\n'), /AUTHOR_PSK_FORBIDDEN.*--psk.*only one of mode private/s);
      assert.ok(!(await readdir(made.directory)).includes('root.cbor'));
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});

/** A release of a PSK author on the ledger, with a MAC that its signer made, and readers of it. */
function published(macOf: (digest: Uint8Array) => Uint8Array) {
  const ledger = new SampleLedger(4, { mode: 'private', pskAuthors: true });
  const author = ledger.author('author', undefined, PSK.keyId);
  const digest = encode([-16, ledger.release(author, 1n).digest]);
  const mac = macOf(digest);
  const described = { version: '1.0.0', urgency: 'functional', documents: [], mac } as const;
  const release = ledger.publish(author, 1n, { claims: { release: described } });
  for (const operator of ['o1', 'o2']) ledger.apply(ledger.hold(operator, author, release));
  const { authenticationBlocks } = parseEnvelope(envelopeOf(release));
  return {
    digest,
    mac,
    signed: authenticationBlocks,
    /** With these authentication blocks, as a node hands it over. */
    accept: (blocks: readonly Uint8Array[], psk?: PreSharedKey) => {
      const provision = provisionFor(ledger, author);
      const lines = provision.lines.map((line) => ({ ...line, ...(psk && { psk }) }));
      const proof = proveLine(ledger, author.line);
      const { judged } = acceptProof({ ...provision, lines }, NEW_READER, 0, proof, NOW);
      const manifest = release.attachment;
      return acceptRelease(judged, buildEnvelope({ manifest, authenticationBlocks: blocks }), null);
    },
  };
}

suite('T07: a device with a PSK', () => {
  test('accepts a release with a MAC by it', () => {
    const { accept, signed, mac } = published((digest) => createReleaseMac(PSK, digest));
    assert.equal(accept([...signed, mac], PSK).sequence, 1n);
  });

  test('refuses what a thief of the release key signs, who has another PSK', () => {
    const thief = { ...OTHER, keyId: PSK.keyId };
    const { accept, signed, mac } = published((digest) => createReleaseMac(thief, digest));
    assert.throws(() => accept([...signed, mac], PSK), { code: 'TRUST_MAC_INVALID' });
  });

  test('refuses the MAC of another release', () => {
    const { accept, signed, mac } = published(() => createReleaseMac(PSK, utf8('another digest')));
    assert.throws(() => accept([...signed, mac], PSK), { code: 'TRUST_MAC_INVALID' });
  });

  test('refuses a MAC in the name of another PSK than its own', () => {
    const { accept, signed, mac } = published((digest) => createReleaseMac(PSK, digest));
    assert.throws(() => accept([...signed, mac], OTHER), { code: 'TRUST_MAC_MISSING' });
  });

  test('needs the signature as well: whoever has the PSK is not the author', () => {
    const { accept, mac } = published((digest) => createReleaseMac(PSK, digest));
    assert.throws(() => accept([mac], PSK), { code: 'SUIT_UNAUTHENTICATED' });
  });

  test('is not kept from a release by blocks that others put beside the MAC', () => {
    const { accept, signed, digest, mac } = published((of) => createReleaseMac(PSK, of));
    const junk = createReleaseMac({ ...OTHER, keyId: PSK.keyId }, digest);
    assert.equal(accept([...signed, junk, mac], PSK).sequence, 1n);
  });
});

test('T07: a reader without the PSK, as a gateway, takes the release with its MAC and not without', () => {
  const { accept, signed, digest, mac } = published((of) => createReleaseMac(PSK, of));
  assert.equal(accept([...signed, mac]).sequence, 1n);
  assert.throws(() => accept(signed), { code: 'TRUST_MAC_MISSING' });
  const other = createReleaseMac({ ...OTHER, keyId: PSK.keyId }, digest);
  assert.throws(() => accept([...signed, other]), { code: 'TRUST_MAC_MISSING' });
});

test('T07: a device with a PSK takes nothing of an author who has none', () => {
  const ledger = new SampleLedger();
  const author = ledger.author('author');
  const release = ledger.publish(author, 1n);
  for (const operator of ['o1', 'o2']) ledger.apply(ledger.hold(operator, author, release));
  const provision = provisionFor(ledger, author);
  const lines = provision.lines.map((line) => ({ ...line, psk: PSK }));
  const proof = proveLine(ledger, author.line);
  const { judged } = acceptProof({ ...provision, lines }, NEW_READER, 0, proof, NOW);
  assert.throws(() => acceptRelease(judged, envelopeOf(release), null), {
    code: 'TRUST_MAC_MISSING',
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

  test('as its maker does it writes the PSK for nobody else to read; another one there stops the device', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'firmament-psk-'));
    try {
      const { keyFile: _, ...made } = fields;
      provisionDevice(join(folder, 'lamp'), { ...made, lines: stable }, PSK);
      const file = join(folder, 'lamp', 'psk.key');
      assert.equal((await stat(file)).mode & 0o777, 0o600);
      await writeFile(file, encodeMacKey(OTHER.key, PSK.keyId));
      const opened = openDevice(join(folder, 'lamp'), { clock: () => 0 });
      await assert.rejects(opened, { code: 'DEVICE_PROVISIONING_INVALID' });
    } finally {
      await rm(folder, { recursive: true });
    }
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
