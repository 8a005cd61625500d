/** What a gateway does again and again, whatever happened the time before. */
import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises';
import { codeOf } from '../errors.ts';
import type { Logger } from '../logger.ts';

export interface Loops extends AsyncDisposable {
  /** `work` every `ms` milliseconds, counted from the end of the last time; at once too if `atOnce`. */
  every(ms: number, work: () => Promise<void> | void, atOnce?: boolean): void;
}

/** Disposing of it waits for what is under way. */
export function openLoops(logger: Logger): Loops {
  const stop = new AbortController();
  const running: Promise<void>[] = [];
  const once = async (work: () => Promise<void> | void): Promise<void> => {
    try {
      await work();
    } catch (error) {
      logger.error('a part of the gateway failed', { code: codeOf(error), error });
    }
  };
  const run = async (
    ms: number,
    work: () => Promise<void> | void,
    atOnce: boolean,
  ): Promise<void> => {
    if (atOnce) await once(work);
    while (!stop.signal.aborted) {
      await sleep(ms, undefined, { signal: stop.signal }).catch(() => undefined);
      if (!stop.signal.aborted) await once(work);
    }
  };
  return {
    every: (ms, work, atOnce = false) => void running.push(run(ms, work, atOnce)),
    async [Symbol.asyncDispose]() {
      stop.abort();
      await Promise.all(running);
    },
  };
}

/** The same work for all who ask while it is under way. */
export function shared(work: () => Promise<void>): () => Promise<void> {
  let running: Promise<void> | undefined;
  const once = async (): Promise<void> => {
    await nextTurn();
    try {
      await work();
    } finally {
      running = undefined;
    }
  };
  return () => (running ??= once());
}

/** Waits for it so many milliseconds at most. */
export async function within(ms: number, work: Promise<void>): Promise<void> {
  const late = Promise.withResolvers<void>();
  const timer = setTimeout(late.resolve, ms);
  try {
    await Promise.race([work, late.promise]);
  } finally {
    clearTimeout(timer);
  }
}
