/**
 * What was submitted here and is not ordered yet. The engine's mempool forgets, at a restart and when it is full: so
 * each group is put forward again until its outcome is known, and one that takes too long is kept on disk.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Clock } from '../../clock.ts';
import { check, fail, FirmamentError } from '../../errors.ts';
import type { Logger } from '../../logger.ts';
import { encodeGroup, MAX_GROUP, MAX_STATEMENTS } from '../../registry/group.ts';
import { isUrgent } from '../../registry/urgent.ts';
import { MAX_ATTACHMENT, type Transaction } from '../../registry/statement.ts';
import type { Placement } from '../committed-ledger.ts';
import type { Outcome, Replica } from '../replica.ts';
import { BroadcastLane } from './broadcast-lane.ts';
import type { PendingGroups } from './pending.ts';
import type { EngineRpc } from './rpc.ts';
import type { ParsedTransaction, TransactionCache } from './transaction-cache.ts';

export interface SubmissionsOptions {
  readonly replica: Replica;
  readonly cache: TransactionCache;
  readonly pending: PendingGroups;
  readonly rpc: EngineRpc;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Whether the engine runs and has every block that its peers have: what it refuses before means nothing. */
  readonly isReady: () => boolean;
  /** Milliseconds until a caller is told that its group is kept. */
  readonly orderWaitMs: number;
  /** Milliseconds between two attempts. */
  readonly againMs: number;
  /** How much may wait: statements and bytes. */
  readonly queueStatements: number;
  readonly queueBytes: number;
}

interface Submitted {
  readonly parsed: ParsedTransaction;
  readonly bytes: Uint8Array;
  /** Those who wait for its outcome; none for a group that is kept. */
  readonly outcome: PromiseWithResolvers<readonly Placement[]>;
  /** Milliseconds of the monotonic clock. */
  readonly since: number;
  urgent: boolean;
  /** When it was refused first, on the same clock. */
  refusedAt?: number;
}

// The part of the time between two attempts for which a refusal is doubted: half a second.
const DOUBT = 1 / 4;

// Room of its own for what may not be held back (T11).
const URGENT_ROOM = { statements: 1024, bytes: 8 << 20 };

export class Submissions {
  readonly #options: SubmissionsOptions;
  readonly #waiting = new Map<string, Submitted>();
  readonly #lane: BroadcastLane;
  readonly #closed = new AbortController();
  #statements = 0;
  #bytes = 0;

  constructor(options: SubmissionsOptions) {
    this.#options = options;
    const { rpc, logger } = options;
    this.#lane = new BroadcastLane({ rpc, logger, isWanted: (id) => this.#isWanted(id) });
    for (const { id, bytes } of options.pending.all()) {
      const parsed = options.cache.parsedOrNone(bytes);
      if (parsed) this.#add(parsed, bytes);
      else options.pending.drop([id]);
    }
    void this.#again();
  }

  /** Statements that wait. */
  get queued(): number {
    return this.#statements;
  }

  /**
   * Resolves once the group is on disk here in a block of the consortium's. Errors: the refusal of a statement,
   * LEDGER_BUSY, LEDGER_GROUP_INVALID, LEDGER_HALTED, LEDGER_UNORDERED, LEDGER_CLOSED.
   */
  async submit(group: readonly Transaction[]): Promise<readonly Placement[]> {
    const { replica, cache } = this.#options;
    check(!this.#closed.signal.aborted, 'LEDGER_CLOSED');
    check(replica.halted() === undefined, 'LEDGER_HALTED');
    checkShape(group);
    const known = placed(replica, group);
    if (known) return known;
    const bytes = encodeGroup(
      group.map(({ statement, attachment }) => ({ statement: statement.bytes, attachment })),
    );
    check(bytes.length <= MAX_GROUP, 'LEDGER_GROUP_INVALID');
    const parsed = cache.keep(bytes, group);
    let submitted = this.#waiting.get(parsed.id);
    if (!submitted) {
      this.#checkRoom(group, bytes.length);
      submitted = this.#add(parsed, bytes);
      this.#send(submitted);
    }
    return this.#answered(submitted);
  }

  #checkRoom(group: readonly Transaction[], length: number): void {
    const { queueStatements, queueBytes } = this.#options;
    const more = isUrgent(group) ? URGENT_ROOM : { statements: 0, bytes: 0 };
    check(
      this.#statements + group.length <= queueStatements + more.statements &&
        this.#bytes + length <= queueBytes + more.bytes,
      'LEDGER_BUSY',
    );
  }

