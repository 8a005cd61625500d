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
  /** One a transaction, as the next block in this order: whether it brings something new that the rules take. */
  readonly judge: (parsed: readonly ParsedTransaction[]) => readonly boolean[];
}

export interface Prepared {
  readonly taken: readonly Uint8Array[];
  /** Ids of those that the block would refuse, or that bring nothing new; the caller's own. */
  readonly leftOut: Set<string>;
}

// So often others take the place of those that are left out: who fills mempools with what is refused stops no block.
const ATTEMPTS = 4;

/** Of these transactions, oldest first and some perhaps twice, those that go into the next block: urgent ones first. */
export function prepared(txs: readonly Uint8Array[], options: PreparingOptions): Prepared {
  const { maxBytes, judge } = options;
  const waiting = inOrder(txs, options);
  const leftOut = new Set<string>();
  for (let attempt = 1; ; attempt++) {
    const chosen = fitting(
      waiting.filter(({ parsed }) => !leftOut.has(parsed.id)),
      Math.min(maxBytes, MAX_PROPOSAL),
    );
    const goesIn = judge(chosen.map(({ parsed }) => parsed));
    const taken = chosen.filter((_, i) => goesIn[i]).map(({ bytes }) => bytes);
    for (const [i, { parsed }] of chosen.entries()) if (!goesIn[i]) leftOut.add(parsed.id);
    if (taken.length < chosen.length && attempt < ATTEMPTS) continue;
    return { taken, leftOut };
  }
}

function inOrder(
  txs: readonly Uint8Array[],
  { cache, goesFirst }: PreparingOptions,
): readonly Candidate[] {
  const first: Candidate[] = [];
  const others: Candidate[] = [];
  const seen = new Set<string>();
  for (const bytes of txs) {
    const parsed = cache.parsedOrNone(bytes);
    if (!parsed || seen.has(parsed.id)) continue;
    seen.add(parsed.id);
    (goesFirst(parsed) ? first : others).push({ bytes, parsed });
  }
  return [...first, ...others];
}

function fitting(candidates: readonly Candidate[], bound: number): readonly Candidate[] {
  const chosen: Candidate[] = [];
  let statements = 0;
  let length = 0;
  for (const candidate of candidates) {
    const { bytes, parsed } = candidate;
    // What the engine counts beside a transaction's bytes: a tag and a length.
    const size = bytes.length + 8;
    if (length + size > bound || statements + parsed.group.length > BATCH) {
      if (chosen.length > 0) break;
      continue;
    }
    statements += parsed.group.length;
    length += size;
    chosen.push(candidate);
  }
  return chosen;
}

/** What a proposed block says, when it is of the shape that every honest proposer keeps to; else undefined. */
export function shaped(
  txs: readonly Uint8Array[],
  cache: TransactionCache,
): readonly ParsedTransaction[] | undefined {
  const block: ParsedTransaction[] = [];
  let statements = 0;
  let length = 0;
  for (const bytes of txs) {
    length += bytes.length;
    if (length > MAX_PROPOSAL) return undefined;
    const parsed = cache.parsedOrNone(bytes);
    if (!parsed) return undefined;
    statements += parsed.group.length;
    if (statements > MAX_TRANSACTIONS) return undefined;
    block.push(parsed);
  }
  return block;
}
