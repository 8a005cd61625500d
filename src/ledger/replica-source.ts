/** A replica as a source of blocks, with a long poll: how every node serves its followers. */
import type { BlockSource } from './ledger.ts';
import type { Replica } from './replica.ts';

// A block of 8 MiB is given alone; of small ones, as many as this.
const MAX_BYTES = 4 << 20;

export function replicaSource(replica: Replica): BlockSource {
  return {
    async blocks(from, waitMs, signal) {
      if (from > replica.certified().height && waitMs > 0)
        await nextProven(replica, waitMs, signal);
      signal?.throwIfAborted();
      return replica.blocks(from, MAX_BYTES);
    },
  };
}

async function nextProven(replica: Replica, waitMs: number, signal?: AbortSignal): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const stop = replica.onCertified(() => resolve());
  const timer = setTimeout(resolve, waitMs);
  const aborted = (): void => resolve();
  signal?.addEventListener('abort', aborted);
  if (signal?.aborted) resolve();
  try {
    await promise;
  } finally {
    clearTimeout(timer);
    stop();
    signal?.removeEventListener('abort', aborted);
  }
}
