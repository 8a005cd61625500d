/** The demo's four nodes: one process each, watched through what they answer. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { latestPath, MAX_ENVELOPE, MAX_LATEST, releasePath } from '../../api/retrieval.ts';
import { decodeCosignatures, PEER_COSIGNATURES } from '../../api/peer.ts';
import { encodeGroup, REGISTRATIONS } from '../../api/registration.ts';
import { text } from '../../bytes.ts';
import type { PrivateKey } from '../../crypto/key.ts';
import { FirmamentError } from '../../errors.ts';
import { tilePath } from '../../log/tiles.ts';
import { createClient, type Client } from '../../net/client.ts';
import { readNodeConfig, readNodeKeys } from '../../node/config.ts';
import { createNetwork } from '../../node/setup.ts';
import type { RawTransaction } from '../../registry/block.ts';
import { lineText, type Line } from '../../registry/line.ts';
import { nodesOf, type NamedNode } from '../../registry/policy.ts';
import { parseRoot, type Root } from '../../registry/root.ts';
import { startAttacker, type Attacker } from '../attacker.ts';
import { freePorts } from '../free-ports.ts';
import type { RunningCommand } from '../processes.ts';
import type { Commands } from './commands.ts';
import { demoPlan, ORDERER, OTHER_NODE, portsOf, type DemoEngine } from './members.ts';
import { until } from './waiting.ts';

export type NodeState = 'starting' | 'up' | 'killed' | 'taken over';

/** What a node says of itself, and what became of it. */
export interface DemoNode {
  readonly name: string;
  readonly kind: string;
  readonly roles: readonly string[];
  readonly url: string;
  /** Of its blocks. */
  readonly blocks: string;
  state: NodeState;
  /** Of its log. */
  size: number;
  /** The largest head that it cosigned, as the others heard. */
  cosigned: number;
  log(): readonly string[];
}

const ENTRY = 2 + 32;

export class DemoNetwork implements AsyncDisposable {
  readonly root: Root;
  readonly rootFile: string;
  readonly nodes: readonly DemoNode[];
  readonly engine: DemoEngine;
  /** OPERATOR/NODE, by the policy in force; every one of them under the consortium engine. */
  orderers: readonly string[];
  readonly #commands: Commands;
  readonly #configs: ReadonlyMap<string, string>;
  readonly #processes = new Map<string, RunningCommand>();
  readonly #client: Client;

