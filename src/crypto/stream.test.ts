/** Streams and ECDH: native and portable agree with each other and with the whole-message functions. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import * as fc from 'fast-check';
import { concat, fromHex, hex } from '../bytes.ts';
import type { Aead, Stream } from './aead.ts';
import * as native from './native.ts';
import * as portable from './portable.ts';

const KEYS = { A128GCM: 16, A256GCM: 32, 'ChaCha20-Poly1305': 32 } as const;
const NONCE = new Uint8Array(12).fill(3);

function feed(stream: Stream, bytes: Uint8Array, cuts: readonly number[]): Uint8Array {
  const out: Uint8Array[] = [];
  let at = 0;
  for (const cut of cuts) {
    out.push(stream.update(bytes.subarray(at, at + cut)));
    at += cut;
  }
  out.push(stream.update(bytes.subarray(at)), stream.finish());
  return concat(...out);
}

const text = fc.uint8Array({ maxLength: 300 });
const cuts = fc.array(fc.nat({ max: 40 }), { maxLength: 6 });

for (const [name, crypto] of Object.entries({ native, portable }))
  suite(name, () => {
    for (const algorithm of Object.keys(KEYS) as Aead[])
      test(`${algorithm} in pieces is ${algorithm} in one`, () => {
        const key = new Uint8Array(KEYS[algorithm]).fill(9);
        fc.assert(
          fc.property(text, text, cuts, (plain, aad, sizes) => {
            const sealed = native.seal(algorithm, key, NONCE, aad, plain);
            const opener = crypto.createOpener(algorithm, key, NONCE, aad);
            assert.equal(hex(feed(opener, sealed, sizes)), hex(plain));
          }),
          { numRuns: 60 },
        );
        const sealed = native.seal(algorithm, key, NONCE, NONCE, new Uint8Array(100));
        for (const at of [0, 50, 99, 100, 115]) {
          const bad = sealed.slice();
          bad[at] = (bad[at] as number) ^ 1;
          const opener = crypto.createOpener(algorithm, key, NONCE, NONCE);
          assert.throws(() => feed(opener, bad, [7]), { code: 'CRYPTO_AUTHENTICATION_FAILED' });
        }
        for (const length of [0, 15, 115]) {
          const opener = crypto.createOpener(algorithm, key, NONCE, NONCE);
          assert.throws(() => feed(opener, sealed.subarray(0, length), []), {
            code: 'CRYPTO_AUTHENTICATION_FAILED',
          });
        }
        assert.throws(() => crypto.createOpener(algorithm, NONCE, NONCE, NONCE), {
          code: 'CRYPTO_INPUT_INVALID',
        });
      });

    test('A128CTR: SP 800-38A F.5.1, and a counter that overflows', () => {
      const key = fromHex('2b7e151628aed2a6abf7158809cf4f3c');
      const iv = fromHex('f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff');
      const plain = fromHex(
        '6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e5130c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710',
      );
      const expected =
        '874d6191b620e3261bef6864990db6ce9806f66b7970fdff8617187bb9fffdff5ae4df3edbd5d35e5b4f09020db03eab1e031dda2fbe03d1792170a0f3009cee';
      assert.equal(hex(feed(crypto.createCtr(key, iv), plain, [1, 20, 16])), expected);
      const top = new Uint8Array(16).fill(255);
      const long = new Uint8Array(100);
      assert.equal(
        hex(feed(crypto.createCtr(key, top), long, [3])),
        hex(feed(native.createCtr(key, top), long, [])),
      );
      assert.throws(() => crypto.createCtr(key, NONCE), { code: 'CRYPTO_INPUT_INVALID' });
      assert.throws(() => crypto.createCtr(NONCE, iv), { code: 'CRYPTO_INPUT_INVALID' });
    });

    test('ECDH over P-256: RFC 5903 8.1, both ways', () => {
      const a = crypto.privateKey(
        'P-256',
        fromHex('c88f01f510d9ac3f70a292daa2316de544e9aab8afe84049c62a9c57862d1433'),
      );
      const b = crypto.privateKey(
        'P-256',
        fromHex('c6ef9c5d78ae012a011164acb397ce2088685d8f06bf9be0b283ab46476bee53'),
      );
      const shared = 'd6840f6b42f6edafd13116e0e12565202fef8e9ece7dce03812464d04b9442de';
      assert.equal(hex(crypto.ecdhP256(a, b.publicKey)), shared);
      assert.equal(hex(crypto.ecdhP256(b, a.publicKey)), shared);
    });

    test('ECDH refuses a point off the curve and another curve', () => {
      const key = crypto.privateKey('P-256', new Uint8Array(32).fill(1));
      const bytes = key.publicKey.bytes.slice();
      bytes[63] = (bytes[63] as number) ^ 1;
      const code = 'CRYPTO_KEY_INVALID';
      assert.throws(() => crypto.ecdhP256(key, { curve: 'P-256', bytes }), { code });
      const other = crypto.privateKey('Ed25519', new Uint8Array(32).fill(1));
      assert.throws(() => crypto.ecdhP256(key, other.publicKey), { code });
      assert.throws(() => crypto.ecdhP256(other, key.publicKey), { code });
    });
  });
