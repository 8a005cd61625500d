/** What the map tells devices of a line and of an author (docs/spec/log.md, T02, T16). */
import { compare } from '../bytes.ts';
import { decode } from '../cbor/decode.ts';
import { encode } from '../cbor/encode.ts';
import { asArray, asBytes, asUint, asUint64 } from '../cbor/read.ts';
import type { Cbor } from '../cbor/value.ts';
import { check } from '../errors.ts';
import { parseApplies } from './claims.ts';

export interface ReleaseOffer {
  readonly sequence: bigint;
  readonly digest: Uint8Array;
  /** The release statement's log entry. */
  readonly entry: Uint8Array;
  readonly applies: readonly [bigint, bigint] | null;
  readonly via: Uint8Array | null;
}

export interface LineValue {
  /** SHA-256 of the owner's author value. */
  readonly authorHash: Uint8Array;
  readonly newest: ReleaseOffer | null;
  readonly pending: ReleaseOffer | null;
  readonly lowest: bigint;
  readonly status: number;
}

export interface AuthorValue {
  /** Thumbprints of the release keys, sorted. */
  readonly keys: readonly Uint8Array[];
  /** Digests of the delegations in force. */
  readonly delegations: readonly Uint8Array[];
  readonly rotations: number;
  readonly status: number;
}

const MAX_BYTES = 8192;

function offerToCbor(offer: ReleaseOffer | null): Cbor {
  return (
    offer && [
      offer.sequence,
      offer.digest,
      offer.entry,
      offer.applies && [...offer.applies],
      offer.via,
    ]
  );
}

function parseOffer(value: Cbor): ReleaseOffer | null {
  if (value === null) return null;
  const [sequence, digest, entry, applies, via] = asArray(value, 'release', 5);
  return {
    sequence: asUint64(sequence ?? null, 'sequence'),
    digest: asBytes(digest ?? null, 'manifest digest', 32),
    entry: asBytes(entry ?? null, 'entry', 32),
    applies: applies === null || applies === undefined ? null : parseApplies(applies),
    via: via === null || via === undefined ? null : asBytes(via, 'via', 32),
  };
}

export function encodeLineValue(line: LineValue): Uint8Array {
  return encode([
    line.authorHash,
    offerToCbor(line.newest),
    offerToCbor(line.pending),
    line.lowest,
    line.status,
  ]);
}

/** Errors: CBOR_MALFORMED, CBOR_TYPE, STATEMENT_MALFORMED. */
export function decodeLineValue(bytes: Uint8Array): LineValue {
  const row = asArray(decode(bytes, { maxBytes: MAX_BYTES }), 'line value', 5);
  return {
    authorHash: asBytes(row[0] ?? null, 'author entry hash', 32),
    newest: parseOffer(row[1] ?? null),
    pending: parseOffer(row[2] ?? null),
    lowest: asUint64(row[3] ?? null, 'lowest'),
    status: asUint(row[4] ?? null, 'status'),
  };
}

export function encodeAuthorValue(author: AuthorValue): Uint8Array {
  return encode([
    author.keys.toSorted(compare),
    author.delegations.toSorted(compare),
    author.rotations,
    author.status,
  ]);
}

/** Errors: CBOR_MALFORMED, CBOR_TYPE. */
export function decodeAuthorValue(bytes: Uint8Array): AuthorValue {
  const row = asArray(decode(bytes, { maxBytes: MAX_BYTES }), 'author value', 4);
  const hashes = (value: Cbor | undefined, what: string): readonly Uint8Array[] => {
    const list = asArray(value ?? null, what);
    check(list.length <= 64, 'CBOR_TYPE', `more than 64 ${what}`);
    return list.map((hash) => asBytes(hash, what, 32));
  };
  return {
    keys: hashes(row[0], 'keys'),
    delegations: hashes(row[1], 'delegations'),
    rotations: asUint(row[2] ?? null, 'rotations'),
    status: asUint(row[3] ?? null, 'status'),
  };
}
