/** A device that a `FaultFile` can end: boots, asks once, prints what it came to. Argument: its folder. */
import { openDevice } from '../device/device.ts';
import { diskFiles } from '../reader/files.ts';
import { FAULT_VARIABLE, faultFromFile, faultyFiles } from './faults.ts';

const reach = faultFromFile(process.env[FAULT_VARIABLE] ?? '');
{
  await using device = await openDevice(process.argv[2] ?? '', {
    clock: () => Math.floor(Date.now() / 1000),
    files: faultyFiles(diskFiles, reach),
  });
  const version = (): string | null => {
    const { status } = device.bootloader;
    return status.kind === 'running' && status.healthy ? (status.reported ?? null) : null;
  };
  process.stdout.write(`${JSON.stringify({ type: 'ready', version: version() })}\n`);
  const { outcome, code } = await device.agent.poll();
  process.stdout.write(
    `${JSON.stringify({ type: 'result', outcome, code, version: version() })}\n`,
  );
}
