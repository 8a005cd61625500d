/** What authors were given receipts for, and how long they had to wait. */
import type { Receipted } from '../../author/registration.ts';

export class Acknowledgements {
  readonly #all: Receipted[] = [];
  #last = performance.now();
  #longest = 0;

  get all(): readonly Receipted[] {
    return this.#all;
  }

  get count(): number {
    return this.#all.length;
  }

  add(...receipted: readonly Receipted[]): void {
    this.#measure();
    this.#last = performance.now();
    this.#all.push(...receipted);
  }

  /** Milliseconds without a receipt, at most, since this was asked before. */
  longestStall(): number {
    this.#measure();
    const longest = this.#longest;
    this.#longest = 0;
    return longest;
  }

  #measure(): void {
    this.#longest = Math.max(this.#longest, performance.now() - this.#last);
  }
}
