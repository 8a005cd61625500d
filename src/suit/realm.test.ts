/** An outsider may use src/suit where there is no Node: in a browser, or in any JavaScript engine. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';

test('verifying, processing, decrypting and reporting need nothing of Node', async () => {
  const child = join(import.meta.dirname, 'realm.child.ts');
  const flags = ['--experimental-vm-modules', '--disable-warning=ExperimentalWarning'];
  const { stdout } = await promisify(execFile)(process.execPath, [...flags, child]);
  const { lines, ...answer } = JSON.parse(stdout) as {
    readonly lines: number;
    readonly held: readonly string[];
  };
  assert.deepEqual(answer, {
    sequence: '2',
    held: ['This is a real firmware image.', answer.held[1]],
    told: 'The device did all that it was asked to.',
    inspected: true,
    globals: [],
  });
  assert.ok(lines > 50);
});
