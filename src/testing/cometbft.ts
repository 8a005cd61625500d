/** Members of the consortium engine with real CometBFT processes, for tests: several of them in one process of ours. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openDatabase, type Database } from '../database.ts';
import { codeOf } from '../errors.ts';
import { findBinary } from '../ledger/cometbft/binary.ts';
import { createCometLedger, type CometLedger } from '../ledger/cometbft/comet-ledger.ts';
import type { CometLedgerOptions } from '../ledger/cometbft/member-home.ts';
import { openReplica, type Replica } from '../ledger/replica.ts';
import { consortiumOf, type EngineMember } from '../registry/orderer.ts';
import {
  fixtureConsortium,
  fixtureNetwork,
  type FixtureNetwork,
  type FixtureNode,
} from './fixture.ts';
import { freePorts } from './free-ports.ts';
import { SILENT } from './ledger-fixture.ts';
import { requirePart } from './require.ts';

const PROJECT = join(import.meta.dirname, '..', '..');

/** The CometBFT to test with; undefined when there is none. */
export async function cometBinary(): Promise<string | undefined> {
  const { FIRMAMENT_COMETBFT: named, PATH: path } = process.env;
  try {
    return await findBinary({ named, project: PROJECT, path });
  } catch (error) {
    if (codeOf(error) === 'ENGINE_BINARY_MISSING') return undefined;
    throw error;
  }
}

/** The binary, or the test is skipped, or failed where "cometbft" is required. */
export async function requireComet(test: {
  skip(message?: string): void;
}): Promise<string | undefined> {
  const binary = await cometBinary();
  return requirePart(test, 'cometbft', binary !== undefined, 'run scripts/install-cometbft')
    ? binary
    : undefined;
}

export interface CometNetworkOptions {
  readonly binary: string;
  readonly validators: number;
  /** Members without a vote, of operators of their own; they are not started with the others. */
  readonly others?: number;
  readonly ledger?: Partial<CometLedgerOptions>;
  /** Seconds; a fourth of it lies between empty blocks. */
  readonly maxHold?: number;
}

/** A network born on the engine: so many operators with a validator each, all of them stopped at first. */
export async function cometNetwork(options: CometNetworkOptions): Promise<CometNetwork> {
  const { validators, others = 0, maxHold = 120 } = options;
  const operators = validators + others;
  const ports = await freePorts(operators);
  const time = Math.floor(Date.now() / 1000) - 5;
  const { nodes } = fixtureNetwork({ operators, time });
  const addresses = new Map(nodes.map(({ name }, i) => [name, `127.0.0.1:${ports[i]}`]));
  const everybody = fixtureConsortium(nodes, 1, (name) => addresses.get(name) as string);
  const orderer = {
    ...everybody,
    members: everybody.members.map((each, i) => ({ ...each, validator: i < validators })),
  };
  const network = fixtureNetwork({ operators, time, policy: { orderer, maxHold } });
  const folder = await mkdtemp(join(tmpdir(), 'comet-'));
  const members = consortiumOf(network.genesis.policy.orderer).members;
  return new CometNetwork(
    network,
    folder,
    network.nodes.map(
      (node, i) => new CometNode(options, network, node, members[i] as EngineMember, folder),
    ),
  );
}

export class CometNetwork implements AsyncDisposable {
  readonly network: FixtureNetwork;
  readonly nodes: readonly CometNode[];
  readonly folder: string;

  constructor(network: FixtureNetwork, folder: string, nodes: readonly CometNode[]) {
    this.network = network;
    this.folder = folder;
    this.nodes = nodes;
  }

  get members(): readonly EngineMember[] {
    return consortiumOf(this.network.genesis.policy.orderer).members;
  }

  async start(): Promise<void> {
    await Promise.all(
      this.nodes.filter(({ member }) => member.validator).map((node) => node.start()),
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.nodes.map((node) => node.stop()));
    await rm(this.folder, { recursive: true, force: true });
  }
}

export class CometNode {
  readonly name: string;
  readonly folder: string;
  readonly home: string;
  readonly member: EngineMember;
  readonly #options: CometNetworkOptions;
  readonly #network: FixtureNetwork;
  readonly #node: FixtureNode;
  #running:
    | { readonly database: Database; readonly replica: Replica; readonly ledger: CometLedger }
    | undefined;

  constructor(
    options: CometNetworkOptions,
    network: FixtureNetwork,
    node: FixtureNode,
    member: EngineMember,
    folder: string,
  ) {
    this.#options = options;
    this.#network = network;
    this.#node = node;
    this.member = member;
    this.name = node.name;
    this.folder = folder;
    this.home = join(folder, node.name.replace('/', '-'));
  }

  get replica(): Replica {
    return this.#alive().replica;
  }

  get ledger(): CometLedger {
    return this.#alive().ledger;
  }

  get databasePath(): string {
    return `${this.home}.db`;
  }

  #alive(): { readonly replica: Replica; readonly ledger: CometLedger } {
    if (!this.#running) throw new Error(`${this.name} is stopped`);
    return this.#running;
  }

  async start(ledger: Partial<CometLedgerOptions> = {}): Promise<void> {
    const database = openDatabase(this.databasePath);
    try {
      const replica = openReplica(database, this.#network.genesis);
      this.#running = {
        database,
        replica,
        ledger: await createCometLedger({
          replica,
          member: this.member,
          consensusKey: this.#node.consensus,
          nodeKey: this.#node.p2p,
          home: this.home,
          binary: this.#options.binary,
          clock: () => Math.floor(Date.now() / 1000),
          logger: SILENT,
          againMs: 500,
          ...this.#options.ledger,
          ...ledger,
        }),
      };
    } catch (error) {
      database.close();
      throw error;
    }
  }

  async stop(): Promise<void> {
    const running = this.#running;
    this.#running = undefined;
    if (!running) return;
    await running.ledger[Symbol.asyncDispose]();
    running.database.close();
  }

  /** SIGKILL of the engine; the pair starts anew. */
  killEngine(): void {
    const { pid } = this.ledger.engine();
    if (pid !== undefined) process.kill(pid, 'SIGKILL');
  }
}

/** Waits until it holds, at most so long. */
export async function until(holds: () => boolean, what: string, ms = 20_000): Promise<void> {
  const end = performance.now() + ms;
  while (!holds()) {
    if (performance.now() > end) throw new Error(`not within ${ms} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
