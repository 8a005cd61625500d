/**
 * Signs the heads that this node re-derived itself, each new one and the newest again on a timer, and tells the
 * other nodes. Nothing is signed before enough operators have said what they know of its key (T10).
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { NamedCosignature } from '../api/peer.ts';
import { codeOf } from '../errors.ts';
import type { Clock } from '../clock.ts';
import type { CosignerRecord } from '../ledger/cosigner-record.ts';
import type { StartupAnswer } from '../ledger/cosigner-startup.ts';
import type { Head } from '../ledger/close-block.ts';
import type { Replica } from '../ledger/replica.ts';
import type { Logger } from '../logger.ts';
import type { Policy } from '../registry/policy.ts';
import type { Heads } from './heads.ts';
import type { Peers } from './peers.ts';

export interface CosigningParts {
  /** OPERATOR/NODE. */
  readonly name: string;
  readonly replica: Replica;
  readonly record: CosignerRecord;
  readonly clock: Clock;
  readonly heads: Heads;
  readonly peers: Peers;
  readonly policy: () => Policy;
  readonly logger: Logger;
  /** A person said that the record is the newest there is (`--cosigner-record-is-mine`). */
  readonly recordIsMine: boolean;
}

/** Cosigns until the signal is aborted. */
export async function cosign(parts: CosigningParts, signal: AbortSignal): Promise<void> {
  if (!(await confirm(parts, signal))) return;
  while (!signal.aborted) {
    const next = nextHead(parts, (parts.policy().maxAge * 1000) / 4, signal);
    signHead(parts, parts.replica.head());
    await next;
  }
}

// Asks until n - f operators, itself counted, have said what newest cosignature of this key they know.
async function confirm(parts: CosigningParts, signal: AbortSignal): Promise<boolean> {
  const answers = new Map<string, StartupAnswer>();
  for (let asked = 0; !signal.aborted; asked++) {
    await Promise.all(
      parts.peers.others().map(async (peer) => {
        const rows = answers.has(peer.name)
          ? undefined
          : await parts.peers.cosignatures(peer).catch(() => undefined);
        if (!rows) return;
        for (const row of rows) learn(parts, row);
        answers.set(peer.name, { operator: peer.operator.name, newest: ownAmong(parts, rows) });
      }),
    );
    const leave = parts.record.askLeave({
      operators: parts.policy().operators.length,
      self: parts.name.split('/', 1)[0] ?? parts.name,
      answers: [...answers.values()],
      override: parts.recordIsMine,
    });
    if (leave.allowed) {
      if (parts.recordIsMine) parts.logger.warn('cosigner record vouched for by a person', { name: parts.name });
      return true;
    }
    if (leave.code !== 'COSIGNER_UNCONFIRMED') {
      parts.logger.error('cosigner signs nothing: others hold what its record does not', { code: leave.code });
      return false;
    }
    if (asked % 20 === 0) parts.logger.info('cosigner waits for other operators', { answers: answers.size });
    await sleep(Math.min(100 * (asked + 1), 1000), undefined, { signal }).catch(() => undefined);
  }
  return false;
}

function ownAmong({ name }: CosigningParts, rows: readonly NamedCosignature[]): StartupAnswer['newest'] {
  return rows.find((row) => row.name === name) ?? null;
}

/** Takes another node's cosignature; one that is refused is logged, and harms nobody. */
export function learn({ heads, logger }: Pick<CosigningParts, 'heads' | 'logger'>, row: NamedCosignature): void {
  try {
    heads.add(row);
  } catch (error) {
    logger.warn('a cosignature was refused', { name: row.name, size: row.size, code: codeOf(error) });
  }
}

const EXCHANGE_MS = 1_000;

/**
 * Asks the others for what they know as long as k operators' cosignatures of this node's own head are not here: a
 * message that was lost, or sent while this node was down, is made good. Runs until the signal is aborted.
 */
export async function exchange(parts: CosigningParts, signal: AbortSignal): Promise<void> {
  const { heads, replica, peers } = parts;
  while (!signal.aborted) {
    await sleep(EXCHANGE_MS, undefined, { signal }).catch(() => undefined);
    if (signal.aborted || (heads.hasQuorum() && heads.quorum().head.size >= replica.head().size)) continue;
    for (const peer of peers.others()) {
      const rows = await peers.cosignatures(peer).catch(() => []);
      for (const row of rows) learn(parts, row);
    }
  }
}

async function nextHead({ replica }: CosigningParts, timeoutMs: number, signal: AbortSignal): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const unsubscribe = replica.onHead(() => resolve());
  const timer = setTimeout(resolve, timeoutMs);
  signal.addEventListener('abort', () => resolve(), { once: true });
  if (signal.aborted) resolve();
  await promise;
  clearTimeout(timer);
  unsubscribe();
}

function signHead(parts: CosigningParts, head: Head): void {
  const { name, record, heads, peers, clock, logger } = parts;
  try {
    const { time, signature } = record.sign(head, clock());
    const cosignature = { size: head.size, root: head.root, name, time, signature };
    heads.add(cosignature);
    for (const peer of peers.others()) {
      // Whoever is away asks when it is back.
      peers.tellCosignature(peer, cosignature).catch((error: unknown) => {
        logger.debug('a cosignature did not arrive', { peer: peer.name, code: codeOf(error) });
      });
    }
  } catch (error) {
    logger.warn('a head was not cosigned', { size: head.size, code: codeOf(error), error });
  }
}
