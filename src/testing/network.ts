/** A whole network in one process, for tests: nodes over HTTPS on loopback, authors, devices. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { encodeKey } from '../cose/key.ts';
import type { Clock } from '../clock.ts';
import { openDevice, provisionDevice, type Device, type DeviceOptions } from '../device/device.ts';
import type { OwnClock, StaleInstall } from '../device/provision.ts';
import type { SlotLayout } from '../device/slot-state.ts';
import type { Fields, Logger } from '../logger.ts';
import { createClient, type Client } from '../net/client.ts';
import { readNodeConfig, readNodeKeys, type NodeConfig, type NodeKeys } from '../node/config.ts';
import { startNode, type Node, type NodeOptions } from '../node/node.ts';
import { createNetwork, type NetworkPlan } from '../node/setup.ts';
import type { Genesis } from '../registry/genesis.ts';
import type { Line } from '../registry/line.ts';
import { nodesOf, type NamedNode } from '../registry/policy.ts';
import { createRoot, type Root } from '../registry/root.ts';
import { testPlan, type TestPlanOptions } from './network-plan.ts';

export interface TestNetworkOptions extends TestPlanOptions {
  /** Nodes to start at once: all of them unless said otherwise. */
  readonly start?: readonly string[];
  /** POSIX seconds; the machine's clock unless given. */
  readonly clock?: Clock;
  readonly receiptWaitMs?: number;
  readonly snapshotEvery?: number;
}

export interface Logged {
  readonly node: string;
  readonly level: string;
  readonly message: string;
  readonly fields: Fields;
}

/** A device in a folder that goes with the network. */
export interface TestDevice {
  readonly folder: string;
  /** Boots it; dispose of it to end its firmware. */
  open(options?: Partial<DeviceOptions>): Promise<Device>;
}

const systemClock: Clock = () => Math.floor(Date.now() / 1000);

/** Makes a network in a temporary folder and starts its nodes, which go when it is disposed of. */
export async function startTestNetwork(options: TestNetworkOptions = {}): Promise<TestNetwork> {
  const folder = await mkdtemp(join(tmpdir(), 'firmament-network-'));
  const plan = await testPlan(options);
  const clock = options.clock ?? systemClock;
  const { genesis, configs } = await createNetwork(plan, join(folder, 'network'), clock());
  const network = new TestNetwork({
    folder,
    plan,
    genesis,
    configs,
    options: { ...options, clock },
  });
  try {
    await Promise.all((options.start ?? network.names).map((name) => network.start(name)));
    return network;
  } catch (error) {
    await network[Symbol.asyncDispose]();
    throw error;
  }
}

export class TestNetwork implements AsyncDisposable {
  readonly folder: string;
  readonly plan: NetworkPlan;
  readonly genesis: Genesis;
  readonly root: Root;
  readonly rootFile: string;
  readonly clock: Clock;
  /** OPERATOR/NODE of every node, in the order of the policy. */
  readonly names: readonly string[];
  /** What the nodes logged at level info or above. */
  readonly logged: Logged[] = [];
  readonly #configs: ReadonlyMap<string, string>;
  readonly #receiptWaitMs: number | undefined;
  readonly #snapshotEvery: number | undefined;
  readonly #running = new Map<string, Node>();
  readonly #cleanup = new AsyncDisposableStack();
  #devices = 0;

  constructor(made: {
    readonly folder: string;
    readonly plan: NetworkPlan;
    readonly genesis: Genesis;
    readonly configs: ReadonlyMap<string, string>;
    readonly options: TestNetworkOptions & { readonly clock: Clock };
  }) {
    const { folder, plan, genesis, configs, options } = made;
    this.folder = folder;
    this.plan = plan;
    this.genesis = genesis;
    this.root = createRoot(genesis.networkId, genesis.policy);
    this.rootFile = join(folder, 'network', 'root.cbor');
    this.clock = options.clock;
    this.names = nodesOf(genesis.policy).map(({ name }) => name);
    this.#configs = configs;
    this.#receiptWaitMs = options.receiptWaitMs;
    this.#snapshotEvery = options.snapshotEvery;
    this.#cleanup.defer(() => rm(folder, { recursive: true, force: true, maxRetries: 5 }));
  }

