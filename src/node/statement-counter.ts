/** The counter of a node's own statements (docs/spec/statement.md, Counters). */
import type { Clock } from '../clock.ts';
import type { Replica } from '../ledger/replica.ts';
import { getNodeCounter } from '../registry/state.ts';

export class StatementCounter {
  readonly #name: string;
  readonly #replica: Pick<Replica, 'view'>;
  readonly #clock: Clock;
  #last = 0n;

  /** `name`: OPERATOR/NODE. */
  constructor(name: string, replica: Pick<Replica, 'view'>, clock: Clock) {
    this.#name = name;
    this.#replica = replica;
    this.#clock = clock;
  }

  // Milliseconds since 1970 grow across restarts too; the ledger's own count stands above a clock that went back.
  next(): bigint {
    const known = getNodeCounter(this.#replica.view(), this.#name);
    const candidates = [known + 1n, this.#last + 1n, BigInt(this.#clock()) * 1000n];
    this.#last = candidates.reduce((a, b) => (a > b ? a : b));
    return this.#last;
  }
}
