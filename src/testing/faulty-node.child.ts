/** A node that a `FaultFile` can end. Arguments as those of the command: node start CONFIG. */
import { jsonLogger } from '../cli/json-logger.ts';
import { untilStopped } from '../cli/until-stopped.ts';
import { readNodeConfig, readNodeKeys } from '../node/config.ts';
import { startNode } from '../node/node.ts';
import { FAULT_VARIABLE, faultFromFile } from './faults.ts';

const config = readNodeConfig(process.argv[4] ?? '');
{
  await using node = await startNode(config, readNodeKeys(config.keys), {
    clock: () => Math.floor(Date.now() / 1000),
    logger: jsonLogger({
      stdout: () => undefined,
      stderr: (line) => void process.stderr.write(`${line}\n`),
    }),
    faultPoint: faultFromFile(process.env[FAULT_VARIABLE] ?? ''),
  });
  process.stdout.write(`${JSON.stringify({ node: config.node, port: node.port })}\n`);
  await untilStopped();
}
