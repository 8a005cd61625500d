/**
 * Records that were used last, as they are on disk: the same few authors, lines and policy are asked for by every
 * statement. Nothing of a block comes in before its commit, so there is nothing to take back when one fails.
 */

/** Together at most 16 MiB. */
const MAX_RECORDS = 4096;
const MAX_BYTES = 4096;

export class RecordCache {
  readonly #records = new Map<string, Uint8Array>();

  get(name: string): Uint8Array | undefined {
    return this.#records.get(name);
  }

  /** Keeps a committed record; the one kept longest makes room. */
  keep(name: string, value: Uint8Array): void {
    this.#records.delete(name);
    if (value.length > MAX_BYTES) return;
    if (this.#records.size >= MAX_RECORDS)
      this.#records.delete(this.#records.keys().next().value as string);
    this.#records.set(name, value);
  }

  clear(): void {
    this.#records.clear();
  }

  /** After a commit: what the block wrote. */
  update(written: ReadonlyMap<string, Uint8Array>): void {
    for (const [name, value] of written) this.keep(name, value);
  }
}
