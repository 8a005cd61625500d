import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { suite, test } from 'node:test';
import { ed25519, ED25519_TORSION_SUBGROUP } from '@noble/curves/ed25519.js';
import * as fc from 'fast-check';
import { concat, fromHex, hex, utf8 } from '../bytes.ts';
import { isCanonicalSignature, reduceScalar } from './ed25519.ts';
import type { Curve, PublicKey } from './key.ts';
import * as native from './native.ts';
import { lowS } from './p256.ts';
import * as portable from './portable.ts';

const IMPLEMENTATIONS = { native, portable };
const L = ed25519.Point.Fn.ORDER;
const N = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;

interface Row {
  readonly id?: number;
  readonly key: string;
  readonly message: string;
  readonly signature: string;
  readonly valid: boolean;
  readonly what?: string;
  readonly flags?: readonly string[];
}

function rows(name: string): Row[] {
  const url = new URL(`../../test/vectors/crypto/${name}.json`, import.meta.url);
  return JSON.parse(readFileSync(url, 'utf8')) as Row[];
}

/** What both implementations say, once they are known to say the same. */
function agreed(key: PublicKey, message: Uint8Array, signature: Uint8Array, note: string): boolean {
  const first = native.verify(key, message, signature);
  assert.equal(portable.verify(key, message, signature), first, `implementations differ: ${note}`);
  return first;
}

function le32(value: bigint): Uint8Array {
  return fromHex(value.toString(16).padStart(64, '0')).toReversed();
}

function be32(value: bigint): Uint8Array {
  return fromHex(value.toString(16).padStart(64, '0'));
}

suite('outside vectors', () => {
  const ed25519Key = (row: Row): PublicKey => ({ curve: 'Ed25519', bytes: fromHex(row.key) });

  test('Ed25519: Wycheproof', () => {
    for (const row of rows('ed25519-wycheproof')) {
      const said = agreed(
        ed25519Key(row),
        fromHex(row.message),
        fromHex(row.signature),
        `${row.id}`,
      );
      assert.equal(said, row.valid, `case ${row.id}`);
    }
  });

  test('Ed25519: the twelve cases of "Taming the many EdDSAs"', () => {
    const cases = rows('ed25519-speccheck');
    assert.equal(cases.length, 12);
    for (const row of cases) {
      const what = row.what ?? '';
      const said = agreed(ed25519Key(row), fromHex(row.message), fromHex(row.signature), what);
      assert.equal(said, row.valid, what);
    }
  });

  test('Ed25519: C2SP CCTV, every combination of edge-case points', () => {
    const refused = ['low_order_A', 'low_order_R', 'non_canonical_A', 'non_canonical_R'];
    refused.push('low_order_residue', 'reencoded_k');
    let accepted = 0;
    for (const row of rows('ed25519-cctv')) {
      const expected = !row.flags?.some((flag) => refused.includes(flag));
      const note = `${row.key} ${row.signature}`;
      const said = agreed(ed25519Key(row), utf8(row.message), fromHex(row.signature), note);
      assert.equal(said, expected, note);
      if (said) accepted++;
    }
    // Prime order and mixed order, each with the same: 35 + 7 + 1.
    assert.equal(accepted, 43);
  });

  test('P-256: Wycheproof, r || s', () => {
    for (const row of rows('p256-wycheproof')) {
      const key: PublicKey = { curve: 'P-256', bytes: fromHex(row.key) };
      const said = agreed(key, fromHex(row.message), fromHex(row.signature), `${row.id}`);
      assert.equal(said, row.valid, `case ${row.id}`);
    }
  });

  for (const [name, crypto] of Object.entries(IMPLEMENTATIONS)) {
    test(`${name}: RFC 8032 7.1, tests 1 to 3`, () => {
      const cases = [
        [
          '9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60',
          'd75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a',
          '',
          'e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b',
        ],
        [
          '4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb',
          '3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c',
          '72',
          '92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00',
        ],
        [
          'c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7',
          'fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025',
          'af82',
          '6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a',
        ],
      ] as const;
      for (const [secret, publicKey, message, signature] of cases) {
        const key = crypto.privateKey('Ed25519', fromHex(secret));
        assert.equal(hex(key.publicKey.bytes), publicKey);
        assert.equal(hex(crypto.sign(key, fromHex(message))), signature);
      }
    });

    test(`${name}: RFC 6979 A.2.5`, () => {
      const secret = fromHex('c9afa9d845ba75166b5c215767b1d6934e50c3db36e89b127b8a622b120f6721');
      const key = crypto.privateKey('P-256', secret);
      assert.equal(
        hex(key.publicKey.bytes),
        '60fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb6' +
          '7903fe1008b8bc99a41ae9e95628bc64f2f1b20c2d7e9f5177a3c294d4462299',
      );
      const cases = [
        [
          'sample',
          'efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716' +
            'f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8',
        ],
        [
          'test',
          'f1abb023518351cd71d881567b1ea663ed3efcf6c5132b354f28d3b0b7d38367' +
            '019f4113742a2b14bd25926b49c649155f267e60d3814b4c0cc84250e46f0083',
        ],
      ] as const;
      for (const [message, signature] of cases) {
        assert.ok(crypto.verify(key.publicKey, utf8(message), fromHex(signature)));
        const low = lowS(fromHex(signature));
        assert.ok(crypto.verify(key.publicKey, utf8(message), low));
        // Only portable derives its nonce; native's signatures are checked by `verify`.
        if (crypto === portable) assert.equal(hex(crypto.sign(key, utf8(message))), hex(low));
      }
    });
  }
});

