/** What must never happen, and did. */

export class Violations {
  readonly #found: string[] = [];
  readonly #onFirst: (what: string) => void;

  /** `onFirst` is told of the first one. */
  constructor(onFirst: (what: string) => void) {
    this.#onFirst = onFirst;
  }

  get all(): readonly string[] {
    return this.#found;
  }

  add(what: string): void {
    if (this.#found.includes(what)) return;
    this.#found.push(what);
    if (this.#found.length === 1) this.#onFirst(what);
  }

  check(holds: boolean, what: string): void {
    if (!holds) this.add(what);
  }
}
