import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { verify } from '#crypto';
import { isZip215Signature } from './zip215.ts';

const VECTORS = join(import.meta.dirname, '../../test/vectors');

interface Case {
  readonly key: string;
  readonly message: string;
  readonly signature: string;
}

/** A line a file, a digit a case: whether CometBFT accepts it. */
const verdicts = readFileSync(join(VECTORS, 'cometbft/ed25519.txt'), 'utf8').split('\n');

for (const [line, name] of ['ed25519-speccheck', 'ed25519-cctv'].entries())
  test(`${name}: what CometBFT accepts, and nothing else`, () => {
    const cases = JSON.parse(readFileSync(join(VECTORS, `crypto/${name}.json`), 'utf8'));
    const expected = verdicts[line];
    assert.equal(expected?.length, cases.length);
    for (const [index, { key, message, signature }] of (cases as readonly Case[]).entries()) {
      const plain = /^(?:[0-9a-f]{2})*$/.test(message);
      const bytes = plain ? Uint8Array.fromHex(message) : new TextEncoder().encode(message);
      const [a, b] = [Uint8Array.fromHex(key), Uint8Array.fromHex(signature)];
      const accepted = isZip215Signature(a, bytes, b);
      assert.equal(accepted, expected?.[index] === '1', `${index}`);
      // What T06 accepts, ZIP-215 accepts too: the quick check first changes no verdict.
      if (verify({ curve: 'Ed25519', bytes: a }, bytes, b)) assert.ok(accepted, `${index}`);
    }
  });

test('wrong lengths are refused', () => {
  const bytes = new Uint8Array(64);
  assert.equal(isZip215Signature(bytes.subarray(31), bytes, bytes), false);
  assert.equal(isZip215Signature(bytes.subarray(32), bytes, bytes.subarray(1)), false);
});
