/** One figure of the bench, and how figures are shown. */

/** A text is shown and not judged. */
export type Aim = { readonly atLeast: number } | { readonly atMost: number } | string;

export interface Row {
  readonly name: string;
  readonly value: number;
  readonly unit: string;
  readonly aim?: Aim;
  /** How it was measured, where that is not plain from the name. */
  readonly note?: string;
}

export interface BenchOptions {
  /** Small sizes and short runs: shows that everything works, measures nothing. */
  readonly quick: boolean;
  /** What is going on, for people. */
  readonly say: (line: string) => void;
}

/** A file of `bench/` that exports this under the name `rows`. */
export type Bench = (options: BenchOptions) => Promise<readonly Row[]>;

/** Whether a figure with an aim reaches it. */
export function reaches({ value, aim }: Row): boolean | undefined {
  if (aim === undefined || typeof aim === 'string') return undefined;
  return 'atLeast' in aim ? value >= aim.atLeast : value <= aim.atMost;
}

function shown(value: number): string {
  if (Number.isInteger(value)) return value.toLocaleString('en');
  if (Math.abs(value) >= 100) return Math.round(value).toLocaleString('en');
  return value.toPrecision(3);
}

/** A table in plain text, one line a row, notes below their row. */
export function table(rows: readonly Row[]): string {
  const cells = rows.map((row) => {
    const { aim } = row;
    const wanted =
      typeof aim === 'string'
        ? aim
        : aim && ('atLeast' in aim ? `>= ${shown(aim.atLeast)}` : `<= ${shown(aim.atMost)}`);
    const verdict = { true: 'reached', false: 'MISSED', undefined: '' }[`${reaches(row)}`] ?? '';
    return [row.name, shown(row.value), row.unit, wanted ?? '', verdict];
  });
  const width = (column: number): number =>
    Math.max(...cells.map((cell) => (cell[column] ?? '').length));
  return cells
    .flatMap(([name = '', value = '', unit = '', aim = '', verdict = ''], i) => {
      const line = [
        name.padEnd(width(0)),
        value.padStart(width(1)),
        unit.padEnd(width(2)),
        aim.padEnd(width(3)),
        verdict,
      ].join('  ');
      const note = rows[i]?.note;
      return note === undefined ? [line.trimEnd()] : [line.trimEnd(), `    ${note}`];
    })
    .join('\n');
}
