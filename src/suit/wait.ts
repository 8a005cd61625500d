/** The wait directive (update-management 6.6): each event is here, or the run ends and says which is not. */
import { check, fail } from '../errors.ts';
import type { ComponentPort } from './component-port.ts';
import type { WaitEvent } from './wait-info.ts';

const DAY = 86_400n;
/** 1970-01-01 was a Thursday. */
const FIRST_WEEKDAY = 4n;

/** Errors: SUIT_WAITING, SUIT_CAPABILITY_MISSING, and the port's. */
export async function awaitEvents(
  events: readonly WaitEvent[],
  port: ComponentPort,
): Promise<void> {
  for (const event of events) {
    const here = await isHere(event, port);
    check(here, 'SUIT_WAITING', `the manifest waits for ${describe(event)}`, { event: event.kind });
  }
}

async function isHere(event: WaitEvent, port: ComponentPort): Promise<boolean> {
  // A port that knows how to wait decides all; else what clock and application say counts.
  if (port.wait !== undefined) return port.wait(event);
  if (event.kind === 'authorization' && port.authorize !== undefined)
    return port.authorize(event.priority);
  if (port.now !== undefined) {
    const now = await port.now();
    if (event.kind === 'time') return now >= BigInt(event.value);
    if (event.kind === 'time-of-day-utc') return now % DAY >= BigInt(event.value);
    if (event.kind === 'day-of-week-utc')
      return (now / DAY + FIRST_WEEKDAY) % 7n === BigInt(event.value);
  }
  return fail('SUIT_CAPABILITY_MISSING', `the device cannot tell ${describe(event)}`);
}

/** What is waited for, as part of a sentence. */
export function describe(event: WaitEvent): string {
  switch (event.kind) {
    case 'authorization':
      return `leave to install an update of priority ${event.priority}`;
    case 'power':
    case 'network':
      return `${event.kind} state ${event.state}`;
    case 'other-device-version':
      return `another device to have another version`;
    case 'time':
    case 'time-of-day':
    case 'day-of-week':
    case 'time-of-day-utc':
    case 'day-of-week-utc':
    default:
      return `${event.kind} ${event.value}`;
  }
}
