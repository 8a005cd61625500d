/**
 * Signs the heads that this node re-derived itself, each new one and the newest again on a timer, and tells the
 * other nodes. Nothing is signed before enough operators have said what they know of its key (T10).
 *
 * A receipt needs k operators' signatures of one and the same head, and under load each node would sign
 * another one. So one goes first, the orderer's node while it can, and the others sign what it signed.
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
import { nodesOf, type Policy } from '../registry/policy.ts';
import { ordererOf } from '../registry/policy-change.ts';
import { Bell } from './bell.ts';
import type { Frozen } from './freeze.ts';
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
  /** Why nothing may be signed just now (T11). */
  readonly frozen: () => Frozen | undefined;
  /** Whether its orderer gave a head a time from long before it was made (T31). */
  readonly isBackdated: (head: Head) => boolean;
  /** A person said that the record is the newest there is (`--cosigner-record-is-mine`). */
  readonly recordIsMine: boolean;
}

/** Milliseconds for which a node lets those before it go first; doubled by each place. */
const FIRST_MS = 100;
const MAX_PLACES = 4;
/** Milliseconds after which the first goes on although k operators have not followed. */
const UNFOLLOWED_MS = 250;
/** Milliseconds between two signatures: a signature costs two writes to disk. */
const BREATH_MS = 10;
const REFUSED_MS = 1_000;
/** Milliseconds after which a frozen node looks again. */
const FROZEN_MS = 500;
const MAX_WAIT_MS = 60_000;

/** Cosigns until the signal is aborted, or for good when the record is not the newest (T10). */
export async function cosign(parts: CosigningParts, signal: AbortSignal): Promise<void> {
  if (!(await confirm(parts, signal))) return;
  const { replica, record, heads } = parts;
  const bell = new Bell();
  using stops = new DisposableStack();
  stops.defer(replica.onHead(bell.ring));
  stops.defer(replica.onCertified(bell.ring));
  stops.defer(heads.onChange(bell.ring));
  let signedAt = -Infinity;
  // Since when there is a head that is not signed.
  let behindSince: number | undefined;
  let frozen: Frozen | undefined;
  /** Size of a head that is not signed for its time. */
  let refused: number | undefined;
  while (!signal.aborted && !replica.halted()) {
    const freeze = parts.frozen();
    if (freeze?.code !== frozen?.code)
      parts.logger.warn(freeze ? 'signs no more heads' : 'signs heads again', {
        code: freeze?.code ?? frozen?.code,
      });
    frozen = freeze;
    const now = performance.now();
    // T31: no head of a consortium before the header after it carries its app hash.
    const newest = replica.certified();
    const last = record.last().size;
    behindSince = newest.size > last ? (behindSince ?? now) : undefined;
    const again = signedAt + (parts.policy().maxAge * 1000) / 4;
    if (freeze || !isListed(parts)) {
      await bell.heard(FROZEN_MS, signal);
      continue;
    }
    const own = ownTurn(parts, { last, signedAt, behindSince: behindSince ?? now });
    const head =
      heads.proposed(last, newest.size) ??
      (newest.size > last && now >= own ? newest : undefined) ??
      (newest.size === last && now >= again ? newest : undefined);
    if (head && parts.isBackdated(head)) {
      if (refused !== head.size)
        parts.logger.warn('a head is not cosigned', {
          code: 'COSIGNER_BACKDATED',
          size: head.size,
        });
      refused = head.size;
      await bell.heard(FROZEN_MS, signal);
      continue;
    }
    if (head) {
      const signed = signHead(parts, head);
      signedAt = performance.now();
      behindSince = undefined;
      await sleep(signed ? BREATH_MS : REFUSED_MS, undefined, { signal }).catch(() => undefined);
      continue;
    }
    // A replica behind the record, restored from an old copy, has nothing to sign until it caught up.
    const due = newest.size > last ? own : newest.size === last ? again : Infinity;
    await bell.heard(Math.min(MAX_WAIT_MS, Math.max(1, due - performance.now())), signal);
  }
}

// What a node signs that the policy in force does not list is worth nothing to anybody.
function isListed({ name, policy }: CosigningParts): boolean {
  return nodesOf(policy()).some((node) => node.name === name);
}

/** From when on this node goes first with the newest head, in milliseconds of performance.now(). */
function ownTurn(
  { name, policy, heads }: CosigningParts,
  { last, signedAt, behindSince }: { last: number; signedAt: number; behindSince: number },
): number {
  // Without an orderer any order will do that is the same for all: a first one that is gone costs 100 ms.
  const first = ordererOf(policy())?.name ?? '';
  const names = nodesOf(policy()).map((node) => node.name);
  const order = names.toSorted((a, b) => Number(b === first) - Number(a === first));
  const place = Math.min(order.indexOf(name), MAX_PLACES);
  if (place > 0) return behindSince + FIRST_MS * 2 ** (place - 1);
  const followed = (heads.hasQuorum() ? heads.quorum().head.size : 0) >= last;
  return followed ? behindSince : signedAt + UNFOLLOWED_MS;
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
    if (signal.aborted) return false;
    const leave = parts.record.askLeave({
      operators: parts.policy().operators.length,
      self: parts.name.split('/', 1)[0] ?? parts.name,
      answers: [...answers.values()],
      override: parts.recordIsMine,
    });
    if (leave.allowed) {
      if (parts.recordIsMine)
        parts.logger.warn('cosigner record vouched for by a person', { name: parts.name });
      return true;
    }
    if (leave.code !== 'COSIGNER_UNCONFIRMED') {
      parts.logger.error('cosigner signs nothing: others hold what its record does not', {
        code: leave.code,
      });
      return false;
    }
    if (asked % 20 === 0)
      parts.logger.info('cosigner waits for other operators', { answers: answers.size });
    await sleep(Math.min(100 * (asked + 1), 1000), undefined, { signal }).catch(() => undefined);
  }
  return false;
}

function ownAmong(
  { name }: CosigningParts,
  rows: readonly NamedCosignature[],
): StartupAnswer['newest'] {
  return rows.find((row) => row.name === name) ?? null;
}

/** Takes another node's cosignature; one that is refused is logged, and harms nobody. */
function learn(
  { heads, logger }: Pick<CosigningParts, 'heads' | 'logger'>,
  row: NamedCosignature,
): void {
  try {
    heads.add(row);
  } catch (error) {
    logger.warn('a cosignature was refused', {
      name: row.name,
      size: row.size,
      code: codeOf(error),
    });
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
    if (
      signal.aborted ||
      (heads.hasQuorum() && heads.quorum().head.size >= replica.certified().size)
    )
      continue;
    await Promise.all(
      peers.others().map(async (peer) => {
        const rows = await peers.cosignatures(peer).catch(() => []);
        if (!signal.aborted) for (const row of rows) learn(parts, row);
      }),
    );
  }
}

/** Answers whether the head was signed. */
function signHead(parts: CosigningParts, head: Head): boolean {
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
    return true;
  } catch (error) {
    logger.warn('a head was not cosigned', { size: head.size, code: codeOf(error), error });
    return false;
  }
}
