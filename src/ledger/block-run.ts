/** Running a block's transactions on top of committed state, before anything is written. */
import { hex } from '../bytes.ts';
import { check, FirmamentError } from '../errors.ts';
import { apply } from '../registry/apply.ts';
import { parseStatement, type Transaction } from '../registry/statement.ts';
import type { RawTransaction } from '../registry/block.ts';
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

/**
 * An orderer's run: a group goes in as a whole or, at its first refused statement, not at all; a
 * statement that is on the ledger already is answered with its place and not ordered again (T05).
 */
export function runGroups(
  committed: View,
  groups: readonly (readonly Transaction[])[],
  context: RunContext,
): BlockRun {
  const state = overlay(committed);
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
      trial.commit();
      transactions.push(...fresh);
      for (const [name, index] of inGroup) inBlock.set(name, index);
      return { places };
    } catch (error) {
      if (error instanceof FirmamentError) return { refused: error };
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
