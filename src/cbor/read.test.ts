import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  asArray,
  asBool,
  asBytes,
  asInt,
  asMap,
  asText,
  asUint,
  asUint64,
  onlyKeys,
} from './read.ts';

const wrong = { code: 'CBOR_TYPE' };

test('typed reads give the value or name the place', () => {
  assert.equal(asMap(new Map(), 'it').size, 0);
  assert.deepEqual(asArray([1, 2], 'it', 2), [1, 2]);
  assert.deepEqual(asBytes(Uint8Array.of(1), 'it', 1), Uint8Array.of(1));
  assert.deepEqual(asBytes(Uint8Array.of(1), 'it', { max: 1 }), Uint8Array.of(1));
  assert.equal(asText('é', 'it', 2), 'é');
  assert.equal(asUint(0, 'it'), 0);
  assert.equal(asUint64(5, 'it'), 5n);
  assert.equal(asUint64(2n ** 64n - 1n, 'it'), 2n ** 64n - 1n);
  assert.equal(asInt(-5, 'it'), -5);
  assert.equal(asBool(false, 'it'), false);
  assert.throws(() => asMap([], 'the header'), { ...wrong, message: 'the header must be a map' });
});

test('typed reads refuse other types, lengths and ranges', () => {
  for (const value of [undefined, null, [], 1, 'x', Uint8Array.of(1)])
    assert.throws(() => asMap(value, 'it'), wrong);
  for (const value of [undefined, null, new Map(), 'xy', Uint8Array.of(1)])
    assert.throws(() => asArray(value, 'it'), wrong);
  assert.throws(() => asArray([1], 'it', 2), wrong);
  for (const value of [undefined, null, [1], '1']) assert.throws(() => asBytes(value, 'it'), wrong);
  assert.throws(() => asBytes(Uint8Array.of(1), 'it', 2), wrong);
  assert.throws(() => asBytes(Uint8Array.of(1, 2), 'it', { max: 1 }), wrong);
  assert.throws(() => asText(1, 'it'), wrong);
  assert.throws(() => asText('é', 'it', 1), wrong);
  for (const value of [undefined, -1, 2n ** 53n, '1', true, null])
    assert.throws(() => asUint(value, 'it'), wrong);
  for (const value of [undefined, -1, -(2n ** 60n), '1'])
    assert.throws(() => asUint64(value, 'it'), wrong);
  for (const value of [undefined, 2n ** 53n, -(2 ** 53), '1'])
    assert.throws(() => asInt(value, 'it'), wrong);
  for (const value of [undefined, 0, null]) assert.throws(() => asBool(value, 'it'), wrong);
});

test('onlyKeys refuses a key that the format does not name', () => {
  const map = new Map([[1, 0]]);
  assert.doesNotThrow(() => onlyKeys(map, [1, 2], 'it'));
  assert.throws(() => onlyKeys(map, [2], 'it'), wrong);
  assert.throws(() => onlyKeys(new Map([[Uint8Array.of(1), 0]]), [1], 'it'), wrong);
});
