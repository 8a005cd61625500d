import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { privateKey, sha256, sign } from '#crypto';
import { concat, equal, fromHex, hex, utf8 } from '../bytes.ts';
import { decode } from '../cbor/decode.ts';
import { encode, encodeBytesHeader } from '../cbor/encode.ts';
import type { Cbor } from '../cbor/value.ts';
import { VDP, VDS } from '../cose/claims.ts';
import { thumbprint } from '../cose/key.ts';
import { decodeSign1, encodeSign1, sigStructure, verifySign1 } from '../cose/sign1.ts';
import { originOf } from './checkpoint.ts';
import { leafHash, nodeHash, rootFromInclusion } from './merkle.ts';
import { createReceipt, verifyReceipt } from './receipt.ts';

const key = privateKey('Ed25519', new Uint8Array(32).fill(3));
const leaves = [0, 1, 2, 3, 4].map((i) => leafHash(sha256(utf8(`${i}`))));
const [l0, l1, l2, l3, l4] = leaves as [Uint8Array, Uint8Array, Uint8Array, Uint8Array, Uint8Array];
const left = nodeHash(l0, l1);
const root = nodeHash(nodeHash(left, nodeHash(l2, l3)), l4);
const path = [l3, left, l4];
const head = { size: 5, root };
const named = { origin: originOf(new Uint8Array(32).fill(1)), subject: 'a/b/c/stable' };
const expected = { key: key.publicKey, leafHash: l2 };
const receipt = createReceipt({ key, ...named, ...head, index: 2, path });
const malformed = { code: 'LOG_RECEIPT_MALFORMED' };
const invalid = { code: 'LOG_RECEIPT_INVALID' };

const claims: [Cbor, Cbor] = [
  15,
  new Map<Cbor, Cbor>([
    [1, named.origin],
    [2, named.subject],
  ]),
];
const kid: [Cbor, Cbor] = [4, thumbprint(key.publicKey)];
const header: readonly [Cbor, Cbor][] = [[1, -8], kid, claims, [395, 1]];
const proofBytes = encode([5, 2, path]);
const vdp = (proof: Uint8Array): [Cbor, Cbor] => [396, new Map<Cbor, Cbor>([[-1, [proof]]])];

/** A map's bytes with its members in the order given, duplicates and all. */
function rawMap(members: readonly (readonly [Cbor, Cbor])[]): Uint8Array {
  return concat(
    Uint8Array.of(0xa0 + members.length),
    ...members.flatMap(([label, value]) => [encode(label), encode(value)]),
  );
}

/** A receipt whose signature is good, whatever else is wrong with it. */
function forged(change: {
  readonly header?: readonly (readonly [Cbor, Cbor])[];
  readonly unprotected?: readonly (readonly [Cbor, Cbor])[];
  readonly payload?: Uint8Array;
  readonly over?: Uint8Array;
}): Uint8Array {
  const protectedBytes = rawMap(change.header ?? header);
  return concat(
    fromHex('d284'),
    encodeBytesHeader(protectedBytes.length),
    protectedBytes,
    rawMap(change.unprotected ?? [vdp(proofBytes)]),
    change.payload === undefined ? fromHex('f6') : encode(change.payload),
    encode(sign(key, sigStructure(protectedBytes, change.over ?? root))),
  );
}

test('the bytes are those of docs/spec/log.md', () => {
  assert.deepEqual(receipt, forged({}));
  assert.deepEqual(verifyReceipt(receipt, expected), {
    ...head,
    index: 2,
    issuer: named.origin,
    subject: named.subject,
  });
});

interface OutsideReceipt {
  readonly name: string;
  readonly curve: 'P-256' | 'Ed25519';
  readonly key: string;
  readonly leafEntry: string;
  readonly root: string | null;
  readonly valid: boolean;
  readonly receipt: string;
}

