import assert from 'node:assert/strict';
import { test } from 'node:test';
import { describeRelease, descriptionLines } from './release-description.ts';

const digest = new Uint8Array(32).fill(0xab);
const all = {
  version: '2.0.0',
  urgency: 'security',
  applies: [110n, 2n ** 60n],
  via: digest,
  supportUntil: 2_082_758_400,
  documents: [{ type: 'SBOM', digest, where: 'https://acme.example/sbom' }],
} as const;

test('a release says what it is for, until when it is supported, and which documents there are', () => {
  const description = describeRelease(all);
  assert.deepEqual(JSON.parse(JSON.stringify(description)), {
    version: '2.0.0',
    kind: 'security',
    applies: ['110', '1152921504606846976'],
    via: 'ab'.repeat(32),
    supportUntil: 2_082_758_400,
    documents: [{ type: 'SBOM', sha256: 'ab'.repeat(32), where: 'https://acme.example/sbom' }],
  });
  assert.deepEqual(descriptionLines(description), [
    'version 2.0.0, security',
    `for sequences 110 to 1152921504606846976, via ${'ab'.repeat(32)}`,
    'supported until 2036-01-01T00:00:00.000Z',
    `SBOM ${'ab'.repeat(32)} at https://acme.example/sbom`,
  ]);
});

test('what it does not say is null, and no date is too far', () => {
  const little = describeRelease({ version: '1', urgency: 'functional', documents: [] });
  assert.deepEqual([little.applies, little.via, little.supportUntil], [null, null, null]);
  assert.deepEqual(descriptionLines(little), ['version 1, functional']);
  const far = descriptionLines({ ...little, supportUntil: Number.MAX_SAFE_INTEGER });
  assert.ok(far[1]?.endsWith(String(Number.MAX_SAFE_INTEGER)));
});