  #add(parsed: ParsedTransaction, bytes: Uint8Array): Submitted {
    const outcome = Promise.withResolvers<readonly Placement[]>();
    // A kept group may have nobody who waits for it.
    outcome.promise.catch(() => undefined);
    const urgent = isUrgent(parsed.group);
    const submitted = { parsed, bytes, outcome, since: performance.now(), urgent };
    this.#waiting.set(parsed.id, submitted);
    this.#statements += parsed.group.length;
    this.#bytes += bytes.length;
    return submitted;
  }

  async #answered(submitted: Submitted): Promise<readonly Placement[]> {
    const { orderWaitMs, pending, clock } = this.#options;
    const stop = new AbortController();
    const late = sleep(orderWaitMs, 'late' as const, { signal: stop.signal }).catch(
      () => 'late' as const,
    );
    try {
      const first = await Promise.race([submitted.outcome.promise, late]);
      if (first !== 'late') return first;
    } finally {
      stop.abort();
    }
    pending.keep(submitted.parsed.id, clock(), submitted.bytes);
    return fail('LEDGER_UNORDERED');
  }

  /** What waits and may not be held back, oldest first: a mempool may have no room for it (T11). */
  urgent(): readonly Uint8Array[] {
    return [...this.#waiting.values()].filter(({ urgent }) => urgent).map(({ bytes }) => bytes);
  }

  /** What became of the transactions of a block that is on disk now. */
  committed(outcomes: ReadonlyMap<string, Outcome>): void {
    const over: string[] = [];
    for (const [id, outcome] of outcomes) {
      const submitted = this.#waiting.get(id);
      // A block without room for it says nothing of the group: it is put forward again.
      if (!submitted || isBusy(outcome)) continue;
      over.push(id);
      if ('refused' in outcome) this.#refuse(submitted, outcome.refused);
      else this.#resolve(submitted, outcome.placements);
    }
    this.#drop(over);
  }

  // In this order: who is answered here is answered for good, whatever becomes of the row.
  #drop(ids: readonly string[]): void {
    try {
      this.#options.pending.drop(ids);
    } catch (error) {
      this.#options.logger.error('what is ordered could not be taken from what waits', { error });
    }
  }

  #resolve(submitted: Submitted, placements: readonly Placement[]): void {
    this.#forget(submitted);
    submitted.outcome.resolve(placements);
  }

  #refuse(submitted: Submitted, error: unknown): void {
    this.#forget(submitted);
    submitted.outcome.reject(error);
  }

  #forget({ parsed, bytes }: Submitted): void {
    if (!this.#waiting.delete(parsed.id)) return;
    this.#statements -= parsed.group.length;
    this.#bytes -= bytes.length;
  }

  /** Puts everything that waits forward at once: after a start of the engine. */
  resend(): void {
    const all = [...this.#waiting.values()];
    for (const submitted of all.toSorted((a, b) => Number(b.urgent) - Number(a.urgent)))
      this.#send(submitted);
  }

  #send(submitted: Submitted): void {
    if (this.#options.isReady()) this.#lane.push(submitted.parsed.id, submitted.bytes);
  }

  #isWanted(id: string): boolean {
    const submitted = this.#waiting.get(id);
    if (!submitted) return false;
    const known = placed(this.#options.replica, submitted.parsed.group);
    if (!known) return true;
    this.#resolve(submitted, known);
    this.#drop([id]);
    return false;
  }

  /**
   * The rules refuse a transaction on the state that is here. The refusal is told when it still stands a little later:
   * what it builds upon may be on the disk of the member that its signer asked before, and not here yet.
   */
  refused(id: string, error: FirmamentError): void {
    const submitted = this.#waiting.get(id);
    if (!submitted || !this.#options.isReady()) return;
    const doubt = this.#options.againMs * DOUBT;
    const now = performance.now();
    if (submitted.refusedAt === undefined) {
      submitted.refusedAt = now;
      setTimeout(() => this.#send(submitted), doubt).unref();
    } else if (now - submitted.refusedAt >= doubt) {
      this.#refuse(submitted, error);
      this.#drop([id]);
    }
  }

  async #again(): Promise<void> {
    const { signal } = this.#closed;
    while (!signal.aborted) {
      await sleep(this.#options.againMs, undefined, { signal, ref: false }).catch(() => undefined);
      const before = performance.now() - this.#options.againMs;
      for (const submitted of this.#waiting.values())
        if (submitted.since <= before) this.#send(submitted);
    }
  }

  /** Keeps on disk what waits, and tells who waits for it. */
  close(): void {
    this.#closed.abort();
    for (const submitted of this.#waiting.values()) {
      let error: unknown = new FirmamentError('LEDGER_UNORDERED');
      try {
        this.#options.pending.keep(submitted.parsed.id, this.#options.clock(), submitted.bytes);
      } catch (cause) {
        error = cause;
      }
      submitted.outcome.reject(error);
    }
    this.#waiting.clear();
  }
}

function isBusy(outcome: Outcome): boolean {
  return 'refused' in outcome && outcome.refused.code === 'LEDGER_BUSY';
}

// What no member could read is never put forward: nobody would order it, and nobody refuse it.
function checkShape(group: readonly Transaction[]): void {
  check(
    group.length >= 1 &&
      group.length <= MAX_STATEMENTS &&
      group.every(({ attachment }) => (attachment?.length ?? 0) <= MAX_ATTACHMENT),
    'LEDGER_GROUP_INVALID',
  );
}

/** Where a group stands that is on the ledger as a whole. */
function placed(replica: Replica, group: readonly Transaction[]): readonly Placement[] | undefined {
  const placements: Placement[] = [];
  for (const { statement } of group) {
    const placement = replica.find(statement.signingDigest);
    if (!placement) return undefined;
    placements.push(placement);
  }
  return placements;
}
