/** Every bit flipped, every length cut: refused with a code, or in bytes that nothing signs. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { decodeForeignKey, decodeMacKey } from '../cose/key.ts';
import { FirmamentError } from '../errors.ts';
import { authenticateWith } from './authenticate.ts';
import { parseEnvelope } from './envelope.ts';
import { addReceipts } from './transparent.ts';

const VECTORS = new URL('../../test/vectors/', import.meta.url);
const read = async (name: string) => new Uint8Array(await readFile(new URL(name, VECTORS)));
const key = decodeForeignKey(await read('cose/cose_keys/suit-draft-p256.alg-7.pub.cosekey'));
const macKeys = [
  decodeMacKey(await read('cose/cose_keys/trust_anchor_hmac256_secret.alg5.cosekey')),
];

const RECEIPT = new Uint8Array(24).fill(0x5a);
const severed = await read('suit/manifest-spec-37/example2.signed.suit');
const plain = await read('suit/manifest-spec-37/example3.signed.suit');
const integrated = await read('suit/trust-domains-12/example2_integrated.suit');

/** Milliseconds that each answer took. */
const times: number[] = [];

function accepted(bytes: Uint8Array): boolean {
  const start = performance.now();
  try {
    authenticateWith(parseEnvelope(bytes), { keys: [key], macKeys });
    return true;
  } catch (error) {
    assert.ok(error instanceof FirmamentError, `${String(error)} is no FirmamentError`);
    return false;
  } finally {
    times.push(performance.now() - start);
  }
}

/** Offsets of the receipt's content: the only unsigned bytes of a transparent envelope. */
function unsigned(bytes: Uint8Array): ReadonlySet<number> {
  const start = bytes.findIndex((_, i) => RECEIPT.every((byte, j) => bytes[i + j] === byte));
  assert.ok(start > 0);
  return new Set(RECEIPT.keys().map((i) => start + i));
}

/**
 * The digest of a dependency is of its manifest, so that whoever signs it may change: the rest of an
 * integrated dependency is judged when it is processed, by its own signature.
 */
function dependencyWrapper(bytes: Uint8Array): ReadonlySet<number> {
  const text = new TextEncoder().encode('#dependent.suit');
  let start = -1;
  for (let i = 0; i < bytes.length; i++)
    if (text.every((byte, j) => bytes[i + j] === byte)) start = i;
  // The member's head (2 bytes), the envelope's tag and map (3), the wrapper's key and head (3).
  const wrapper = start + text.length + 8;
  return new Set(Array.from({ length: 115 }, (_, i) => wrapper + i));
}

for (const [name, bytes, free] of [
  ['example 2, with severed members', severed, new Set<number>()],
  [
    'example 3, transparent',
    addReceipts(plain, [RECEIPT]),
    unsigned(addReceipts(plain, [RECEIPT])),
  ],
  [
    'firmware-encryption, under a MAC',
    await read('suit/firmware-encryption-24/suit-manifest-aes-kw.suit'),
    new Set<number>(),
  ],
  ['trust-domains 2, with an integrated dependency', integrated, dependencyWrapper(integrated)],
] as const) {
  test(`${name}: no bit can be flipped but of bytes that nothing signs`, () => {
    assert.ok(accepted(bytes));
    for (let at = 0; at < bytes.length; at++)
      for (let bit = 0; bit < 8; bit++) {
        const mutated = bytes.slice();
        mutated[at] = (mutated[at] as number) ^ (1 << bit);
        const mayPass = free.has(at);
        // What is not signed may still be refused for its shape.
        assert.ok(!accepted(mutated) || mayPass, `bit ${bit} of byte ${at}`);
      }
  });

  test(`${name}: no length is taken but the whole`, () => {
    for (let length = 0; length < bytes.length; length++)
      assert.ok(!accepted(bytes.subarray(0, length)), `${length} bytes`);
  });
}

test('a receipt may say anything', () => {
  const bytes = addReceipts(plain, [RECEIPT]);
  for (const at of unsigned(bytes)) {
    const mutated = bytes.slice();
    mutated[at] = (mutated[at] as number) ^ 0x80;
    assert.ok(accepted(mutated));
  }
});

test('a refusal or an answer takes no longer than 50 ms, on what is made to be slow too', (t) => {
  const nested = new Uint8Array(1 << 20).fill(0x81);
  const zeros = new Uint8Array(1 << 20);
  zeros.set([0x9a, 0, 0x0f, 0xff, 0xfb]);
  for (const bytes of [severed, nested, zeros]) {
    accepted(bytes);
    accepted(bytes);
    // A generous bound: the machine may be busy, quadratic work would take minutes.
    assert.ok((times.at(-1) ?? 0) < 500, `${times.at(-1)} ms`);
  }
  const sorted = times.toSorted((a, b) => a - b);
  const p99 = sorted[Math.floor(sorted.length * 0.99)] ?? 0;
  t.diagnostic(
    `p99 ${p99.toFixed(3)} ms, longest ${(sorted.at(-1) ?? 0).toFixed(1)} ms of ${sorted.length}`,
  );
  assert.ok(p99 < 50, `p99 ${p99} ms`);
});
