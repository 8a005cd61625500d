import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { privateKey } from '#crypto';
import { fromHex, hex } from '../bytes.ts';
import { openSealedBatch, sealBatch, SUITE } from './sealing.ts';

const FILE = join(import.meta.dirname, '../../test/vectors/hpke/rfc9180-a3.json');
const vector = JSON.parse(readFileSync(FILE, 'utf8')) as Readonly<Record<string, string>>;
const bytes = (name: string): ArrayBuffer => new Uint8Array(fromHex(vector[name] ?? '')).buffer;

test('the suite is that of RFC 9180 A.3', async () => {
  const recipientKey = await SUITE.kem.importKey('raw', bytes('skRm'), false);
  const recipient = { recipientKey, enc: bytes('enc'), info: bytes('info') };
  const plain = await SUITE.open(recipient, bytes('ct'), bytes('aad'));
  assert.equal(hex(new Uint8Array(plain)), vector['pt']);
});

test('what a key of the project seals, its private part opens', async () => {
  const key = privateKey('P-256', fromHex(vector['skRm'] ?? ''));
  const about = { networkId: new Uint8Array(32), root: new Uint8Array(32).fill(1) };
  const sealed = await sealBatch(key.publicKey, about, new Uint8Array(100));
  assert.equal(sealed.length, 65 + 100 + 16);
  assert.deepEqual(await openSealedBatch(key, about, sealed), new Uint8Array(100));
  assert.notDeepEqual(await sealBatch(key.publicKey, about, new Uint8Array(100)), sealed);
});

test('other curves, points that are none and short bytes are refused', async () => {
  const about = { networkId: new Uint8Array(32), root: new Uint8Array(32) };
  const other = privateKey('Ed25519', new Uint8Array(32));
  const code = 'CRYPTO_KEY_INVALID';
  await assert.rejects(sealBatch(other.publicKey, about, new Uint8Array(1)), { code });
  const none = { curve: 'P-256', bytes: new Uint8Array(64) } as const;
  await assert.rejects(sealBatch(none, about, new Uint8Array(1)), { code });
  const key = privateKey('P-256', fromHex(vector['skRm'] ?? ''));
  for (const length of [0, 65, 81, 82, 200])
    await assert.rejects(openSealedBatch(key, about, new Uint8Array(length)), {
      code: 'BATCH_SEALED',
    });
});
