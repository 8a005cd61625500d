/** `npm run faults`: four validators under random faults, for as long as is said. */
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { codeOf } from '../../errors.ts';
import { findBinary } from '../../ledger/cometbft/binary.ts';
import { FAULTS } from './faults.ts';
import { reportLines } from './report.ts';
import { runFaults } from './run.ts';

const USAGE = `Usage: npm run faults -- --minutes N [--seed S] [--engine cometbft] [--only KIND]...

Four members of four operators and a node that follows them, each with a machine of its own (network namespaces,
for which one has to be root on Linux; without them there are no partitions). Authors register and publish, devices ask all
the time; engines, nodes and pairs are killed, links cut, disks wiped, clocks moved, and one of four lies. Exit code 0 only
if nothing that was promised was broken.

  --minutes N   how long faults go on; the last one is waited for
  --seed S      the faults of an earlier run again
  --only KIND   only this kind, more than once if you like: ${FAULTS.map(({ kind }) => `"${kind}"`).join(', ')}`;

const PROJECT = join(import.meta.dirname, '../../..');

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      minutes: { type: 'string' },
      seed: { type: 'string' },
      engine: { type: 'string', default: 'cometbft' },
      only: { type: 'string', multiple: true },
      help: { type: 'boolean', short: 'h' },
    },
  });
  if (values.help === true) return told(USAGE, 0);
  const minutes = Number(values.minutes ?? Number.NaN);
  const seed = Number(values.seed ?? Math.floor(Math.random() * 2 ** 31));
  if (!(minutes > 0) || !Number.isInteger(seed) || values.engine !== 'cometbft')
    return told(USAGE, 2);
  const unknown = values.only?.find((only) => !FAULTS.some(({ kind }) => kind === only));
  if (unknown !== undefined) return told(`no such kind: ${unknown}\n\n${USAGE}`, 2);
  const stop = new AbortController();
  const onSignal = (): void => stop.abort();
  process.on('SIGINT', onSignal).on('SIGTERM', onSignal).on('SIGHUP', onSignal);
  try {
    const binary = await findBinary({
      named: process.env['FIRMAMENT_COMETBFT'],
      project: PROJECT,
      path: process.env['PATH'],
    });
    say(`seed ${seed}`);
    const report = await runFaults({
      minutes,
      seed,
      binary,
      say,
      signal: stop.signal,
      kinds: values.only,
    });
    for (const line of ['', ...reportLines(report)]) say(line);
    if (stop.signal.aborted) say('Cut off.');
    return report.violations.length === 0 && !stop.signal.aborted ? 0 : 1;
  } catch (error) {
    const code = codeOf(error);
    process.stderr.write(
      `${code ? `${code}: ${(error as Error).message}` : String((error as Error).stack)}\n`,
    );
    return 1;
  }
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

function told(text: string, code: number): number {
  process.stderr.write(`${text}\n`);
  return code;
}

process.exitCode = await main();
