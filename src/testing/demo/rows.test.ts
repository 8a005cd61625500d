import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatRows, Rows, type Row } from './rows.ts';

test('a step holds when it saw what was expected, and not when it throws', async () => {
  const told: Row[] = [];
  const rows = new Rows(new AbortController().signal, (row) => void told.push(row));
  const node = { name: 'acme/one', log: () => ['its last line'] };
  assert.equal(await rows.judge('a', 'X_CODE', [node], async () => 'X_CODE'), true);
  assert.equal(await rows.judge('b', 'X_CODE', [node], async () => 'installed'), false);
  const throws = async (): Promise<string> => {
    throw new Error('no such node\nmore');
  };
  assert.equal(await rows.judge('c', 'up', [], throws), false);
  assert.deepEqual(
    told.map(({ what, seen, ok }) => [what, seen, ok]),
    [
      ['a', 'X_CODE', true],
      ['b', 'installed', false],
      ['c', 'Error: no such node', false],
    ],
  );
  assert.ok(rows.failures.some((line) => line.includes('its last line')));
  assert.match(formatRows(rows.all).join('\n'), /^b +X_CODE +installed +NO/m);
});

test('nothing is judged once it was cut off', async () => {
  const stop = new AbortController();
  const rows = new Rows(stop.signal, () => undefined);
  const cut = rows.judge('a', 'up', [], async () => {
    stop.abort();
    throw new Error('killed');
  });
  await assert.rejects(cut, { name: 'AbortError' });
  await assert.rejects(
    rows.judge('b', 'up', [], async () => 'up'),
    { name: 'AbortError' },
  );
  assert.deepEqual(rows.all, []);
});