// They name neither issuer nor subject, which RFC 9943 asks for, so verifyReceipt refuses them all;
// their parts show that leaf, path, root and signature mean the same here as elsewhere.
test('the receipts of scitt-cose', () => {
  const url = new URL('../../test/vectors/log/receipts.json', import.meta.url);
  for (const vector of JSON.parse(readFileSync(url, 'utf8')) as readonly OutsideReceipt[]) {
    const bytes = fromHex(vector.receipt);
    const message = decodeSign1(bytes, { maxBytes: 8192, sorted: false });
    const proofs = message.unprotected.get(VDP) as ReadonlyMap<Cbor, readonly Uint8Array[]>;
    const proof = decode(proofs.get(-1)?.[0] as Uint8Array, { maxBytes: 8192 });
    const [size, index, path] = proof as readonly [number, number, readonly Uint8Array[]];
    const entry = leafHash(fromHex(vector.leafEntry));
    const led = rootFromInclusion({ leafHash: entry, size, index, path });
    const publicKey = { curve: vector.curve, bytes: fromHex(vector.key) };
    if (vector.valid) {
      assert.equal(hex(led), vector.root);
      assert.equal(message.header.get(VDS), 1);
      verifySign1(message, publicKey, led);
    } else if (message.header.get(VDS) === 1) {
      assert.throws(() => verifySign1(message, publicKey, led), { code: 'COSE_SIGNATURE_INVALID' });
    }
    const expected = { key: publicKey, leafHash: entry };
    assert.throws(() => verifyReceipt(bytes, expected), malformed, vector.name);
  }
});

test('a log of one entry has an empty path, no other log has', () => {
  const one = createReceipt({ key, ...named, size: 1, index: 0, path: [], root: l0 });
  assert.deepEqual(verifyReceipt(one, { ...expected, leafHash: l0 }).root, l0);
  const two = forged({ unprotected: [vdp(encode([2, 0, []]))], over: l0 });
  assert.throws(() => verifyReceipt(two, { ...expected, leafHash: l0 }), malformed);
});

test('another leaf, another key', () => {
  assert.throws(() => verifyReceipt(receipt, { ...expected, leafHash: l3 }), invalid);
  const other = privateKey('Ed25519', new Uint8Array(32).fill(4)).publicKey;
  assert.throws(() => verifyReceipt(receipt, { ...expected, key: other }), invalid);
  // The right kid, and a signature by another key.
  const message = decodeSign1(receipt, { maxBytes: 8192 });
  const signature = sign(
    privateKey('Ed25519', new Uint8Array(32).fill(4)),
    sigStructure(message.protectedBytes, root),
  );
  assert.throws(() => verifyReceipt(encodeSign1({ ...message, signature }), expected), invalid);
  const curve = privateKey('P-256', new Uint8Array(32).fill(4)).publicKey;
  assert.throws(() => verifyReceipt(receipt, { ...expected, key: curve }), invalid);
});

test('size, index and path fit exactly', () => {
  const bad: readonly Cbor[] = [
    [5, 5, path],
    [5, 2, path.slice(1)],
    [5, 2, [...path, l4]],
    [16, 2, path],
    [5, 2, [l3, left, l4.slice(1)]],
    [5, 2, [l3, left, 'text']],
    [5, 2],
    [5, 2, path, 0],
    [5, -1, path],
    [0, 0, []],
    [5n << 61n, 2, path],
    [5, 2, Array.from({ length: 64 }, () => l0)],
  ];
  for (const proof of bad)
    assert.throws(
      () => verifyReceipt(forged({ unprotected: [vdp(encode(proof))] }), expected),
      malformed,
    );
  const trailing = concat(proofBytes, Uint8Array.of(0));
  assert.throws(() => verifyReceipt(forged({ unprotected: [vdp(trailing)] }), expected), malformed);
});

test('the size is not signed: a receipt proves the root, and the caller looks up its size', () => {
  // In trees of 5 to 8 leaves the path of leaf 2 has three hashes, which are joined alike.
  const claimed = forged({ unprotected: [vdp(encode([6, 2, path]))] });
  const seen = verifyReceipt(claimed, expected);
  assert.equal(seen.size, 6);
  assert.ok(equal(seen.root, root), 'the root that was signed, which no head of size 6 has');
});

