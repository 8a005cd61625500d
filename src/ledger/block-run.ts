/** Running a block's transactions on top of committed state, before anything is written. */
import { hex } from '../bytes.ts';
import { check, FirmamentError } from '../errors.ts';
import { apply } from '../registry/apply.ts';
import { parseStatement, type Transaction } from '../registry/statement.ts';
import type { RawTransaction } from '../registry/group.ts';
import { overlay, type Overlay, type View } from '../registry/view.ts';

export interface RunContext {
  readonly height: number;
  readonly time: number;
  /** The log index that the block's first statement gets. */
  readonly firstIndex: number;
  /** The log index of a committed statement with this signing digest (T05). */
  seenAt(signingDigest: Uint8Array): number | undefined;
}

/** Where a statement stands. `known`: it was there before, or earlier in the same block. */
export interface Place {
  readonly index: number;
  readonly known: boolean;
}

export type GroupRun = { readonly places: readonly Place[] } | { readonly refused: FirmamentError };

export interface BlockRun {
  /** What goes into the block, in order. */
  readonly transactions: readonly Transaction[];
  /** The state after them, over the committed one. */
  readonly state: Overlay;
  /** One a group, in the order given. */
  readonly groups: readonly GroupRun[];
}

/** What one block has room for: statements, and bytes of their CBOR. */
export interface Room {
  readonly statements: number;
  readonly bytes: number;
}

// CBOR headers of one transaction: an array, two byte strings.
const TRANSACTION_OVERHEAD = 11;

/** An upper bound of the bytes that a group takes in a block. */
export function sizeOf(group: readonly Transaction[]): number {
  return group.reduce(
    (sum, { statement, attachment }) =>
      sum + statement.bytes.length + (attachment?.length ?? 0) + TRANSACTION_OVERHEAD,
    0,
  );
}

// This node's own disk, full or damaged: no statement says anything that could bring these about.
const OWN_FAULT = /^(?:DATABASE_.*|LEDGER_HEIGHT_UNKNOWN|LOG_NODE_MISSING|LOG_MAP_PAGE_CORRUPT)$/;

/** Whether a rule refused, and not a fault of this node's. */
export function isRefusal(error: unknown): error is FirmamentError {
  return error instanceof FirmamentError && !OWN_FAULT.test(error.code);
}

/**
 * An orderer's run: a group goes in as a whole or, at its first refused statement, not at all; a
 * statement that is on the ledger already is answered with its place and not ordered again (T05). A group that the
 * block has no `room` for is refused with LEDGER_BUSY.
 */
export function runGroups(
  committed: View,
  groups: readonly (readonly Transaction[])[],
  context: RunContext,
  room: Room = { statements: Infinity, bytes: Infinity },
): BlockRun {
  const state = overlay(committed);
  let bytes = 0;
  const transactions: Transaction[] = [];
  const inBlock = new Map<string, number>();
  const runs = groups.map((group): GroupRun => {
    const trial = overlay(state);
    const fresh: Transaction[] = [];
    const inGroup = new Map<string, number>();
    try {
      const places = group.map((transaction): Place => {
        const digest = transaction.statement.signingDigest;
        const name = hex(digest);
        const known = inBlock.get(name) ?? inGroup.get(name) ?? context.seenAt(digest);
        if (known !== undefined) return { index: known, known: true };
        const index = context.firstIndex + transactions.length + fresh.length;
        apply(trial, transaction, { height: context.height, time: context.time, index });
        fresh.push(transaction);
        inGroup.set(name, index);
        return { index, known: false };
      });
      const fits =
        transactions.length + fresh.length <= room.statements &&
        bytes + sizeOf(fresh) <= room.bytes;
      check(fits, 'LEDGER_BUSY', 'no room in this block');
      trial.commit();
      transactions.push(...fresh);
      bytes += sizeOf(fresh);
      for (const [name, index] of inGroup) inBlock.set(name, index);
      return { places };
    } catch (error) {
      if (isRefusal(error)) return { refused: error };
      throw error;
    }
  });
  return { transactions, state, groups: runs };
}

/** A follower's run of an orderer's block: every statement is new and every rule holds, or it throws. */
export function runBlock(
  committed: View,
  raw: readonly RawTransaction[],
  context: RunContext,
): Omit<BlockRun, 'groups'> {
  const state = overlay(committed);
  const inBlock = new Set<string>();
  const transactions = raw.map(({ statement: bytes, attachment }, position) => {
    const transaction = { statement: parseStatement(bytes), attachment };
    const digest = transaction.statement.signingDigest;
    check(
      !inBlock.has(hex(digest)) && context.seenAt(digest) === undefined,
      'STATEMENT_COUNTER',
      'the statement is on the ledger already',
    );
    inBlock.add(hex(digest));
    const index = context.firstIndex + position;
    applied(state, transaction, { height: context.height, time: context.time, index });
    return transaction;
  });
  return { transactions, state };
}

function applied(
  state: Overlay,
  transaction: Transaction,
  block: { height: number; time: number; index: number },
): void {
  const trial = overlay(state);
  apply(trial, transaction, block);
  trial.commit();
}
