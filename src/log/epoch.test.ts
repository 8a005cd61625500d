import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sha256 } from '#crypto';
import { concat, fromHex, hex, utf8 } from '../bytes.ts';
import { encode } from '../cbor/encode.ts';
import type { Cbor } from '../cbor/value.ts';
import { decodeEpoch, encodeEpoch, epochEntry } from './epoch.ts';

const hash = (byte: number) => new Uint8Array(32).fill(byte);
const row = [7, 1_790_000_000, hash(1), hash(2), 3, hash(4), 41] as const;
const epoch = {
  height: 7,
  time: 1_790_000_000,
  mapRoot: hash(1),
  stateRoot: hash(2),
  policyVersion: 3,
  policyHash: hash(4),
  previous: 41,
};

test('the bytes of an epoch', () => {
  const cbor = concat(
    fromHex(`87071a6ab13b805820${'01'.repeat(32)}5820${'02'.repeat(32)}`),
    fromHex(`035820${'04'.repeat(32)}1829`),
  );
  assert.equal(hex(encodeEpoch(epoch)), hex(cbor));
  assert.deepEqual(decodeEpoch(cbor), epoch);
  assert.deepEqual(epochEntry(epoch), sha256(concat(utf8('firmament/epoch/v1'), cbor)));
});

test('the first epoch has none before it', () => {
  const first = { ...epoch, height: 0, previous: null };
  assert.deepEqual(decodeEpoch(encodeEpoch(first)), first);
});

test('every field changes the entry', () => {
  const changes = [
    { height: 8 },
    { time: 1 },
    { mapRoot: hash(9) },
    { stateRoot: hash(9) },
    { policyVersion: 4 },
    { policyHash: hash(9) },
    { previous: null },
  ];
  const entries = [{}, ...changes].map((change) => hex(epochEntry({ ...epoch, ...change })));
  assert.equal(new Set(entries).size, entries.length);
});

test('anything else is refused', () => {
  const code = { code: 'LOG_EPOCH_MALFORMED' };
  const refused = (...items: readonly Cbor[]) =>
    assert.throws(() => decodeEpoch(encode([...items])), code);
  refused(...row.slice(0, 6));
  refused(...row, 0);
  refused(-1, ...row.slice(1));
  refused(...row.slice(0, 2), hash(1).slice(1), ...row.slice(3));
  refused(...row.slice(0, 6), false);
  assert.throws(() => decodeEpoch(concat(encodeEpoch(epoch), Uint8Array.of(0))), code);
  assert.throws(() => decodeEpoch(new Uint8Array(0)), code);
  assert.throws(() => decodeEpoch(new Uint8Array(1000)), code);
});
