/** Whether the engine goes on: its height is watched, since a process that lives says nothing. */
import type { Clock } from '../../clock.ts';

export interface WatchOptions {
  readonly clock: Clock;
  /** Seconds after which a block with nothing in it is due, by the policy in force. */
  readonly emptyEvery: () => number;
  /** Statements that wait here. */
  readonly queued: () => number;
  /** How often the pair was started anew. */
  readonly restarts: () => number;
}

// Seconds without a block although something waits.
const STALLED = 30;
const MANY_RESTARTS = 5;

export class EngineWatch {
  readonly #options: WatchOptions;
  #lastBlock: number;
  #heard: number | undefined;
  #failed = false;
  #restartsThen = 0;

  constructor(options: WatchOptions) {
    this.#options = options;
    this.#lastBlock = options.clock();
  }

  /** A block of the engine, whose header has this time, is on disk here. */
  committed(time: number): void {
    const { clock, emptyEvery, restarts } = this.#options;
    const now = clock();
    this.#lastBlock = now;
    // A block of long ago, which is only caught up with, says nothing of now (T11). A header has the time of the votes
    // for the block before it, which may be as old as a quiet spell.
    const isNew = time + 2 * emptyEvery() >= now;
    this.#heard = Math.max(this.#heard ?? 0, isNew ? now : time);
    this.#failed = false;
    this.#restartsThen = restarts();
  }

  consensusFailed(): void {
    this.#failed = true;
  }

  /** POSIX seconds; undefined before the first. */
  lastCommitAt(): number | undefined {
    return this.#heard;
  }

  /** In words, while something is wrong. */
  fault(): string | undefined {
    const { clock, emptyEvery, queued, restarts } = this.#options;
    if (this.#failed) return 'the engine gave up consensus: see its log';
    if (restarts() - this.#restartsThen >= MANY_RESTARTS)
      return 'engine and application start anew again and again';
    const quiet = clock() - this.#lastBlock;
    if (quiet > STALLED && queued() > 0) return `no block for ${quiet} s although statements wait`;
    if (quiet > STALLED + 2 * emptyEvery()) return `no block for ${quiet} s`;
    return undefined;
  }
}
