/** Followers of the local engine: take blocks from a source, re-derive each, stop at a lie (T12). */
import { setImmediate as turn, setTimeout as sleep } from 'node:timers/promises';
import { check, codeOf } from '../errors.ts';
import type { Logger } from '../logger.ts';
import type { Transaction } from '../registry/statement.ts';
import type { Head } from './close-block.ts';
import type { Placement } from './committed-ledger.ts';
import type { BlockSource, Ledger } from './ledger.ts';
import { replicaSource } from './replica-source.ts';
import type { Halt, Replica } from './replica.ts';

export interface FollowOptions {
  readonly replica: Replica;
  readonly source: BlockSource;
  readonly signal: AbortSignal;
  readonly logger: Logger;
  /** After each answer of the source that brought blocks. */
  readonly onHead?: (head: Head) => void;
  /** Once, when the orderer is found lying or was before: nothing more is followed or cosigned. */
  readonly onLie?: (halt: Halt) => void;
  /** After each answer, also an empty one: the source was heard. */
  readonly onHeard?: () => void;
  /** Milliseconds a source may hold a poll (default 20,000). */
  readonly waitMs?: number;
  /** Milliseconds of the first pause after an error (default 200); doubled up to 50 times that. */
  readonly backoffMs?: number;
}

/** Follows until the signal is aborted or the orderer is found lying, and then resolves. */
export async function follow(options: FollowOptions): Promise<void> {
  const {
    replica,
    source,
    signal,
    logger,
    onHead,
    onLie,
    onHeard,
    waitMs = 20_000,
    backoffMs = 200,
  } = options;
  let failures = 0;
  while (!signal.aborted && !replica.halted()) {
    try {
      const blocks = await source.blocks(replica.certified().height + 1, waitMs, signal);
      await appendAll(replica, blocks, signal);
      failures = 0;
      onHeard?.();
      if (blocks.length > 0) onHead?.(replica.head());
    } catch (error) {
      if (signal.aborted || replica.halted()) break;
      const pause = backoffMs * Math.min(2 ** failures++, 50);
      logger.warn('blocks could not be followed', { code: codeOf(error), error, pause });
      await sleep(pause, undefined, { signal }).catch(() => undefined);
    }
  }
  const halt = replica.halted();
  if (halt === undefined) return;
  logger.error('the orderer lies: stopped', {
    height: halt.height,
    code: halt.code,
    reason: halt.reason,
  });
  onLie?.(halt);
}

async function appendAll(
  replica: Replica,
  blocks: readonly Uint8Array[],
  signal: AbortSignal,
): Promise<void> {
  const before = replica.certified().height;
  for (const bytes of blocks) {
    signal.throwIfAborted();
    replica.append(bytes);
    // Reads and requests go on while thousands of blocks are caught up with.
    await turn();
  }
  // A source that repeats what is here must not keep its reader spinning.
  check(blocks.length === 0 || replica.certified().height > before, 'LEDGER_OUT_OF_ORDER');
}

/** What one node holds, and whose node it is; null: one of the asker's own operator, which is counted already. */
export interface HeldBlocks extends BlockSource {
  readonly operator: string | null;
}

export interface RecoverOptions {
  readonly replica: Replica;
  /** What followers hold. */
  readonly sources: readonly HeldBlocks[];
  /** How many operators' nodes must have answered to the end: n - f, less the own one. */
  readonly needed: number;
  readonly signal: AbortSignal;
  readonly logger: Logger;
  readonly backoffMs?: number;
}

/**
 * What an orderer does before it orders: takes over the longest chain that the nodes of enough operators hold, so that
 * one restored from an old copy forks nothing, and one newly appointed loses nothing that was acknowledged (T12).
 * Errors: LEDGER_ORDERER_LIES when a follower holds another history signed by the orderer; LEDGER_SUPERSEDED.
 */
export async function recover(options: RecoverOptions): Promise<void> {
  const { replica, sources, needed, signal, logger, backoffMs = 500 } = options;
  const answered = new Set<HeldBlocks>();
  for (;;) {
    for (const source of sources) {
      if (answered.has(source)) continue;
      try {
        await takeOver(replica, source, signal);
        answered.add(source);
      } catch (error) {
        signal.throwIfAborted();
        if (replica.halted()) throw error;
        logger.warn('a follower could not be asked for blocks', { code: codeOf(error), error });
      }
    }
    const operators = new Set([...answered].map(({ operator }) => operator));
    operators.delete(null);
    if (operators.size >= needed) return;
    await sleep(backoffMs, undefined, { signal });
  }
}

async function takeOver(replica: Replica, source: BlockSource, signal: AbortSignal): Promise<void> {
  for (;;) {
    const blocks = await source.blocks(replica.certified().height + 1, 0, signal);
    if (blocks.length === 0) return;
    await appendAll(replica, blocks, signal);
  }
}

export interface FollowingLedgerOptions extends FollowOptions {
  /** Hands a group on to the orderer. */
  readonly forward: (group: readonly Transaction[]) => Promise<readonly Placement[]>;
}

/** The engine's port on a node that does not order: follows, and forwards what is submitted. */
export function createFollowingLedger(options: Omit<FollowingLedgerOptions, 'signal'>): Ledger {
  const { replica, forward } = options;
  const blocks = replicaSource(replica);
  const stop = new AbortController();
  const running = follow({ ...options, signal: stop.signal });
  return {
    async submit(group) {
      check(!stop.signal.aborted, 'LEDGER_CLOSED');
      return forward(group);
    },
    blocks: (from, waitMs, signal) => blocks.blocks(from, waitMs, signal),
    status: () => ({
      engine: replica.ordering().engine,
      orders: false,
      head: replica.head(),
      halted: replica.halted(),
      queued: 0,
    }),
    onHead: (listener) => replica.onHead(listener),
    async [Symbol.asyncDispose]() {
      stop.abort();
      await running;
    },
  };
}
