/**
 * The ABCI application: each member's replica, driven by the engine's blocks (docs/spec/cometbft-engine.md). Answers
 * depend on the engine's blocks and the replica alone wherever the members have to agree.
 */
import { hex } from '../../bytes.ts';
import type { Clock } from '../../clock.ts';
import { check, codeOf, fail, FirmamentError } from '../../errors.ts';
import type { Logger } from '../../logger.ts';
import {
  CheckTxType,
  ResponseProcessProposal_ProposalStatus as ProposalStatus,
  ResponseVerifyVoteExtension_VerifyStatus as VerifyStatus,
  type RequestCheckTx,
  type RequestFinalizeBlock,
  type RequestInitChain,
  type RequestPrepareProposal,
  type RequestProcessProposal,
  type RequestQuery,
  type ResponseFinalizeBlock,
} from '../../proto/tendermint/abci/types_pb.js';
import { consortiumOf, type EngineMember } from '../../registry/orderer.ts';
import { policyInForce } from '../../registry/state.ts';
import { appHashOfHead, consortiumInForce } from '../proven-ledger.ts';
import { isNew } from '../decision.ts';
import { refusal } from '../refusal.ts';
import type { Outcome, Replica } from '../replica.ts';
import type { Head } from '../close-block.ts';
import { UrgentShares } from '../urgent-shares.ts';
import type { Answer, Call } from './abci-server.ts';
import { ACCEPTED, blockAnswer, KNOWN, REFUSED } from './block-answer.ts';
import type { ChainStart } from './chain-start.ts';
import { prepared, shaped } from './proposal.ts';
import type { Snapshots } from './snapshots.ts';
import type { ParsedTransaction, TransactionCache } from './transaction-cache.ts';

/** A block of the engine that is on this node's disk. */
export interface CommittedBlock {
  /** The engine's height, and its header's time in POSIX seconds. */
  readonly height: number;
  readonly time: number;
  /** Our block's; null when it made none. */
  readonly head: Head | null;
  /** What became of each transaction, by its id. */
  readonly outcomes: ReadonlyMap<string, Outcome>;
}

export interface ApplicationOptions {
  readonly replica: Replica;
  readonly start: ChainStart;
  readonly cache: TransactionCache;
  readonly snapshots: Snapshots;
  /** Only for what no other member has to answer alike. */
  readonly clock: Clock;
  readonly logger: Logger;
  readonly onCommit: (block: CommittedBlock) => void;
  /** Transactions that wait here and may not be held back, whether the mempool has them or not (T11). */
  readonly urgent: () => readonly Uint8Array[];
  /** The rules refuse a transaction that the engine brought. */
  readonly onRefused: (id: string, refused: FirmamentError) => void;
  /** No honest member proposes such a block. `proposer`: its address, 20 bytes. */
  readonly onProposalRefused: (proposer: Uint8Array, why: string) => void;
}

interface Finalized {
  readonly block: CommittedBlock;
  /** What goes against its signers' urgent shares once it is committed. */
  readonly ordered: readonly ParsedTransaction[];
}

const NO_SUCH_PATH = 3;

export class Application {
  readonly #options: ApplicationOptions;
  readonly #shares = new UrgentShares();
  /** What the newest proposal of this node left out, by id: looked at again before it is proposed again. */
  #leftOut = new Set<string>();
  /** Set from FinalizeBlock to Commit. */
  #finalized: Finalized | undefined;

  constructor(options: ApplicationOptions) {
    this.#options = options;
  }

  /** Before an engine connects: what was decided and not committed is dropped. */
  abandon(): void {
    this.#finalized = undefined;
    this.#options.replica.abandonDecided();
  }

  /** The engine's height that this replica stands at. */
  position(): number {
    const { replica, start } = this.#options;
    return replica.enginePosition(start.chain)?.height ?? 0;
  }