  get orderer(): string {
    return this.plan.orderer;
  }

  configFile(name: string): string {
    const file = this.#configs.get(name);
    if (file === undefined) throw new Error(`no node ${name}`);
    return file;
  }

  config(name: string): NodeConfig {
    return readNodeConfig(this.configFile(name));
  }

  keys(name: string): NodeKeys {
    return readNodeKeys(this.config(name).keys);
  }

  /** The node's entry in the policy. */
  named(name: string): NamedNode {
    const named = nodesOf(this.genesis.policy).find((node) => node.name === name);
    if (!named) throw new Error(`no node ${name}`);
    return named;
  }

  url(name: string, path = ''): string {
    return this.named(name).node.url + path;
  }

  /** Starts a node that does not run, on its own port. */
  async start(name: string, options: Partial<NodeOptions> = {}): Promise<Node> {
    const node = await startNode(this.config(name), this.keys(name), {
      clock: this.clock,
      logger: this.#logger(name),
      programs: { named: process.env['FIRMAMENT_COMETBFT'], path: process.env['PATH'] },
      ...(this.#snapshotEvery !== undefined && { snapshotEvery: this.#snapshotEvery }),
      ...(this.#receiptWaitMs !== undefined && { receiptWaitMs: this.#receiptWaitMs }),
      ...options,
    });
    this.#running.set(name, node);
    return node;
  }

  async stop(name: string): Promise<void> {
    const node = this.node(name);
    this.#running.delete(name);
    await node[Symbol.asyncDispose]();
  }

  /** A node that runs. */
  node(name: string): Node {
    const node = this.#running.get(name);
    if (!node) throw new Error(`${name} does not run`);
    return node;
  }

  running(): readonly Node[] {
    return [...this.#running.values()];
  }

  #logger(node: string): Logger {
    const log =
      (level: string) =>
      (message: string, fields: Fields = {}): void => {
        this.logged.push({ node, level, message, fields });
        if (this.logged.length > 10_000) this.logged.shift();
      };
    return { debug: () => undefined, info: log('info'), warn: log('warn'), error: log('error') };
  }

  /** A client that knows the nodes' keys; with the credentials of a node when one is named. */
  client(as?: string): Client {
    return this.#cleanup.use(
      createClient({
        pins: (origin) =>
          nodesOf(this.genesis.policy).find(({ node }) => new URL(node.url).origin === origin)?.node
            .spki,
        ...(as !== undefined && { credentials: this.keys(as).tls }),
        perOrigin: 128,
      }),
    );
  }

  /** What goes when the network goes. */
  use<T extends AsyncDisposable>(resource: T): T {
    return this.#cleanup.use(resource);
  }

  /** A device that follows these lines, in order. */
  device(
    lines: readonly { readonly line: Line; readonly anchor: Parameters<typeof encodeKey>[0] }[],
    staleInstall: StaleInstall = 'consent',
    slots: SlotLayout = 'ab',
    clock: OwnClock = 'own',
  ): TestDevice {
    const folder = join(this.folder, `device-${++this.#devices}`);
    const [first] = lines;
    if (!first) throw new Error('a device follows a line');
    provisionDevice(folder, {
      name: `device-${this.#devices}`,
      model: 'lamp',
      vendorId: first.line.vendor,
      classId: first.line.class,
      lines: lines.map(({ line, anchor }) => ({ anchor: encodeKey(anchor), track: line.track })),
      root: this.root.bytes,
      floor: this.clock(),
      staleInstall,
      slots,
      clock,
    });
    return {
      folder,
      open: (options = {}) => openDevice(folder, { clock: this.clock, ...options }),
    };
  }

  /** Stops every node, then removes the folder. */
  async [Symbol.asyncDispose](): Promise<void> {
    const nodes = [...this.#running.values()];
    this.#running.clear();
    await Promise.all(nodes.map((node) => node[Symbol.asyncDispose]()));
    await this.#cleanup.disposeAsync();
  }
}
