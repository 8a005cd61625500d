/** COSE_Encrypt: the examples of firmware-encryption-24, round trips, refusals. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { privateKey } from '#crypto';
import { concat, text, utf8 } from '../bytes.ts';
import { encode } from '../cbor/encode.ts';
import { Tagged, type Cbor } from '../cbor/value.ts';
import { FirmamentError } from '../errors.ts';
import { CIPHERS, contentOpener, sealContent } from './cipher.ts';
import type { ContentCipher } from './cipher.ts';
import { createEncrypt, decodeEncrypt, openEncrypt0, sealEncrypt0 } from './encrypt.ts';
import {
  decodeAgreementKey,
  decodePrivateAgreementKey,
  decodeWrapKey,
  ephemeralKeyToCbor,
} from './key.ts';
import { unwrapContentKey } from './recipient.ts';
import type { DecryptionKey, RecipientInput } from './recipient.ts';

const VECTORS = new URL('../../test/vectors/', import.meta.url);
const read = (name: string) => new Uint8Array(readFileSync(new URL(name, VECTORS)));
const LIMIT = { maxBytes: 4096 };

const kek = decodeWrapKey(read('cose/cose_keys/trust_anchor_a128_secret_key.alg-3.cosekey'));
const device = decodePrivateAgreementKey(read('cose/cose_keys/device_esdh.alg-29.priv.cosekey'));
const KEYS: readonly DecryptionKey[] = [
  { kind: 'wrap', key: new Uint8Array(16) },
  { kind: 'wrap', key: kek },
  { kind: 'agreement', key: privateKey('P-256', new Uint8Array(32).fill(1)) },
  { kind: 'agreement', key: device },
];

function decrypt(info: Uint8Array, payload: Uint8Array, keys = KEYS): Uint8Array {
  const message = decodeEncrypt(info, LIMIT);
  const key = unwrapContentKey(message.recipients, keys, CIPHERS[message.cipher].key);
  const stream = contentOpener(message, key);
  return concat(stream.update(payload), stream.finish());
}

for (const name of ['aes-kw-aes-gcm', 'aes-kw-aes-ctr', 'es-ecdh-aes-gcm', 'es-ecdh-aes-ctr'])
  test(`firmware-encryption-24: ${name}`, () => {
    const folder = 'suit/firmware-encryption-24';
    const info = read(`${folder}/suit-encryption-info-${name}.cose`);
    const payload = read(`${folder}/encrypted-payload-${name}.bin`);
    assert.equal(text(decrypt(info, payload)), 'This is a real firmware image.');
    assert.throws(() => decrypt(info, payload, KEYS.slice(0, 1)), {
      code: 'COSE_KEY_NOT_RECIPIENT',
    });
    for (let length = 0; length < info.length; length++)
      assert.throws(() => decrypt(info.subarray(0, length), payload), FirmamentError);
  });

const ephemeral = privateKey('P-256', new Uint8Array(32).fill(2));
const RECIPIENTS: readonly RecipientInput[] = [
  { key: new Uint8Array(16).fill(8), kid: utf8('another') },
  { key: kek, kid: utf8('kid-1') },
  { publicKey: device.publicKey, ephemeral },
];
const IMAGE = utf8('an image of some length');

for (const cipher of Object.keys(CIPHERS) as ContentCipher[]) {
  const contentKey = new Uint8Array(CIPHERS[cipher].key).fill(3);
  const iv = new Uint8Array(CIPHERS[cipher].iv).fill(4);
  test(`${cipher}: each recipient opens it`, () => {
    const { bytes, content } = createEncrypt({ cipher, contentKey, iv, recipients: RECIPIENTS });
    const sealed = sealContent(content, contentKey, IMAGE);
    assert.equal(sealed.length, IMAGE.length + CIPHERS[cipher].tag);
    for (const key of [KEYS[1], KEYS[3]])
      assert.deepEqual(decrypt(bytes, sealed, [key as DecryptionKey]), IMAGE);
    // A kid that is a key's selects it, and the others are not tried.
    const named: DecryptionKey = { kind: 'wrap', key: new Uint8Array(16), kid: utf8('kid-1') };
    const own: DecryptionKey = { kind: 'wrap', key: kek, kid: utf8('mine') };
    const message = decodeEncrypt(bytes, LIMIT);
    assert.throws(
      () => unwrapContentKey(message.recipients.slice(1, 2), [own, named], contentKey.length),
      { code: 'COSE_KEY_NOT_RECIPIENT' },
    );
  });
}

test('a content key of the wrong length is not taken', () => {
  const wrapped = createEncrypt({
    cipher: 'ChaCha20-Poly1305',
    contentKey: new Uint8Array(32),
    iv: new Uint8Array(12),
    recipients: RECIPIENTS,
  });
  const { recipients } = decodeEncrypt(wrapped.bytes, LIMIT);
  assert.throws(() => unwrapContentKey(recipients, KEYS, 16), { code: 'COSE_KEY_NOT_RECIPIENT' });
});

const m = (...entries: readonly (readonly [Cbor, Cbor])[]) => new Map<Cbor, Cbor>(entries);
const GCM = encode(m([1, 1]));
const IV12 = new Uint8Array(12);
const WRAPPED = new Uint8Array(24);
const KW: Cbor = [new Uint8Array(0), m([1, -3]), WRAPPED];

test('refused: what is not in the profile', () => {
  const point = ephemeralKeyToCbor(ephemeral.publicKey);
  const agreement = encode(m([1, -29]));
  const cases: readonly (readonly [string, Cbor])[] = [
    ['COSE_MALFORMED', [GCM, m([5, IV12]), null, []]],
    ['COSE_MALFORMED', [GCM, m([5, IV12]), null, Array.from({ length: 17 }, () => KW)]],
    ['COSE_MALFORMED', [GCM, m([5, IV12]), new Uint8Array(3), [KW]]],
    ['COSE_MALFORMED', [GCM, m([5, IV12]), null]],
    ['COSE_MALFORMED', [GCM, m([5, IV12], [9, 1]), null, [KW]]],
    ['COSE_HEADER_INVALID', [GCM, m([5, new Uint8Array(16)]), null, [KW]]],
    ['COSE_HEADER_INVALID', [GCM, m(), null, [KW]]],
    ['COSE_HEADER_INVALID', [new Uint8Array(0), m([1, 1], [5, IV12]), null, [KW]]],
    ['COSE_HEADER_INVALID', [encode(m([1, -65534])), m([5, new Uint8Array(16)]), null, [KW]]],
    ['COSE_ALGORITHM_UNSUPPORTED', [encode(m([1, 3])), m([5, IV12]), null, [KW]]],
    [
      'COSE_ALGORITHM_UNSUPPORTED',
      [GCM, m([5, IV12]), null, [[new Uint8Array(0), m([1, -5]), WRAPPED]]],
    ],
    ['COSE_HEADER_INVALID', [GCM, m([5, IV12]), null, [[GCM, m([1, -3]), WRAPPED]]]],
    [
      'COSE_ALGORITHM_UNSUPPORTED',
      [GCM, m([5, IV12]), null, [[encode(m([1, -25])), m([-1, point]), WRAPPED]]],
    ],
    ['COSE_KEY_INVALID', [GCM, m([5, IV12]), null, [[agreement, m(), WRAPPED]]]],
    [
      'CRYPTO_KEY_INVALID',
      [GCM, m([5, IV12]), null, [[agreement, m([-1, m(...point, [-3, WRAPPED_Y])]), WRAPPED]]],
    ],
  ];
  for (const [code, value] of cases)
    assert.throws(() => decodeEncrypt(encode(new Tagged(96, value)), LIMIT), { code });
  assert.throws(() => decodeEncrypt(encode([GCM, m(), null, [KW]]), LIMIT), {
    code: 'COSE_MALFORMED',
  });
});

const WRAPPED_Y = new Uint8Array(32).fill(7);

test('keys for encryption are not keys for signatures', () => {
  const signing = read('cose/cose_keys/device_esp256.alg-9.priv.cosekey');
  const mac = read('cose/cose_keys/trust_anchor_hmac256_secret.alg5.cosekey');
  assert.throws(() => decodeAgreementKey(signing), { code: 'COSE_KEY_INVALID' });
  assert.throws(() => decodePrivateAgreementKey(signing), { code: 'COSE_KEY_INVALID' });
  assert.throws(() => decodeWrapKey(mac), { code: 'COSE_KEY_INVALID' });
});

test('COSE_Encrypt0', () => {
  const key = new Uint8Array(16).fill(6);
  const bytes = sealEncrypt0({ cipher: 'A128GCM', key, iv: IV12, plaintext: IMAGE });
  assert.deepEqual(openEncrypt0(bytes, key, LIMIT), IMAGE);
  const bad = bytes.slice();
  bad[bad.length - 1] = (bad.at(-1) as number) ^ 1;
  const code = 'CRYPTO_AUTHENTICATION_FAILED';
  assert.throws(() => openEncrypt0(bad, key, LIMIT), { code });
  const ctr = m([1, -65534], [5, new Uint8Array(16)]);
  assert.throws(
    () => openEncrypt0(encode(new Tagged(16, [new Uint8Array(0), ctr, IMAGE])), key, LIMIT),
    { code: 'COSE_ALGORITHM_UNSUPPORTED' },
  );
});
