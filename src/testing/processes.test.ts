import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { createNetwork } from '../node/setup.ts';
import { testPlan } from './network-plan.ts';
import { runCommand, startNodeProcess } from './processes.ts';

test('a node as a process: killed, started again on its port, stopped in time', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'firmament-processes-'));
  await using cleanup = new AsyncDisposableStack();
  cleanup.defer(() => rm(folder, { recursive: true }));
  const plan = await testPlan({ operators: 1 });
  const { configs } = await createNetwork(plan, folder, Math.floor(Date.now() / 1000));
  const config = configs.get('a/n1') as string;
  const first = cleanup.use(await startNodeProcess(config));
  await first.kill();
  assert.equal((await first.ended).signal, 'SIGKILL');
  const second = cleanup.use(await startNodeProcess(config));
  assert.notEqual(second.pid, first.pid);
  const from = performance.now();
  assert.deepEqual(await second.stop(), { code: 0, signal: null });
  assert.ok(performance.now() - from < 2000, 'stops in less than 2 s');
  await assert.rejects(
    second.event(() => true),
    /before the event/,
  );
});

test('a command that refuses says so by its exit code', async () => {
  const refused = await runCommand(['node', 'start', 'no-such-file']);
  assert.equal(refused.code, 2);
  assert.ok(refused.stderr.length > 0);
});
