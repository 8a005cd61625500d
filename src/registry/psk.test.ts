import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { concat, fromHex, hex, utf8 } from '../bytes.ts';
import { Tagged, type Cbor } from '../cbor/value.ts';
import { encode } from '../cbor/encode.ts';
import { checkReleaseMac, createReleaseMac, preSharedKey } from './psk.ts';

const psk = preSharedKey(Uint8Array.from({ length: 32 }, (_, i) => i));
const digest = encode([-16, new Uint8Array(32).fill(0x11)]);
const mac = createReleaseMac(psk, digest);
const [head, empty, tag] = [
  encode(
    new Map<Cbor, Cbor>([
      [1, 5],
      [4, psk.keyId],
    ]),
  ),
  new Map<Cbor, Cbor>(),
  mac.slice(-32),
];

function refused(bytes: Uint8Array, keyId = psk.keyId): void {
  assert.throws(() => checkReleaseMac(bytes, keyId), { code: 'RELEASE_CLAIMS' });
}

// Both values were made with Python's hashlib and hmac.
test('the name of a PSK and the MAC of a release are those that others compute', () => {
  assert.equal(hex(psk.keyId), 'cb07135e72fe85046f3ee8a7f1c711bf');
  assert.equal(
    hex(mac),
    'd18455a201050450cb07135e72fe85046f3ee8a7f1c711bfa0f65820c510bdaa76557adbfaeb90a9d5c1de22ac98e5f9238547b1da54d2baf0041ab5',
  );
  checkReleaseMac(mac, psk.keyId);
});

test('a PSK has 32 bytes', () => {
  for (const length of [0, 16, 31, 33])
    assert.throws(() => preSharedKey(new Uint8Array(length)), { code: 'COSE_KEY_INVALID' });
});

test('T07 a mac has one form: tag 17, alg and kid protected, nothing else, payload detached', () => {
  const form = (...fields: readonly Cbor[]): Uint8Array => encode(new Tagged(17, fields));
  assert.deepEqual(form(head, empty, null, tag), mac);
  refused(form(head, empty, digest, tag));
  refused(form(head, new Map([[99, 1]]), null, tag));
  refused(form(encode(new Map([[1, 5]])), new Map([[4, psk.keyId]]), null, tag));
  const more = new Map<Cbor, Cbor>([
    [1, 5],
    [4, psk.keyId],
    [16, 'x'],
  ]);
  refused(form(encode(more), empty, null, tag));
  refused(form(encode(new Map(more).set(1, 4)), empty, null, tag));
  refused(form(head, empty, null, tag.slice(16)));
  refused(encode([head, empty, null, tag]));
  refused(encode(new Tagged(18, [head, empty, null, tag])));
  refused(concat(mac, Uint8Array.of(0)));
  refused(concat(mac, new Uint8Array(300)));
});

test('T07 a mac in the name of another PSK is refused', () => {
  refused(mac, fromHex('00'.repeat(16)));
  refused(createReleaseMac({ ...psk, keyId: psk.keyId.slice(1) }, digest));
});

test('whatever the bytes, the refusal has a code', () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => refused(bytes)));
  fc.assert(
    fc.property(fc.nat(mac.length - 33), fc.integer({ min: 1, max: 255 }), (at, flip) => {
      refused(mac.with(at, (mac[at] as number) ^ flip));
    }),
  );
  refused(utf8(''));
});
