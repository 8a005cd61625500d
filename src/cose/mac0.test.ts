import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hmacSha256 } from '#crypto';
import { fromHex, utf8 } from '../bytes.ts';
import { Tagged, type Cbor } from '../cbor/decode.ts';
import { encode } from '../cbor/encode.ts';
import { ALG, KID } from './claims.ts';
import { createMac0, decodeMac0, macStructure, verifyMac0 } from './mac0.ts';

const MAX = { maxBytes: 1024 };
const key = new Uint8Array(32).fill(7);
const payload = utf8('payload');

test('the COSE working group example HMac-01: HMAC-SHA-256 with a shared secret', () => {
  // github.com/cose-wg/Examples hmac-examples/HMac-01.json
  const secret = fromHex('849b57219dae48de646d07dbb533566e976686457c1491be3a76dcea6c427188');
  const bytes = fromHex(
    'd18443a10105a054546869732069732074686520636f6e74656e742e5820' +
      'a1a848d3471f9d61ee49018d244c824772f223ad4f935293f1789fc3a08d8c58',
  );
  verifyMac0(decodeMac0(bytes, MAX), secret);
});

test('attached and detached', () => {
  const header = new Map<Cbor, Cbor>([[KID, new Uint8Array(4)]]);
  verifyMac0(decodeMac0(createMac0({ header, payload, key }), MAX), key);
  const detached = decodeMac0(createMac0({ header, payload, key, detached: true }), MAX);
  verifyMac0(detached, key, payload);
  assert.throws(() => verifyMac0(detached, key), { code: 'COSE_MALFORMED' });
  const other = (): void => verifyMac0(detached, key, utf8('other'));
  assert.throws(other, { code: 'COSE_SIGNATURE_INVALID' });
  const attached = decodeMac0(createMac0({ header, payload, key }), MAX);
  assert.throws(() => verifyMac0(attached, key, payload), { code: 'COSE_MALFORMED' });
  const wrongKey = (): void => verifyMac0(attached, key.with(0, 0));
  assert.throws(wrongKey, { code: 'COSE_SIGNATURE_INVALID' });
  assert.throws(() => verifyMac0(attached, new Uint8Array(15)), { code: 'COSE_KEY_INVALID' });
});

test('a Sign1 context, another algorithm, a short tag or a wrong shape is refused', () => {
  const message = (header: Map<Cbor, Cbor>, length = 32, tagged = 17): Uint8Array => {
    const bytes = encode(header);
    const tag = hmacSha256(key, macStructure(bytes, payload)).subarray(0, length);
    return encode(new Tagged(tagged, [bytes, new Map(), payload, tag]));
  };
  const hmac = new Map<Cbor, Cbor>([[ALG, 5]]);
  verifyMac0(decodeMac0(message(hmac), MAX), key);
  const refused = (bytes: Uint8Array, code: string): void =>
    assert.throws(() => decodeMac0(bytes, MAX), { code });
  refused(message(hmac, 8), 'COSE_MALFORMED');
  refused(message(hmac, 32, 18), 'CBOR_MALFORMED');
  for (const alg of [4, 6, -9])
    refused(message(new Map([[ALG, alg]])), 'COSE_ALGORITHM_UNSUPPORTED');
  refused(message(new Map([[KID, key]])), 'COSE_HEADER_INVALID');
  refused(encode(new Tagged(17, [encode(hmac), new Map(), payload])), 'COSE_MALFORMED');
  refused(encode([encode(hmac), new Map(), payload, key]), 'COSE_MALFORMED');
});
