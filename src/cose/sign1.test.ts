import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { privateKey, sign } from '#crypto';
import * as fc from 'fast-check';
import { concat, fromHex, hex, utf8 } from '../bytes.ts';
import { Tagged, type Cbor } from '../cbor/decode.ts';
import { encode } from '../cbor/encode.ts';
import { codeOf } from '../errors.ts';
import { ED25519, EDDSA, ES256, ESP256 } from './algorithm.ts';
import { ALG, CRIT, CWT_CLAIMS, KID, RECEIPTS, TYP } from './claims.ts';
import { createSign1, decodeSign1, encodeSign1, sigStructure, verifySign1 } from './sign1.ts';

const MAX = { maxBytes: 4096 };
const ed25519 = privateKey('Ed25519', new Uint8Array(32).fill(1));
const p256 = privateKey('P-256', new Uint8Array(32).fill(1));
const payload = utf8('payload');

type Entries = readonly (readonly [Cbor, Cbor])[];

/** A correctly signed message with whatever headers. */
function signed(header: Entries, unprotected: Entries = [], key = ed25519): Uint8Array {
  const protectedBytes = header.length === 0 ? new Uint8Array() : encode(new Map(header));
  const signature = sign(key, sigStructure(protectedBytes, payload));
  return encode(new Tagged(18, [protectedBytes, new Map(unprotected), payload, signature]));
}

function refused(bytes: Uint8Array, code: string, tagged = true): void {
  assert.throws(() => decodeSign1(bytes, { ...MAX, tagged }), { code });
}

suite('outside vectors', () => {
  // The key with kid 11 of RFC 9052 appendix C.7.1.
  const publicKey = {
    curve: 'P-256' as const,
    bytes: fromHex(
      'bac5b11cad8f99f9c72b05cf4b9e26d244dc189f745228255a219a86d6a09eff' +
        '20138bf82dc1b6d562be0fa54ab7804a3a64b6d72ccfed6b6fb6ed28bbfc117e',
    ),
  };

  test('RFC 9052 appendix C.2.1', () => {
    const bytes = fromHex(
      'd28443a10126a10442313154546869732069732074686520636f6e74656e742e58408eb33e4ca31d1c465ab05aac' +
        '34cc6b23d58fef5c083106c4d25a91aef0b0117e2af9a291aa32e14ab834dc56ed2a223444547e01f11d3b0916' +
        'e5a4c345cacb36',
    );
    const message = decodeSign1(bytes, MAX);
    assert.equal(message.algorithm, ES256);
    assert.equal(hex(message.unprotected.get(KID) as Uint8Array), hex(utf8('11')));
    assert.equal(hex(message.payload ?? new Uint8Array()), hex(utf8('This is the content.')));
    verifySign1(message, publicKey);
    assert.equal(hex(encodeSign1(message)), hex(bytes));
  });
});

suite('create, decode, verify', () => {
  for (const key of [ed25519, p256])
    test(`${key.curve}, attached and detached`, () => {
      const header = new Map<Cbor, Cbor>([
        [KID, new Uint8Array(32)],
        [TYP, 'application/firmament.release+cbor'],
      ]);
      const attached = createSign1({ header, payload, key });
      const message = decodeSign1(attached, MAX);
      assert.equal(message.algorithm, key.curve === 'P-256' ? ESP256 : ED25519);
      assert.equal(message.header.get(TYP), 'application/firmament.release+cbor');
      verifySign1(message, key.publicKey);

      // One signature, two forms: the detached message is the attached one without its payload.
      const { protectedBytes, signature } = message;
      const detached = encodeSign1({ protectedBytes, payload: null, signature });
      const bare = decodeSign1(detached, MAX);
      assert.equal(bare.payload, null);
      verifySign1(bare, key.publicKey, payload);
      verifySign1(
        decodeSign1(createSign1({ header, payload, key, detached: true }), MAX),
        key.publicKey,
        payload,
      );
      assert.throws(() => verifySign1(bare, key.publicKey), { code: 'COSE_MALFORMED' });
      const twice = (): void => verifySign1(message, key.publicKey, payload);
      assert.throws(twice, { code: 'COSE_MALFORMED' });
      const other = (): void => verifySign1(bare, key.publicKey, utf8('other'));
      assert.throws(other, { code: 'COSE_SIGNATURE_INVALID' });
    });

  test('-7 and -8 are signed when asked for, and verified', () => {
    for (const [alg, key] of [
      [ES256, p256],
      [EDDSA, ed25519],
    ] as const)
      verifySign1(
        decodeSign1(createSign1({ header: new Map([[ALG, alg]]), payload, key }), MAX),
        key.publicKey,
      );
  });

  test('a receipt in the unprotected header leaves the signature as it is', () => {
    const unprotected = new Map<Cbor, Cbor>([[RECEIPTS, [new Uint8Array(900)]]]);
    const message = decodeSign1(
      createSign1({ header: new Map(), payload, key: p256, unprotected }),
      MAX,
    );
    assert.ok(message.unprotected.has(RECEIPTS));
    verifySign1(message, p256.publicKey);
  });

  test('the Sig_structure by concatenation is that of the encoder', () => {
    for (const length of [0, 23, 24, 300, 70000]) {
      const body = new Uint8Array(length);
      const structure = encode(['Signature1', Uint8Array.of(0xa0), new Uint8Array(), body]);
      assert.deepEqual(sigStructure(Uint8Array.of(0xa0), body), structure);
    }
  });

  test('an algorithm of the other curve is refused, signing and verifying', () => {
    const code = { code: 'COSE_ALGORITHM_UNSUPPORTED' };
    const header = new Map([[ALG, ED25519]]);
    assert.throws(() => createSign1({ header, payload, key: p256 }), code);
    const message = decodeSign1(signed([[ALG, ED25519]]), MAX);
    assert.throws(() => verifySign1(message, p256.publicKey), code);
    const crossed = decodeSign1(signed([[ALG, ESP256]]), MAX);
    assert.throws(() => verifySign1(crossed, ed25519.publicKey), code);
  });
});

