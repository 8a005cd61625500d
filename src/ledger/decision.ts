/**
 * A block as the consortium engine decides it: run and derived in memory, and committed when the engine says so.
 * Until then nothing of it can be read anywhere, and to drop it leaves no trace.
 */
import { sha256 } from '#crypto';
import { equal } from '../bytes.ts';
import { check, FirmamentError } from '../errors.ts';
import { encodeBlock, MAX_BLOCK, MAX_TRANSACTIONS } from '../registry/block.ts';
import type { Vote } from '../registry/orderer.ts';
import type { Transaction } from '../registry/statement.ts';
import type { Room } from './block-run.ts';
import type { StoredStatement } from './block-tables.ts';
import type { Closed, Head } from './close-block.ts';
import type { Placement } from './committed-ledger.ts';

export type Outcome =
  | { readonly placements: readonly Placement[] }
  | { readonly refused: FirmamentError };

/** Whether a group was not refused and brought something that was not on the ledger. */
export function isNew(outcome: Outcome | undefined): boolean {
  return (
    outcome !== undefined &&
    'placements' in outcome &&
    outcome.placements.some(({ known }) => !known)
  );
}

export interface Decision {
  /** The head of the block that follows; null when no group had anything new to order. */
  readonly head: Head | null;
  /** One a group, in the order given. */
  readonly outcomes: readonly Outcome[];
  /** What CometBFT's next header has to say: of `head`, or of the head before. */
  readonly appHash: Uint8Array;
  /** How the voters change by this block; power 0 takes one away. */
  readonly validatorUpdates: readonly Vote[];
}

/** A decision that waits for its commit. */
export interface Open {
  readonly decision: Decision;
  readonly chain: number;
  /** The newest head when it was made. */
  readonly upon: Head;
  /** The engine's place on the ledger after it. */
  readonly ledger: number;
  /** Null: nothing to write but the place. */
  readonly block: { readonly closed: Closed; readonly bytes: Uint8Array } | null;
}

// A block's tag, network id, height, time, hashes and size take less than this.
const BLOCK_OVERHEAD = 1024;

/** Equal on every node: which groups fit is part of what is agreed on. */
export const ROOM: Room = { statements: MAX_TRANSACTIONS, bytes: MAX_BLOCK - BLOCK_OVERHEAD };

/** The bytes of a block that nobody signs, and their head. */
export function bareBlock(
  closed: Closed,
  networkId: Uint8Array,
  previous: Head,
): { readonly bytes: Uint8Array; readonly head: Head } {
  const { height, time, size, root } = closed.head;
  const bytes = encodeBlock({
    networkId,
    height,
    time,
    previous: previous.hash,
    transactions: closed.closing.transactions.map(({ statement, attachment }) => ({
      statement: statement.bytes,
      attachment,
    })),
    size,
    root,
  });
  return { bytes, head: { ...closed.head, hash: sha256(bytes) } };
}

/**
 * What became of groups that lead from one head here to the next, or to none: after a loss of its own data the engine
 * repeats its blocks from the first. Exact, since a group's outcome follows from the state before it and the time: its
 * statements stand here in a row, or are older, or it was refused. A block of another `time` than the next here made
 * none: what it held may have been too early.
 * Errors: LEDGER_REPLAY when they do not lead to the next head.
 */
export function repeated(
  before: Head,
  next: Head,
  groups: readonly (readonly Transaction[])[],
  time: number,
  ledger: {
    find(signingDigest: Uint8Array): Placement | undefined;
    statement(index: number): StoredStatement | undefined;
  },
): { readonly head: Head | null; readonly outcomes: readonly Outcome[] } {
  const end = next.time === Math.max(before.time, time) ? next.size - 1 : before.size;
  let at = before.size;
  const outcomes = groups.map((group): Outcome => {
    let index = at;
    const placements: Placement[] = [];
    for (const transaction of group) {
      const seen = ledger.find(transaction.statement.signingDigest);
      const here =
        seen !== undefined &&
        seen.index < end &&
        // Bytes other than those that stand here, a forged signature's or another attachment's, were refused.
        (seen.index < index ||
          (seen.index === index && isSame(ledger.statement(index), transaction)));
      if (!here) return { refused: new FirmamentError('LEDGER_REPLAY', 'refused when it was new') };
      // As it was answered then: known is what was older.
      placements.push({ ...seen, known: seen.index < index });
      if (seen.index === index) index++;
    }
    at = index;
    return { placements };
  });
  check(at === before.size || at === end, 'LEDGER_REPLAY', undefined, { height: next.height });
  return { head: at > before.size ? next : null, outcomes };
}

function isSame(
  stored: StoredStatement | undefined,
  { statement, attachment }: Transaction,
): boolean {
  if (!stored || !equal(stored.entry, statement.entry)) return false;
  return stored.attachment && attachment
    ? equal(stored.attachment, attachment)
    : stored.attachment === attachment;
}
