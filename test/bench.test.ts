import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';

const MAIN = join(import.meta.dirname, '../bench/main.ts');

test('every figure of the bench can be measured', () => {
  const folder = mkdtempSync(join(tmpdir(), 'firmament-bench-test-'));
  try {
    const json = join(folder, 'rows.json');
    const { status, stderr } = spawnSync(process.execPath, [MAIN, '--quick', '--json', json], {
      encoding: 'utf8',
      timeout: 240_000,
    });
    assert.equal(status, 0, stderr);
    const { rows } = JSON.parse(readFileSync(json, 'utf8')) as {
      rows: readonly { bench: string; name: string; value: number; unit: string }[];
    };
    const benches = new Set(rows.map(({ bench }) => bench));
    for (const name of [
      'registrations',
      'proofs',
      'latest',
      'images',
      'publish',
      'size',
      'disk',
      'overload',
      'gateway',
      'suit',
    ])
      assert.ok(benches.has(name), name);
    for (const { name, value } of rows) assert.ok(Number.isFinite(value) && value > 0, name);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
