/** The consortium engine behind the ledger's port: a member's CometBFT and its replica, run as one. */
import { join } from 'node:path';
import { equal } from '../../bytes.ts';
import type { Clock } from '../../clock.ts';
import type { PrivateKey } from '../../crypto/key.ts';
import { openDatabase, type Database } from '../../database.ts';
import { check } from '../../errors.ts';
import type { Logger } from '../../logger.ts';
import { memberName, type EngineMember } from '../../registry/orderer.ts';
import { policyInForce } from '../../registry/state.ts';
import type { Transaction } from '../../registry/statement.ts';
import type { Head } from '../close-block.ts';
import type { Placement } from '../committed-ledger.ts';
import type { BlockSource, Ledger, LedgerStatus } from '../ledger.ts';
import { consortiumInForce } from '../proven-ledger.ts';
import { replicaSource } from '../replica-source.ts';
import type { Replica } from '../replica.ts';
import { Application, type CommittedBlock } from './application.ts';
import { checkVersion } from './binary.ts';
import { Certificates } from './certificates.ts';
import { startOfChain, type ChainStart } from './chain-start.ts';
import { addressOf, hasBlocks, prepareHome, type StateSync, type Timing } from './home.ts';
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

export interface CometLedgerOptions {
  readonly replica: Replica;
  /** This node, as the policy in force lists it. */
  readonly member: EngineMember;
  /** Ed25519: signs votes; the policy names its public half. */
  readonly consensusKey: PrivateKey;
  /** Ed25519: this node's name among its peers. */
  readonly nodeKey: PrivateKey;
  /** The engine's folder, of this node alone. */
  readonly home: string;
  /** Path of a CometBFT binary (`findBinary`). */
  readonly binary: string;
  readonly clock: Clock;
  readonly logger: Logger;
  /** "host:port" to listen on for peers, where it is not the member's address. */
  readonly listen?: string | undefined;
  readonly stateSync?: StateSync | undefined;
  /** Our blocks from one snapshot to the next (default 1,000). */
  readonly snapshotEvery?: number | undefined;
  readonly timing?: Partial<Timing> | undefined;
  /** Milliseconds until a caller is told that its group is kept (default 8,000), and between attempts (2,000). */
  readonly orderWaitMs?: number | undefined;
  readonly againMs?: number | undefined;
  /** How much may wait: statements (default 4,096) and bytes (default 32 MiB). */
  readonly queueStatements?: number | undefined;
  readonly queueBytes?: number | undefined;
  /** Milliseconds of the first pause before engine and application start anew (default 250). */
  readonly backoffMs?: number | undefined;
}

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
  const sockets = await engineSockets(home);
  await writeHome(options, start, sockets);
  return new CometLedger(options, start, sockets, openDatabase(join(home, 'engine.db')));
}

// Empty blocks come so often that T11's time, maxHold, holds four of them.
function emptyEvery(replica: Replica): number {
  return Math.max(1, Math.floor(policyInForce(replica.view()).policy.maxHold / 4));
}

async function writeHome(
  options: CometLedgerOptions,
  start: ChainStart,
  { abci, rpc }: EngineSockets,
): Promise<void> {
  const { replica, member, consensusKey, nodeKey, home, listen, timing, stateSync } = options;
  await prepareHome({
    home,
    start,
    members: consortiumInForce(replica).members,
    member,
    consensusKey,
    nodeKey,
    abci,
    rpc,
    listen,
    emptyEvery: emptyEvery(replica),
    timing,
    // With blocks of ours there is nothing to begin with: the engine gets its own from its peers.
    stateSync:
      replica.head().height === replica.chainStart(start.chain).height ? stateSync : undefined,
  });
}

const APP_AHEAD = /app block height \(\d+\) is higher than core/;

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
      logger,
      onCommit: (block) => this.#committed(block),
      onRefused: (id, error) => this.#submissions.refused(id, error),
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
    });
    this.#pair = new EnginePair({
      binary,
      home,
      sockets,
      logger,
      answer: (call) => this.#application.answer(call),
      prepare: async (last) => {
        await writeHome(options, start, sockets);
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
      emptyEvery: emptyEvery(replica),
      queued: () => this.#submissions.queued,
      restarts: () => this.#pair.restarts,
    });
  }

  #committed({ height, time, head, outcomes }: CommittedBlock): void {
    this.#watch.committed(time);
    this.#submissions.committed(outcomes);
    this.#certificates.committed(height, head);
    if (!head) return;
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
    readonly pid: number | undefined;
  } {
    return {
      height: this.#application.position(),
      ready: this.#ready.isReady(),
      restarts: this.#pair.restarts,
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
    this.#submissions.close();
    await this.#pair[Symbol.asyncDispose]();
    this.#ready.stop();
    this.#rpc[Symbol.dispose]();
    await this.#certificates.settled();
    await this.#snapshotFolder.settled();
    this.#database.close();
    await this.#sockets[Symbol.asyncDispose]();
  }
}
