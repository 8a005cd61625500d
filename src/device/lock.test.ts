import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { lockDevice } from './lock.ts';

const folder = mkdtempSync(join(tmpdir(), 'firmament-lock-'));
after(() => rmSync(folder, { recursive: true }));

test('one at a time, also within a process', async () => {
  {
    await using lock = lockDevice(folder);
    assert.ok(lock);
    assert.throws(() => lockDevice(folder), { code: 'DEVICE_LOCKED' });
  }
  await lockDevice(folder)[Symbol.asyncDispose]();
});

test('a process that is killed leaves no lock behind', async () => {
  const program = `const { lockDevice } = await import(${JSON.stringify(join(import.meta.dirname, 'lock.ts'))});
    globalThis.lock = lockDevice(${JSON.stringify(folder)}); console.log('has it'); setInterval(() => 0, 1000);`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', program], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await once(child.stdout, 'data');
  try {
    assert.throws(() => lockDevice(folder), { code: 'DEVICE_LOCKED' });
  } finally {
    child.kill('SIGKILL');
    await once(child, 'exit');
  }
  await lockDevice(folder)[Symbol.asyncDispose]();
});

test('a folder that can not be written', () => {
  assert.throws(() => lockDevice(join(folder, 'nowhere')), { code: 'DEVICE_STORAGE_IO' });
});