suite('headers that are refused, though the signature holds', () => {
  const invalid = 'COSE_HEADER_INVALID';

  test('alg: missing, unprotected, in both, unknown, of a wrong type', () => {
    refused(signed([[KID, new Uint8Array(32)]]), invalid);
    refused(signed([], [[ALG, ED25519]]), invalid);
    refused(signed([[KID, new Uint8Array(1)]], [[ALG, ED25519]]), invalid);
    refused(signed([[ALG, ED25519]], [[ALG, ED25519]]), invalid);
    for (const alg of [0, 5, -37, -35, -257, 2n ** 60n, 'ES256', null, [-19]] as Cbor[])
      refused(signed([[ALG, alg]]), 'COSE_ALGORITHM_UNSUPPORTED');
  });

  test('a label in both headers', () => {
    const claims = new Map<Cbor, Cbor>();
    refused(
      signed(
        [
          [ALG, ED25519],
          [CWT_CLAIMS, claims],
        ],
        [[CWT_CLAIMS, claims]],
      ),
      invalid,
    );
  });

  test('crit, in either header', () => {
    refused(
      signed([
        [ALG, ED25519],
        [CRIT, [KID]],
      ]),
      invalid,
    );
    refused(signed([[ALG, ED25519]], [[CRIT, [KID]]]), invalid);
  });

  test('labels that are neither integers nor text; protected headers that are no map', () => {
    refused(
      signed([
        [ALG, ED25519],
        [new Uint8Array(1), 1],
      ]),
      'COSE_MALFORMED',
    );
    refused(signed([[ALG, ED25519]], [[null, 1]]), 'COSE_MALFORMED');
    const signature = new Uint8Array(64);
    const message = (header: Cbor): Uint8Array =>
      encode(new Tagged(18, [header, new Map(), payload, signature]));
    refused(message(encode([ALG, ED25519])), 'COSE_MALFORMED');
    refused(message(new Map([[ALG, ED25519]])), 'COSE_MALFORMED');
    refused(message(encode(new Map())), invalid);
    refused(message(fromHex('a1013200')), 'CBOR_MALFORMED');
    refused(message(fromHex('a204400132')), 'CBOR_MALFORMED'); // kid before alg
  });
});

suite('shapes that are refused', () => {
  const good = decodeSign1(signed([[ALG, ED25519]]), MAX);
  const { protectedBytes, signature } = good;
  const items: readonly Cbor[] = [protectedBytes, new Map(), payload, signature];

  test('tag 18 is there exactly when it is asked for', () => {
    refused(encode(items), 'COSE_MALFORMED');
    refused(encode(new Tagged(18, items)), 'CBOR_MALFORMED', false);
    refused(encode(new Tagged(98, items)), 'CBOR_MALFORMED');
    refused(encode(new Tagged(18, new Tagged(18, items))), 'COSE_MALFORMED');
    assert.doesNotThrow(() => decodeSign1(encode(items), { ...MAX, tagged: false }));
  });

  test('fields missing, too many, or of a wrong type', () => {
    const wrong: Cbor[] = [[], items.slice(0, 3), [...items, 0], new Map(), 5, null, payload];
    for (let i = 0; i < 4; i++)
      for (const value of ['x', 5, true, []]) wrong.push(items.with(i, value));
    wrong.push(items.with(0, null), items.with(1, null), items.with(3, null));
    for (const item of wrong) refused(encode(new Tagged(18, item)), 'COSE_MALFORMED');
  });

  test('a signature in DER, or of any length but 64', () => {
    // The DER form of an ECDSA signature has 70 to 72 bytes, rarely fewer.
    for (const length of [0, 32, 63, 65, 70, 71, 72])
      refused(encode(new Tagged(18, items.with(3, new Uint8Array(length)))), 'COSE_MALFORMED');
  });

  test('more bytes than the bound', () => {
    const bytes = encode(new Tagged(18, items));
    const bound = { maxBytes: bytes.length - 1 };
    assert.throws(() => decodeSign1(bytes, bound), { code: 'CBOR_TOO_LARGE' });
  });
});

test('any flipped bit is refused with a code', () => {
  for (const key of [ed25519, p256]) {
    const header = new Map<Cbor, Cbor>([[KID, new Uint8Array(32)]]);
    const bytes = createSign1({ header, payload, key });
    const property = fc.property(fc.nat({ max: 8 * bytes.length - 1 }), (bit) => {
      const changed = Uint8Array.from(bytes);
      changed[bit >> 3] = (changed[bit >> 3] as number) ^ (1 << (bit & 7));
      try {
        verifySign1(decodeSign1(changed, MAX), key.publicKey);
      } catch (error) {
        assert.match(codeOf(error) ?? String(error), /^(?:COSE|CBOR)_/);
        return;
      }
      assert.fail(`accepted with bit ${bit} flipped`);
    });
    fc.assert(property, { numRuns: 400 });
  }
});

test('any bytes end in a message or a code', () => {
  const bytes = fc.uint8Array({ maxLength: 80 });
  const wrapped = bytes.map((tail) => concat(fromHex('d284'), Uint8Array.from(tail)));
  const property = fc.property(fc.oneof(bytes, wrapped), (input) => {
    try {
      decodeSign1(input, MAX);
    } catch (error) {
      assert.match(codeOf(error) ?? String(error), /^(?:COSE|CBOR)_/);
    }
  });
  fc.assert(property, { numRuns: 500 });
});
