/** What a run came to. */

export interface FaultCount {
  readonly times: number;
  /** Milliseconds without a receipt, at most, from the fault on. */
  readonly stall: number;
  /** Milliseconds until all was as before once it was over, at most. */
  readonly recovery: number;
}

export interface FaultReport {
  readonly seed: number;
  readonly seconds: number;
  readonly partitions: boolean;
  /** By kind. */
  readonly faults: ReadonlyMap<string, FaultCount>;
  /** Of our blocks, that every node has. */
  readonly height: number;
  readonly size: number;
  readonly acknowledged: number;
  readonly found: number;
  readonly releases: number;
  readonly cosignatures: number;
  readonly devices: {
    readonly rounds: number;
    readonly installed: number;
    readonly stale: number;
    readonly lies: ReadonlyMap<string, number>;
  };
  readonly violations: readonly string[];
}

/** For people. */
export function reportLines(report: FaultReport): readonly string[] {
  const { faults, devices, violations } = report;
  const total = [...faults.values()].reduce((sum, { times }) => sum + times, 0);
  const width = Math.max(...[...faults.keys()].map((kind) => kind.length), 0);
  return [
    `${report.seconds.toFixed(0)} s, seed ${report.seed}, ${total} faults${report.partitions ? '' : ', no partitions'}`,
    ...[...faults]
      .toSorted(([a], [b]) => (a < b ? -1 : 1))
      .map(
        ([kind, { times, stall, recovery }]) =>
          `  ${kind.padEnd(width)}  ${String(times).padStart(3)}  ${seconds(stall)} without a receipt, ${seconds(recovery)} until all was as before`,
      ),
    `height ${report.height}, log size ${report.size}, equal on every node`,
    `${report.acknowledged} statements acknowledged, ${report.found} of them at their places; ${report.releases} releases available`,
    `${report.cosignatures} heads cosigned, none against another`,
    `devices asked ${devices.rounds} times, installed ${devices.installed}, stale ${devices.stale}; refused of nodes: ${counts(devices.lies)}`,
    ...(violations.length === 0
      ? ['no violation']
      : [`${violations.length} VIOLATIONS`, ...violations.map((what) => `  ${what}`)]),
  ];
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1).padStart(5)} s`;
}

function counts(of: ReadonlyMap<string, number>): string {
  return of.size === 0 ? 'nothing' : [...of].map(([what, n]) => `${what} ${n}`).join(', ');
}
