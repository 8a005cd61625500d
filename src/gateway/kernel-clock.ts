/** Whether the kernel says that its clock follows a time source: what the gateway tells devices of its time. */
import { execFile } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import type { GatewayTime } from '../api/downlink.ts';
import type { Clock } from '../clock.ts';

const LOOK_MS = 60_000;
const ANSWER_MS = 5_000;

// Either knows the kernel's state (adjtimex); a machine has one of them or none.
const SOURCES: readonly (readonly [program: string, args: readonly string[], says: RegExp])[] = [
  ['chronyc', ['-n', 'tracking'], /^Leap status\s*:\s*(?:Normal|Insert second|Delete second)\s*$/m],
  ['timedatectl', ['show', '--property=NTPSynchronized'], /^NTPSynchronized=yes$/m],
];

export interface GatewayClock extends Disposable {
  /** Never claims to be synchronised before it has looked. */
  now(): GatewayTime;
}

/** `local`: the operator vouches for the clock, e.g. with a radio clock or an isolated network. */
export function openGatewayClock(
  clock: Clock,
  kind: 'kernel' | 'local',
  look: () => Promise<boolean> = kernelSynchronised,
): GatewayClock {
  const stop = new AbortController();
  let synchronised = kind === 'local';
  const watch = async (): Promise<void> => {
    while (!stop.signal.aborted) {
      synchronised = await look().catch(() => false);
      await sleep(LOOK_MS, undefined, { signal: stop.signal, ref: false }).catch(() => undefined);
    }
  };
  if (kind === 'kernel') void watch();
  return {
    now: () => ({ time: clock(), synchronised }),
    [Symbol.dispose]: () => stop.abort(),
  };
}

/** Asks chrony, then systemd. */
export async function kernelSynchronised(): Promise<boolean> {
  for (const [program, args, says] of SOURCES)
    if (says.test(await outputOf(program, args))) return true;
  return false;
}

function outputOf(program: string, args: readonly string[]): Promise<string> {
  return new Promise((resolve) => {
    execFile(program, args, { timeout: ANSWER_MS, maxBuffer: 65_536 }, (error, stdout) =>
      resolve(error ? '' : stdout),
    );
  });
}
