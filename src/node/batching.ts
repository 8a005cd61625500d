/** Puts the roots that gateways handed over on the ledger: gathered for a while, one statement for all of them (T25). */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Clock } from '../clock.ts';
import type { PrivateKey } from '../crypto/key.ts';
import { codeOf } from '../errors.ts';
import type { Ledger } from '../ledger/ledger.ts';
import type { Replica } from '../ledger/replica.ts';
import { leafHash } from '../log/merkle.ts';
import { paddedLeaves, rootOfLeaves } from '../log/padded-tree.ts';
import type { Logger } from '../logger.ts';
import type { Random } from '../random.ts';
import { BATCH_INTERVAL, reportBatchStatement } from '../registry/rules/report-batch.ts';
import { getBatchTime } from '../registry/state.ts';
import { parseStatement } from '../registry/statement.ts';
import type { Gathering, ReportBatches } from './report-batches.ts';
import type { StatementCounter } from './statement-counter.ts';

export interface BatchingParts {
  /** OPERATOR/NODE. */
  readonly name: string;
  readonly replica: Pick<Replica, 'view' | 'find' | 'genesis'>;
  readonly ledger: Pick<Ledger, 'submit'>;
  readonly batches: ReportBatches;
  readonly counter: StatementCounter;
  readonly statementKey: PrivateKey;
  /** Seconds for which roots are gathered. */
  readonly gather: number;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
}

/** What another statement of this node, in between, makes of one that waited. */
const OVERTAKEN = ['STATEMENT_COUNTER', 'STATEMENT_SIGNER_UNKNOWN'];
const MAX_PAUSE_MS = 5_000;

/** Runs until the signal is aborted. */
export async function runBatching(parts: BatchingParts, signal: AbortSignal): Promise<void> {
  const pause = Math.min(MAX_PAUSE_MS, Math.max(100, parts.gather * 500));
  while (!signal.aborted) {
    await batchOnce(parts).catch((error: unknown) =>
      parts.logger.error('reports were not batched', { code: codeOf(error), error }),
    );
    await sleep(pause, undefined, { signal }).catch(() => undefined);
  }
}

/** One look: puts a statement forward again, or makes the next one if it is time. Errors: DATABASE_*. */
export async function batchOnce(parts: BatchingParts): Promise<void> {
  const { batches } = parts;
  const pending = batches.pending() ?? gatherIfDue(parts);
  if (pending) await put(parts, pending);
}

function gatherIfDue(parts: BatchingParts): Gathering | undefined {
  const { name, replica, batches, counter, statementKey, gather, clock, random } = parts;
  const now = clock();
  const since = batches.waitingSince();
  const last = getBatchTime(replica.view(), name) ?? 0;
  if (since === undefined || now < since + gather || now < last + BATCH_INTERVAL) return undefined;
  const roots = batches.waiting();
  const leaves = paddedLeaves(roots.map(leafHash), random);
  const { networkId } = replica.genesis;
  const statement = reportBatchStatement(
    statementKey,
    name,
    networkId,
    counter.next(),
    rootOfLeaves(leaves),
  );
  const made = { digest: statement.signingDigest, leaves, statement: statement.bytes };
  batches.gather(made, roots, now);
  return made;
}

async function put(parts: BatchingParts, { digest, statement }: Gathering): Promise<void> {
  const { replica, ledger, batches, logger } = parts;
  try {
    if (!replica.find(digest))
      await ledger.submit([{ statement: parseStatement(statement), attachment: null }]);
    batches.markOrdered(digest);
  } catch (error) {
    const code = codeOf(error);
    if (!code || code.startsWith('DATABASE_')) throw error;
    // Refused for good: its roots go with the next one. What merely did not get through is put forward again as it is.
    if (OVERTAKEN.includes(code)) batches.release(digest);
    logger.debug('a batch of reports is not on the ledger yet', { code });
  }
}
