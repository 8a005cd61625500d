/**
 * A node's part in the consortium engine: a member runs it, the others take blocks from members and hand on to them
 * what they are sent. Whatever they hear, the validators' votes prove it (T31).
 */
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Clock } from '../clock.ts';
import { codeOf, fail } from '../errors.ts';
import { findBinary } from '../ledger/cometbft/binary.ts';
import { createCometLedger, type CometLedger } from '../ledger/cometbft/comet-ledger.ts';
import type { StateSync } from '../ledger/cometbft/engine-config.ts';
import { createFollowingLedger } from '../ledger/follow.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { consortiumInForce } from '../ledger/proven-ledger.ts';
import type { Replica } from '../ledger/replica.ts';
import type { Logger } from '../logger.ts';
import { memberName } from '../registry/orderer.ts';
import type { NamedNode } from '../registry/policy.ts';
import { policyInForce } from '../registry/state.ts';
import { commitOf, provenCommit, type ProvenCommit } from './commits.ts';
import type { EngineConfig, EngineKeys } from './config.ts';
import type { Duty } from './duty.ts';
import { forwardInTurn, fromMembers } from './member-calls.ts';
import type { Peers } from './peers.ts';
import { joining } from './state-sync.ts';

export interface ConsortiumParts {
  readonly replica: Replica;
  readonly peers: Pick<Peers, 'others' | 'blocks' | 'order' | 'commit' | 'policies' | 'engine'>;
  readonly keys: EngineKeys | undefined;
  readonly config: EngineConfig;
  readonly programs: EnginePrograms;
  /** Our blocks between two snapshots. */
  readonly snapshotEvery: number;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Where CometBFT is looked for beside the project's own folder; mains know the environment. */
export interface EnginePrograms {
  /** FIRMAMENT_COMETBFT. */
  readonly named?: string | undefined;
  /** PATH. */
  readonly path?: string | undefined;
}

export interface EngineHealth {
  readonly kind: 'cometbft';
  readonly member: boolean;
  readonly validator: boolean;
  /** Of the engine's newest block here; members only. */
  readonly height?: number;
  /** Whether the engine has every block of its peers; members only. */
  readonly ready?: boolean;
  /** How often it was started anew; members only. */
  readonly restarts?: number;
  /** Blocks of other members that were refused before they were voted for; members only. */
  readonly proposalsRefused?: number;
  /** What is wrong, in words. */
  readonly fault?: string;
}

type Consensus = Extract<Duty, { readonly kind: 'consensus' }>;

const PROJECT = join(import.meta.dirname, '../..');
const MAX_POLL_MS = 20_000;
/** Before a member that did not answer is asked the next question in another's place. */
const AGAIN_MS = 500;
/** How long a snapshot may take until every block is fetched instead. */
const BEGIN_MS = 600_000;
const BEGUN_MS = 200;

export class Consortium {
  readonly #parts: ConsortiumParts;
  #member: CometLedger | undefined;
  #duty: Consensus | undefined;
  /** Why this node, a member, does not run the engine. */
  #hindrance: string | undefined;
  #heard: ProvenCommit | undefined;
  #heardAt = 0;

  constructor(parts: ConsortiumParts) {
    this.#parts = parts;
  }

  /** Whether this node runs the engine. */
  runs(): boolean {
    return this.#member !== undefined;
  }

  /** Starts the engine. Errors: ENGINE_*, LEDGER_*, NODE_CONFIG, DATABASE_*. */
  async join(duty: Consensus, signal: AbortSignal): Promise<Ledger> {
    const { replica, peers, clock, logger, snapshotEvery: every } = this.#parts;
    this.#duty = duty;
    try {
      const binary = await this.#binary();
      const members = this.#members();
      await using begin = await joining({ replica, peers, members, clock, logger, every }, signal);
      let ledger = await this.#start(duty, binary, begin?.stateSync);
      if (begin && !(await hasBegun(ledger, signal))) {
        logger.warn('no snapshot was to be had: every block is fetched', {});
        await ledger[Symbol.asyncDispose]();
        ledger = await this.#start(duty, binary, undefined);
      }
      this.#member = ledger;
      this.#hindrance = undefined;
      return ledger;
    } catch (error) {
      this.#hindrance = error instanceof Error ? error.message : String(error);
      throw error;
    }
  }

  #start(
    { member }: Consensus,
    binary: string,
    stateSync: StateSync | undefined,
  ): Promise<CometLedger> {
    const { replica, config, clock, logger, snapshotEvery } = this.#parts;
    const keys =
      this.#parts.keys ?? fail('NODE_CONFIG', "the key file lacks the engine's two keys");
    return createCometLedger({
      replica,
      member,
      consensusKey: keys.consensus,
      nodeKey: keys.peer,
      home: config.home,
      binary,
      listen: config.listen ?? undefined,
      stateSync,
      snapshotEvery,
      clock,
      logger,
    });
  }

