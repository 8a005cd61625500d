import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { suite, test } from 'node:test';
import { privateKey } from '#crypto';
import { fromHex, hex } from '../bytes.ts';
import type { Cbor } from '../cbor/decode.ts';
import { encode } from '../cbor/encode.ts';
import {
  decodeForeignKey,
  decodeKey,
  decodeMacKey,
  decodePrivateKey,
  encodeKey,
  encodePrivateKey,
  thumbprint,
} from './key.ts';

const VECTORS = new URL('../../test/vectors/cose/', import.meta.url);
const invalid = { code: 'COSE_KEY_INVALID' };

function plain(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(bytes);
}

suite('outside vectors', () => {
  test('RFC 9679 section 6: the thumbprint', () => {
    const bytes = fromHex(
      '65eda5a12577c2bae829437fe338701a10aaa375e1bb5b5de108de439c08551d' +
        '1e52ed75701163f7f9e40ddf9f341b3dc9ba860af7e0ca7ca7e9eecd0084d19c',
    );
    assert.equal(
      hex(thumbprint({ curve: 'P-256', bytes })),
      '496bd8afadf307e5b08c64b0421bf9dc01528a344a43bda88fadd1669da253ec',
    );
  });

  test('the COSE form of the Ed25519 key of RFC 8032 7.1, test 1', () => {
    const x = 'd75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a';
    const key = { curve: 'Ed25519' as const, bytes: fromHex(x) };
    assert.equal(hex(encodeKey(key)), `a301012006215820${x}`);
  });

  test('COSE_Keys of the SUIT drafts and libcsuit', () => {
    const listed = JSON.parse(readFileSync(new URL('keys.json', VECTORS), 'utf8')) as {
      readonly x?: string;
      readonly y?: string;
    }[];
    const known = new Set(listed.map(({ x, y }) => `${x}${y}`));
    let seen = 0;
    for (const name of readdirSync(new URL('cose_keys/', VECTORS))) {
      const bytes = plain(readFileSync(new URL(`cose_keys/${name}`, VECTORS)));
      if (!/\.(?:pub|priv)\.cosekey$/.test(name)) continue;
      seen++;
      // Other algorithms (ECDH, -29) are no signature keys; alg and d have no place on the ledger.
      assert.throws(() => decodeKey(bytes), invalid, name);
      if (name.includes('alg-29')) {
        assert.throws(() => decodeForeignKey(bytes), { code: 'COSE_ALGORITHM_UNSUPPORTED' });
        continue;
      }
      const key = decodeForeignKey(bytes);
      assert.ok(known.has(hex(key.bytes)), name);
      if (!name.includes('.priv.')) assert.throws(() => decodePrivateKey(bytes), invalid, name);
      else assert.deepEqual(decodePrivateKey(bytes).publicKey, key);
    }
    assert.ok(seen > 20);
  });

  test('a MAC key, and keys of other algorithms', () => {
    const file = (name: string): Uint8Array =>
      plain(readFileSync(new URL(`cose_keys/${name}`, VECTORS)));
    assert.equal(decodeMacKey(file('trust_anchor_hmac256_secret.alg5.cosekey')).length, 32);
    assert.throws(() => decodeMacKey(file('trust_anchor_a128_secret.alg-4.cosekey')), invalid);
    assert.throws(() => decodeMacKey(file('trust_anchor_a128_secret_key.alg-3.cosekey')), invalid);
    assert.throws(() => decodeMacKey(file('tam_esp256.alg-9.pub.cosekey')), invalid);
  });
});

for (const curve of ['P-256', 'Ed25519'] as const)
  suite(curve, () => {
    const key = privateKey(curve, new Uint8Array(32).fill(3));
    const entries = (more: readonly [Cbor, Cbor][] = []): Map<Cbor, Cbor> => {
      const { bytes } = key.publicKey;
      return curve === 'P-256'
        ? new Map<Cbor, Cbor>([
            [1, 2],
            [-1, 1],
            [-2, bytes.slice(0, 32)],
            [-3, bytes.slice(32)],
            ...more,
          ])
        : new Map<Cbor, Cbor>([[1, 1], [-1, 6], [-2, bytes], ...more]);
    };

    test('there and back', () => {
      assert.deepEqual(decodeKey(encodeKey(key.publicKey)), key.publicKey);
      assert.deepEqual(decodePrivateKey(encodePrivateKey(key)), key);
      assert.deepEqual(decodeForeignKey(encodePrivateKey(key)), key.publicKey);
      assert.equal(thumbprint(key.publicKey).length, 32);
    });

    test('decodeKey takes the one encoding only', () => {
      assert.throws(() => decodeKey(encodePrivateKey(key)), invalid);
      for (const more of [
        [2, new Uint8Array(1)],
        [3, curve === 'P-256' ? -9 : -19],
        [5, 0],
        ['x', 0],
      ] as [Cbor, Cbor][])
        assert.throws(() => decodeKey(encode(entries([more]))), invalid);
      const kept = encode(new Map([...entries()].toReversed()), { order: 'kept' });
      assert.throws(() => decodeKey(kept), invalid);
      assert.deepEqual(decodeForeignKey(kept), key.publicKey);
      assert.throws(() => decodeKey(new Uint8Array(2000)), invalid);
      assert.throws(() => decodeKey(new Uint8Array()), invalid);
    });

    test('values missing, of a wrong type or length, or of another curve', () => {
      for (const label of entries().keys()) {
        for (const value of [null, 'x', 7, new Uint8Array(31), new Uint8Array(33), true] as Cbor[])
          assert.throws(() => decodeKey(encode(entries([[label, value]]))), invalid);
        const without = entries();
        without.delete(label);
        assert.throws(() => decodeKey(encode(without)), invalid);
      }
      const alg = curve === 'P-256' ? -19 : -9;
      assert.throws(() => decodeForeignKey(encode(entries([[3, alg]]))), invalid);
      if (curve === 'Ed25519')
        assert.throws(() => decodeKey(encode(entries([[-3, new Uint8Array(32)]]))), invalid);
    });

    test('a key that is no valid point; a private part of another key', () => {
      const code = { code: 'CRYPTO_KEY_INVALID' };
      const zero: [Cbor, Cbor][] = [[-2, new Uint8Array(32)]];
      assert.throws(() => decodeKey(encode(entries(zero))), code);
      const other: [Cbor, Cbor][] = [[-4, new Uint8Array(32).fill(4)]];
      assert.throws(() => decodePrivateKey(encode(entries(other))), invalid);
    });
  });