  private constructor(commands: Commands, configs: ReadonlyMap<string, string>, rootFile: string) {
    this.#commands = commands;
    this.#configs = configs;
    this.rootFile = rootFile;
    this.root = parseRoot(new Uint8Array(readFileSync(rootFile)));
    const named = nodesOf(this.root.policy);
    // Cosignatures are told to nodes only: the demo looks with the key of one.
    const { tls } = readNodeKeys(readNodeConfig(this.#config(OTHER_NODE)).keys);
    this.#client = createClient({
      credentials: tls,
      pins: (origin) => named.find(({ node }) => new URL(node.url).origin === origin)?.node.spki,
    });
    this.nodes = named.map((node) => this.#node(node));
    this.engine = this.root.policy.orderer.engine;
    this.orderers = this.engine === 'local' ? [ORDERER] : this.nodes.map(({ name }) => name);
  }

  /** Keys, genesis and folders, as the operators would make them. */
  static async create(
    folder: string,
    commands: Commands,
    engine: DemoEngine,
  ): Promise<DemoNetwork> {
    const plan = demoPlan(engine, await freePorts(portsOf(engine)));
    const made = await createNetwork(plan, join(folder, 'network'), Math.floor(Date.now() / 1000));
    return new DemoNetwork(commands, made.configs, made.rootFile);
  }

  #node({ name, node, operator }: NamedNode): DemoNode {
    const config = readNodeConfig(this.#configs.get(name) as string);
    return {
      name,
      kind: operator.kind,
      roles: node.roles,
      url: node.url,
      blocks: join(config.data, 'blocks'),
      state: 'starting',
      size: 0,
      cosigned: 0,
      log: () => this.#processes.get(name)?.log().slice(-8) ?? [],
    };
  }

  node(name: string): DemoNode {
    return this.nodes.find((node) => node.name === name) as DemoNode;
  }

  /** The governance key of an operator: what proves that an author runs it. */
  governanceKey(operator: string): string {
    return join(this.rootFile, '..', operator, 'governance.key');
  }

  /** Names and keys that sign heads: whoever has them is these operators. */
  cosigners(): readonly { readonly name: string; readonly key: PrivateKey }[] {
    return this.nodes.map(({ name }) => {
      const { cosigner: key } = readNodeKeys(readNodeConfig(this.#config(name)).keys);
      return { name, key };
    });
  }

  async start(): Promise<void> {
    await Promise.all(this.nodes.map(({ name }) => this.restart(name)));
  }

  /** Starts a node that does not run. */
  async restart(name: string): Promise<void> {
    const command = this.#commands.start(['node', 'start', this.#config(name)]);
    this.#processes.set(name, command);
    await command.event((event) => typeof event['port'] === 'number');
    this.node(name).state = 'up';
  }

  #config(name: string): string {
    return this.#configs.get(name) as string;
  }

  /** SIGKILL. */
  async kill(name: string): Promise<void> {
    await this.#processes.get(name)?.kill();
    const node = this.node(name);
    node.state = 'killed';
    node.cosigned = 0;
  }

  /** Somebody with the dead node's TLS key listens at its address, and knows an honest one. */
  async takeOver(name: string): Promise<Attacker> {
    const config = readNodeConfig(this.#config(name));
    const { tls } = readNodeKeys(config.keys);
    const other = nodesOf(this.root.policy).find((node) => node.name === OTHER_NODE) as NamedNode;
    const { host, port } = config.listen;
    const { url, spki } = other.node;
    const attacker = await startAttacker({ tls, host, port, upstream: { url, spki } });
    this.node(name).state = 'taken over';
    return attacker;
  }

  /** Asks every node that is up how it is, and one of them what the others signed. */
  async look(): Promise<void> {
    await Promise.all(
      this.nodes.map(async (node) => {
        if (node.state === 'up') node.size = await this.#sizeOf(node).catch(() => node.size);
      }),
    );
    const { url } = this.node(OTHER_NODE);
    const rows = await this.#get(url, PEER_COSIGNATURES, 1 << 20)
      .then(decodeCosignatures)
      .catch(() => []);
    for (const { name, size } of rows)
      if (this.node(name).state === 'up') this.node(name).cosigned = size;
  }

  async #sizeOf({ url }: DemoNode): Promise<number> {
    const health = JSON.parse(text(await this.#get(url, '/healthz', 16_384))) as { size?: unknown };
    return Number(health.size);
  }

  /** Waits until every node that is up has the same log and has cosigned all of it. */
  async cosigned(signal: AbortSignal): Promise<void> {
    const nodes = this.nodes.filter(({ state }) => state === 'up');
    await until(`${nodes.length} operators to cosign`, 20_000, signal, async () => {
      await this.look();
      const size = Math.max(1, ...nodes.map((node) => node.size));
      return nodes.every((node) => node.cosigned === size) || undefined;
    });
  }

  /** A line's update proof as a node answers it now. */
  latest(line: Line, from = OTHER_NODE): Promise<Uint8Array> {
    return this.#get(this.node(from).url, latestPath(line), MAX_LATEST);
  }

  /** A release's envelope; `withdrawn`: also if it is. */
  envelope(line: Line, digest: Uint8Array): Promise<Uint8Array> {
    const path = `${releasePath(digest)}?line=${encodeURIComponent(lineText(line))}`;
    return this.#get(this.node(OTHER_NODE).url, path, MAX_ENVELOPE);
  }

  /** The first entries of the log as a node has them, 256 at most. */
  async entries(from: string, count: number): Promise<readonly Uint8Array[]> {
    const path = `/${tilePath('entries', 0, count)}`;
    const bytes = await this.#get(this.node(from).url, path, ENTRY * count);
    // docs/spec/tiles.md: the length of each stands before it.
    return Array.from({ length: count }, (_, i) => bytes.subarray(i * ENTRY + 2, (i + 1) * ENTRY));
  }

  /** Posts statements as an author would. Errors: the node's refusal. */
  async register(group: readonly RawTransaction[]): Promise<void> {
    await this.#client.request({
      method: 'POST',
      url: this.node(OTHER_NODE).url + REGISTRATIONS,
      headers: { 'content-type': 'application/cbor' },
      body: encodeGroup(group),
      maxBytes: 1 << 20,
    });
  }

  /** Likewise; answers with what became of it: `registered`, or status and code of the refusal. */
  attempt(group: readonly RawTransaction[]): Promise<string> {
    return this.register(group).then(
      () => 'registered',
      (error: unknown) =>
        error instanceof FirmamentError
          ? `${String(error.details['status'])} ${error.code}`
          : String(error),
    );
  }

  async #get(url: string, path: string, maxBytes: number): Promise<Uint8Array> {
    const { body } = await this.#client.request({ url: url + path, maxBytes, timeoutMs: 10_000 });
    return body;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#client[Symbol.asyncDispose]() as Promise<void>;
  }
}
