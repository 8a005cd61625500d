import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fromHex } from '../bytes.ts';
import { formatCheckpoint, originOf, parseCheckpoint } from './checkpoint.ts';

const root = fromHex('01'.repeat(32));
const origin = originOf(fromHex('ab'.repeat(32)));
const text = `firmament/${'ab'.repeat(32)}\n12\nAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=\n`;
const code = { code: 'LOG_CHECKPOINT_MALFORMED' };

test('a head and its text', () => {
  assert.equal(formatCheckpoint({ origin, size: 12, root }), text);
  assert.deepEqual(parseCheckpoint(text), { origin, size: 12, root });
  const empty = text.replace('\n12\n', '\n0\n');
  assert.equal(parseCheckpoint(empty).size, 0);
});

test('one head has one text', () => {
  const bad = [
    '',
    text.slice(0, -1),
    `${text}\n`,
    `${text}extension\n`,
    text.replaceAll('\n', '\r\n'),
    ...['012', '+12', ' 12', '12 ', '-1', '1e1', '0x1', '', '９', '9007199254740992'].map((size) =>
      text.replace('12', size),
    ),
    text.replace('QE=', 'QE'),
    text.replace('QE=', 'QF='),
    text.replace('AQE', 'AQE '),
    text.replace('AQE', '\tAQE'),
    text.replace('AQEB', ''),
    text.replace('AQE', '-_E'),
    text.replace(origin, ''),
    text.replace(origin, 'a\u0000b'),
    text.replace(origin, 'x'.repeat(300)),
    text.replace(origin, '\ud800'),
    'x'.repeat(10_000),
  ];
  for (const one of bad) assert.throws(() => parseCheckpoint(one), code, JSON.stringify(one));
});

test('each rule of the form stands by itself', () => {
  const because = (bad: string, message: string) =>
    assert.throws(() => parseCheckpoint(bad), { ...code, message });
  because('x'.repeat(10_000), 'longer than the bound');
  because(`${text}extension\n`, 'a checkpoint has exactly three lines');
  because(text.replace('\n12\n', '\n012\n'), 'not a decimal size');
  because(text.replace('AQE', 'AQE '), 'not the one form');
});

test('what is no head has no text', () => {
  for (const size of [-1, 1.5, 2 ** 53, Number.NaN])
    assert.throws(() => formatCheckpoint({ origin, size, root }), code);
  assert.throws(() => formatCheckpoint({ origin, size: 1, root: root.slice(1) }), code);
  assert.throws(() => formatCheckpoint({ origin: 'a\nb', size: 1, root }), code);
});
