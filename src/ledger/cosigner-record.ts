/**
 * T10: the cosigner and its record of the newest head that it signed. The record is a file of its own,
 * outside the database and outside every backup: a restored old copy could sign a second history.
 */
import { equal } from '../bytes.ts';
import { decode } from '../cbor/decode.ts';
import { encode } from '../cbor/encode.ts';
import { asArray, asBytes, asUint } from '../cbor/read.ts';
import type { Clock } from '../clock.ts';
import type { PrivateKey } from '../crypto/key.ts';
import { check, fail } from '../errors.ts';
import { formatCheckpoint } from '../log/checkpoint.ts';
import { signCosignature, type Cosignature } from '../log/cosignature.ts';
import type { Logger } from '../logger.ts';
import { checkStartup, type StartupAnswer } from './cosigner-startup.ts';
import { readIfThere, replaceDurably } from './durable-file.ts';
import type { Replica } from './replica.ts';

/** The newest head signed with this key; size 0 before the first. `time` in POSIX seconds. */
export interface CosignerRecord {
  readonly size: number;
  readonly root: Uint8Array;
  readonly time: number;
}

export interface CosignerOptions {
  readonly file: string;
  /** The node's cosigner key (Ed25519), which signs nothing else. */
  readonly key: PrivateKey;
  /** OPERATOR/NODE. */
  readonly name: string;
  readonly replica: Replica;
  readonly clock: Clock;
  readonly logger: Logger;
}

const TAG = 'firmament/cosigner-record/v1';
const NONE: CosignerRecord = { size: 0, root: new Uint8Array(32), time: 0 };

/** Reads the record; without one it begins at size 0. Errors: COSIGNER_RECORD_CORRUPT, COSIGNER_RECORD_FOREIGN. */
export function openCosigner(options: CosignerOptions): Cosigner {
  const bytes = readIfThere(options.file);
  return new Cosigner(options, bytes === undefined ? NONE : parseRecord(bytes, options));
}

function parseRecord(bytes: Uint8Array, { key, replica }: CosignerOptions): CosignerRecord {
  let row;
  try {
    row = asArray(decode(bytes, { maxBytes: 1024 }), 'cosigner record', 6);
    check(row[0] === TAG, 'COSIGNER_RECORD_CORRUPT', 'not a cosigner record');
    const record = {
      size: asUint(row[3] ?? null, 'size'),
      root: asBytes(row[4] ?? null, 'root', 32),
      time: asUint(row[5] ?? null, 'time'),
    };
    const mine =
      row[1] === replica.origin && equal(asBytes(row[2] ?? null, 'key', 32), key.publicKey.bytes);
    if (mine) return record;
  } catch (cause) {
    return fail('COSIGNER_RECORD_CORRUPT', undefined, {}, cause);
  }
  return fail('COSIGNER_RECORD_FOREIGN');
}

/** Signs heads of one log with one key. Owns the record's file; one process at a time. */
export class Cosigner {
  readonly #options: CosignerOptions;
  #record: CosignerRecord;
  #confirmed = false;

  constructor(options: CosignerOptions, record: CosignerRecord) {
    this.#options = options;
    this.#record = record;
  }

  record(): CosignerRecord {
    return this.#record;
  }

  confirmed(): boolean {
    return this.#confirmed;
  }

  /**
   * Takes what the other operators last saw of this key; signing begins once this has passed.
   * Errors: COSIGNER_BEHIND, COSIGNER_CONFLICT, COSIGNER_UNCONFIRMED (ask again later).
   */
  confirm(operators: number, answers: readonly StartupAnswer[], recordIsMine = false): void {
    const { name, key, replica, logger } = this.#options;
    checkStartup({
      record: this.#record,
      operator: name.split('/')[0] ?? name,
      name,
      key: key.publicKey,
      origin: replica.origin,
      operators,
      answers,
      recordIsMine,
    });
    if (recordIsMine)
      logger.warn('cosigner record vouched for by a person', { name, size: this.#record.size });
    this.#confirmed = true;
  }

  /**
   * Cosigns a head; the record of it is on disk before the signature is returned. Only heads at the end of
   * an epoch that this node derived itself, never smaller, and one root a size.
   * Errors: COSIGNER_UNCONFIRMED, LEDGER_HALTED, COSIGNER_ROLLBACK, COSIGNER_CONFLICT, COSIGNER_HEAD_UNKNOWN.
   */
  sign(head: { readonly size: number; readonly root: Uint8Array }): Cosignature {
    const { key, name, replica, clock, file } = this.#options;
    const { size, root } = head;
    check(this.#confirmed, 'COSIGNER_UNCONFIRMED');
    check(replica.halted() === undefined, 'LEDGER_HALTED');
    check(size >= this.#record.size, 'COSIGNER_ROLLBACK', undefined, {
      size,
      record: this.#record.size,
    });
    check(
      size > this.#record.size || equal(root, this.#record.root),
      'COSIGNER_CONFLICT',
      undefined,
      { size },
    );
    const derived = replica.headOfSize(size);
    check(derived !== undefined && equal(derived.root, root), 'COSIGNER_HEAD_UNKNOWN', undefined, {
      size,
    });
    const time = clock();
    const record = { size, root: root.slice(), time: Math.max(time, this.#record.time) };
    replaceDurably(
      file,
      encode([TAG, replica.origin, key.publicKey.bytes, record.size, record.root, record.time]),
    );
    this.#record = record;
    return signCosignature(
      key,
      name,
      formatCheckpoint({ origin: replica.origin, size, root }),
      time,
    );
  }
}
