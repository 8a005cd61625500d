/** The leaf that closes a block (T15, docs/spec/log.md). */
import { sha256 } from '#crypto';
import { concat, utf8 } from '../bytes.ts';
import { decode } from '../cbor/decode.ts';
import { encode } from '../cbor/encode.ts';
import { asArray, asBytes, asUint } from '../cbor/read.ts';
import { fail, FirmamentError } from '../errors.ts';

export interface Epoch {
  /** Of the block; 0 is genesis. */
  readonly height: number;
  /** POSIX seconds, "not before". */
  readonly time: number;
  readonly mapRoot: Uint8Array;
  readonly stateRoot: Uint8Array;
  readonly policyVersion: number;
  readonly policyHash: Uint8Array;
  /** Log index of the epoch before; null in the first. */
  readonly previous: number | null;
}

const TAG = utf8('firmament/epoch/v1');
const MAX_EPOCH = 256;

export function encodeEpoch(epoch: Epoch): Uint8Array {
  const { height, time, mapRoot, stateRoot, policyVersion, policyHash, previous } = epoch;
  return encode([height, time, mapRoot, stateRoot, policyVersion, policyHash, previous]);
}

/** Errors: LOG_EPOCH_MALFORMED. */
export function decodeEpoch(bytes: Uint8Array): Epoch {
  try {
    const row = asArray(decode(bytes, { maxBytes: MAX_EPOCH }), 'epoch', 7);
    return {
      height: asUint(row[0], 'height'),
      time: asUint(row[1], 'time'),
      mapRoot: asBytes(row[2], 'map root', 32),
      stateRoot: asBytes(row[3], 'state root', 32),
      policyVersion: asUint(row[4], 'policy version'),
      policyHash: asBytes(row[5], 'policy hash', 32),
      previous: row[6] === null ? null : asUint(row[6], 'previous epoch'),
    };
  } catch (cause) {
    if (!(cause instanceof FirmamentError)) throw cause;
    return fail('LOG_EPOCH_MALFORMED', cause.message, {}, cause);
  }
}

/** The 32-byte log entry of an epoch; the tag keeps it apart from every statement's. */
export function epochEntry(epoch: Epoch): Uint8Array {
  return sha256(concat(TAG, encodeEpoch(epoch)));
}
