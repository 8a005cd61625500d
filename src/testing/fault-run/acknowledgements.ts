/** What authors were given receipts for, and how long they had to wait. */
import type { Receipted } from '../../author/registration.ts';

export class Acknowledgements {
  readonly #all: Receipted[] = [];
  /** Undefined before the first. */
  #last: number | undefined;
  #longest = 0;
  /** Since when no more than f are at fault; undefined while more are. */
  #wholeSince: number | undefined = performance.now();
  #longestWhole = 0;

  get all(): readonly Receipted[] {
    return this.#all;
  }

  get count(): number {
    return this.#all.length;
  }

  /** Milliseconds without a receipt: at most, at most while f or fewer were at fault, and now. */
  get stalls(): { readonly longest: number; readonly longestWhole: number; readonly now: number } {
    this.#measure();
    return {
      longest: this.#longest,
      longestWhole: this.#longestWhole,
      now: this.#wholeSince === undefined ? 0 : this.#whole(),
    };
  }

  add(...receipted: readonly Receipted[]): void {
    this.#measure();
    this.#last = performance.now();
    this.#all.push(...receipted);
  }

  /** From now on more than f are at fault, or no longer. */
  halt(halted: boolean): void {
    this.#measure();
    this.#wholeSince = halted ? undefined : performance.now();
  }

  #whole(): number {
    return performance.now() - Math.max(this.#last ?? Infinity, this.#wholeSince ?? Infinity);
  }

  #measure(): void {
    if (this.#last === undefined) return;
    this.#longest = Math.max(this.#longest, performance.now() - this.#last);
    if (this.#wholeSince !== undefined)
      this.#longestWhole = Math.max(this.#longestWhole, this.#whole());
  }
}
