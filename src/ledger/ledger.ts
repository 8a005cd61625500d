/**
 * The port that every engine stands behind. Whatever orders the statements, each node re-derives and
 * keeps every block in its own replica.
 */
import type { Transaction } from '../registry/statement.ts';
import type { Placement } from './committed-ledger.ts';
import type { Head } from './close-block.ts';
import type { Halt } from './replica.ts';

/** Where blocks come from: another node, or this one's replica. */
export interface BlockSource {
  /**
   * Blocks from a height on, oldest first and without a gap, bounded by the giver. With none yet it waits up to
   * `waitMs` milliseconds for the next and may answer with none.
   */
  blocks(from: number, waitMs: number, signal?: AbortSignal): Promise<readonly Uint8Array[]>;
}

export interface LedgerStatus {
  readonly engine: 'local' | 'cometbft';
  /** Whether this node orders. */
  readonly orders: boolean;
  readonly head: Head;
  readonly halted: Halt | undefined;
  /** Statements that wait to be ordered here. */
  readonly queued: number;
  /** What is wrong with the engine, in words; not there while nothing is. */
  readonly fault?: string;
}

export interface Ledger extends BlockSource, AsyncDisposable {
  /**
   * Orders a group of statements together in one block, or none of them. Resolves once the block is on
   * disk at the orderer: not yet a receipt (T12). A statement that is on the ledger already is answered
   * with its first place. Rejects with the code of the first refused statement, LEDGER_BUSY,
   * LEDGER_GROUP_INVALID, LEDGER_HALTED or LEDGER_CLOSED; with LEDGER_UNORDERED when this node keeps it on disk and
   * goes on putting it forward.
   */
  submit(group: readonly Transaction[]): Promise<readonly Placement[]>;
  status(): LedgerStatus;
  /** Calls `listener` after each block committed here. Returns how to stop. */
  onHead(listener: (head: Head) => void): () => void;
}