suite('agreement of native and portable', () => {
  const curve = fc.constantFrom<Curve>('P-256', 'Ed25519');
  const seed = fc.uint8Array({ minLength: 32, maxLength: 32 }).map((bytes) => {
    const secret = Uint8Array.from(bytes);
    secret[0] = (secret[0] as number) & 0x7f;
    secret[31] = (secret[31] as number) | 1;
    return secret;
  });

  test('the same public keys, and each accepts what the other signs', () => {
    const message = fc.uint8Array({ maxLength: 300 });
    const property = fc.property(curve, seed, message, (on, secret, bytes) => {
      const a = native.privateKey(on, secret);
      const b = portable.privateKey(on, secret);
      assert.deepEqual(a, b);
      for (const signature of [native.sign(a, bytes), portable.sign(b, bytes)]) {
        assert.equal(signature.length, 64);
        assert.ok(agreed(a.publicKey, bytes, signature, 'own signature'));
        if (on === 'P-256') assert.ok(native.isLowS(signature));
      }
      if (on === 'Ed25519') assert.deepEqual(native.sign(a, bytes), portable.sign(b, bytes));
    });
    fc.assert(property, { numRuns: 40 });
  });

  test('a flipped bit in signature, key or message is refused by both', () => {
    const flips = fc.tuple(fc.constantFrom(0, 1, 2), fc.nat({ max: 31 }), fc.nat({ max: 7 }));
    const property = fc.property(curve, seed, flips, (on, secret, [where, at, bit]) => {
      const key = native.privateKey(on, secret);
      const message = new Uint8Array(32);
      const signature = native.sign(key, message);
      const parts = [signature, key.publicKey.bytes.slice(), message];
      const part = parts[where] as Uint8Array;
      part[at] = (part[at] as number) ^ (1 << bit);
      const [changed, bytes, text] = parts as [Uint8Array, Uint8Array, Uint8Array];
      assert.equal(agreed({ curve: on, bytes }, text, changed, 'flipped'), false);
    });
    fc.assert(property, { numRuns: 60 });
  });

  test('points with a torsion part: only the cofactorless equation counts', () => {
    const torsion = ED25519_TORSION_SUBGROUP.map((point) => ed25519.Point.fromHex(point));
    const scalar = fc.bigInt({ min: 1n, max: L - 1n });
    const index = fc.nat({ max: 7 });
    const seen = new Set<boolean>();
    const property = fc.property(scalar, scalar, index, index, index, (a, r, i, j, text) => {
      const [inA, inR] = [torsion[i], torsion[j]] as [typeof ed25519.Point.BASE, never];
      const key = ed25519.Point.BASE.multiplyUnsafe(a).add(inA).toBytes();
      const commitment = ed25519.Point.BASE.multiplyUnsafe(r).add(inR).toBytes();
      const message = Uint8Array.of(text);
      const k = reduceScalar(portable.hash('SHA-512', concat(commitment, key, message)));
      const signature = concat(commitment, le32((r + k * a) % L));
      const expected = inA.multiplyUnsafe(k).add(inR).is0();
      seen.add(expected);
      assert.equal(agreed({ curve: 'Ed25519', bytes: key }, message, signature, ''), expected);
    });
    fc.assert(property, { numRuns: 150 });
    assert.equal(seen.size, 2);
  });
});

