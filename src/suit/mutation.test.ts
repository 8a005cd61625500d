/** Every bit flipped, every length cut: refused with a code, or in bytes that nothing signs. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { privateKey } from '#crypto';
import { decodeForeignKey, decodeMacKey } from '../cose/key.ts';
import { createSign1 } from '../cose/sign1.ts';
import { FirmamentError } from '../errors.ts';
import { authenticateWith } from './authenticate.ts';
import { buildEnvelope } from './build.ts';
import { componentName } from './component-port.ts';
import { suitDigest } from './digest.ts';
import { parseEnvelope } from './envelope.ts';
import { SECTION } from './label.ts';
import type { SectionName } from './label.ts';
import { memoryComponents } from './memory-components.ts';
import { processManifest } from './process.ts';
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

/** Signed anew after each change: past the signature there is only the parser and the processor. */
for (const name of [
  'trust-domains-12/example2_integrated',
  'firmware-encryption-24/suit-manifest-aes-kw-content',
  'firmware-encryption-24/suit-manifest-es-ecdh-dependency',
  'manifest-spec-37/example3.signed',
])
  test(`${name}: whatever a trusted signer has signed ends in a result or a code`, async () => {
    const { manifestBytes, integrated: payloads } = parseEnvelope(await read(`suit/${name}.suit`));
    const signer = privateKey('Ed25519', new Uint8Array(32).fill(3));
    const decryptionKeys = [{ kind: 'wrap', key: new Uint8Array(16).fill(0x61) }] as const;
    const sections = Object.keys(SECTION) as SectionName[];
    for (let at = 0; at < manifestBytes.length; at++) {
      const manifest = manifestBytes.slice();
      manifest[at] = (manifest[at] as number) ^ (1 << (at % 8));
      const payload = suitDigest(manifest);
      const block = createSign1({ header: new Map(), payload, key: signer, detached: true });
      try {
        const bytes = buildEnvelope({
          manifest,
          authenticationBlocks: [block],
          integrated: payloads,
        });
        const verified = authenticateWith(parseEnvelope(bytes), { keys: [signer.publicKey] });
        const components = new Map(
          verified.manifest.componentIds.map((id) => [componentName(id), null]),
        );
        const port = memoryComponents({ components, payloads: new Map(), identifiers: {} });
        const trust = { keys: [key], macKeys };
        await processManifest(verified, { sections, port, trust, decryptionKeys });
      } catch (error) {
        assert.ok(error instanceof FirmamentError, `byte ${at}: ${String(error)}`);
        // A fault of ours would come as the failure of a command, with its cause.
        const { cause } = error;
        const ours = cause instanceof Error && !(cause instanceof FirmamentError);
        assert.ok(!ours || error.code !== 'SUIT_OPERATION_FAILED', `byte ${at}: ${String(cause)}`);
      }
    }
  });
