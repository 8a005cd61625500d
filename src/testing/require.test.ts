import assert from 'node:assert/strict';
import { test } from 'node:test';
import { requirePart } from './require.ts';

function recorder() {
  const skips: (string | undefined)[] = [];
  return { skips, skip: (message?: string) => void skips.push(message) };
}

test('a missing part skips, and fails where it is required', () => {
  const before = process.env['FIRMAMENT_REQUIRE'];
  try {
    process.env['FIRMAMENT_REQUIRE'] = 'other, part';
    const t = recorder();
    assert.equal(requirePart(t, 'part', true, 'install it'), true);
    assert.throws(() => requirePart(t, 'part', false, 'install it'), /required here.*install it/);
    assert.deepEqual(t.skips, []);
    delete process.env['FIRMAMENT_REQUIRE'];
    assert.equal(requirePart(t, 'part', false, 'install it'), false);
    assert.deepEqual(t.skips, ['needs "part": install it']);
  } finally {
    if (before === undefined) delete process.env['FIRMAMENT_REQUIRE'];
    else process.env['FIRMAMENT_REQUIRE'] = before;
  }
});
