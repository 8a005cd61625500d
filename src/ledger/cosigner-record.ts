/**
 * T10: the record of the newest head that a cosigner signed, and the only way to its key. The record is a
 * file of its own, outside the database and outside every backup: an old copy could sign a second history.
 */
import { equal } from '../bytes.ts';
import { decode } from '../cbor/decode.ts';
import { encode } from '../cbor/encode.ts';
import { asArray, asBytes, asUint } from '../cbor/read.ts';
import type { PrivateKey } from '../crypto/key.ts';
import { check, fail, FirmamentError, type Code } from '../errors.ts';
import { formatCheckpoint } from '../log/checkpoint.ts';
import { signChallenge, type ChallengeAnswer } from '../log/challenge.ts';
import { signCosignature, type Cosignature } from '../log/cosignature.ts';
import { checkStartup, type StartupAnswer } from './cosigner-startup.ts';
import type { FaultPoint } from '../fault-point.ts';
import { readIfThere, replaceDurably } from './durable-file.ts';
import type { Replica } from './replica.ts';

/** The newest head signed with this key; size 0 before the first. `time` in POSIX seconds. */
export interface Signed {
  readonly size: number;
  readonly root: Uint8Array;
  readonly time: number;
}

export interface CosignerRecordOptions {
  readonly file: string;
  /** The node's cosigner key (Ed25519), which signs cosignatures and answers to challenges, and nothing else. */
  readonly key: PrivateKey;
  /** OPERATOR/NODE. */
  readonly name: string;
  readonly replica: Replica;
  /** Told of each step of each durable write. */
  readonly faultPoint?: FaultPoint;
}

export type Leave = { readonly allowed: true } | { readonly allowed: false; readonly code: Code };

const TAG = 'firmament/cosigner-record/v1';
const NONE: Signed = { size: 0, root: new Uint8Array(32), time: 0 };

/**
 * Reads the record; where there is no file it begins at size 0, and the other operators say whether that
 * is true. Errors: COSIGNER_RECORD_CORRUPT, COSIGNER_RECORD_FOREIGN.
 */
export function openCosignerRecord(options: CosignerRecordOptions): CosignerRecord {
  const bytes = readIfThere(options.file);
  return new CosignerRecord(options, bytes === undefined ? NONE : parseRecord(bytes, options));
}

function parseRecord(bytes: Uint8Array, { key, replica }: CosignerRecordOptions): Signed {
  try {
    const row = asArray(decode(bytes, { maxBytes: 1024 }), 'cosigner record', 6);
    check(row[0] === TAG, 'COSIGNER_RECORD_CORRUPT', 'not a cosigner record');
    const signer = asBytes(row[2] ?? null, 'key', 32);
    const mine = row[1] === replica.origin && equal(signer, key.publicKey.bytes);
    check(mine, 'COSIGNER_RECORD_FOREIGN');
    return {
      size: asUint(row[3] ?? null, 'size'),
      root: asBytes(row[4] ?? null, 'root', 32),
      time: asUint(row[5] ?? null, 'time'),
    };
  } catch (cause) {
    if (cause instanceof FirmamentError && cause.code.startsWith('COSIGNER_')) throw cause;
    return fail('COSIGNER_RECORD_CORRUPT', undefined, {}, cause);
  }
}

function encodeRecord(
  { key, replica }: CosignerRecordOptions,
  { size, root, time }: Signed,
): Uint8Array {
  return encode([TAG, replica.origin, key.publicKey.bytes, size, root, time]);
}

/** Signs heads of one log with one key. Owns the record's file; one process at a time. */
export class CosignerRecord {
  readonly #options: CosignerRecordOptions;
  #last: Signed;
  #allowed = false;

  constructor(options: CosignerRecordOptions, last: Signed) {
    this.#options = options;
    this.#last = last;
  }

  last(): Signed {
    return this.#last;
  }

  /**
   * Whether this cosigner may sign, by what the other operators last saw of its key (T10). Nothing is
   * signed before it may. COSIGNER_UNCONFIRMED: ask again; COSIGNER_BEHIND and COSIGNER_CONFLICT are final.
   */
  askLeave(question: {
    /** How many operators the policy lists. */
    readonly operators: number;
    /** The own operator. */
    readonly self: string;
    readonly answers: readonly StartupAnswer[];
    /** A person said `--cosigner-record-is-mine`. */
    readonly override: boolean;
  }): Leave {
    const { name, key, replica } = this.#options;
    try {
      checkStartup({
        ...question,
        record: this.#last,
        name,
        key: key.publicKey,
        origin: replica.origin,
      });
    } catch (error) {
      if (error instanceof FirmamentError) return { allowed: false, code: error.code };
      throw error;
    }
    this.#allowed = true;
    return { allowed: true };
  }

  /**
   * Cosigns a head at `time` (POSIX seconds); the record of it is on disk before the signature is returned. Only
   * heads at the end of an epoch that this node derived itself, never smaller, and one root a size.
   * Errors: COSIGNER_UNCONFIRMED, LEDGER_HALTED, COSIGNER_ROLLBACK, COSIGNER_CONFLICT, COSIGNER_HEAD_UNKNOWN,
   * COSIGNER_RECORD_IO.
   */
  sign(head: { readonly size: number; readonly root: Uint8Array }, time: number): Cosignature {
    const { key, name, replica } = this.#options;
    const { size, root } = head;
    check(this.#allowed, 'COSIGNER_UNCONFIRMED');
    check(replica.halted() === undefined, 'LEDGER_HALTED');
    check(size >= this.#last.size, 'COSIGNER_ROLLBACK', undefined, {
      size,
      record: this.#last.size,
    });
    check(size > this.#last.size || equal(root, this.#last.root), 'COSIGNER_CONFLICT', undefined, {
      size,
    });
    const derived = replica.headOfSize(size);
    check(derived !== undefined && equal(derived.root, root), 'COSIGNER_HEAD_UNKNOWN', undefined, {
      size,
    });
    const last = { size, root: root.slice(), time: Math.max(time, this.#last.time) };
    this.#write(last);
    this.#last = last;
    return signCosignature(
      key,
      name,
      formatCheckpoint({ origin: replica.origin, size, root }),
      time,
    );
  }

  /**
   * Answers a challenge (T14) at `time` (POSIX seconds) with the head that was signed last, and never with another: there
   * is nothing to record. Errors: COSIGNER_UNCONFIRMED, LEDGER_HALTED, COSIGNER_UNSIGNED, LOG_CHALLENGE_MALFORMED.
   */
  answer(hash: Uint8Array, time: number): ChallengeAnswer {
    const { key, name, replica } = this.#options;
    const { size, root } = this.#last;
    check(this.#allowed, 'COSIGNER_UNCONFIRMED', 'no challenge is answered before it may sign');
    check(!replica.halted(), 'LEDGER_HALTED');
    check(size > 0, 'COSIGNER_UNSIGNED');
    return signChallenge(key, name, { origin: replica.origin, size, root, hash }, time);
  }

  #write(last: Signed): void {
    const { file, faultPoint } = this.#options;
    try {
      replaceDurably(file, encodeRecord(this.#options, last), (step) =>
        faultPoint?.(`cosigner.record.${step}`),
      );
    } catch (cause) {
      // The new record may lie on the disk all the same: then it is ahead of what was signed, never behind.
      const { code } = cause as NodeJS.ErrnoException;
      fail('COSIGNER_RECORD_IO', undefined, { reason: code }, cause);
    }
  }
}
