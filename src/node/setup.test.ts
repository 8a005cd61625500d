import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { parsePlan } from './plan.ts';
import { createNetwork } from './setup.ts';

test('a network is never made over another', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'firmament-setup-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const members = join(import.meta.dirname, '../../examples/members.json');
  const plan = parsePlan(readFileSync(members, 'utf8'));
  const { genesis, rootFile } = await createNetwork(plan, folder, 1_000_000);
  const root = readFileSync(rootFile);
  await assert.rejects(createNetwork(plan, folder, 1_000_000), { code: 'EEXIST' });
  assert.deepEqual(readFileSync(rootFile), root);
  for (const path of ['genesis.cbor', 'acme/one/genesis.cbor'])
    assert.deepEqual(new Uint8Array(readFileSync(join(folder, path))), genesis.bytes);
});
