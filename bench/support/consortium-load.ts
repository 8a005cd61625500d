/** Registrations at real nodes of a consortium: rate, latency, CPU, disk, and the same with one validator gone. */
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { readNodeConfig } from '../../src/node/config.ts';
import { nodesOf } from '../../src/registry/policy.ts';
import { portOf, startBenchNetwork, type BenchNetwork } from './bench-network.ts';
import { nodeCpu, since, type NodeCpu } from './cpu.ts';
import { checkReceipts, makeLane, quantile, send, type Lane, type Sent } from './load.ts';
import type { BenchOptions, Row } from './row.ts';

/** More than a lane can send in the time. */
const EACH_A_SECOND = 12;

export interface ConsortiumResult {
  /** Registrations with receipts a second. */
  readonly rate: number;
  readonly rows: readonly Row[];
}

export async function consortiumRows(
  options: BenchOptions,
  validators: number,
  inFlight: number,
): Promise<ConsortiumResult> {
  const { quick, say } = options;
  const seconds = quick ? 1 : 10;
  const full = validators === 4;
  await using network = await startBenchNetwork({
    operators: validators,
    consortium: 'in force',
  });
  const names = nodesOf(network.genesis.policy).map(({ name }) => name);
  const rows: Row[] = full ? [await idleRow(network, names, quick ? 1 : 10)] : [];

  say(`${validators} validators: signing`);
  const lanes = lanesOf(network, 'author', inFlight, seconds);
  const gone = full ? lanesOf(network, 'later', inFlight, seconds) : [];
  const disk = diskOf(network, names);
  const before = cpuOf(network, names);
  say(`${validators} validators: ${inFlight} in flight`);
  const sent = await send(portsOf(network, names), lanes, seconds);
  const cpu = since(before, cpuOf(network, names));
  checkReceipts(network.root, sent);
  const grown = diskOf(network, names) - disk;
  const nodeCount = names.length * (sent.done + 2 * lanes.length);
  rows.push(
    ...rateRows(
      `registrations, ${validators} ${validators === 1 ? 'validator' : 'validators'}`,
      sent,
      inFlight,
    ),
    ...costRows(cpu, nodeCount),
  );
  if (full) {
    rows.push({
      name: '  on disk a release and node',
      value: grown / nodeCount / 1024,
      unit: 'KiB',
      note: 'ledger, engine’s blocks and state, write-ahead logs',
    });
    say('one validator gone');
    const [first = '', ...others] = names;
    await network.node(first).kill();
    const without = await send(portsOf(network, others), gone, seconds);
    checkReceipts(network.root, without);
    rows.push(...rateRows('registrations, 3 of 4 validators', without, inFlight));
  }
  return { rate: sent.done / sent.seconds, rows };
}

export function portsOf(network: BenchNetwork, names: readonly string[]): readonly number[] {
  return names.map((name) => portOf(network.plan, name));
}

export function lanesOf(
  network: BenchNetwork,
  name: string,
  inFlight: number,
  seconds: number,
): readonly Lane[] {
  return Array.from({ length: inFlight }, (_, i) =>
    makeLane(network.genesis.networkId, `${name} ${i}`, Math.ceil(seconds * EACH_A_SECOND)),
  );
}

function rateRows(name: string, sent: Sent, inFlight: number): readonly Row[] {
  const others = Object.entries(sent.others).map(
    ([status, count]) => `${count} answered ${status}`,
  );
  const note = [
    `release.register with its manifest, ${sent.done} in ${sent.seconds.toFixed(1)} s, ${inFlight} in flight, shared by the nodes; each receipt verified`,
    'load and all nodes on the same cores',
    ...others,
  ].join('; ');
  return [
    { name, value: sent.done / sent.seconds, unit: '/s', note },
    { name: '  until the receipt, median', value: quantile(sent.latencies, 0.5), unit: 'ms' },
    { name: '  until the receipt, 95 %', value: quantile(sent.latencies, 0.95), unit: 'ms' },
  ];
}

function costRows(cpu: NodeCpu, count: number): readonly Row[] {
  return [
    {
      name: '  CPU of the node a release',
      value: (cpu.node * 1000) / count,
      unit: 'ms',
      note: 'enrolments counted as releases; HTTPS and cosigning included',
    },
    { name: '  CPU of its CometBFT a release', value: (cpu.engine * 1000) / count, unit: 'ms' },
  ];
}

async function idleRow(
  network: BenchNetwork,
  names: readonly string[],
  seconds: number,
): Promise<Row> {
  await sleep(1000);
  const before = cpuOf(network, names);
  await sleep(seconds * 1000);
  const cpu = since(before, cpuOf(network, names));
  const share = (used: number): number => (used * 100) / (seconds * names.length);
  return {
    name: 'CPU of an idle node with its CometBFT',
    value: share(cpu.node + cpu.engine),
    unit: '% of a core',
    note: `node ${share(cpu.node).toFixed(2)} %, CometBFT ${share(cpu.engine).toFixed(2)} %; ${seconds} s, mean of ${names.length}`,
  };
}

function cpuOf(network: BenchNetwork, names: readonly string[]): NodeCpu {
  return names
    .map((name) => nodeCpu(network.node(name).pid))
    .reduce((sum, each) => ({ node: sum.node + each.node, engine: sum.engine + each.engine }));
}

/** Bytes of every node's data and engine folders. */
function diskOf(network: BenchNetwork, names: readonly string[]): number {
  return names
    .map((name) => readNodeConfig(network.config(name)))
    .reduce((sum, { data, engine }) => sum + bytesIn(data) + bytesIn(engine.home), 0);
}

function bytesIn(folder: string): number {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .reduce((sum, { parentPath, name }) => {
      const { size } = statSync(join(parentPath, name), { throwIfNoEntry: false }) ?? { size: 0 };
      return sum + size;
    }, 0);
}
