/** Groups that wait to be ordered, in two lanes: withdrawals, revocations and policy changes go before all else (T11). */
import { check } from '../errors.ts';
import type { Transaction } from '../registry/statement.ts';
import { isUrgent, URGENT_A_SIGNER, urgentSigners } from '../registry/urgent.ts';
import type { Placement } from './committed-ledger.ts';

export interface Waiting {
  readonly group: readonly Transaction[];
  readonly bytes: number;
  readonly resolve: (placements: readonly Placement[]) => void;
  readonly reject: (error: unknown) => void;
}

export interface LaneBounds {
  readonly statements: number;
  readonly bytes: number;
}

// The urgent lane has room of its own: a flood of other statements cannot keep it from being asked.
const URGENT_BOUNDS: LaneBounds = { statements: 1024, bytes: 8 << 20 };
const MAX_SIGNERS = 4096;

class Lane {
  readonly #bounds: LaneBounds;
  #queue: Waiting[] = [];
  #statements = 0;
  #bytes = 0;

  constructor(bounds: LaneBounds) {
    this.#bounds = bounds;
  }

  get statements(): number {
    return this.#statements;
  }

  /** Errors: LEDGER_BUSY. */
  push(waiting: Waiting): void {
    const statements = this.#statements + waiting.group.length;
    const bytes = this.#bytes + waiting.bytes;
    check(statements <= this.#bounds.statements && bytes <= this.#bounds.bytes, 'LEDGER_BUSY');
    this.#queue.push(waiting);
    this.#statements = statements;
    this.#bytes = bytes;
  }

  first(): Waiting | undefined {
    return this.#queue[0];
  }

  shift(): Waiting | undefined {
    const waiting = this.#queue.shift();
    if (!waiting) return undefined;
    this.#statements -= waiting.group.length;
    this.#bytes -= waiting.bytes;
    return waiting;
  }
}

export class WaitingGroups {
  readonly #urgent = new Lane(URGENT_BOUNDS);
  readonly #other: Lane;
  /** When a signer's urgent statements were ordered, by the hex of its key id: seconds. */
  readonly #ordered = new Map<string, readonly number[]>();

  constructor(bounds: LaneBounds) {
    this.#other = new Lane(bounds);
  }

  get statements(): number {
    return this.#urgent.statements + this.#other.statements;
  }

  /** `now` and `maxHold` in seconds. Errors: LEDGER_BUSY. */
  push(waiting: Waiting, now: number, maxHold: number): void {
    const first = isUrgent(waiting.group) && this.#within(waiting.group, now - maxHold);
    (first ? this.#urgent : this.#other).push(waiting);
  }

  // T11: at most q a signer and maxHold go first; what comes beyond waits like the rest.
  #within(group: readonly Transaction[], since: number): boolean {
    return urgentSigners(group).every((signer) => {
      const times = this.#ordered.get(signer) ?? [];
      return times.filter((time) => time > since).length < URGENT_A_SIGNER;
    });
  }

  /** Counts an urgent group against its signers' share, once its signatures were found good. */
  count(group: readonly Transaction[], now: number): void {
    for (const signer of urgentSigners(group)) {
      const times = this.#ordered.get(signer) ?? [];
      this.#ordered.delete(signer);
      this.#ordered.set(signer, [...times, now].slice(-URGENT_A_SIGNER));
    }
    while (this.#ordered.size > MAX_SIGNERS)
      this.#ordered.delete(this.#ordered.keys().next().value as string);
  }

  /** As many whole groups, urgent ones and then the oldest first, as fit; one alone may be larger. */
  take(bounds: LaneBounds): readonly Waiting[] {
    const batch: Waiting[] = [];
    let statements = 0;
    let bytes = 0;
    for (;;) {
      const lane = this.#urgent.first() ? this.#urgent : this.#other;
      const next = lane.first();
      if (!next) return batch;
      statements += next.group.length;
      bytes += next.bytes;
      if (batch.length > 0 && (statements > bounds.statements || bytes > bounds.bytes))
        return batch;
      batch.push(lane.shift() as Waiting);
    }
  }
}
