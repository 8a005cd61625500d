/** The consortium engine behind the ledger's port: a member's CometBFT and its replica, run as one. */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { equal, hex } from '../../bytes.ts';
import { openDatabase, type Database } from '../../database.ts';
import { check } from '../../errors.ts';
import { memberName } from '../../registry/orderer.ts';
import type { Transaction } from '../../registry/statement.ts';
import type { Head } from '../close-block.ts';
import type { Placement } from '../committed-ledger.ts';
import type { BlockSource, Ledger, LedgerStatus } from '../ledger.ts';
import { consortiumInForce } from '../proven-ledger.ts';
import { replicaSource } from '../replica-source.ts';
import { Application, type CommittedBlock } from './application.ts';
import { checkVersion } from './binary.ts';
import { Certificates } from './certificates.ts';
import { startOfChain, type ChainStart } from './chain-start.ts';
import { configText, type HomeOptions } from './engine-config.ts';
import { addressOf, hasBlocks, prepareHome } from './home.ts';
import { emptyEvery, homeOf, type CometLedgerOptions } from './member-home.ts';
import { EnginePair } from './pair.ts';
import { PendingGroups } from './pending.ts';
import { readiness } from './readiness.ts';
import { engineRpc, READ_ONLY, type EngineRpc } from './rpc.ts';
import { SnapshotFolder } from './snapshot-folder.ts';
import { Snapshots } from './snapshots.ts';
import { engineSockets, type EngineSockets } from './sockets.ts';
import { Submissions } from './submissions.ts';
import { TransactionCache } from './transaction-cache.ts';
import { EngineWatch } from './watch.ts';

/**
 * Takes part in the consortium until it is disposed of. Returns once engine and application were started; what is
 * submitted before they are ready waits.
 * Errors: LEDGER_ENGINE, LEDGER_NOT_ORDERER, ENGINE_BINARY_*, ENGINE_HOME_FOREIGN, DATABASE_*.
 */
export async function createCometLedger(options: CometLedgerOptions): Promise<CometLedger> {
  const { replica, member, consensusKey, nodeKey, home, binary } = options;
  const listed = consortiumInForce(replica).members.find(
    (each) => memberName(each) === memberName(member),
  );
  check(
    listed !== undefined &&
      equal(listed.key.bytes, consensusKey.publicKey.bytes) &&
      equal(listed.peer, addressOf(nodeKey.publicKey)),
    'LEDGER_NOT_ORDERER',
  );
  await checkVersion(binary);
  const start = startOfChain(replica);
  await mkdir(home, { recursive: true, mode: 0o700 });
  // Open exclusively: no second process works on this home.
  const database = openDatabase(join(home, 'engine.db'));
  try {
    const sockets = await engineSockets(home);
    await prepareHome(homeOf(options, start, sockets));
    return new CometLedger(options, start, sockets, database);
  } catch (error) {
    database.close();
    throw error;
  }
}

const APP_AHEAD = /app block height \(\d+\) is higher than core/;

// Members that start anew because the policy names other ones do so in turn, this many milliseconds apart.
const IN_TURN = 5_000;

export class CometLedger implements Ledger {
  readonly #options: CometLedgerOptions;
  readonly #source: BlockSource;
  readonly #sockets: EngineSockets;
  readonly #database: Database;
  readonly #rpc: EngineRpc;
  readonly #application: Application;
  readonly #snapshotFolder: SnapshotFolder;
  readonly #snapshots: Snapshots;
  readonly #submissions: Submissions;
  readonly #certificates: Certificates;
  readonly #watch: EngineWatch;
  readonly #pair: EnginePair;
  readonly #ready: ReturnType<typeof readiness>;
  readonly #home: () => HomeOptions;
  /** config.toml as the engine that runs has it. */
  #config = '';
  #policyVersion: number;
  #proposalsRefused = 0;
  #turn: NodeJS.Timeout | undefined;

