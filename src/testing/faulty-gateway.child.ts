/** A gateway that a `FaultFile` can end. Arguments as those of the command: gateway start CONFIG. */
import { jsonLogger } from '../cli/json-logger.ts';
import { untilStopped } from '../cli/until-stopped.ts';
import { readGatewayConfig } from '../gateway/config.ts';
import { startGateway } from '../gateway/gateway.ts';
import { FAULT_VARIABLE, faultFromFile } from './faults.ts';

{
  await using gateway = await startGateway(readGatewayConfig(process.argv[4] ?? ''), {
    clock: () => Math.floor(Date.now() / 1000),
    logger: jsonLogger({
      stdout: () => undefined,
      stderr: (line) => void process.stderr.write(`${line}\n`),
    }),
    faultPoint: faultFromFile(process.env[FAULT_VARIABLE] ?? ''),
  });
  process.stdout.write(`${JSON.stringify({ api: gateway.api })}\n`);
  await untilStopped();
}
