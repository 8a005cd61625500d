/** Every bit flipped, every length cut: refused with a code, or in bytes that nothing signs. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { decodeForeignKey } from '../cose/key.ts';
import { FirmamentError } from '../errors.ts';
import { authenticate } from './authenticate.ts';
import { parseEnvelope } from './envelope.ts';
import { addReceipts } from './transparent.ts';

const VECTORS = new URL('../../test/vectors/', import.meta.url);
const read = async (name: string) => new Uint8Array(await readFile(new URL(name, VECTORS)));
const key = decodeForeignKey(await read('cose/cose_keys/suit-draft-p256.alg-7.pub.cosekey'));

const RECEIPT = new Uint8Array(24).fill(0x5a);
const severed = await read('suit/manifest-spec-37/example2.signed.suit');
const plain = await read('suit/manifest-spec-37/example3.signed.suit');

function accepted(bytes: Uint8Array): boolean {
  try {
    authenticate(parseEnvelope(bytes), [key]);
    return true;
  } catch (error) {
    assert.ok(error instanceof FirmamentError, `${String(error)} is no FirmamentError`);
    return false;
  }
}

/** Offsets of the receipt's content: the only unsigned bytes of a transparent envelope. */
function unsigned(bytes: Uint8Array): ReadonlySet<number> {
  const start = bytes.findIndex((_, i) => RECEIPT.every((byte, j) => bytes[i + j] === byte));
  assert.ok(start > 0);
  return new Set(RECEIPT.keys().map((i) => start + i));
}

for (const [name, bytes, free] of [
  ['example 2, with severed members', severed, new Set<number>()],
  [
    'example 3, transparent',
    addReceipts(plain, [RECEIPT]),
    unsigned(addReceipts(plain, [RECEIPT])),
  ],
] as const) {
  test(`${name}: no bit can be flipped but those of a receipt`, () => {
    assert.ok(accepted(bytes));
    for (let at = 0; at < bytes.length; at++)
      for (let bit = 0; bit < 8; bit++) {
        const mutated = bytes.slice();
        mutated[at] = (mutated[at] as number) ^ (1 << bit);
        assert.equal(accepted(mutated), free.has(at), `bit ${bit} of byte ${at}`);
      }
  });

  test(`${name}: no length is taken but the whole`, () => {
    for (let length = 0; length < bytes.length; length++)
      assert.ok(!accepted(bytes.subarray(0, length)), `${length} bytes`);
  });
}

test('a refusal or an answer takes no longer than 50 ms, on what is made to be slow too', () => {
  const nested = new Uint8Array(1 << 20).fill(0x81);
  const zeros = new Uint8Array(1 << 20);
  zeros.set([0x9a, 0, 0x0f, 0xff, 0xfb]);
  for (const bytes of [severed, nested, zeros]) {
    accepted(bytes);
    const start = performance.now();
    accepted(bytes);
    const took = performance.now() - start;
    // A generous bound: the machine may be busy, quadratic work would take minutes.
    assert.ok(took < 500, `${took} ms`);
  }
});
