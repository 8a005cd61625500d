/** The demo's verdicts: what was done, what should happen, what was seen. */

export interface Row {
  readonly what: string;
  readonly expected: string;
  readonly seen: string;
  readonly ok: boolean;
  readonly ms: number;
}

/** What a step saw. A text alone holds when it is exactly what was expected. */
export type Seen = string | { readonly seen: string; readonly ok: boolean };

/** Something whose last lines explain a failure. */
export interface Witness {
  readonly name: string;
  log(): readonly string[];
}

export class Rows {
  readonly #rows: Row[] = [];
  readonly #failures: string[] = [];
  readonly #onRow: (row: Row) => void;
  readonly #signal: AbortSignal;

  constructor(signal: AbortSignal, onRow: (row: Row) => void) {
    this.#signal = signal;
    this.#onRow = onRow;
  }

  get all(): readonly Row[] {
    return this.#rows;
  }

  /** The last lines of the processes that had to do with a row that did not hold. */
  get failures(): readonly string[] {
    return this.#failures;
  }

  /** Takes one step and judges it; an error is a row that did not hold. Answers whether it held. */
  async judge(
    what: string,
    expected: string,
    witnesses: readonly Witness[],
    step: () => Promise<Seen>,
  ): Promise<boolean> {
    this.#signal.throwIfAborted();
    const began = performance.now();
    let result: { readonly seen: string; readonly ok: boolean };
    try {
      const seen = await step();
      result = typeof seen === 'string' ? { seen, ok: seen === expected } : seen;
    } catch (error) {
      this.#signal.throwIfAborted();
      const [first = '', ...rest] = String(error).split('\n');
      result = { seen: first, ok: false };
      this.#failures.push(...rest.map((line) => `    ${line}`));
    }
    const row = { what, expected, ...result, ms: Math.round(performance.now() - began) };
    this.#rows.push(row);
    if (!row.ok) this.#explain(row, witnesses);
    this.#onRow(row);
    return row.ok;
  }

  #explain(row: Row, witnesses: readonly Witness[]): void {
    this.#failures.push(`${row.what}: ${row.seen}`);
    for (const witness of witnesses) {
      this.#failures.push(`  last lines of ${witness.name}:`);
      this.#failures.push(...witness.log().map((line) => `    ${line}`));
    }
  }
}

/** The table at the end. */
export function formatRows(rows: readonly Row[]): readonly string[] {
  const cells = rows.map(({ what, expected, seen, ok, ms }) => [
    what,
    expected,
    seen,
    ok ? 'yes' : 'NO',
    `${(ms / 1000).toFixed(1)} s`,
  ]);
  const head = ['what', 'expected', 'seen', 'ok', 'time'];
  const widths = head.map((title, i) =>
    Math.max(title.length, ...cells.map((row) => (row[i] ?? '').length)),
  );
  const line = (row: readonly string[]): string =>
    row
      .map((cell, i) =>
        i === row.length - 1 ? cell.padStart(widths[i] ?? 0) : cell.padEnd(widths[i] ?? 0),
      )
      .join('  ');
  return [line(head), widths.map((width) => '-'.repeat(width)).join('  '), ...cells.map(line)];
}
