import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Screen } from './screen.ts';

function terminal(isTTY: boolean) {
  const written: string[] = [];
  return { isTTY, columns: 40, written, write: (text: string) => void written.push(text) };
}

test('without a terminal there are only lines', () => {
  const plain = terminal(false);
  const screen = new Screen(plain, () => ['picture']);
  screen.say('one', 'good');
  screen.refresh();
  screen.say('two');
  assert.equal(plain.written.join(''), 'one\ntwo\n');
});

test('on a terminal the picture stays below what is said, cut to its width', () => {
  const live = terminal(true);
  using screen = new Screen(live, () => ['x'.repeat(100), 'y']);
  screen.say('one');
  screen.say('two');
  const picture = `${'x'.repeat(39)}\ny\n`;
  assert.equal(live.written.join(''), `one\n${picture}\r\u001b[2A\u001b[0Jtwo\n${picture}`);
});
