/** What a member's engine is started with, as its options and the policy in force have it. */
import { equal } from '../../bytes.ts';
import type { Clock } from '../../clock.ts';
import type { PrivateKey } from '../../crypto/key.ts';
import type { Logger } from '../../logger.ts';
import { decodeCertificate } from '../../light/certificate.ts';
import type { EngineMember } from '../../registry/orderer.ts';
import { policyInForce } from '../../registry/state.ts';
import { consortiumInForce } from '../proven-ledger.ts';
import type { Replica } from '../replica.ts';
import type { ChainStart } from './chain-start.ts';
import type { HomeOptions, StateSync, Timing } from './engine-config.ts';
import { addressOf } from './home.ts';
import type { EngineSockets } from './sockets.ts';

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

const MAX_EMPTY = 86_400;

/** Seconds between empty blocks: T11's time, maxHold, holds four of them; a day at most, which the engine can count. */
export function emptyEvery(replica: Replica): number {
  const quarter = Math.floor(policyInForce(replica.view()).policy.maxHold / 4);
  return Math.min(MAX_EMPTY, Math.max(1, quarter));
}

// A commit may do without one validator's vote: the newest few together do not.
const LOOK_BACK = 256;

/** Whether one of the newest certificates here has a vote of the key with this address (20 bytes). */
export function hasVoted(replica: Replica, address: Uint8Array): boolean {
  const { height } = replica.certified();
  for (let back = 0; back < LOOK_BACK && back < height; back++) {
    const certificate = replica.certificate(height - back);
    if (!certificate) return false;
    const { votes } = decodeCertificate(certificate).commit;
    if (votes.some((vote) => vote.kind !== 'absent' && equal(vote.address, address))) return true;
  }
  return false;
}

export function homeOf(
  options: CometLedgerOptions,
  start: ChainStart,
  { abci, rpc }: EngineSockets,
): HomeOptions {
  const { replica, member, consensusKey, nodeKey, home, listen, timing, stateSync } = options;
  // With blocks of ours there is nothing to begin with: the engine gets its own from its peers.
  const isNew = replica.head().height === replica.chainStart(start.chain).height;
  return {
    home,
    start,
    members: consortiumInForce(replica).members,
    member,
    consensusKey,
    nodeKey,
    hasVoted: () => hasVoted(replica, addressOf(consensusKey.publicKey)),
    abci,
    rpc,
    listen,
    emptyEvery: emptyEvery(replica),
    timing,
    stateSync: isNew ? stateSync : undefined,
  };
}
