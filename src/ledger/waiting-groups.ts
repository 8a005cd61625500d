/** Groups that wait to be ordered, in two lanes: withdrawals, revocations and policy changes go before all else (T11). */
import { check } from '../errors.ts';
import type { Transaction } from '../registry/statement.ts';
import type { Placement } from './committed-ledger.ts';
import { UrgentShares } from './urgent-shares.ts';

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
  readonly #shares = new UrgentShares();

  constructor(bounds: LaneBounds) {
    this.#other = new Lane(bounds);
  }

  get statements(): number {
    return this.#urgent.statements + this.#other.statements;
  }

  /** `now` and `maxHold` in seconds. Errors: LEDGER_BUSY. */
  push(waiting: Waiting, now: number, maxHold: number): void {
    const first = this.#shares.goesFirst(waiting.group, now - maxHold);
    (first ? this.#urgent : this.#other).push(waiting);
  }

  /** Counts an urgent group against its signers' share, once its signatures were found good. */
  count(group: readonly Transaction[], now: number): void {
    this.#shares.count(group, now);
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