  constructor(
    options: CometLedgerOptions,
    start: ChainStart,
    sockets: EngineSockets,
    database: Database,
  ) {
    const { replica, home, binary, clock, logger } = options;
    this.#options = options;
    this.#sockets = sockets;
    this.#database = database;
    this.#source = replicaSource(replica);
    this.#policyVersion = replica.head().epoch.policyVersion;
    this.#home = () => homeOf(options, start, sockets);
    this.#rpc = engineRpc(sockets.rpc);
    const cache = new TransactionCache();
    const { chain } = start;
    this.#snapshotFolder = new SnapshotFolder({
      path: join(home, 'snapshots'),
      chain,
      replica,
      logger,
      every: options.snapshotEvery ?? 1000,
    });
    this.#snapshots = new Snapshots({
      replica,
      genesis: replica.genesis,
      chain,
      folder: this.#snapshotFolder,
      restored: join(home, 'restored.db'),
      logger,
    });
    this.#application = new Application({
      replica,
      start,
      cache,
      snapshots: this.#snapshots,
      clock,
      logger,
      onCommit: (block) => this.#committed(block),
      urgent: () => this.#submissions.urgent(),
      onRefused: (id, error) => this.#submissions.refused(id, error),
      onProposalRefused: (proposer, why) => this.#proposalRefused(proposer, why),
    });
    this.#ready = readiness(this.#rpc, () => {
      logger.info('the engine has every block of its peers');
      this.#submissions.resend();
      void this.#certificates.fetch();
    });
    this.#submissions = new Submissions({
      replica,
      cache,
      pending: new PendingGroups(database),
      rpc: this.#rpc,
      clock,
      logger,
      isReady: () => this.#ready.isReady(),
      orderWaitMs: options.orderWaitMs ?? 8_000,
      againMs: options.againMs ?? 2_000,
      queueStatements: options.queueStatements ?? 4096,
      queueBytes: options.queueBytes ?? 32 << 20,
    });
    this.#certificates = new Certificates({
      replica,
      rpc: this.#rpc,
      logger,
      position: () => this.#application.position(),
      isReady: () => this.#ready.isReady(),
    });
    this.#pair = new EnginePair({
      binary,
      home,
      sockets,
      logger,
      answer: (call) => this.#application.answer(call),
      prepare: async (last) => {
        const prepared = this.#home();
        await prepareHome(prepared);
        this.#config = configText(prepared);
        // An engine that lost its blocks is led through them again.
        if (APP_AHEAD.test(last) || !(await hasBlocks(home))) replica.forgetEngine();
        this.#application.abandon();
        this.#snapshots.abandon();
        this.#ready.start();
      },
      onEnd: () => {
        this.#ready.stop();
        this.#application.abandon();
      },
      onConsensusFailure: () => this.#watch.consensusFailed(),
      backoffMs: options.backoffMs,
    });
    this.#watch = new EngineWatch({
      clock,
      emptyEvery: () => emptyEvery(replica),
      queued: () => this.#submissions.queued,
      restarts: () => this.#pair.restarts,
    });
  }

  // Whom an engine connects to it reads at its start. One that is no member any more is refused from then on.
  #policyChanged({ epoch }: Head): void {
    this.#policyVersion = epoch.policyVersion;
    const { replica, member, logger } = this.#options;
    const { members } = consortiumInForce(replica);
    const place = members.findIndex((each) => memberName(each) === memberName(member));
    if (place < 0 || configText(this.#home()) === this.#config) return;
    logger.info('the policy names other members: the engine starts anew in its turn', { place });
    this.#restartIn((place + 1) * IN_TURN);
  }

  #proposalRefused(proposer: Uint8Array, why: string): void {
    this.#proposalsRefused += 1;
    const { replica, logger } = this.#options;
    const { members } = consortiumInForce(replica);
    const member = members.find(({ key }) => equal(addressOf(key), proposer));
    logger.warn('a block that no honest member proposes was refused', {
      member: member ? memberName(member) : hex(proposer),
      why,
    });
  }

  // Not before the block that brought the policy is proven: members that it leaves out vote for that too.
  #restartIn(pause: number): void {
    const { replica } = this.#options;
    clearTimeout(this.#turn);
    this.#turn = setTimeout(() => {
      const proven = replica.certified().epoch.policyVersion === replica.head().epoch.policyVersion;
      if (proven) this.#pair.restart();
      else this.#restartIn(IN_TURN);
    }, pause);
  }

  #committed({ height, time, head, outcomes }: CommittedBlock): void {
    this.#watch.committed(time);
    this.#submissions.committed(outcomes);
    this.#certificates.committed(height, head);
    if (!head) return;
    if (head.epoch.policyVersion !== this.#policyVersion) this.#policyChanged(head);
    this.#snapshotFolder.committed(head.height);
    this.#options.logger.debug('block committed', {
      height: head.height,
      size: head.size,
      groups: outcomes.size,
      engine: height,
    });
  }

  submit(group: readonly Transaction[]): Promise<readonly Placement[]> {
    return this.#submissions.submit(group);
  }

  blocks(from: number, waitMs: number, signal?: AbortSignal): Promise<readonly Uint8Array[]> {
    return this.#source.blocks(from, waitMs, signal);
  }

  status(): LedgerStatus {
    const { replica } = this.#options;
    const fault = this.fault();
    return {
      engine: 'cometbft',
      orders: true,
      head: replica.head(),
      halted: replica.halted(),
      queued: this.#submissions.queued,
      ...(fault === undefined ? {} : { fault }),
    };
  }

  onHead(listener: (head: Head) => void): () => void {
    return this.#options.replica.onHead(listener);
  }

  /** When this node last committed a block that was new: POSIX seconds (T11). */
  lastCommitAt(): number | undefined {
    return this.#watch.lastCommitAt();
  }

  /** The engine's newest header here with the votes for it, SignedHeader bytes; also over blocks with nothing in them. */
  newestCertificate(): Uint8Array | undefined {
    return this.#certificates.newest();
  }

  /** What is wrong with the engine, in words; undefined: nothing is. */
  fault(): string | undefined {
    return this.#watch.fault();
  }

  /** For metrics. */
  engine(): {
    readonly height: number;
    readonly ready: boolean;
    readonly restarts: number;
    /** Blocks of other members that were refused before they were voted for. */
    readonly proposalsRefused: number;
    readonly pid: number | undefined;
  } {
    return {
      height: this.#application.position(),
      ready: this.#ready.isReady(),
      restarts: this.#pair.restarts,
      proposalsRefused: this.#proposalsRefused,
      pid: this.#pair.pid,
    };
  }

  /** Asks the engine something that changes nothing. Errors: ENGINE_RPC, also for any other method. */
  async rpc(method: string, params?: Readonly<Record<string, string>>): Promise<unknown> {
    check(
      READ_ONLY.some((each) => each === method),
      'ENGINE_RPC',
      'not a question that others may ask',
    );
    return this.#rpc.call(method, params);
  }

  /** Stops the engine. What waits is kept on disk, and its callers are told so. The replica stays open. */
  async [Symbol.asyncDispose](): Promise<void> {
    clearTimeout(this.#turn);
    this.#submissions.close();
    await this.#pair[Symbol.asyncDispose]();
    this.#ready.stop();
    this.#rpc[Symbol.dispose]();
    await this.#certificates.close();
    await this.#snapshotFolder.settled();
    this.#database.close();
    await this.#sockets[Symbol.asyncDispose]();
  }
}