test('alg and vds count in the protected header only', () => {
  const without = (label: number) => header.filter(([key]) => key !== label);
  const beside = (member: [Cbor, Cbor]) => [member, vdp(proofBytes)];
  const bad = [
    { header: without(395) },
    { header: without(395), unprotected: beside([395, 1]) },
    { unprotected: beside([395, 1]) },
    { header: without(1), unprotected: beside([1, -8]) },
    { header: [...without(395), [395, 2]] as const },
    { header: [...without(395), [395, 'x']] as const },
  ];
  for (const change of bad) assert.throws(() => verifyReceipt(forged(change), expected), malformed);
});

test('issuer and subject are there, as CWT claims under label 15', () => {
  const [, both] = claims as [Cbor, Map<Cbor, Cbor>];
  const member = (label: number) => new Map([...both].filter(([key]) => key === label));
  const others = header.filter(([label]) => label !== 15);
  for (const label of [1, 2]) {
    const bad = forged({ header: [...others, [15, member(label)]] });
    assert.throws(() => verifyReceipt(bad, expected), malformed);
  }
  const old = forged({ header: [...others, [13, both]] });
  assert.throws(() => verifyReceipt(old, expected), malformed);
  assert.throws(() => verifyReceipt(forged({ header: others }), expected), malformed);
});

test('the key id is there and is the key', () => {
  const others = header.filter(([label]) => label !== 4);
  assert.throws(() => verifyReceipt(forged({ header: others }), expected), malformed);
  const short = forged({ header: [...others, [4, Uint8Array.of(1)]] });
  assert.throws(() => verifyReceipt(short, expected), invalid);
});

test('an attached payload, a critical parameter, a duplicate label are refused', () => {
  assert.throws(() => verifyReceipt(forged({ payload: root }), expected), malformed);
  const critical = forged({ header: [...header, [2, [999]], [999, 1]] });
  assert.throws(() => verifyReceipt(critical, expected), malformed);
  const twice = forged({ header: [...header, [395, 1]] });
  assert.throws(() => verifyReceipt(twice, expected), malformed);
  const proofs = forged({ unprotected: [vdp(proofBytes), vdp(proofBytes)] });
  assert.throws(() => verifyReceipt(proofs, expected), malformed);
});

test('exactly one proof of inclusion', () => {
  const proofs = (map: readonly [Cbor, Cbor][]) =>
    forged({ unprotected: [[396, new Map<Cbor, Cbor>(map)]] });
  assert.throws(() => verifyReceipt(forged({ unprotected: [] }), expected), malformed);
  assert.throws(() => verifyReceipt(proofs([]), expected), malformed);
  assert.throws(() => verifyReceipt(proofs([[-1, []]]), expected), malformed);
  assert.throws(() => verifyReceipt(proofs([[-1, proofBytes]]), expected), malformed);
  assert.throws(() => verifyReceipt(proofs([[-1, [proofBytes, proofBytes]]]), expected), malformed);
  assert.throws(() => verifyReceipt(proofs([[-2, [proofBytes]]]), expected), malformed);
});

test('the protected map of others may come in another order', () => {
  const [alg, kid, claims, vds] = header as [
    [Cbor, Cbor],
    [Cbor, Cbor],
    [Cbor, Cbor],
    [Cbor, Cbor],
  ];
  const other = forged({ header: [alg, vds, claims, kid] });
  assert.equal(verifyReceipt(other, expected).index, 2);
});

test('tag 18, no trailing bytes, no more than 8 KiB', () => {
  assert.throws(() => verifyReceipt(receipt.slice(1), expected), malformed);
  assert.throws(() => verifyReceipt(concat(receipt, Uint8Array.of(0)), expected), malformed);
  assert.throws(() => verifyReceipt(new Uint8Array(0), expected), malformed);
  assert.throws(() => verifyReceipt(new Uint8Array(10_000), expected), malformed);
  const long: [Cbor, Cbor] = [9000, new Uint8Array(9000)];
  assert.throws(() => verifyReceipt(forged({ header: [...header, long] }), expected), malformed);
  // The same bytes in an indefinite-length array.
  const open = concat(fromHex('d29f'), receipt.slice(2), fromHex('ff'));
  assert.throws(() => verifyReceipt(open, expected), malformed);
  assert.ok(decode(receipt, { maxBytes: 8192, tags: [18] }));
});
