/** `firmament demo`: a whole network on this machine, and attacks on it. */
import { statSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { findBinary } from '../ledger/cometbft/binary.ts';
import { UsageError } from './arguments.ts';
import { EXIT, type Io } from './io.ts';

const USAGE = `Usage: firmament demo [--image FILE] [--keep] [--json FILE] [--engine local | cometbft]

Brings up four nodes of four operators and devices of two models, each a process of its own; publishes and
updates; kills the author's node; then attacks. Ends with a table, and exit code 0 only if every row held.

  --image FILE     publish this file as 2.0.0 instead of the sample firmware
  --keep           leave everything running at the end, until Ctrl-C
  --json FILE      write {"rows": [{what, expected, seen, ok, ms}]}
  --engine NAME    the ledger's engine: local, where one node orders, or cometbft, where all four vote`;

const PROJECT = join(import.meta.dirname, '../..');
/** As large as a device's slot. */
const MAX_IMAGE = 64 << 20;

/** Exit codes: 0 every row held; 1 one did not; 2 usage, or no such file. Errors: ENGINE_BINARY_*. */
export async function demo(args: readonly string[], io: Io): Promise<number> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      image: { type: 'string' },
      keep: { type: 'boolean', default: false },
      json: { type: 'string' },
      engine: { type: 'string', default: 'local' },
      help: { type: 'boolean', short: 'h' },
    },
  });
  if (values.help === true) {
    io.stdout(USAGE);
    return EXIT.ok;
  }
  const { engine } = values;
  if (engine !== 'local' && engine !== 'cometbft')
    throw new UsageError('--engine is local or cometbft');
  if (values.image !== undefined) checkImage(values.image);
  // Without it not one node would start.
  if (engine === 'cometbft')
    await findBinary({
      named: process.env['FIRMAMENT_COMETBFT'],
      project: PROJECT,
      path: process.env['PATH'],
    });
  // Something to look at before anything is loaded.
  io.stdout('firmament demo: a network on this machine');
  const { runDemo } = await import('../testing/demo/run.ts');
  const stop = new AbortController();
  const onSignal = (): void => stop.abort();
  process.on('SIGINT', onSignal).on('SIGTERM', onSignal).on('SIGHUP', onSignal);
  const { json } = values;
  const { held } = await runDemo({
    engine,
    image: values.image,
    keep: values.keep,
    terminal: process.stdout,
    signal: stop.signal,
    onRows: async (rows) => {
      if (json !== undefined) await writeFile(json, `${JSON.stringify({ rows })}\n`);
    },
  });
  return held ? EXIT.ok : EXIT.refused;
}

function checkImage(file: string): void {
  const { size } = statSync(file);
  if (size === 0 || size > MAX_IMAGE)
    throw new UsageError(`--image has 1 B to 64 MiB, not ${size}`);
}
