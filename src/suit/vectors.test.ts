/** draft-ietf-suit-manifest-37 Appendix B, as published. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { equal, hex } from '../bytes.ts';
import { decodeForeignKey } from '../cose/key.ts';
import { authenticate } from './authenticate.ts';
import type { VerifiedEnvelope } from './authenticate.ts';
import { buildEnvelope, encodeSequence, encodeText, wrap } from './build.ts';
import { suitDigest } from './digest.ts';
import { parseEnvelope } from './envelope.ts';
import { identity } from './identity.ts';
import { parseManifest } from './manifest.ts';

const VECTORS = new URL('../../test/vectors/', import.meta.url);

async function vector(name: string): Promise<Uint8Array> {
  return new Uint8Array(await readFile(new URL(`suit/manifest-spec-37/${name}.suit`, VECTORS)));
}

const key = decodeForeignKey(
  new Uint8Array(
    await readFile(new URL('cose/cose_keys/suit-draft-p256.alg-7.pub.cosekey', VECTORS)),
  ),
);

async function open(name: string): Promise<VerifiedEnvelope> {
  return authenticate(parseEnvelope(await vector(name)), [key]);
}

const SIGNED = [0, 1, 2, 3, 4, 5].map((i) => `example${i}.signed`);

for (const [i, name] of [...SIGNED, 'example2.signed-severed'].entries())
  test(`${name} verifies`, async () => {
    const verified = await open(name);
    assert.equal(verified.manifest.sequence, BigInt(name === 'example2.signed-severed' ? 2 : i));
    assert.equal(verified.sign1.algorithm, -7);
    assert.deepEqual(
      { ...identity(verified.manifest) },
      {
        vendorId: Uint8Array.fromHex('fa6b4a53d5ad5fdfbe9de663e4d41ffe'),
        classId: Uint8Array.fromHex('1492af1425695e48bf429b2d51f2ab45'),
      },
    );
  });

// The draft has no unsigned form of example 2 that is not severed.
for (const i of ['0', '1', '2', '3', '4', '5']) {
  const name = `example${i}.unsigned${i === '2' ? '-severed' : ''}`;
  test(`${name} is refused as unauthenticated`, () =>
    assert.rejects(open(name), { code: 'SUIT_UNAUTHENTICATED' }));
}

test('a signed example is refused with another key', async () => {
  const other = decodeForeignKey(
    new Uint8Array(
      await readFile(new URL('cose/cose_keys/delegated_authority.alg-9.pub.cosekey', VECTORS)),
    ),
  );
  const envelope = parseEnvelope(await vector('example1.signed'));
  assert.throws(() => authenticate(envelope, [other]), { code: 'SUIT_SIGNATURE_INVALID' });
  assert.throws(() => authenticate(envelope, []), { code: 'SUIT_SIGNATURE_INVALID' });
});

test('parts are built again to the published bytes', async () => {
  for (const name of SIGNED) {
    const { envelope, manifest } = await open(name);
    const again = buildEnvelope({
      manifest: envelope.manifestBytes,
      authenticationBlocks: envelope.authenticationBlocks,
      severed: new Map([...envelope.severed].map(([number, { raw }]) => [number, raw])),
    });
    assert.equal(hex(again), hex(await vector(name)));
    assert.equal(hex(suitDigest(envelope.manifestBytes)), hex(envelope.digest));
    assert.equal(hex(wrap(envelope.manifest.content)), hex(envelope.manifestBytes));
    // What is inline stands in the manifest, what is severed in the envelope.
    const held = [...manifest.sections.values(), ...(manifest.text ? [manifest.text] : [])].length;
    assert.ok(held > 0);
    for (const member of manifest.sections.values()) {
      assert.notEqual(member.state, 'absent');
      if (member.state !== 'absent')
        assert.ok(hex(envelope.bytes).includes(hex(wrap(encodeSequence(member.value)))));
    }
    if (manifest.sharedSequence !== undefined)
      assert.ok(hex(envelope.bytes).includes(hex(wrap(encodeSequence(manifest.sharedSequence)))));
  }
});

test('example 2 has its text and install severed, and both are the ones it names', async () => {
  const { envelope, manifest } = await open('example2.signed');
  assert.equal(manifest.referenceUri, 'https://git.io/JJYoj');
  assert.equal(manifest.sections.get('install')?.state, 'severed');
  assert.ok(manifest.text?.state === 'severed');
  const [english] = manifest.text.value;
  assert.equal(english?.language, 'en-US');
  assert.equal(english.components[0]?.fields.get('vendorDomain'), 'arm.com');
  const text = envelope.severed.get(23);
  assert.ok(text && equal(encodeText(manifest.text.value), text.content));
});

test('example 2 without its severed members still verifies and says that they are absent', async () => {
  const { manifest } = await open('example2.signed-severed');
  assert.equal(manifest.sections.get('install')?.state, 'absent');
  assert.equal(manifest.text?.state, 'absent');
});

test('a manifest is read alone, as a release attachment', async () => {
  const { envelope } = await open('example2.signed');
  const manifest = parseManifest(envelope.manifestBytes);
  assert.equal(manifest.sequence, 2n);
  assert.equal(manifest.sections.get('install')?.state, 'absent');
  assert.deepEqual(
    manifest.images.map(({ size, uri }) => [size, uri]),
    [[34_768, undefined]],
  );
});

test('every image of an example is found, with its source', async () => {
  const seen = await Promise.all(SIGNED.map(async (name) => (await open(name)).manifest.images));
  const brief = seen.map((images) =>
    images.map(({ componentIndex, size, uri }) => [componentIndex, size, uri?.split('/').at(-1)]),
  );
  assert.deepEqual(brief, [
    [[0, 34_768, undefined]],
    [[0, 34_768, 'file.bin']],
    [[0, 34_768, 'file.bin']],
    [
      [0, 34_768, 'file1.bin'],
      [0, 76_834, 'file2.bin'],
    ],
    [
      [1, undefined, 'file.bin'],
      [0, 34_768, undefined],
      [2, 76_834, undefined],
    ],
    [
      [0, 34_768, 'file1.bin'],
      [1, 76_834, 'file2.bin'],
    ],
  ]);
});
