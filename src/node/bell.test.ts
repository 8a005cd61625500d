import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Bell } from './bell.ts';

const NEVER = new AbortController().signal;

test('a bell that rang before it was listened for is heard once', async () => {
  const bell = new Bell();
  bell.ring();
  bell.ring();
  const from = performance.now();
  await bell.heard(5000, NEVER);
  assert.ok(performance.now() - from < 1000);
  await bell.heard(20, NEVER);
  assert.ok(performance.now() - from >= 15, 'the second time there is nothing to hear');
});

test('a bell is heard while it is listened for, and at the end of a signal', async () => {
  const bell = new Bell();
  const from = performance.now();
  setTimeout(bell.ring, 5);
  await bell.heard(5000, NEVER);
  const stop = new AbortController();
  setTimeout(() => stop.abort(), 5);
  await bell.heard(5000, stop.signal);
  await bell.heard(5000, stop.signal);
  assert.ok(performance.now() - from < 1000);
});
