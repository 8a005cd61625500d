/** The draft's examples, processed: draft-ietf-suit-manifest-37 Appendix B. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { decodeForeignKey } from '../cose/key.ts';
import { authenticate } from './authenticate.ts';
import type { VerifiedEnvelope } from './authenticate.ts';
import { componentName } from './component-port.ts';
import type { ComponentPort } from './component-port.ts';
import { parseEnvelope } from './envelope.ts';
import type { SectionName } from './label.ts';
import { memoryComponents } from './memory-components.ts';
import type { MemoryDevice } from './memory-components.ts';
import { processManifest } from './process.ts';

const VECTORS = new URL('../../test/vectors/', import.meta.url);
const VENDOR = Uint8Array.fromHex('fa6b4a53d5ad5fdfbe9de663e4d41ffe');
const CLASS = Uint8Array.fromHex('1492af1425695e48bf429b2d51f2ab45');
const ALL: readonly SectionName[] = ['payload-fetch', 'install', 'validate', 'load', 'invoke'];

/** Stand-ins for the images of the examples, whose digests are digests of nothing. */
const IMAGE_A = new Uint8Array(34_768).fill(0xa);
const IMAGE_B = new Uint8Array(76_834).fill(0xb);
const DIGEST_A = Uint8Array.fromHex(
  '00112233445566778899aabbccddeeff0123456789abcdeffedcba9876543210',
);
const DIGEST_B = Uint8Array.fromHex(
  '0123456789abcdeffedcba987654321000112233445566778899aabbccddeeff',
);

async function example(name: string): Promise<VerifiedEnvelope> {
  const file = new URL(`suit/manifest-spec-37/${name}.suit`, VECTORS);
  const key = new URL('cose/cose_keys/suit-draft-p256.alg-7.pub.cosekey', VECTORS);
  const trusted = decodeForeignKey(new Uint8Array(await readFile(key)));
  return authenticate(parseEnvelope(new Uint8Array(await readFile(file))), [trusted]);
}

function exampleDevice(
  held: Readonly<Record<string, Uint8Array | null>>,
  payloads: Readonly<Record<string, Uint8Array>>,
  slot = 0,
): { readonly port: ComponentPort; readonly device: MemoryDevice; readonly did: string[] } {
  const did: string[] = [];
  const device: MemoryDevice = {
    components: new Map(Object.entries(held)),
    payloads: new Map(Object.entries(payloads)),
    identifiers: { vendor: [VENDOR], class: [CLASS] },
    slot,
    onOperation: (operation) => did.push(operation),
  };
  const port = memoryComponents(device);
  const known = new Map<Uint8Array, Uint8Array>([
    [IMAGE_A, DIGEST_A],
    [IMAGE_B, DIGEST_B],
  ]);
  const measure: ComponentPort['measure'] = async (component, algorithm, size) => {
    const content = device.components.get(componentName(component.id));
    const digest = content ? known.get(content) : undefined;
    if (content && digest) return { digest, size: content.length };
    return port.measure(component, algorithm, size);
  };
  return { port: { ...port, measure }, device, did };
}

const run = (verified: VerifiedEnvelope, port: ComponentPort, sections = ALL) =>
  processManifest(verified, { sections, port });

test('example 0: secure boot', async () => {
  const { port, did } = exampleDevice({ '00': IMAGE_A }, {});
  const { ran } = await run(await example('example0.signed'), port);
  assert.deepEqual(ran, ['validate', 'invoke']);
  assert.deepEqual(did, ['invoke 0']);
});

test('example 0 does not boot another image', async () => {
  const { port, did } = exampleDevice({ '00': IMAGE_B }, {});
  await assert.rejects(run(await example('example0.signed'), port), {
    code: 'SUIT_IMAGE_MISMATCH',
  });
  assert.deepEqual(did, []);
});

test('example 1: download and install', async () => {
  const { port, did } = exampleDevice({ '00': null }, { 'http://example.com/file.bin': IMAGE_A });
  const { ran } = await run(await example('example1.signed'), port);
  assert.deepEqual(ran, ['install', 'validate']);
  assert.deepEqual(did, ['fetch 0']);
});

test('example 2: severed members at hand, or not', async () => {
  const uri = 'http://example.com/very/long/path/to/file/file.bin';
  const { port, did } = exampleDevice({ '00': null }, { [uri]: IMAGE_A });
  await run(await example('example2.signed'), port);
  assert.deepEqual(did, ['fetch 0', 'invoke 0']);
  const severed = await example('example2.signed-severed');
  await assert.rejects(run(severed, port), { code: 'SUIT_SEVERED_ABSENT' });
  await run(severed, port, ['validate', 'invoke']);
});

for (const [slot, image, file] of [
  [0, IMAGE_A, 'file1'],
  [1, IMAGE_B, 'file2'],
] as const)
  test(`example 3: A/B, slot ${slot} takes its own image`, async () => {
    const uri = `http://example.com/${file}.bin`;
    const { port, device } = exampleDevice({ '00': null }, { [uri]: image }, slot);
    await run(await example('example3.signed'), port);
    assert.equal(device.components.get('00'), image);
  });

test('example 3: a slot that the manifest does not know', async () => {
  const { port } = exampleDevice({ '00': null }, {}, 2);
  await assert.rejects(run(await example('example3.signed'), port), {
    code: 'SUIT_TRY_EACH_EXHAUSTED',
  });
});

test('example 4: load from external storage', async () => {
  const { port, did } = exampleDevice(
    { '00': null, '02': null, '01': null },
    { 'http://example.com/file.bin': IMAGE_A },
  );
  // Its load matches component 2 by the digest of what a decompressor would leave there.
  const copy: ComponentPort['copy'] = (target, source, maxBytes) =>
    target.index === 2 ? port.write(target, IMAGE_B) : port.copy(target, source, maxBytes);
  const { ran } = await run(await example('example4.signed'), { ...port, copy });
  assert.deepEqual(ran, ALL);
  assert.deepEqual(did, ['fetch 1', 'copy 0 1', 'write 2', 'invoke 2']);
});

test('example 5: two images', async () => {
  const { port, did } = exampleDevice(
    { '00': null, '01': null },
    { 'http://example.com/file1.bin': IMAGE_A, 'http://example.com/file2.bin': IMAGE_B },
  );
  await run(await example('example5.signed'), port);
  assert.deepEqual(did, ['fetch 0', 'fetch 1', 'invoke 0']);
});
