/** Groups that this node took and that are not ordered yet, on disk: a mempool forgets, an answer does not. */
import { transaction, type Database } from '../../database.ts';
import { check } from '../../errors.ts';

const VERSION = 1;
const TABLES = `
  CREATE TABLE pending (id TEXT PRIMARY KEY, since INTEGER NOT NULL, bytes BLOB NOT NULL) WITHOUT ROWID;
`;
const MAX_GROUPS = 4096;
const MAX_BYTES = 64 << 20;

export interface PendingGroup {
  /** Hex of the SHA-256 of its bytes. */
  readonly id: string;
  /** The encoded group. */
  readonly bytes: Uint8Array;
}

export class PendingGroups {
  readonly #database: Database;
  readonly #sizes = new Map<string, number>();
  #bytes = 0;

  /** Errors: DATABASE_UNUSABLE. */
  constructor(database: Database) {
    this.#database = database;
    const { user_version: version } = database.prepare('PRAGMA user_version').get() as {
      user_version: number;
    };
    check(version === 0 || version === VERSION, 'DATABASE_UNUSABLE', 'tables of another version');
    if (version === 0)
      transaction(database, () => {
        database.exec(TABLES);
        database.exec(`PRAGMA user_version = ${VERSION}`);
      });
    for (const { id, bytes } of this.all()) this.#count(id, bytes.length);
  }

  get size(): number {
    return this.#sizes.size;
  }

  /** Oldest first. */
  all(): readonly PendingGroup[] {
    return this.#database
      .prepare('SELECT id, bytes FROM pending ORDER BY since, id')
      .all() as unknown as readonly PendingGroup[];
  }

  /** On disk when this returns; `since` in POSIX seconds. Errors: LEDGER_BUSY, DATABASE_*. */
  keep(id: string, since: number, bytes: Uint8Array): void {
    if (this.#sizes.has(id)) return;
    const room = this.#sizes.size < MAX_GROUPS && this.#bytes + bytes.length <= MAX_BYTES;
    check(room, 'LEDGER_BUSY');
    transaction(this.#database, () =>
      this.#database
        .prepare('INSERT INTO pending (id, since, bytes) VALUES (?, ?, ?)')
        .run(id, since, bytes),
    );
    this.#count(id, bytes.length);
  }

  /** What is ordered, or refused for good. */
  drop(ids: readonly string[]): void {
    const kept = ids.filter((id) => this.#sizes.has(id));
    if (kept.length === 0) return;
    transaction(this.#database, () => {
      for (const id of kept) this.#database.prepare('DELETE FROM pending WHERE id = ?').run(id);
    });
    for (const id of kept) {
      this.#bytes -= this.#sizes.get(id) ?? 0;
      this.#sizes.delete(id);
    }
  }

  #count(id: string, length: number): void {
    this.#sizes.set(id, length);
    this.#bytes += length;
  }
}
