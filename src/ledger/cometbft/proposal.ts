/** What a proposer puts into a block, and what every validator asks of one. */
import { MAX_BLOCK, MAX_TRANSACTIONS } from '../../registry/block.ts';
import type { ParsedTransaction, TransactionCache } from './transaction-cache.ts';

// One thread applies a block while nothing else goes on: it is kept this short, as under the local engine.
const BATCH = 128;
/** Of our block's 8 MiB its other fields take less than what is missing here. */
export const MAX_PROPOSAL = MAX_BLOCK - 1024;

interface Candidate {
  readonly bytes: Uint8Array;
  readonly parsed: ParsedTransaction;
}

export interface PreparingOptions {
  readonly cache: TransactionCache;
  /** The engine's own bound on a block's transactions. */
  readonly maxBytes: number;
  /** Whether it goes before the others (T11). */
  readonly goesFirst: (parsed: ParsedTransaction) => boolean;
}

/** Of these transactions, oldest first and some perhaps twice, those that go into the next block: urgent ones first. */
export function prepared(
  txs: readonly Uint8Array[],
  options: PreparingOptions,
): readonly Uint8Array[] {
  const { cache, maxBytes, goesFirst } = options;
  const first: Candidate[] = [];
  const others: Candidate[] = [];
  const seen = new Set<string>();
  for (const bytes of txs) {
    const parsed = cache.parsedOrNone(bytes);
    if (!parsed || seen.has(parsed.id)) continue;
    seen.add(parsed.id);
    (goesFirst(parsed) ? first : others).push({ bytes, parsed });
  }
  const taken: Uint8Array[] = [];
  const bound = Math.min(maxBytes, MAX_PROPOSAL);
  let statements = 0;
  let length = 0;
  for (const { bytes, parsed } of [...first, ...others]) {
    // What the engine counts beside a transaction's bytes: a tag and a length.
    const size = bytes.length + 8;
    if (length + size > bound || statements + parsed.group.length > BATCH) {
      if (taken.length > 0) break;
      continue;
    }
    statements += parsed.group.length;
    length += size;
    taken.push(bytes);
  }
  return taken;
}

/**
 * Whether a proposed block is of the shape that every honest proposer keeps to. Only what is equal on all nodes
 * counts: a block that some refuse and some accept would stop the chain.
 */
export function isAcceptable(txs: readonly Uint8Array[], cache: TransactionCache): boolean {
  let statements = 0;
  let length = 0;
  for (const bytes of txs) {
    length += bytes.length;
    if (length > MAX_PROPOSAL) return false;
    const parsed = cache.parsedOrNone(bytes);
    if (!parsed) return false;
    statements += parsed.group.length;
    if (statements > MAX_TRANSACTIONS) return false;
  }
  return true;
}
