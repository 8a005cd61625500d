import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { parsePlan } from './plan.ts';
import { createNetwork } from './setup.ts';

test('a member list says whether PSK authors are allowed (T07); not, unless it says so', async () => {
  const members = readFileSync(join(import.meta.dirname, '../../examples/members.json'), 'utf8');
  const plan = JSON.parse(members) as Record<string, unknown>;
  assert.equal(parsePlan(members).pskAuthors, false);
  const allowing = parsePlan(JSON.stringify({ ...plan, mode: 'private', pskAuthors: true }));
  assert.equal(allowing.pskAuthors, true);
  assert.throws(() => parsePlan(JSON.stringify({ ...plan, pskAuthors: 'yes' })), {
    code: 'NODE_CONFIG',
  });
  const folder = mkdtempSync(join(tmpdir(), 'firmament-setup-'));
  try {
    const made = await createNetwork(allowing, join(folder, 'private'), 1_000_000);
    assert.equal(made.genesis.policy.pskAuthors, true);
    const elsewhere = createNetwork({ ...allowing, mode: 'consortium' }, folder, 1_000_000);
    await assert.rejects(elsewhere, { code: 'POLICY_QUORUM' });
  } finally {
    rmSync(folder, { recursive: true });
  }
});

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
