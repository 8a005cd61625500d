/** The counter of an author's statements: grows with every one, also across restarts (T04). */
import { join } from 'node:path';
import type { Clock } from '../clock.ts';
import { check } from '../errors.ts';
import { readIfThere, replaceFile } from './durable-file.ts';
import { parseJson, textField } from './json-file.ts';

const TYPE = 'firmament/counter/v1';

/** `next(n)` gives n counters in growing order; none of them is ever given again. Calls must not overlap. */
export interface Counters {
  next(count: number): Promise<readonly bigint[]>;
}

/**
 * Milliseconds of the clock, or one more than the last: an author whose folder was restored from a backup is
 * ahead of what it had used. The last is on disk before any is given out.
 */
export function openCounters(directory: string, clock: Clock): Counters {
  const path = join(directory, 'counter.json');
  return {
    async next(count) {
      const last = await lastCounter(path);
      const now = BigInt(clock()) * 1000n;
      const first = now > last ? now : last + 1n;
      const given = Array.from({ length: count }, (_, i) => first + BigInt(i));
      const newest = given.at(-1) ?? last;
      await replaceFile(path, `${JSON.stringify({ type: TYPE, last: newest.toString() })}\n`);
      return given;
    },
  };
}

async function lastCounter(path: string): Promise<bigint> {
  const bytes = await readIfThere(path, 1024);
  if (!bytes) return 0n;
  const last = textField(parseJson(bytes, TYPE), 'last');
  check(/^\d{1,20}$/.test(last), 'AUTHOR_FILE_INVALID', 'the counter is not a number');
  return BigInt(last);
}
