/**
 * Withdrawals, revocations and policy changes that wait to be ordered, with the time at which this node saw each first
 * (T11). On disk, so that a restart does not start their time anew.
 */
import { sha256 } from '#crypto';
import { concat, hex, utf8 } from '../bytes.ts';
import { decodeGroup, encodeGroup } from '../api/registration.ts';
import { transaction, type Database } from '../database.ts';
import { check, codeOf } from '../errors.ts';
import { refusal } from '../ledger/refusal.ts';
import type { Replica } from '../ledger/replica.ts';
import { parseStatement, type Transaction } from '../registry/statement.ts';
import { isUrgent, URGENT_A_SIGNER, urgentSigners } from '../registry/urgent.ts';

export interface WaitingGroup {
  /** Hex of the SHA-256 of its statements' signing digests. */
  readonly id: string;
  readonly group: readonly Transaction[];
  readonly body: Uint8Array;
  /** POSIX seconds. */
  readonly seen: number;
}

const SCHEMA = `
CREATE TABLE IF NOT EXISTS urgent (id TEXT PRIMARY KEY, seen INTEGER NOT NULL, body BLOB NOT NULL) WITHOUT ROWID;
-- What was asked for and not ordered, whatever counter it was asked for with.
CREATE TABLE IF NOT EXISTS urgent_asked (meaning BLOB PRIMARY KEY, seen INTEGER NOT NULL) WITHOUT ROWID;
`;
const MAX_GROUPS = 1024;
const MAX_BYTES = 64 << 20;
const MAX_ASKED = 4096;

// Its signer may have to sign it anew, because later statements of its own were ordered and it was not.
function meaningOf(group: readonly Transaction[]): Uint8Array {
  const said = group
    .filter((transaction) => isUrgent([transaction]))
    .map(({ statement: { kind, issuer, subject, payload } }) =>
      concat(utf8(`${kind}\n${issuer}\n${subject}\n`), sha256(payload)),
    );
  return sha256(concat(...said));
}

export class UrgentStatements {
  readonly #database: Database;
  readonly #replica: Replica;
  readonly #waiting = new Map<string, WaitingGroup>();
  readonly #listeners = new Set<() => void>();

  constructor(database: Database, replica: Replica) {
    this.#database = database;
    this.#replica = replica;
    database.exec(SCHEMA);
    const rows = database.prepare('SELECT id, seen, body FROM urgent').all();
    for (const { id, seen, body } of rows) {
      const bytes = body as Uint8Array;
      const group = decodeGroup(bytes).map((raw) => ({
        ...raw,
        statement: parseStatement(raw.statement),
      }));
      this.#waiting.set(id as string, { id: id as string, group, body: bytes, seen: Number(seen) });
    }
    replica.onHead(() => this.#sweep());
    this.#sweep();
  }

  /**
   * Keeps an urgent group that this node's own state accepts, as first seen `now` (POSIX seconds) or when the same was
   * asked for before in vain; on disk once this returns. Answers whether it was news. Others are none of its business.
   * Errors: what the rules refuse it with; LEDGER_BUSY beyond q a signer or the room there is.
   */
  keep(group: readonly Transaction[], now: number): boolean {
    if (!isUrgent(group)) return false;
    const id = hex(sha256(concat(...group.map(({ statement }) => statement.signingDigest))));
    if (this.#waiting.has(id) || this.#isOrdered(group)) return false;
    const refused = refusal(this.#replica, group);
    if (refused) throw refused;
    for (const signer of urgentSigners(group))
      check(this.#countOf(signer) < URGENT_A_SIGNER, 'LEDGER_BUSY');
    const body = encodeGroup(
      group.map(({ statement, attachment }) => ({ statement: statement.bytes, attachment })),
    );
    const bytes = this.#waiting.values().reduce((sum, waiting) => sum + waiting.body.length, 0);
    check(this.#waiting.size < MAX_GROUPS && bytes + body.length <= MAX_BYTES, 'LEDGER_BUSY');
    const seen = transaction(this.#database, () => {
      const first = this.#firstAsked(meaningOf(group), now);
      this.#database
        .prepare('INSERT INTO urgent (id, seen, body) VALUES (?, ?, ?)')
        .run(id, first, body);
      return first;
    });
    this.#waiting.set(id, { id, group, body, seen });
    for (const wake of this.#listeners) wake();
    return true;
  }

  #firstAsked(meaning: Uint8Array, now: number): number {
    const database = this.#database;
    database.prepare('INSERT OR IGNORE INTO urgent_asked VALUES (?, ?)').run(meaning, now);
    const row = database.prepare('SELECT seen FROM urgent_asked WHERE meaning = ?').get(meaning);
    database
      .prepare(
        'DELETE FROM urgent_asked WHERE meaning IN (SELECT meaning FROM urgent_asked ORDER BY seen DESC LIMIT -1 OFFSET ?)',
      )
      .run(MAX_ASKED);
    return Number(row?.['seen'] ?? now);
  }

  #countOf(signer: string): number {
    return this.#waiting
      .values()
      .filter(({ group }) => urgentSigners(group).includes(signer))
      .toArray().length;
  }

  #isOrdered(group: readonly Transaction[]): boolean {
    return !isUrgent(group.filter(({ statement }) => !this.#replica.find(statement.signingDigest)));
  }

  // What is ordered waits no more, and what the state refuses now nobody can be asked to order.
  #sweep(): void {
    const over = this.waiting()
      .map((waiting) => ({ ...waiting, ordered: this.#isOrdered(waiting.group) }))
      .filter(({ ordered, group }) => ordered || refusal(this.#replica, group) !== undefined);
    if (over.length === 0) return;
    for (const { id } of over) this.#waiting.delete(id);
    try {
      transaction(this.#database, () => {
        for (const { id, group, ordered } of over) this.#drop(id, ordered ? group : undefined);
      });
    } catch (error) {
      // Without room for that they stay on the disk, and are swept away at the next start.
      if (codeOf(error)?.startsWith('DATABASE_') !== true) throw error;
    }
  }

  #drop(id: string, ordered: readonly Transaction[] | undefined): void {
    const database = this.#database;
    if (ordered)
      database.prepare('DELETE FROM urgent_asked WHERE meaning = ?').run(meaningOf(ordered));
    database.prepare('DELETE FROM urgent WHERE id = ?').run(id);
  }

  /** What waits, in the order in which it came. */
  waiting(): readonly WaitingGroup[] {
    return [...this.#waiting.values()].toSorted((a, b) => a.seen - b.seen);
  }

  /** When the one that waits longest was seen first; undefined: none waits. */
  waitingSince(): number | undefined {
    return this.waiting()[0]?.seen;
  }

  /** Calls `listener` after each new one. Returns how to stop. */
  onNew(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }
}
