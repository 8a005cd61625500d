/** Whether the engine answers and has every block that its peers have. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { EngineRpc } from './rpc.ts';

export interface Readiness {
  isReady(): boolean;
  /** Asks the engine that was just started, until it is ready. */
  start(): void;
  stop(): void;
}

interface Peer {
  readonly peer_state?: { readonly round_state?: unknown };
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
      // It may stop fetching blocks at its first height, before a peer has told it of more (v0.39.4, v0.38.26), and
      // goes on block by block as a voter that came late.
      if (sync?.catching_up === false && (await isLevel(rpc))) {
        if (signal.aborted) return;
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

// Whether it votes on the block that most of its peers vote on, or the one before: what a single peer claims says nothing.
async function isLevel(rpc: EngineRpc): Promise<boolean> {
  const answer = await rpc.call('dump_consensus_state').catch(() => undefined);
  const { round_state: own, peers } = (answer ?? {}) as { round_state?: unknown; peers?: unknown };
  const connected: readonly unknown[] = Array.isArray(peers) ? peers : [];
  const heights = connected
    .map((peer) => heightIn((peer as Peer | null)?.peer_state?.round_state))
    .filter((height) => height > 0)
    .toSorted((a, b) => b - a);
  if (heights.length === 0) return connected.length === 0;
  return heightIn(own) + 1 >= (heights[Math.floor(heights.length / 2)] ?? 0);
}

/** 0: none. */
function heightIn(state: unknown): number {
  const { height } = (state ?? {}) as { height?: unknown };
  return Number(typeof height === 'string' || typeof height === 'number' ? height : 0) || 0;
}
