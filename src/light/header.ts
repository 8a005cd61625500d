/** A CometBFT block header as plain data, its shape checked, and its hash. */
import { create, toBinary } from '@bufbuild/protobuf';
import {
  BytesValueSchema,
  Int64ValueSchema,
  StringValueSchema,
  TimestampSchema,
  type Timestamp,
} from '@bufbuild/protobuf/wkt';
import { utf8 } from '../bytes.ts';
import { check } from '../errors.ts';
import { BlockIDSchema, HeaderSchema } from '../proto/tendermint/types/types_pb.js';
import type {
  BlockID as WireBlockId,
  Header as WireHeader,
} from '../proto/tendermint/types/types_pb.js';
import { ConsensusSchema } from '../proto/tendermint/version/types_pb.js';
import { merkleRoot } from './merkle-root.ts';

/** Exact: CometBFT signs nanoseconds. */
export interface Time {
  /** POSIX seconds. */
  readonly seconds: bigint;
  readonly nanos: number;
}

/** What votes are for: the header's hash, and the hash of the block's parts. Both empty: no block. */
export interface BlockId {
  readonly hash: Uint8Array;
  readonly parts: { readonly total: number; readonly hash: Uint8Array };
}

export interface Header {
  readonly version: { readonly block: bigint; readonly app: bigint };
  readonly chainId: string;
  readonly height: bigint;
  readonly time: Time;
  readonly lastBlockId: BlockId;
  readonly lastCommitHash: Uint8Array;
  readonly dataHash: Uint8Array;
  readonly validatorsHash: Uint8Array;
  readonly nextValidatorsHash: Uint8Array;
  readonly consensusHash: Uint8Array;
  readonly appHash: Uint8Array;
  readonly lastResultsHash: Uint8Array;
  readonly evidenceHash: Uint8Array;
  readonly proposerAddress: Uint8Array;
}

export const HASH_LENGTH = 32;
export const ADDRESS_LENGTH = 20;
/** Of CometBFT 0.38 and 0.39. */
const BLOCK_PROTOCOL = 11n;
const MAX_CHAIN_ID = 50;
/** Years 1 to 9999, as google.protobuf.Timestamp has them. */
const MIN_SECONDS = -62_135_596_800n;
const MAX_SECONDS = 253_402_300_799n;

/** Go's zero time, which an absent vote carries. */
export const ZERO_TIME: Time = { seconds: MIN_SECONDS, nanos: 0 };

/** Errors: COMMIT_MALFORMED, as for every reader here. */
export function readTime(wire: Timestamp | undefined, what: string): Time {
  const known =
    wire !== undefined &&
    wire.seconds >= MIN_SECONDS &&
    wire.seconds <= MAX_SECONDS &&
    wire.nanos >= 0 &&
    wire.nanos < 1_000_000_000;
  check(known, 'COMMIT_MALFORMED', `${what} is no time`);
  return { seconds: wire.seconds, nanos: wire.nanos };
}

export function readBlockId(wire: WireBlockId | undefined, what: string): BlockId {
  const parts = wire?.partSetHeader;
  check(wire !== undefined && parts !== undefined, 'COMMIT_MALFORMED', `${what} is missing`);
  checkHash(wire.hash, what);
  checkHash(parts.hash, `${what}, parts`);
  return { hash: wire.hash, parts: { total: parts.total, hash: parts.hash } };
}

/** A hash, or none: the first block has no last commit. */
function checkHash(hash: Uint8Array, what: string): void {
  check(hash.length === 0 || hash.length === HASH_LENGTH, 'COMMIT_MALFORMED', `${what} is no hash`);
}

/** The header with its shape checked (CometBFT: Header.ValidateBasic). Errors: COMMIT_MALFORMED. */
export function readHeader(wire: WireHeader | undefined): Header {
  const version = wire?.version;
  check(wire !== undefined && version !== undefined, 'COMMIT_MALFORMED', 'no header');
  check(version.block === BLOCK_PROTOCOL, 'COMMIT_MALFORMED', 'another block protocol than 11');
  const { chainId, height } = wire;
  check(utf8(chainId).length <= MAX_CHAIN_ID, 'COMMIT_MALFORMED', 'chain id too long');
  check(height > 0n, 'COMMIT_MALFORMED', 'a header has a height above 0');
  checkHash(wire.lastCommitHash, 'last commit hash');
  checkHash(wire.dataHash, 'data hash');
  checkHash(wire.consensusHash, 'consensus hash');
  checkHash(wire.lastResultsHash, 'last results hash');
  checkHash(wire.evidenceHash, 'evidence hash');
  // CometBFT allows none here and then gives the header no hash at all.
  for (const hash of [wire.validatorsHash, wire.nextValidatorsHash])
    check(hash.length === HASH_LENGTH, 'COMMIT_MALFORMED', 'no hash of the validators');
  const proposer = wire.proposerAddress;
  check(proposer.length === ADDRESS_LENGTH, 'COMMIT_MALFORMED', 'proposer is no address');
  return {
    version: { block: version.block, app: version.app },
    chainId,
    height,
    time: readTime(wire.time, 'header time'),
    lastBlockId: readBlockId(wire.lastBlockId, 'last block id'),
    lastCommitHash: wire.lastCommitHash,
    dataHash: wire.dataHash,
    validatorsHash: wire.validatorsHash,
    nextValidatorsHash: wire.nextValidatorsHash,
    consensusHash: wire.consensusHash,
    appHash: wire.appHash,
    lastResultsHash: wire.lastResultsHash,
    evidenceHash: wire.evidenceHash,
    proposerAddress: proposer,
  };
}

/** Always with its parts: CometBFT writes the field even when it is empty. */
export function wireBlockId(id: BlockId): WireBlockId {
  return create(BlockIDSchema, {
    hash: id.hash,
    partSetHeader: { total: id.parts.total, hash: id.parts.hash },
  });
}

export function wireTime(time: Time): Timestamp {
  return create(TimestampSchema, { seconds: time.seconds, nanos: time.nanos });
}

export function wireHeader(header: Header): WireHeader {
  return create(HeaderSchema, {
    ...header,
    version: create(ConsensusSchema, header.version),
    time: wireTime(header.time),
    lastBlockId: wireBlockId(header.lastBlockId),
  });
}

/** The block hash: Merkle root of the fourteen fields, each in its own encoding (CometBFT: Header.Hash). */
export function headerHash(header: Header): Uint8Array {
  const bytes = (value: Uint8Array): Uint8Array =>
    toBinary(BytesValueSchema, create(BytesValueSchema, { value }));
  return merkleRoot([
    toBinary(ConsensusSchema, create(ConsensusSchema, header.version)),
    toBinary(StringValueSchema, create(StringValueSchema, { value: header.chainId })),
    toBinary(Int64ValueSchema, create(Int64ValueSchema, { value: header.height })),
    toBinary(TimestampSchema, wireTime(header.time)),
    toBinary(BlockIDSchema, wireBlockId(header.lastBlockId)),
    bytes(header.lastCommitHash),
    bytes(header.dataHash),
    bytes(header.validatorsHash),
    bytes(header.nextValidatorsHash),
    bytes(header.consensusHash),
    bytes(header.appHash),
    bytes(header.lastResultsHash),
    bytes(header.evidenceHash),
    bytes(header.proposerAddress),
  ]);
}
