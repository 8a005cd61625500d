import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { privateKey, sha256 } from '#crypto';
import { concat, equal, utf8 } from '../../src/bytes.ts';
import { encode, encodeBytesHeader } from '../../src/cbor/encode.ts';
import type { Cbor } from '../../src/cbor/value.ts';
import { encodeSign1 } from '../../src/cose/sign1.ts';
import { authenticate } from '../../src/registry/authenticate.ts';
import { createStatement, parseStatement, type Statement } from '../../src/registry/statement.ts';
import { sampleKey } from './sample-policy.ts';

const MALFORMED = { code: 'STATEMENT_MALFORMED' };
const P256_ORDER = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;

function sample(key = sampleKey('author')): Statement {
  const claims = { kind: 'line.declare', issuer: 'a', subject: 'b', counter: 1n } as const;
  return createStatement(key, claims, new Map<Cbor, Cbor>([[1, utf8('payload')]]));
}

/** The four items in the given bytes, behind the given head. */
function assemble(head: readonly number[], ...items: readonly Uint8Array[]): Uint8Array {
  return concat(Uint8Array.from(head), ...items);
}

function bstr(bytes: Uint8Array): Uint8Array {
  return concat(encodeBytesHeader(bytes.length), bytes);
}

suite('T05: one encoding', () => {
  const { sign1, payload, bytes } = sample();
  const { protectedBytes, signature } = sign1;
  const items = [bstr(protectedBytes), Uint8Array.of(0xa0), bstr(payload), bstr(signature)];

  test('the one encoding is accepted', () => {
    assert.deepEqual(assemble([0xd2, 0x84], ...items), bytes);
    authenticate(parseStatement(bytes), sampleKey('author').publicKey);
  });

  test('a second encoding of the same statement is refused', () => {
    const [header, unprotected, body, signed] = items as [
      Uint8Array,
      Uint8Array,
      Uint8Array,
      Uint8Array,
    ];
    const long = concat(Uint8Array.of(0x59, 0, payload.length), payload);
    const others: readonly (readonly [string, Uint8Array])[] = [
      ['without its tag', assemble([0x84], ...items)],
      ['tagged twice', assemble([0xd2, 0xd2, 0x84], ...items)],
      ['a long tag', assemble([0xd8, 0x12, 0x84], ...items)],
      ['a long array length', assemble([0xd2, 0x98, 0x04], ...items)],
      ['an array without length', assemble([0xd2, 0x9f], ...items, Uint8Array.of(0xff))],
      ['a long byte string length', assemble([0xd2, 0x84], header, unprotected, long, signed)],
      ['bytes after it', concat(bytes, Uint8Array.of(0))],
      ['cut off', bytes.subarray(0, -1)],
      [
        'a payload in pieces',
        assemble(
          [0xd2, 0x84],
          header,
          unprotected,
          Uint8Array.of(0x5f),
          body,
          Uint8Array.of(0xff),
          signed,
        ),
      ],
    ];
    for (const [what, other] of others) assert.throws(() => parseStatement(other), MALFORMED, what);
  });

  test('an unprotected header, which nobody signed, is refused', () => {
    const unprotected = new Map<Cbor, Cbor>([[394, [utf8('receipt')]]]);
    const other = encodeSign1({ protectedBytes, unprotected, payload, signature });
    assert.throws(() => parseStatement(other), MALFORMED);
  });

  test('a detached payload is refused', () => {
    const other = encodeSign1({ protectedBytes, payload: null, signature });
    assert.throws(() => parseStatement(other), MALFORMED);
  });

  test('a protected header out of order, or beyond its bound, is refused', () => {
    const [, alg] = [...sign1.header].find(([label]) => label === 1) ?? [];
    const rest = new Map([...sign1.header].filter(([label]) => label !== 1));
    const sorted = encode(rest);
    const moved = concat(
      Uint8Array.of((sorted[0] as number) + 1),
      sorted.subarray(1),
      encode(1),
      encode(alg ?? null),
    );
    const disordered = encodeSign1({ protectedBytes: moved, payload, signature });
    assert.throws(() => parseStatement(disordered), MALFORMED);
    const document = { type: 'notes', digest: sha256(payload), where: 'x'.repeat(500) };
    const oversized = {
      kind: 'release',
      issuer: 'a',
      subject: 'b',
      counter: 1n,
      release: {
        version: '1',
        urgency: 'security',
        documents: Array.from({ length: 16 }, () => document),
      },
    } as const;
    assert.throws(() => createStatement(sampleKey('author'), oversized, payload), MALFORMED);
  });

  test('a signature in DER is refused', () => {
    const der = concat(Uint8Array.of(0x30, 0x44, 0x02, 0x20), signature.subarray(0, 32));
    const other = encodeSign1({ protectedBytes, payload, signature: der });
    assert.throws(() => parseStatement(other), MALFORMED);
  });

  test('the other s of an ECDSA signature, which anybody can compute, is refused', () => {
    const key = privateKey('P-256', sha256(utf8('p256 author')));
    const low = sample(key);
    authenticate(low, key.publicKey);
    const s = BigInt(`0x${low.sign1.signature.subarray(32).toHex()}`);
    const high = Uint8Array.fromHex((P256_ORDER - s).toString(16).padStart(64, '0'));
    const signed = concat(low.sign1.signature.subarray(0, 32), high);
    const other = parseStatement(encodeSign1({ ...low.sign1, signature: signed }));
    assert.throws(() => authenticate(other, key.publicKey), { code: 'STATEMENT_HIGH_S' });
    // What it says is the same, and is known to be: only its entry would be another.
    assert.ok(equal(other.signingDigest, low.signingDigest));
    assert.ok(!equal(other.entry, low.entry));
  });
});
