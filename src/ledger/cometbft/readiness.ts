/** Whether the engine answers and has every block that its peers have. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { EngineRpc } from './rpc.ts';

export interface Readiness {
  isReady(): boolean;
  /** Asks the engine that was just started, until it is ready. */
  start(): void;
  stop(): void;
}

const POLL_MS = 100;

/** `onReady` is called once after each start. */
export function readiness(rpc: EngineRpc, onReady: () => void): Readiness {
  let ready = false;
  let polling: AbortController | undefined;
  const poll = async (signal: AbortSignal): Promise<void> => {
    while (!signal.aborted) {
      const answer = await rpc.call('status').catch(() => undefined);
      if (signal.aborted) return;
      const { sync_info: sync } = (answer ?? {}) as { sync_info?: { catching_up?: unknown } };
      if (sync?.catching_up === false) {
        ready = true;
        return onReady();
      }
      await sleep(POLL_MS, undefined, { signal }).catch(() => undefined);
    }
  };
  const stop = (): void => {
    ready = false;
    polling?.abort();
  };
  return {
    isReady: () => ready,
    start() {
      stop();
      polling = new AbortController();
      void poll(polling.signal);
    },
    stop,
  };
}
