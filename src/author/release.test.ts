import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hex } from '../bytes.ts';
import { authenticate } from '../suit/authenticate.ts';
import { parseEnvelope } from '../suit/envelope.ts';
import { identity } from '../suit/identity.ts';
import { cidText } from '../store/cid.ts';
import { fixtureAuthor, fixtureLine, fixtureNetwork } from '../testing/fixture.ts';
import { fixtureRelease } from '../testing/release-fixture.ts';
import { classIdOf, vendorIdOf } from './identifiers.ts';
import { versionNumbers } from './release.ts';
import { parseStatus } from './status.ts';

const { root } = fixtureNetwork();
const author = fixtureAuthor(root.networkId);
const line = fixtureLine(author.author);

test('a release is a SUIT envelope that says what its claims say', () => {
  const release = fixtureRelease(author, line, 7n, { version: '7.1.0' });
  const { manifest } = authenticate(parseEnvelope(release.envelope), [author.key.publicKey]);
  assert.deepEqual(identity(manifest), { vendorId: line.vendor, classId: line.class });
  assert.deepEqual([manifest.sequence, manifest.version], [7n, [7, 1, 0]]);
  const [image] = manifest.images;
  assert.equal(image?.uri, `ipfs://${cidText(release.image.root)}`);
  assert.deepEqual([image?.digest, image?.size], [release.image.digest, release.image.size]);
});

test('version texts that are numbers stand in the manifest too', () => {
  const known: readonly (readonly [string, readonly number[] | undefined])[] = [
    ['1.2.3', [1, 2, 3]],
    ['v2', [2]],
    ['1.0.0-rc.2', [1, 0, 0, -1, 2]],
    ['1.0-beta', [1, 0, -2]],
    ['1.0-alpha1', [1, 0, -3, 1]],
    ['2026-11-22', undefined],
    ['1.0.0-hotfix', undefined],
    ['9999999999', undefined],
  ];
  for (const [text, numbers] of known) assert.deepEqual(versionNumbers(text), numbers, text);
});

test("vendor and class ids are SUIT's: those of the draft's examples", () => {
  // draft-ietf-suit-manifest, Appendix B.
  const vendor = vendorIdOf('arm.com');
  assert.equal(hex(vendor), 'fa6b4a53d5ad5fdfbe9de663e4d41ffe');
  assert.equal(hex(vendorIdOf('FA6B4A53-D5AD-5FDF-BE9D-E663E4D41FFE')), hex(vendor));
  assert.equal(
    hex(classIdOf(vendor, '1492af1425695e48bf429b2d51f2ab45')),
    '1492af1425695e48bf429b2d51f2ab45',
  );
});

test('a status of another shape is a lie', () => {
  const good = {
    line: 'l',
    sequence: '7',
    version: '1',
    urgency: 'security',
    description: {
      version: '1',
      kind: 'security',
      applies: ['1', '6'],
      via: null,
      supportUntil: 2_000_000_000,
      documents: [{ type: 'sbom', sha256: 'ab'.repeat(32), where: 'https://a.example/' }],
    },
    status: 'available',
    newest: true,
    lowest: '0',
    index: 3,
    images: [
      {
        sha256: 'aa',
        size: 5,
        anchored: true,
        holders: [{ node: 'a/n', operator: 'a', until: 9 }],
      },
    ],
  };
  const bytes = (value: unknown) => new TextEncoder().encode(JSON.stringify(value));
  assert.equal(parseStatus(bytes(good)).images[0]?.holders[0]?.node, 'a/n');
  assert.deepEqual(parseStatus(bytes(good)).description, good.description);
  const { description } = good;
  const [document] = description.documents;
  const bad: readonly unknown[] = [
    null,
    [],
    { ...good, status: 'fine' },
    { ...good, sequence: 7 },
    { ...good, index: -1 },
    { ...good, description: undefined },
    { ...good, description: { ...description, kind: 'fun' } },
    { ...good, description: { ...description, applies: ['1'] } },
    { ...good, description: { ...description, applies: [1, 2] } },
    { ...good, description: { ...description, via: 'ab' } },
    { ...good, description: { ...description, supportUntil: -1 } },
    { ...good, description: { ...description, version: 'a\u001b[2J' } },
    { ...good, description: { ...description, documents: [{ ...document, sha256: 'x' }] } },
    { ...good, description: { ...description, documents: [{ ...document, where: 'a\n' }] } },
    { ...good, images: [null] },
    { ...good, images: [{ ...good.images[0], holders: [1] }] },
  ];
  for (const value of bad)
    assert.throws(() => parseStatus(bytes(value)), { code: 'AUTHOR_NODE_LIES' });
});