  #binary(): Promise<string> {
    const { config, programs } = this.#parts;
    const named = config.binary ?? programs.named;
    return findBinary({ named, project: PROJECT, path: programs.path });
  }

  /** What a member can't start without. Errors: ENGINE_BINARY_*, NODE_CONFIG. */
  async checkReady(): Promise<void> {
    if (!this.#parts.keys) fail('NODE_CONFIG', "the key file lacks the engine's two keys");
    await this.#binary();
  }

  /** The engine was stopped, or was never this node's. */
  left(): void {
    this.#member = undefined;
  }

  /** Takes blocks from members and hands on to them what is submitted. */
  follow(): Ledger {
    const { replica, peers, logger } = this.#parts;
    const { maxHold, operators } = policyInForce(replica.view()).policy;
    const members = (): readonly NamedNode[] => this.#members();
    return createFollowingLedger({
      replica,
      source: fromMembers(peers, members),
      logger,
      waitMs: Math.min(MAX_POLL_MS, maxHold * 250),
      forward: forwardInTurn(peers, members, operators.length),
    });
  }

  // Whoever votes is asked first: the others may be behind.
  #members(): readonly NamedNode[] {
    const { replica, peers } = this.#parts;
    const { members } = consortiumInForce(replica);
    const votes = new Map(members.map((member) => [memberName(member), member.validator]));
    return peers
      .others()
      .filter(({ name }) => votes.has(name))
      .toSorted((a, b) => Number(votes.get(b.name)) - Number(votes.get(a.name)));
  }

  /** Asks members in turn for their newest commit, until the signal is aborted (T11). */
  async hear(signal: AbortSignal): Promise<void> {
    const { replica, peers, clock, logger } = this.#parts;
    // A policy may come into force meanwhile that asks for it more often.
    const pause = (): number =>
      Math.min(MAX_POLL_MS, policyInForce(replica.view()).policy.maxHold * 250);
    for (let turn = 0; !signal.aborted; turn++) {
      const members = this.#members();
      const peer = members[turn % Math.max(1, members.length)];
      let heard = false;
      try {
        const commit = peer && (await peers.commit(peer, signal));
        const proven = commit && provenCommit(replica, commit);
        if (proven && proven.time >= (this.#heard?.time ?? 0)) {
          this.#heard = proven;
          this.#heardAt = Math.max(this.#heardAt, Math.min(clock(), proven.time));
          heard = true;
        }
      } catch (error) {
        if (signal.aborted) return;
        logger.debug('no commit', { peer: peer?.name, code: codeOf(error) });
      }
      await sleep(heard ? pause() : AGAIN_MS, undefined, { signal }).catch(() => undefined);
    }
  }

  /** POSIX seconds of the newest commit: of the last one made here, or of one that a member showed. */
  heardAt(): number {
    return Math.max(this.#heardAt, this.#member?.lastCommitAt() ?? 0);
  }

  /** The newest signed header that is known here, with the head that it stands for. Errors: NODE_NO_COMMIT. */
  commit(): ProvenCommit {
    const { replica } = this.#parts;
    const known = [
      commitOf(replica, this.#member?.newestCertificate()),
      this.#heard,
      commitOf(replica, replica.certificate(replica.certified().height)),
    ].filter((commit) => commit !== undefined);
    const [newest] = known.toSorted((a, b) => b.head.height - a.head.height || b.time - a.time);
    return newest ?? fail('NODE_NO_COMMIT');
  }

  /** Asks this member's engine what changes nothing. Errors: NODE_ROLE, ENGINE_RPC. */
  rpc(method: string, params: Readonly<Record<string, string>>): Promise<unknown> {
    const member = this.#member ?? fail('NODE_ROLE', 'this node runs no consortium engine');
    return member.rpc(method, params);
  }

  /** Undefined under another engine. */
  health(): EngineHealth | undefined {
    const { replica } = this.#parts;
    if (replica.ordering().engine !== 'cometbft') return undefined;
    const member = this.#duty?.member;
    const state = this.#member?.engine();
    const fault = this.#member ? this.#member.fault() : this.#hindrance;
    return {
      kind: 'cometbft',
      member: member !== undefined,
      validator: member?.validator ?? false,
      ...(state && {
        height: state.height,
        ready: state.ready,
        restarts: state.restarts,
        proposalsRefused: state.proposalsRefused,
      }),
      ...(fault !== undefined && { fault }),
    };
  }
}

// Whether the engine has its first blocks, and needs its sources no more.
async function hasBegun(ledger: CometLedger, signal: AbortSignal): Promise<boolean> {
  const end = performance.now() + BEGIN_MS;
  while (!signal.aborted && performance.now() < end) {
    if (ledger.engine().ready) return true;
    await sleep(BEGUN_MS, undefined, { signal }).catch(() => undefined);
  }
  return signal.aborted;
}
