/** One-time enrolment codes (docs/spec/enrolment.md, T29). Only their hashes are kept. */
import { sha256 } from '#crypto';
import { utf8 } from '../bytes.ts';
import type { Clock } from '../clock.ts';
import { transaction, type Database } from '../database.ts';
import { check } from '../errors.ts';
import type { Random } from '../random.ts';

const CODE_BYTES = 16;
const BASE32 = 'abcdefghijklmnopqrstuvwxyz234567';
const KEPT = 7 * 86_400;

/** What a code was spent on. `spkiSha256` and `certificate` are null in the PSK tier. */
export interface Spending {
  readonly device: string;
  readonly spkiSha256: Uint8Array | null;
  readonly certificate: string | null;
}

export class EnrolmentCodes {
  readonly #database: Database;
  readonly #clock: Clock;
  readonly #random: Random;

  constructor(database: Database, clock: Clock, random: Random) {
    this.#database = database;
    this.#clock = clock;
    this.#random = random;
  }

  /** A fresh code, for one model or (null) any, that lives so many seconds. It is shown once. */
  make(model: string | null, lifetime: number): string {
    const code = base32(this.#random(CODE_BYTES));
    const now = this.#clock();
    this.#database.prepare('DELETE FROM code WHERE expires < ?').run(now - KEPT);
    this.#database
      .prepare('INSERT INTO code (hash, model, expires) VALUES (?, ?, ?)')
      .run(hashOf(code), model, now + lifetime);
    return code;
  }

  /** Whether it could be spent now: before anything is computed for a caller. Errors: ENROLMENT_CODE_INVALID. */
  need(code: string, model: string): void {
    const row = this.#database
      .prepare(
        `SELECT 1 FROM code WHERE hash = ? AND device IS NULL AND expires > ? AND (model IS NULL OR model = ?)`,
      )
      .get(hashOf(code), this.#clock(), model);
    check(row !== undefined, 'ENROLMENT_CODE_INVALID');
  }

  /** What it was spent on; undefined when it was not. */
  spent(code: string): Spending | undefined {
    const row = this.#database
      .prepare('SELECT device, spki, certificate FROM code WHERE hash = ? AND device IS NOT NULL')
      .get(hashOf(code));
    return (
      row && {
        device: row['device'] as string,
        spkiSha256: row['spki'] as Uint8Array | null,
        certificate: row['certificate'] as string | null,
      }
    );
  }

  /**
   * Spends it and does `register`, in one transaction: both are on disk when this returns, or neither happened.
   * Errors: ENROLMENT_CODE_INVALID, DATABASE_*.
   */
  spend(
    code: string,
    model: string,
    { device, spkiSha256, certificate }: Spending,
    register: () => void,
  ): void {
    transaction(this.#database, () => {
      const { changes } = this.#database
        .prepare(
          `UPDATE code SET device = ?, spki = ?, certificate = ?
           WHERE hash = ? AND device IS NULL AND expires > ? AND (model IS NULL OR model = ?)`,
        )
        .run(device, spkiSha256, certificate, hashOf(code), this.#clock(), model);
      check(Number(changes) === 1, 'ENROLMENT_CODE_INVALID');
      register();
    });
  }
}

function hashOf(code: string): Uint8Array {
  return sha256(utf8(code));
}

// RFC 4648 section 6, lowercase, without padding
function base32(bytes: Uint8Array): string {
  let out = '';
  let buffer = 0;
  let bits = 0;
  for (const byte of bytes) {
    buffer = (buffer << 8) | byte;
    bits += 8;
    while (bits >= 5) {
      bits -= 5;
      out += BASE32.charAt((buffer >> bits) & 31);
    }
    buffer &= (1 << bits) - 1;
  }
  return bits > 0 ? out + BASE32.charAt((buffer << (5 - bits)) & 31) : out;
}
