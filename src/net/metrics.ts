/**
 * Counters, gauges and histograms, written in Prometheus' text format (version 0.0.4). Label values come from code,
 * never from a request, and a metric keeps a bounded number of series all the same.
 */

export interface Counter {
  add(labels?: readonly string[], by?: number): void;
}

export interface Histogram {
  /** In the unit of the metric's name. */
  observe(value: number, labels?: readonly string[]): void;
}

export interface Metrics {
  counter(name: string, help: string, labels?: readonly string[]): Counter;
  /** `read` is asked when the metrics are; undefined: no such value just now. */
  gauge(name: string, help: string, read: () => number | undefined): void;
  /** `bounds`: upper bounds, ascending. */
  histogram(
    name: string,
    help: string,
    bounds: readonly number[],
    labels?: readonly string[],
  ): Histogram;
  text(): string;
}

export const METRICS_TYPE = 'text/plain; version=0.0.4; charset=utf-8';
const MAX_SERIES = 1024;

/** An empty set. Names are the caller's, each once. */
export function createMetrics(): Metrics {
  const written: (() => readonly string[])[] = [];
  const declare = (
    name: string,
    help: string,
    type: 'counter' | 'gauge' | 'histogram',
    samples: () => readonly string[],
  ): void => {
    const head = [`# HELP ${name} ${escaped(help)}`, `# TYPE ${name} ${type}`];
    written.push(() => {
      const lines = samples();
      return lines.length === 0 ? [] : [...head, ...lines];
    });
  };
  return {
    counter(name, help, labels = []) {
      const series = new Series(() => ({ value: 0 }));
      declare(name, help, 'counter', () =>
        series.lines((values, { value }) => [`${name}${braces(labels, values)} ${value}`]),
      );
      return {
        add: (values = [], by = 1) => {
          const counted = series.at(values);
          if (counted) counted.value += by;
        },
      };
    },
    gauge(name, help, read) {
      declare(name, help, 'gauge', () => {
        const value = read();
        return value === undefined ? [] : [`${name} ${value}`];
      });
    },
    histogram(name, help, bounds, labels = []) {
      const series = new Series(() => ({ counts: bounds.map(() => 0), count: 0, sum: 0 }));
      declare(name, help, 'histogram', () =>
        series.lines((values, { counts, count, sum }) => {
          const names = [...labels, 'le'];
          const buckets = bounds.map(
            (bound, i) =>
              `${name}_bucket${braces(names, [...values, `${bound}`])} ${counts[i] ?? 0}`,
          );
          return [
            ...buckets,
            `${name}_bucket${braces(names, [...values, '+Inf'])} ${count}`,
            `${name}_sum${braces(labels, values)} ${sum}`,
            `${name}_count${braces(labels, values)} ${count}`,
          ];
        }),
      );
      return {
        observe: (value, values = []) => {
          const seen = series.at(values);
          if (!seen) return;
          seen.count += 1;
          seen.sum += value;
          bounds.forEach((bound, i) => {
            if (value <= bound) seen.counts[i] = (seen.counts[i] ?? 0) + 1;
          });
        },
      };
    },
    text: () => `${written.flatMap((lines) => lines()).join('\n')}\n`,
  };
}

/** What is kept for each combination of label values. */
class Series<T> {
  readonly #kept = new Map<string, { readonly values: readonly string[]; readonly state: T }>();
  readonly #fresh: () => T;

  constructor(fresh: () => T) {
    this.#fresh = fresh;
  }

  /** Undefined when there are too many already. */
  at(values: readonly string[]): T | undefined {
    const key = values.join('\n');
    let found = this.#kept.get(key);
    if (!found) {
      if (this.#kept.size >= MAX_SERIES) return undefined;
      found = { values, state: this.#fresh() };
      this.#kept.set(key, found);
    }
    return found.state;
  }

  lines(write: (values: readonly string[], state: T) => readonly string[]): readonly string[] {
    return [...this.#kept.values()].flatMap(({ values, state }) => write(values, state));
  }
}

function braces(names: readonly string[], values: readonly string[]): string {
  if (names.length === 0) return '';
  const pairs = names.map(
    (name, i) => `${name}="${escaped(values[i] ?? '').replaceAll('"', '\\"')}"`,
  );
  return `{${pairs.join(',')}}`;
}

function escaped(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll('\n', '\\n');
}
