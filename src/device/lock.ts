/** One process at a time has a device's folder: two would write its records and slots over each other. */
import { join } from 'node:path';
import { openDatabase } from '../database.ts';
import { codeOf, fail } from '../errors.ts';

const FILE = 'lock';
// Whoever ends a process and starts the next waits this long for the lock of the first, no longer.
const WAIT_MS = 1000;

/**
 * Takes the folder until it is disposed of, or the process ends however it ends: the lock is the operating system's, on an
 * empty database. Errors: DEVICE_LOCKED, DEVICE_STORAGE_IO.
 */
export function lockDevice(directory: string): AsyncDisposable {
  try {
    return openDatabase(join(directory, FILE), { busyTimeout: WAIT_MS });
  } catch (cause) {
    const locked = codeOf(cause) === 'DATABASE_LOCKED';
    return fail(locked ? 'DEVICE_LOCKED' : 'DEVICE_STORAGE_IO', undefined, { directory }, cause);
  }
}
