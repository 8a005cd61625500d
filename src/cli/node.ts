/** `firmament node start CONFIG`: one node, until it is told to stop. */
import { readNodeConfig, readNodeKeys } from '../node/config.ts';
import { startNode } from '../node/node.ts';
import { onlyPositional, readArguments, runVerb } from './arguments.ts';
import type { Io } from './io.ts';
import { jsonLogger } from './json-logger.ts';
import { untilStopped } from './until-stopped.ts';

const USAGE = `Usage: firmament node start CONFIG [--cosigner-record-is-mine]

Runs the node that CONFIG (config.json) describes until SIGTERM or SIGINT. Logs JSON lines on stderr; prints one line
on stdout when it listens.

  --cosigner-record-is-mine   sign although fewer than n - f operators answered: the record on this disk is the
                              newest there is (T10); logged`;

export function node(args: readonly string[], io: Io): Promise<number> {
  return runVerb('node', USAGE, { start }, args, io);
}

async function start(args: readonly string[], io: Io): Promise<void> {
  const given = readArguments(args, ['cosigner-record-is-mine?']);
  const path = onlyPositional(given, 'configuration file');
  const config = readNodeConfig(path);
  const keys = readNodeKeys(config.keys);
  await using started = await startNode(config, keys, {
    clock: () => Math.floor(Date.now() / 1000),
    logger: jsonLogger(io),
    cosignerRecordIsMine: given.flag('cosigner-record-is-mine'),
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
}
