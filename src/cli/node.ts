/** `firmament node start CONFIG`: one node, until it is told to stop. */
import { parseArgs } from 'node:util';
import { readNodeConfig, readNodeKeys } from '../node/config.ts';
import { startNode } from '../node/node.ts';
import { EXIT, type Io } from './io.ts';
import { jsonLogger } from './json-logger.ts';
import { untilStopped } from './until-stopped.ts';

const USAGE = `Usage: firmament node start CONFIG [--cosigner-record-is-mine]

Runs the node that CONFIG (config.json) describes until SIGTERM or SIGINT. Logs JSON lines on stderr; prints one line
on stdout when it listens.

  --cosigner-record-is-mine   sign although fewer than n - f operators answered: the record on this disk is the
                              newest there is (T10); logged`;

export async function node(args: readonly string[], io: Io): Promise<number> {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      help: { type: 'boolean', short: 'h' },
      'cosigner-record-is-mine': { type: 'boolean' },
    },
  });
  const [verb, path] = positionals;
  if (values.help) {
    io.stdout(USAGE);
    return EXIT.ok;
  }
  if (verb !== 'start' || path === undefined || positionals.length !== 2) {
    io.stderr(USAGE);
    return EXIT.usage;
  }
  const config = readNodeConfig(path);
  const keys = readNodeKeys(config.keys);
  await using started = await startNode(config, keys, {
    clock: () => Math.floor(Date.now() / 1000),
    logger: jsonLogger(io),
    cosignerRecordIsMine: values['cosigner-record-is-mine'] ?? false,
  });
  io.stdout(
    JSON.stringify({
      node: config.node,
      port: started.port,
      network: started.networkId,
      mode: started.health().mode,
    }),
  );
  await untilStopped();
  return EXIT.ok;
}
