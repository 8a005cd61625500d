/** A short fault run with a seed: faults of every size, one liar, and nothing that was promised is broken. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { requireComet } from '../../src/testing/cometbft.ts';
import { reportLines } from '../../src/testing/fault-run/report.ts';
import { runFaults } from '../../src/testing/fault-run/run.ts';

const KINDS = [
  'SIGKILL pair',
  'SIGKILL two members',
  'partition 1|3',
  'wiped disk',
  'Byzantine: garbage',
];

test('four validators under faults keep every promise', { timeout: 400_000 }, async (t) => {
  const binary = await requireComet(t);
  if (binary === undefined) return;
  const said: string[] = [];
  const report = await runFaults({
    minutes: 1,
    seed: 6,
    binary,
    kinds: KINDS,
    say: (line) => void said.push(line),
    signal: t.signal,
  });
  for (const line of reportLines(report)) t.diagnostic(line);
  assert.deepEqual(report.violations, [], said.join('\n'));
  assert.ok(report.faults.size >= 2, 'several kinds of faults');
  assert.ok(report.acknowledged > 20, `${report.acknowledged} acknowledged`);
  assert.equal(report.found, report.acknowledged);
  assert.ok(report.devices.installed >= 3, 'devices installed what was published');
});
