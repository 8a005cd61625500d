/** The one place that opens SQLite: write-ahead log, every commit on disk before it returns. */
import { backup, DatabaseSync, type StatementSync } from 'node:sqlite';
import { check, fail, FirmamentError } from './errors.ts';

export interface DatabaseOptions {
  /** Keep every other process out (the default): two writers of one replica would fork a ledger. */
  readonly exclusive?: boolean;
  /** Milliseconds to wait for another connection's lock. */
  readonly busyTimeout?: number;
  /** Called inside each transaction before its commit, and after it. */
  readonly onCommit?: (when: 'before' | 'after') => void;
}

/**
 * Opens or makes the database at `path` (`:memory:` for tests).
 * Errors: DATABASE_LOCKED when another process has it, DATABASE_UNUSABLE when SQLite can't open it.
 */
export function openDatabase(path: string, options: DatabaseOptions = {}): Database {
  const { exclusive = true, busyTimeout = 2000, onCommit } = options;
  let handle: DatabaseSync | undefined;
  try {
    handle = new DatabaseSync(path, { timeout: busyTimeout, enableForeignKeyConstraints: true });
    if (exclusive) handle.exec('PRAGMA locking_mode = EXCLUSIVE');
    // FULL: in WAL mode each commit is synced, so that a power cut loses nothing that was answered.
    handle.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA cache_size = -4000');
    // The exclusive lock is taken at the first write, so take it now.
    handle.exec('BEGIN IMMEDIATE; COMMIT');
  } catch (cause) {
    handle?.close();
    const code = isLocked(cause) ? 'DATABASE_LOCKED' : 'DATABASE_UNUSABLE';
    return fail(code, undefined, { path }, cause);
  }
  return new Database(path, handle, onCommit);
}

/**
 * Runs `work` in one transaction: all of it is on disk when this returns, or none of it happened and
 * its error is thrown on. Transactions do not nest.
 * Errors: DATABASE_NESTED, DATABASE_FULL, DATABASE_IO, and what `work` throws.
 */
export function transaction<T>(database: Database, work: () => T): T {
  if (database.gathers) return savepoint(database, work);
  check(!database.inTransaction, 'DATABASE_NESTED');
  database.exec('BEGIN IMMEDIATE');
  let result: T;
  try {
    result = work();
    database.onCommit?.('before');
    database.exec('COMMIT');
  } catch (error) {
    // A failed COMMIT (full disk) may have rolled back by itself.
    if (database.inTransaction) database.exec('ROLLBACK');
    throw diskError(error);
  }
  database.onCommit?.('after');
  return result;
}

/**
 * Runs `work`, whose transactions and single writes reach the disk together, by one sync: all of it is there when this
 * returns, or none of it. A transaction in it that throws is undone alone.
 * Errors: DATABASE_NESTED, DATABASE_FULL, DATABASE_IO, and what `work` throws.
 */
export function together<T>(database: Database, work: () => T): T {
  return transaction(database, () => {
    database.gathers = true;
    try {
      return work();
    } finally {
      database.gathers = false;
    }
  });
}

function savepoint<T>(database: Database, work: () => T): T {
  // One level: what is in a savepoint is part of no other.
  database.gathers = false;
  database.exec('SAVEPOINT part');
  try {
    const result = work();
    database.exec('RELEASE part');
    return result;
  } catch (error) {
    // A full disk may have ended the whole transaction.
    if (database.inTransaction) database.exec('ROLLBACK TO part; RELEASE part');
    throw diskError(error);
  } finally {
    database.gathers = true;
  }
}

// 4 MiB: a commit waits no longer than reading these takes.
const PAGES_AT_ONCE = 1024;

/** An open database. Owns the file handle and the prepared statements; synchronous throughout. */
export class Database implements AsyncDisposable {
  readonly path: string;
  readonly onCommit: DatabaseOptions['onCommit'];
  /** Transactions are parts of one that is open (`together`). */
  gathers = false;
  readonly #handle: DatabaseSync;
  readonly #statements = new Map<string, StatementSync>();

  constructor(path: string, handle: DatabaseSync, onCommit?: DatabaseOptions['onCommit']) {
    this.path = path;
    this.onCommit = onCommit;
    this.#handle = handle;
  }

  get inTransaction(): boolean {
    return this.#handle.isTransaction;
  }

  /** Runs SQL text that has no parameters. */
  exec(sql: string): void {
    this.#handle.exec(sql);
  }

  /** A prepared statement, kept for the life of the database: `sql` is constant text of the program. */
  prepare(sql: string): StatementSync {
    let statement = this.#statements.get(sql);
    if (statement === undefined) {
      statement = this.#handle.prepare(sql);
      this.#statements.set(sql, statement);
    }
    return statement;
  }

  /** Copies the database as it is at the end of the copying into a new file; reads and commits go on meanwhile. */
  async copyTo(path: string): Promise<void> {
    await backup(this.#handle, path, { rate: PAGES_AT_ONCE });
  }

  /** Closes the file; a second call does nothing. */
  close(): void {
    this.#statements.clear();
    if (this.#handle.isOpen) this.#handle.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.close();
  }
}

// SQLITE_FULL, SQLITE_IOERR with its extensions
function diskError(error: unknown): unknown {
  const { errcode, code } = error as { readonly errcode?: unknown; readonly code?: unknown };
  if (errcode === 13 || code === 'ENOSPC')
    return new FirmamentError('DATABASE_FULL', undefined, {}, { cause: error });
  if (typeof errcode === 'number' && (errcode & 0xff) === 10)
    return new FirmamentError('DATABASE_IO', undefined, {}, { cause: error });
  return error;
}

function isLocked(error: unknown): boolean {
  // SQLITE_BUSY, SQLITE_LOCKED
  const code = (error as { errcode?: unknown }).errcode;
  return code === 5 || code === 6;
}
