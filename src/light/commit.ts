/** The votes for one CometBFT block as plain data, their shape checked, and what each of them signs. */
import { create } from '@bufbuild/protobuf';
import { sizeDelimitedEncode } from '@bufbuild/protobuf/wire';
import { check } from '../errors.ts';
import { CanonicalVoteSchema } from '../proto/tendermint/types/canonical_pb.js';
import { CommitSchema, SignedMsgType } from '../proto/tendermint/types/types_pb.js';
import type { Commit as WireCommit, CommitSig } from '../proto/tendermint/types/types_pb.js';
import { BlockIDFlag } from '../proto/tendermint/types/validator_pb.js';
import {
  ADDRESS_LENGTH,
  HASH_LENGTH,
  readBlockId,
  readTime,
  wireBlockId,
  wireTime,
  ZERO_TIME,
  type BlockId,
  type Time,
} from './header.ts';

/** `absent`: no vote at all; `nil`: for no block; only `commit` is for the block. */
export type Vote =
  | { readonly kind: 'absent' }
  | {
      readonly kind: 'nil' | 'commit';
      readonly address: Uint8Array;
      readonly time: Time;
      readonly signature: Uint8Array;
    };

/** `votes`: one a validator, in the order of the validator set. */
export interface Commit {
  readonly height: bigint;
  readonly round: number;
  readonly blockId: BlockId;
  readonly votes: readonly Vote[];
}

const SIGNATURE_LENGTH = 64;
const NO_BYTES = new Uint8Array();

/** The commit with its shape checked (CometBFT: Commit.ValidateBasic). Errors: COMMIT_MALFORMED. */
export function readCommit(wire: WireCommit | undefined): Commit {
  check(wire !== undefined, 'COMMIT_MALFORMED', 'no commit');
  const { height, round, signatures } = wire;
  check(height > 0n && round >= 0, 'COMMIT_MALFORMED', 'a commit has a height and a round');
  const blockId = readBlockId(wire.blockId, 'block id');
  const some = blockId.hash.length === HASH_LENGTH && blockId.parts.hash.length === HASH_LENGTH;
  check(some && blockId.parts.total > 0, 'COMMIT_MALFORMED', 'a commit is for a block');
  check(signatures.length > 0, 'COMMIT_MALFORMED', 'a commit has votes');
  return { height, round, blockId, votes: signatures.map(readVote) };
}

function readVote(wire: CommitSig): Vote {
  const { blockIdFlag, validatorAddress: address, signature } = wire;
  const time = readTime(wire.timestamp, 'vote time');
  if (blockIdFlag === BlockIDFlag.BLOCK_ID_FLAG_ABSENT) {
    const zero = time.seconds === ZERO_TIME.seconds && time.nanos === 0;
    const empty = zero && address.length === 0 && signature.length === 0;
    check(empty, 'COMMIT_MALFORMED', 'an absent vote with contents');
    return { kind: 'absent' };
  }
  const known =
    blockIdFlag === BlockIDFlag.BLOCK_ID_FLAG_COMMIT ||
    blockIdFlag === BlockIDFlag.BLOCK_ID_FLAG_NIL;
  check(known, 'COMMIT_MALFORMED', 'a vote of an unknown kind');
  check(address.length === ADDRESS_LENGTH, 'COMMIT_MALFORMED', 'a vote without an address');
  check(signature.length === SIGNATURE_LENGTH, 'COMMIT_MALFORMED', 'a vote without a signature');
  return {
    kind: blockIdFlag === BlockIDFlag.BLOCK_ID_FLAG_NIL ? 'nil' : 'commit',
    address,
    time,
    signature,
  };
}

export function wireCommit(commit: Commit): WireCommit {
  return create(CommitSchema, {
    height: commit.height,
    round: commit.round,
    blockId: wireBlockId(commit.blockId),
    signatures: commit.votes.map((vote) =>
      vote.kind === 'absent'
        ? {
            blockIdFlag: BlockIDFlag.BLOCK_ID_FLAG_ABSENT,
            validatorAddress: NO_BYTES,
            timestamp: wireTime(ZERO_TIME),
            signature: NO_BYTES,
          }
        : {
            blockIdFlag:
              vote.kind === 'nil'
                ? BlockIDFlag.BLOCK_ID_FLAG_NIL
                : BlockIDFlag.BLOCK_ID_FLAG_COMMIT,
            validatorAddress: vote.address,
            timestamp: wireTime(vote.time),
            signature: vote.signature,
          },
    ),
  });
}

/**
 * What a vote for the block signs: CanonicalVote behind its length (CometBFT: VoteSignBytes). Height and
 * round have eight bytes each, and the parts are written even when empty.
 */
export function voteSignBytes(
  commit: Pick<Commit, 'height' | 'round' | 'blockId'>,
  time: Time,
  chainId: string,
): Uint8Array {
  const { hash, parts } = commit.blockId;
  return sizeDelimitedEncode(
    CanonicalVoteSchema,
    create(CanonicalVoteSchema, {
      type: SignedMsgType.PRECOMMIT,
      height: commit.height,
      round: BigInt(commit.round),
      blockId: { hash, partSetHeader: parts },
      timestamp: wireTime(time),
      chainId,
    }),
  );
}
