import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sha256 } from '#crypto';
import { concat, fromHex, hex, utf8 } from '../bytes.ts';
import { decodeMapProof, encodeMapProof, verifyMapProof, type MapProof } from './prefix-map.ts';

// Three keys that part at depth 0 and, two of them, at depth 3: 0000..., 0001..., 1000...
const [a, b, c] = ['00', '10', '80'].map((first) => fromHex(first.padEnd(64, '0'), 32)) as [
  Uint8Array,
  Uint8Array,
  Uint8Array,
];
const value = utf8('value');
const leaf = (key: Uint8Array) => sha256(concat(Uint8Array.of(2), key, sha256(value)));
const node = (left: Uint8Array, right: Uint8Array) => sha256(concat(Uint8Array.of(3), left, right));
const EMPTY = new Uint8Array(32);
const root = node(node(node(node(leaf(a), leaf(b)), EMPTY), EMPTY), leaf(c));

/** The proof of a: siblings at depth 1 (c) and 4 (b), none at 2 and 3. */
const present: MapProof = {
  depth: 4,
  bitmap: Uint8Array.of(0b1001_0000),
  siblings: concat(leaf(c), leaf(b)),
  terminal: true,
};
const terminal = (key: Uint8Array) => ({ key, valueHash: sha256(value) });

test('the worked example of docs/spec/log.md', () => {
  assert.equal(hex(root), '35b78c5e6707f31d63b944d4d45421cc23661de7f1afa478c59b65e6445c6436');
});

test('presence, an empty place and the leaf of another key lead to the root', () => {
  assert.deepEqual(verifyMapProof({ key: a, value, proof: present }), root);
  // 01...: the empty place at depth 2; 0000...01: a's leaf stands there; 11...: c's.
  const deep = node(node(leaf(a), leaf(b)), EMPTY);
  const empty = fromHex('40'.padEnd(64, '0'));
  const place = { depth: 2, bitmap: Uint8Array.of(0xc0), siblings: concat(leaf(c), deep) };
  const proof = { ...place, terminal: null };
  assert.deepEqual(verifyMapProof({ key: empty, value: null, proof }), root);
  const close = fromHex('01'.padStart(64, '0'));
  const other = { ...present, terminal: terminal(a) };
  assert.deepEqual(verifyMapProof({ key: close, value: null, proof: other }), root);
});

test('the empty map and the map of one key have proofs of depth 0', () => {
  const top = { depth: 0, bitmap: new Uint8Array(0), siblings: new Uint8Array(0) };
  const nothing = { ...top, terminal: null };
  assert.deepEqual(verifyMapProof({ key: a, value: null, proof: nothing }), EMPTY);
  const alone = { ...top, terminal: terminal(b) };
  assert.deepEqual(verifyMapProof({ key: a, value: null, proof: alone }), leaf(b));
  assert.deepEqual(verifyMapProof({ key: a, value, proof: { ...top, terminal: true } }), leaf(a));
});

test('absence is not shown by the leaf of the key itself', () => {
  const proof = { ...present, terminal: terminal(a) };
  assert.throws(() => verifyMapProof({ key: a, value: null, proof }), {
    code: 'LOG_MAP_PROOF_INVALID',
  });
});

test('absence is not shown by a leaf that stands elsewhere', () => {
  // c's leaf would have to be in the left half, where it agrees in no bit.
  const proof = { ...present, terminal: terminal(c) };
  assert.throws(() => verifyMapProof({ key: a, value: null, proof }), {
    code: 'LOG_MAP_PROOF_INVALID',
  });
  // b agrees with a in 3 bits, and 4 are asked for.
  const near = { ...present, terminal: terminal(b) };
  assert.throws(() => verifyMapProof({ key: a, value: null, proof: near }), {
    code: 'LOG_MAP_PROOF_INVALID',
  });
});

test('a proof of presence says nothing about absence, and the reverse', () => {
  const code = { code: 'LOG_MAP_PROOF_INVALID' };
  assert.throws(() => verifyMapProof({ key: a, value: null, proof: present }), code);
  for (const foot of [null, terminal(b)])
    assert.throws(
      () => verifyMapProof({ key: a, value, proof: { ...present, terminal: foot } }),
      code,
    );
});

test('a proof of another shape is malformed', () => {
  const bad: Partial<MapProof>[] = [
    { depth: -1 },
    { depth: 257, bitmap: new Uint8Array(33) },
    { depth: 3.5 },
    { depth: 9 },
    { bitmap: new Uint8Array(0) },
    { bitmap: Uint8Array.of(0b1001_0000, 0) },
    // A spare bit is set, with and without a sibling for it.
    { bitmap: Uint8Array.of(0b1001_1000) },
    { bitmap: Uint8Array.of(0b1001_1000), siblings: concat(leaf(c), leaf(b), leaf(b)) },
    // One sibling too few, too many, half a one.
    { siblings: leaf(c) },
    { siblings: concat(leaf(c), leaf(b), leaf(b)) },
    { siblings: concat(leaf(c), leaf(b)).slice(1) },
    // An empty sibling written out.
    { siblings: concat(EMPTY, leaf(b)) },
    // Nothing beside the terminal: it would stand higher.
    { bitmap: Uint8Array.of(0b1000_0000), siblings: leaf(c) },
    { terminal: { key: b.slice(1), valueHash: sha256(value) } },
    { terminal: { key: b, valueHash: value } },
  ];
  for (const change of bad)
    assert.throws(
      () => verifyMapProof({ key: a, value, proof: { ...present, ...change } }),
      { code: 'LOG_MAP_PROOF_MALFORMED' },
      JSON.stringify(change),
    );
  // Deeper than a key has bits, and otherwise well made.
  const bitmap = new Uint8Array(33).with(32, 0x80);
  const deep = { ...present, depth: 257, bitmap, siblings: leaf(c) };
  assert.throws(() => verifyMapProof({ key: a, value, proof: deep }), {
    code: 'LOG_MAP_PROOF_MALFORMED',
  });
  assert.throws(() => verifyMapProof({ key: a.slice(1), value, proof: present }), {
    code: 'LOG_MAP_PROOF_MALFORMED',
  });
});

test('the CBOR array of a proof, both ways', () => {
  for (const foot of [true, null, terminal(b)] as const) {
    const proof = { ...present, terminal: foot };
    assert.deepEqual(decodeMapProof(encodeMapProof(proof)), proof);
  }
  const [depth, bitmap, siblings] = [4, Uint8Array.of(0x90), concat(leaf(c), leaf(b))];
  const type = { code: 'CBOR_TYPE' };
  assert.throws(() => decodeMapProof([depth, bitmap, siblings]), type);
  assert.throws(() => decodeMapProof([depth, bitmap, siblings, false]), type);
  assert.throws(() => decodeMapProof([depth, bitmap, siblings, [a]]), type);
  assert.throws(() => decodeMapProof([depth, bitmap, siblings, [a, value]]), type);
  assert.throws(() => decodeMapProof([256, bitmap, new Uint8Array(257 * 32), true]), type);
  assert.throws(() => decodeMapProof([5, bitmap, siblings, true]), {
    code: 'LOG_MAP_PROOF_MALFORMED',
  });
});