  answer(call: Call): Answer | Promise<Answer> {
    switch (call.case) {
      case 'echo':
        return { case: 'echo', value: { message: call.value.message } };
      case 'flush':
        return { case: 'flush', value: {} };
      case 'info':
        return this.#info();
      case 'initChain':
        return this.#initChain(call.value);
      case 'query':
        return this.#query(call.value);
      case 'checkTx':
        return this.#checkTx(call.value);
      case 'prepareProposal':
        return this.#prepareProposal(call.value);
      case 'processProposal':
        return this.#processProposal(call.value);
      case 'extendVote':
        return { case: 'extendVote', value: {} };
      case 'verifyVoteExtension': {
        const none = call.value.voteExtension.length === 0;
        const status = none ? VerifyStatus.ACCEPT : VerifyStatus.REJECT;
        return { case: 'verifyVoteExtension', value: { status } };
      }
      case 'finalizeBlock':
        return { case: 'finalizeBlock', value: this.#finalizeBlock(call.value) };
      case 'commit':
        return this.#commit();
      case 'listSnapshots':
      case 'offerSnapshot':
      case 'loadSnapshotChunk':
      case 'applySnapshotChunk':
        return this.#options.snapshots.answer(call);
      case 'insertTx':
      case 'reapTxs':
      case undefined:
      // Only with a mempool of the application's own.
      default:
        return fail('ENGINE_FRAME_INVALID', `no such call: ${String(call.case)}`);
    }
  }

  #info(): Answer {
    const { replica, start } = this.#options;
    const position = replica.enginePosition(start.chain);
    return {
      case: 'info',
      value: {
        data: 'firmament',
        version: '1',
        appVersion: 1n,
        lastBlockHeight: BigInt(position?.height ?? 0),
        lastBlockAppHash: position ? appHashOfHead(position.head) : start.appHash,
      },
    };
  }

