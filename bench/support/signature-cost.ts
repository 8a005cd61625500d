/** Where a validator's CPU goes, and that each signature is verified once a node: one node is profiled, one counted. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { nodesOf } from '../../src/registry/policy.ts';
import { startBenchNetwork } from './bench-network.ts';
import { lanesOf, portsOf } from './consortium-load.ts';
import { send } from './load.ts';
import { calls, readProfile } from './profile.ts';
import type { BenchOptions, Row } from './row.ts';

const PROFILED = 'a/n1';
const COUNTED = 'b/n1';

export async function signatureRows({ quick, say }: BenchOptions): Promise<readonly Row[]> {
  say('4 validators, one profiled and one counted');
  const folder = await mkdtemp(join(tmpdir(), 'firmament-profile-'));
  await using cleanup = new AsyncDisposableStack();
  cleanup.defer(() => rm(folder, { recursive: true, force: true }));
  const profile = join(folder, 'profile');
  const counts = join(folder, 'counts');
  mkdirSync(counts);
  const seconds = quick ? 1 : 8;
  let statements = 0;
  {
    await using network = await startBenchNetwork({
      operators: 4,
      consortium: 'in force',
      env: (name) =>
        name === PROFILED
          ? { NODE_OPTIONS: `--cpu-prof --cpu-prof-dir=${profile}` }
          : name === COUNTED
            ? { NODE_V8_COVERAGE: counts }
            : {},
    });
    const names = nodesOf(network.genesis.policy).map(({ name }) => name);
    const lanes = lanesOf(network, 'author', quick ? 8 : 32, seconds);
    const sent = await send(portsOf(network, names), lanes, seconds);
    statements = sent.done + 2 * lanes.length;
  }
  const verified = calls(counts, 'src/cose/sign1.ts', 'verifySign1');
  const shares = [...readProfile(profile)].toSorted(([, a], [, b]) => b - a);
  return [
    {
      name: 'statement signatures verified a statement and node',
      value: verified / statements,
      unit: '',
      aim: { atMost: 1.05 },
      note: `${verified} for ${statements} statements, counted by V8 on one of 4 validators, over HTTPS, CheckTx, proposals and blocks`,
    },
    ...shares.map(([part, share]): Row => ({
      name: `  CPU of the node process: ${part}`,
      value: share * 100,
      unit: '%',
      ...(part === 'rest' && {
        note: 'the event loop’s own native code, sockets, files, this profile',
      }),
    })),
  ];
}
