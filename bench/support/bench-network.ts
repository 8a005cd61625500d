/** A network of real node processes in a temporary folder, for the bench. */
import { readFileSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { createNetwork } from '../../src/node/setup.ts';
import type { NetworkPlan } from '../../src/node/setup.ts';
import type { Genesis } from '../../src/registry/genesis.ts';
import { createRoot, type Root } from '../../src/registry/root.ts';
import { testPlan, type TestPlanOptions } from '../../src/testing/network-plan.ts';
import { startNodeProcess, type RunningCommand } from '../../src/testing/processes.ts';
import { get, openConnection } from './connection.ts';

export interface BenchNetwork extends AsyncDisposable {
  readonly folder: string;
  readonly genesis: Genesis;
  readonly root: Root;
  readonly rootFile: string;
  /** The orderer's port, or that of the first node of a consortium. */
  readonly port: number;
  readonly orderer: RunningCommand;
  readonly nodes: readonly RunningCommand[];
  /** The process of OPERATOR/NODE. */
  node(name: string): RunningCommand;
  readonly plan: NetworkPlan;
  /** A node's configuration file, by OPERATOR/NODE. */
  config(name: string): string;
}

/** Makes the network, then starts its nodes. */
export async function startBenchNetwork(
  options: TestPlanOptions & {
    /** Of the node OPERATOR/NODE. */
    readonly env?: (name: string) => Readonly<Record<string, string>>;
    /** Fields of every node's configuration; one client may send as much as it likes unless they say otherwise. */
    readonly config?: Readonly<Record<string, unknown>>;
  },
): Promise<BenchNetwork> {
  await using cleanup = new AsyncDisposableStack();
  const folder = await mkdtemp(join(tmpdir(), 'firmament-bench-'));
  cleanup.defer(() => rm(folder, { recursive: true, force: true }));
  const plan = await testPlan(options);
  const { genesis, configs, rootFile } = await createNetwork(
    plan,
    folder,
    Math.floor(Date.now() / 1000),
  );
  for (const path of configs.values()) {
    const config = JSON.parse(readFileSync(path, 'utf8')) as object;
    writeFileSync(path, JSON.stringify({ ...config, rate: null, ...options.config }));
  }
  const nodes: RunningCommand[] = [];
  const started = await Promise.all(
    [...configs].map(async ([name, config]) => {
      const node = await startNodeProcess(config, options.env && { env: options.env(name) });
      cleanup.use(node);
      nodes.push(node);
      return [name, node] as const;
    }),
  );
  const byName = new Map(started);
  const first = plan.orderer === '' ? ([...configs.keys()][0] as string) : plan.orderer;
  for (const name of plan.orderer === '' ? configs.keys() : [first])
    await untilHealthy(portOf(plan, name));
  const owned = cleanup.move();
  return {
    folder,
    genesis,
    root: createRoot(genesis.networkId, genesis.policy),
    rootFile,
    port: portOf(plan, first),
    orderer: byName.get(first) as RunningCommand,
    nodes,
    node: (name) => byName.get(name) as RunningCommand,
    plan,
    config: (name) => configs.get(name) as string,
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

export function portOf(plan: NetworkPlan, name: string): number {
  const [operator, node] = name.split('/');
  const found = plan.operators
    .find((each) => each.name === operator)
    ?.nodes.find((each) => each.name === node);
  if (!found) throw new Error(`no node ${name}`);
  return found.port;
}

async function untilHealthy(port: number): Promise<void> {
  using connection = await openConnection(port);
  for (let tries = 0; ; tries++) {
    const { status } = await connection.request(get('/healthz', 'localhost'));
    if (status === 200) return;
    if (tries > 600) throw new Error('the node has no quorum after a minute');
    await sleep(100);
  }
}