suite('keys and encodings that are refused', () => {
  const invalid = { code: 'CRYPTO_KEY_INVALID' };
  const P = 2n ** 255n - 19n;

  test('Ed25519: small order, canonical or not; not canonical; off the curve; wrong length', () => {
    const encodings = ED25519_TORSION_SUBGROUP.map((point) => fromHex(point));
    for (const y of [0n, 1n, P - 1n, P, P + 1n])
      for (const sign of [0n, 2n ** 255n]) encodings.push(le32(y + sign));
    // Above p and not of small order: y = p + 3 stands for y = 3, p + 2 is off the curve.
    for (let y = P + 2n; y < 2n ** 255n; y++) encodings.push(le32(y));
    encodings.push(le32(2n), new Uint8Array(31), new Uint8Array(33), new Uint8Array());
    for (const bytes of encodings) {
      const key: PublicKey = { curve: 'Ed25519', bytes };
      assert.throws(() => native.checkPublicKey(key), invalid, hex(bytes));
      assert.equal(agreed(key, new Uint8Array(), new Uint8Array(64), hex(bytes)), false);
    }
    assert.doesNotThrow(() => native.checkPublicKey({ curve: 'Ed25519', bytes: le32(3n) }));
  });

  test('Ed25519: the key check and noble agree on which encodings are points', () => {
    const property = fc.property(fc.uint8Array({ minLength: 32, maxLength: 32 }), (bytes) => {
      const ours = accepts(() => native.checkPublicKey({ curve: 'Ed25519', bytes }));
      assert.equal(
        ours,
        accepts(() => void ed25519.Point.fromBytes(bytes, false)),
      );
    });
    fc.assert(property, { numRuns: 200 });
  });

  test('P-256: off the curve, a coordinate not below p, wrong length', () => {
    const key = native.privateKey('P-256', be32(7n)).publicKey.bytes;
    const off = key.slice();
    off[63] = (off[63] as number) ^ 1;
    // x = 5 is on the curve; x = 5 + p is another spelling of it, in 256 bits.
    const p = 2n ** 256n - 2n ** 224n + 2n ** 192n + 2n ** 96n - 1n;
    const y5 = '459243b9aa581806fe913bce99817ade11ca503c64d9a3c533415c083248fbcc';
    const five = concat(be32(5n), fromHex(y5));
    assert.doesNotThrow(() => native.checkPublicKey({ curve: 'P-256', bytes: five }));
    const wide = concat(be32(5n + p), fromHex(y5));
    for (const bytes of [off, wide, new Uint8Array(64), key.subarray(1), concat(key, key)]) {
      assert.throws(() => native.checkPublicKey({ curve: 'P-256', bytes }), invalid, hex(bytes));
      const signature = concat(be32(1n), be32(1n));
      assert.equal(agreed({ curve: 'P-256', bytes }, new Uint8Array(), signature, ''), false);
    }
  });

  test('private keys out of range', () => {
    for (const crypto of Object.values(IMPLEMENTATIONS)) {
      for (const secret of [be32(0n), be32(N), be32(2n ** 256n - 1n), new Uint8Array(31)])
        assert.throws(() => crypto.privateKey('P-256', secret), invalid);
      assert.throws(() => crypto.privateKey('Ed25519', new Uint8Array(33)), invalid);
    }
  });

  test('signatures: length, S below L, canonical R; r and s in 1..n-1', () => {
    const key = native.privateKey('Ed25519', be32(7n));
    const signature = native.sign(key, new Uint8Array());
    assert.ok(isCanonicalSignature(signature));
    const s = BigInt(`0x${hex(signature.subarray(32).toReversed())}`);
    const malleated = concat(signature.subarray(0, 32), le32(s + L));
    const wideR = concat(le32(P + 1n), signature.subarray(32));
    const minusZero = concat(le32(1n + 2n ** 255n), signature.subarray(32));
    const smallR = concat(fromHex(ED25519_TORSION_SUBGROUP[1] as string), s0, new Uint8Array(31));
    for (const bad of [
      malleated,
      wideR,
      minusZero,
      smallR,
      signature.subarray(1),
      concat(signature, s0),
    ]) {
      assert.equal(isCanonicalSignature(bad), false);
      assert.equal(agreed(key.publicKey, new Uint8Array(), bad, hex(bad)), false);
    }
    const ecdsa = native.privateKey('P-256', be32(7n)).publicKey;
    for (const [r, t] of [
      [0n, 1n],
      [1n, 0n],
      [N, 1n],
      [1n, N],
    ] as const)
      assert.equal(agreed(ecdsa, new Uint8Array(), concat(be32(r), be32(t)), ''), false);
  });

  test('isLowS draws the line at n / 2', () => {
    const half = N / 2n;
    assert.equal(native.isLowS(concat(be32(1n), be32(half))), true);
    assert.equal(native.isLowS(concat(be32(1n), be32(half + 1n))), false);
    assert.deepEqual(lowS(concat(be32(1n), be32(half + 1n))), concat(be32(1n), be32(half)));
  });
});

const s0 = Uint8Array.of(0);

function accepts(step: () => void): boolean {
  try {
    step();
    return true;
  } catch {
    return false;
  }
}
