/** Devices' signed reports about releases: kept as they came, bounded, for authors to read. */
import { sha256 } from '#crypto';
import { transaction, type Database } from '../database.ts';
import { hex } from '../bytes.ts';
import { KID } from '../cose/claims.ts';
import { asBytes } from '../cbor/read.ts';
import { readDigest } from '../suit/digest.ts';
import { parseItem } from '../suit/item.ts';
import { explainReport } from '../suit/explain.ts';
import { parseReport, readSignedReport, type Report } from '../suit/report.ts';

export interface KeptReport {
  /** POSIX seconds. */
  readonly received: number;
  readonly keyId: string;
  readonly result: string;
  readonly detail: string;
  /** The report in words, for people; escaped. */
  readonly sentences: readonly string[];
}

const SCHEMA = `
CREATE TABLE IF NOT EXISTS report (
  id BLOB PRIMARY KEY, digest BLOB NOT NULL, received INTEGER NOT NULL, bytes BLOB NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS report_digest ON report (digest, received);
`;
// A report is a hint until its device is known (T25): room for many, never for all that anybody may send.
const MAX_A_RELEASE = 1_000;
const MAX_ALL = 50_000;

export class Reports {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
    database.exec(SCHEMA);
  }

  /** Keeps a well-formed report; the oldest make room. Errors: SUIT_*, CBOR_*, COSE_*. */
  add(bytes: Uint8Array, received: number): void {
    const digest = manifestDigest(readReport(bytes).report);
    transaction(this.#database, () => {
      this.#database
        .prepare('INSERT OR IGNORE INTO report VALUES (?, ?, ?, ?)')
        .run(sha256(bytes), digest, received, bytes);
      this.#trim('WHERE digest = ?', MAX_A_RELEASE, digest);
      this.#trim('', MAX_ALL);
    });
  }

  #trim(where: string, keep: number, ...values: readonly Uint8Array[]): void {
    this.#database
      .prepare(
        `DELETE FROM report WHERE id IN (SELECT id FROM report ${where} ORDER BY received DESC LIMIT -1 OFFSET ${keep})`,
      )
      .run(...values);
  }

  /** The newest about a manifest digest, at most 100. */
  of(digest: Uint8Array): readonly KeptReport[] {
    return this.#database
      .prepare(
        'SELECT received, bytes FROM report WHERE digest = ? ORDER BY received DESC LIMIT 100',
      )
      .all(digest)
      .map((row) => describe(Number(row['received']), row['bytes'] as Uint8Array));
  }
}

// Whose key signed it is known only where the device is enrolled (T25): here the signature is not checked.
function readReport(bytes: Uint8Array): { readonly report: Report; readonly keyId: Uint8Array } {
  const sign1 = readSignedReport(bytes);
  const keyId = asBytes(sign1.header.get(KID) ?? null, 'kid', { max: 64 });
  return { report: parseReport(sign1.payload ?? new Uint8Array()), keyId };
}

function manifestDigest(report: Report): Uint8Array {
  return readDigest(parseItem(report.digest, 'digest'), 'digest').bytes;
}

function describe(received: number, bytes: Uint8Array): KeptReport {
  const { report, keyId } = readReport(bytes);
  return {
    received,
    keyId: hex(keyId),
    result: report.result === true ? 'ok' : 'failed',
    detail: report.result === true ? '' : report.result.reason,
    sentences: explainReport(report),
  };
}
