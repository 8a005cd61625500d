import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { suite, test } from 'node:test';
import * as fc from 'fast-check';
import { concat, fromHex, hex, utf8 } from '../bytes.ts';
import { codeOf } from '../errors.ts';
import type { Aead } from './aead.ts';
import * as native from './native.ts';
import * as portable from './portable.ts';

type Row = Readonly<Record<string, string>> & { readonly length: number; readonly valid: boolean };

function rows(name: string): Row[] {
  const url = new URL(`../../test/vectors/crypto/${name}.json`, import.meta.url);
  return JSON.parse(readFileSync(url, 'utf8')) as Row[];
}

function bytes(row: Row, field: string): Uint8Array {
  return fromHex(row[field] ?? '');
}

/** The result in hex, or the code of the error; anything that is not a coded error fails. */
function outcome(step: () => Uint8Array): string {
  try {
    return hex(step());
  } catch (error) {
    return codeOf(error) ?? assert.fail(error as Error);
  }
}

for (const [name, crypto] of Object.entries({ native, portable })) {
  suite(name, () => {
    test('hashes: FIPS 180-4 examples, in one and in pieces', () => {
      const expected = {
        'SHA-256': 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad',
        'SHA-384':
          'cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed8086072ba1e7cc2358baeca134c825a7',
        'SHA-512':
          'ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f',
      } as const;
      for (const [algorithm, digest] of Object.entries(expected) as [
        keyof typeof expected,
        string,
      ][]) {
        assert.equal(hex(crypto.hash(algorithm, utf8('abc'))), digest);
        const state = crypto.createHash(algorithm);
        state.update(utf8('a'));
        state.update(utf8('bc'));
        assert.equal(hex(state.digest()), digest);
      }
      assert.equal(hex(crypto.sha256(utf8('abc'))), expected['SHA-256']);
    });

    test('HMAC-SHA-256: Wycheproof', () => {
      for (const row of rows('hmac-sha256-wycheproof')) {
        const tag = hex(crypto.hmacSha256(bytes(row, 'key'), bytes(row, 'message')));
        assert.equal(tag === row['tag'], row.valid, `case ${row['id']}`);
      }
    });

    test('HKDF-SHA-256: Wycheproof with RFC 5869', () => {
      for (const row of rows('hkdf-sha256-wycheproof')) {
        const [secret, salt, info] = ['secret', 'salt', 'info'].map((field) => bytes(row, field));
        const said = outcome(() => crypto.hkdfSha256(secret!, salt!, info!, row.length));
        assert.equal(said, row.valid ? row['output'] : 'CRYPTO_INPUT_INVALID', `case ${row['id']}`);
      }
      const none = new Uint8Array();
      const invalid = { code: 'CRYPTO_INPUT_INVALID' };
      assert.throws(() => crypto.hkdfSha256(none, none, none, 0), invalid);
      assert.throws(() => crypto.hkdfSha256(none, none, new Uint8Array(1025), 32), invalid);
    });

    test('AES-GCM and ChaCha20-Poly1305: Wycheproof', () => {
      for (const row of rows('aead-wycheproof')) {
        const note = `${row['algorithm']} case ${row['id']}`;
        const [key, nonce, aad, plaintext, sealed] = [
          'key',
          'nonce',
          'aad',
          'plaintext',
          'sealed',
        ].map((field) => bytes(row, field)) as [
          Uint8Array,
          Uint8Array,
          Uint8Array,
          Uint8Array,
          Uint8Array,
        ];
        const algorithm = row['algorithm'] as Aead;
        const opened = outcome(() => crypto.open(algorithm, key, nonce, aad, sealed));
        if (nonce.length !== 12) assert.equal(opened, 'CRYPTO_INPUT_INVALID', note);
        else if (!row.valid) assert.equal(opened, 'CRYPTO_AUTHENTICATION_FAILED', note);
        else {
          assert.equal(opened, row['plaintext'], note);
          assert.equal(
            hex(crypto.seal(algorithm, key, nonce, aad, plaintext)),
            row['sealed'],
            note,
          );
        }
      }
    });

    test('a sealed text shorter than its tag is refused', () => {
      const none = new Uint8Array();
      for (const algorithm of ['A128GCM', 'A256GCM', 'ChaCha20-Poly1305'] as const) {
        const key = new Uint8Array(algorithm === 'A128GCM' ? 16 : 32);
        for (const length of [0, 1, 15]) {
          const sealed = new Uint8Array(length);
          assert.equal(
            outcome(() => crypto.open(algorithm, key, new Uint8Array(12), none, sealed)),
            'CRYPTO_AUTHENTICATION_FAILED',
          );
        }
        const short = key.subarray(1);
        const invalid = { code: 'CRYPTO_INPUT_INVALID' };
        assert.throws(() => crypto.seal(algorithm, short, new Uint8Array(12), none, none), invalid);
      }
    });

    test('AES key wrap: Wycheproof', () => {
      for (const row of rows('aes-kw-wycheproof')) {
        const [kek, key, wrapped] = [bytes(row, 'kek'), bytes(row, 'key'), bytes(row, 'wrapped')];
        const unwrapped = outcome(() => crypto.unwrapKey(kek, wrapped));
        // Longer keys than 64 bytes are beyond our bound.
        if (row['result'] === 'valid' && key.length <= 64) {
          assert.equal(unwrapped, row['key'], `case ${row['id']}`);
          assert.equal(hex(crypto.wrapKey(kek, key)), row['wrapped'], `case ${row['id']}`);
        } else assert.equal(unwrapped, 'CRYPTO_AUTHENTICATION_FAILED', `case ${row['id']}`);
      }
      const kek = new Uint8Array(16);
      for (const length of [0, 8, 15, 17, 72])
        assert.equal(
          outcome(() => crypto.wrapKey(kek, new Uint8Array(length))),
          'CRYPTO_INPUT_INVALID',
        );
      assert.equal(
        outcome(() => crypto.unwrapKey(kek.subarray(1), new Uint8Array(24))),
        'CRYPTO_INPUT_INVALID',
      );
    });
  });
}

test('native and portable give the same bytes', () => {
  const key = fc.uint8Array({ minLength: 32, maxLength: 32 });
  const data = fc.uint8Array({ maxLength: 200 });
  const property = fc.property(key, data, data, (secret, aad, text) => {
    const nonce = secret.slice(0, 12);
    const none = new Uint8Array();
    const results = [native, portable].map((crypto) =>
      concat(
        crypto.sha256(text),
        crypto.hmacSha256(aad, text),
        crypto.hkdfSha256(text, aad, none, 77),
        crypto.seal('A256GCM', secret, nonce, aad, text),
        crypto.seal('ChaCha20-Poly1305', secret, nonce, aad, text),
        crypto.wrapKey(secret, secret),
      ),
    );
    assert.deepEqual(results[0], results[1]);
  });
  fc.assert(property, { numRuns: 50 });
});