  #initChain({ chainId, initialHeight }: RequestInitChain): Answer {
    const { start } = this.#options;
    check(chainId === start.chainId && initialHeight === 1n, 'ENGINE_HOME_FOREIGN');
    return { case: 'initChain', value: { appHash: start.appHash } };
  }

  // Only members connect; CometBFT asks about each peer when it has filter_peers set.
  #query({ path }: RequestQuery): Answer {
    const [, id] = /^\/p2p\/filter\/id\/([0-9a-f]{40})$/.exec(path) ?? [];
    if (id !== undefined) {
      const member = this.#members().some(({ peer }) => hex(peer) === id);
      if (!member) this.#options.logger.warn('a peer that is no member was refused', { id });
      return { case: 'query', value: { code: member ? ACCEPTED : REFUSED } };
    }
    // Addresses change and are not authenticated: the id behind one is asked about next.
    const isAddress = /^\/p2p\/filter\/addr\/[^/]+$/.test(path);
    return { case: 'query', value: { code: isAddress ? ACCEPTED : NO_SUCH_PATH } };
  }

  // Also those of before a change of policy, until the block that brought it is proven: that takes their votes.
  #members(): readonly EngineMember[] {
    const { replica } = this.#options;
    const { policy } = replica.policyOf(replica.certified().epoch.policyVersion);
    return [...consortiumInForce(replica).members, ...consortiumOf(policy.orderer).members];
  }

  #checkTx({ tx, type }: RequestCheckTx): Answer {
    const { cache, onRefused } = this.#options;
    // After each block the engine asks again for all that waits: to judge all of it would cost more than all else.
    const isAgain = type === CheckTxType.RECHECK;
    if (isAgain && this.#leftOut.size === 0) return checked(ACCEPTED, '');
    const parsed = cache.parsedOrNone(tx);
    if (!parsed) return checked(REFUSED, 'ENGINE_TRANSACTION');
    if (isAgain && !this.#leftOut.delete(parsed.id)) return checked(ACCEPTED, '');
    if (this.#isKnown(parsed)) return checked(KNOWN, '');
    const refused = this.#refusal(parsed);
    if (!refused) return checked(ACCEPTED, '');
    onRefused(parsed.id, refused);
    return checked(REFUSED, refused.code);
  }

  #refusal({ group }: ParsedTransaction): FirmamentError | undefined {
    const { replica, clock, logger } = this.#options;
    try {
      return refusal(replica, group, clock());
    } catch (error) {
      if (codeOf(error)) throw error;
      // A fault in a rule: what brings it about does not get into a block by an honest proposer.
      logger.error('a rule failed', { error });
      return new FirmamentError('INTERNAL');
    }
  }

  #isKnown({ group }: ParsedTransaction): boolean {
    return group.every(({ statement }) => this.#options.replica.find(statement.signingDigest));
  }

  #prepareProposal({ txs, maxTxBytes, time }: RequestPrepareProposal): Answer {
    const { cache, replica, urgent } = this.#options;
    const since = Number(time?.seconds ?? 0n) - policyInForce(replica.view()).policy.maxHold;
    const goesFirst = ({ group }: ParsedTransaction): boolean =>
      this.#shares.goesFirst(group, since);
    // A flood may fill every mempool, which then takes nothing: these go in all the same.
    const own = urgent().filter((bytes) => {
      const parsed = cache.parsedOrNone(bytes);
      return parsed && goesFirst(parsed);
    });
    const { taken, leftOut } = prepared([...own, ...txs], {
      cache,
      maxBytes: Number(maxTxBytes),
      goesFirst,
      judge: (parsed) => this.#goIn(parsed, Number(time?.seconds ?? 0n)),
    });
    this.#leftOut = leftOut;
    return { case: 'prepareProposal', value: { txs: [...taken] } };
  }

  #goIn(parsed: readonly ParsedTransaction[], time: number): readonly boolean[] {
    try {
      const outcomes = this.#trial(parsed, time);
      return parsed.map((_, i) => outcomes === undefined || isNew(outcomes[i]));
    } catch (error) {
      if (codeOf(error)) throw error;
      this.#options.logger.error('a rule failed', { error });
      // One at a time: what brings the fault about stays out, alone or together with others.
      const sound = parsed.findIndex((each) => !this.#isKnown(each) && !this.#refusal(each));
      return parsed.map((_, i) => i === sound);
    }
  }

  #processProposal({ txs, time, proposerAddress }: RequestProcessProposal): Answer {
    const why = this.#objection(txs, Number(time?.seconds ?? 0n));
    if (why !== undefined) this.#options.onProposalRefused(proposerAddress, why);
    const status = why === undefined ? ProposalStatus.ACCEPT : ProposalStatus.REJECT;
    return { case: 'processProposal', value: { status } };
  }

  /**
   * What no honest proposer puts into a block; undefined: nothing. Only what is equal on all members that stand at the
   * block before counts: a block that some refuse and some accept would hold up the chain.
   */
  #objection(txs: readonly Uint8Array[], time: number): string | undefined {
    const block = shaped(txs, this.#options.cache);
    if (!block) return 'ENGINE_TRANSACTION';
    try {
      for (const outcome of this.#trial(block, time) ?? []) {
        if ('refused' in outcome) return outcome.refused.code;
        if (!isNew(outcome)) return 'LEDGER_REPLAY';
      }
      return undefined;
    } catch (error) {
      if (codeOf(error)) throw error;
      // Before anything is decided: a block that no member can run must not become one.
      this.#options.logger.error('a rule failed', { error });
      return 'INTERNAL';
    }
  }

  #trial(parsed: readonly ParsedTransaction[], time: number): readonly Outcome[] | undefined {
    const groups = parsed.map(({ group }) => group);
    return this.#options.replica.trial(groups, time);
  }

  #finalizeBlock(request: RequestFinalizeBlock): ResponseFinalizeBlock {
    const { replica, cache } = this.#options;
    const height = Number(request.height);
    const position = this.position();
    check(height === position + 1, 'ENGINE_HEIGHT', undefined, { height, position });
    const time = Number(request.time?.seconds ?? 0n);
    const parsed = request.txs.map((tx) => cache.parsedOrNone(tx));
    const decision = replica.decide(
      parsed.filter((each) => each !== undefined).map(({ group }) => group),
      time,
    );
    const { answer, outcomes, ordered } = blockAnswer(parsed, decision);
    this.#finalized = {
      block: { height, time, head: decision.head, outcomes },
      ordered,
    };
    return answer;
  }

  #commit(): Answer {
    const { replica, start, onCommit } = this.#options;
    const answer: Answer = { case: 'commit', value: { retainHeight: 0n } };
    if (!this.#finalized) return fail('ENGINE_HEIGHT', 'nothing to commit');
    const { block, ordered } = this.#finalized;
    replica.commitDecided({ chain: start.chain, height: block.height });
    this.#finalized = undefined;
    for (const { group } of ordered) this.#shares.count(group, block.time);
    onCommit(block);
    return answer;
  }
}

function checked(code: number, log: string): Answer {
  return { case: 'checkTx', value: { code, log } };
}
