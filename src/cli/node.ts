/** `firmament node start CONFIG`: one node, until it is told to stop. */
import { resolve } from 'node:path';
import { restoreBackup } from '../node/backup.ts';
import { requestBackup } from '../node/backup-request.ts';
import { readNodeConfig, readNodeKeys, type NodeConfig } from '../node/config.ts';
import { ensureEngineKeys, memberOf } from '../node/engine-member.ts';
import { startNode } from '../node/node.ts';
import { checkAddress } from '../registry/orderer.ts';
import {
  answer,
  onlyPositional,
  readArguments,
  runVerb,
  wrong,
  type Arguments,
} from './arguments.ts';
import { memberJson } from './engine-member-file.ts';
import type { Io } from './io.ts';
import { jsonLogger } from './json-logger.ts';
import { untilStopped } from './until-stopped.ts';
import { verifyCommitOf } from './verify-commit.ts';

const USAGE = `Usage: firmament node start CONFIG [--cosigner-record-is-mine]
       firmament node backup CONFIG DIR
       firmament node restore CONFIG DIR
       firmament node engine-member CONFIG --address HOST:PORT [--no-vote]
       firmament node verify-commit OPERATOR/NODE --root FILE [--max-age SECONDS]

Runs the node that CONFIG (config.json) describes until SIGTERM or SIGINT. Logs JSON lines on stderr; prints one line
on stdout when it listens.

  --cosigner-record-is-mine   sign although fewer than n - f operators answered: the record on this disk is the
                              newest there is (T10); logged

backup copies the node's ledger, index and blocks into DIR, a new folder on the node's machine, while the node runs or
not. restore makes the data folder of a node that does not run from such a copy. The cosigner's record is in no backup
(T10): after a restore the node signs nothing until it caught up and the other operators have answered.

engine-member makes the node's keys for the consortium engine in its key file, unless they are there, and prints what
"policy propose --add-engine-member" reads. Start the node again after it. HOST:PORT is where the other members reach
its engine.

verify-commit asks a node, which is not believed, for its newest commit of the consortium engine and for its checkpoint,
and checks that more than two thirds of the validators signed the head that k operators cosigned. FILE: a root that you
believe; later policies are followed from it.`;

export function node(args: readonly string[], io: Io): Promise<number> {
  return runVerb(
    'node',
    USAGE,
    { start, backup, restore, 'engine-member': engineMember, 'verify-commit': verifyCommitOf },
    args,
    io,
  );
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
    programs: { named: process.env['FIRMAMENT_COMETBFT'], path: process.env['PATH'] },
  });
  // Listened for before anybody is told that it runs: whoever is told may stop it at once.
  const stopped = untilStopped();
  io.stdout(
    JSON.stringify({
      node: config.node,
      port: started.port,
      network: started.networkId,
      mode: started.health().mode,
    }),
  );
  await stopped;
}

async function engineMember(args: readonly string[], io: Io): Promise<void> {
  const given = readArguments(args, ['address', 'no-vote?']);
  const config = readNodeConfig(onlyPositional(given, 'configuration file'));
  const planned = { address: given.required('address'), validator: !given.flag('no-vote') };
  checkAddress(planned.address);
  const member = memberOf(config.node, ensureEngineKeys(config.keys), planned);
  io.stdout(JSON.stringify(memberJson(member), null, 2));
}

async function backup(args: readonly string[], io: Io): Promise<void> {
  const { given, config, directory } = configAndFolder(args);
  const made = await requestBackup(config, directory);
  answer(io, given, [`${directory}: height ${made.height}, ${made.size} entries`], {
    directory,
    ...made,
  });
}

async function restore(args: readonly string[], io: Io): Promise<void> {
  const { given, config, directory } = configAndFolder(args);
  const made = await restoreBackup(config, directory);
  answer(io, given, [`${config.data}: height ${made.height}, ${made.size} entries`], {
    data: config.data,
    ...made,
  });
}

function configAndFolder(args: readonly string[]): {
  readonly given: Arguments;
  readonly config: NodeConfig;
  readonly directory: string;
} {
  const given = readArguments(args, []);
  const [config, directory, more] = given.positionals;
  if (config === undefined || directory === undefined || more !== undefined)
    return wrong('a configuration file and a folder are needed');
  return { given, config: readNodeConfig(config), directory: resolve(directory) };
}
