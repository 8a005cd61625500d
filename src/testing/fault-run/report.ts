/** What a run came to. */

export interface FaultReport {
  readonly seed: number;
  readonly seconds: number;
  readonly partitions: boolean;
  /** How often each kind was done. */
  readonly faults: ReadonlyMap<string, number>;
  /** Of our blocks, that every node has. */
  readonly height: number;
  readonly size: number;
  readonly acknowledged: number;
  readonly found: number;
  /** Milliseconds without a receipt: at most, and at most while f or fewer were at fault. */
  readonly longestStall: number;
  readonly longestStallWhole: number;
  /** Milliseconds until everything was as before, after a fault, at most. */
  readonly longestRecovery: { readonly kind: string; readonly ms: number };
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
  const { faults, devices, violations, longestRecovery: recovery } = report;
  const total = [...faults.values()].reduce((sum, each) => sum + each, 0);
  const width = Math.max(...[...faults.keys()].map((kind) => kind.length), 0);
  return [
    `${report.seconds.toFixed(0)} s, seed ${report.seed}, ${total} faults${report.partitions ? '' : ', no partitions'}`,
    ...[...faults]
      .toSorted(([a], [b]) => (a < b ? -1 : 1))
      .map(([kind, times]) => `  ${kind.padEnd(width)}  ${times}`),
    `height ${report.height}, log size ${report.size}, equal on every node`,
    `${report.acknowledged} statements acknowledged, ${report.found} of them at their places; ${report.releases} releases available`,
    `longest without a receipt: ${seconds(report.longestStall)}; with at most one member at fault: ${seconds(report.longestStallWhole)}`,
    `longest until all was as before: ${seconds(recovery.ms)} (${recovery.kind})`,
    `${report.cosignatures} heads cosigned, none against another`,
    `devices asked ${devices.rounds} times, installed ${devices.installed}, stale ${devices.stale}; refused of nodes: ${counts(devices.lies)}`,
    ...(violations.length === 0
      ? ['no violation']
      : [`${violations.length} VIOLATIONS`, ...violations.map((what) => `  ${what}`)]),
  ];
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`;
}

function counts(of: ReadonlyMap<string, number>): string {
  return of.size === 0 ? 'nothing' : [...of].map(([what, n]) => `${what} ${n}`).join(', ');
}
