/** Waiting for something that other processes do. */
import { setTimeout as sleep } from 'node:timers/promises';

const STEP_MS = 50;

/**
 * Asks until the answer is not undefined. Errors: after `timeoutMs`, with `what`; when the signal is aborted.
 */
export async function until<T>(
  what: string,
  timeoutMs: number,
  signal: AbortSignal,
  ask: () => T | undefined | Promise<T | undefined>,
): Promise<T> {
  const end = performance.now() + timeoutMs;
  for (;;) {
    signal.throwIfAborted();
    const answer = await ask();
    if (answer !== undefined) return answer;
    if (performance.now() > end) throw new Error(`waited ${timeoutMs / 1000} s for ${what}`);
    await sleep(STEP_MS);
  }
}
