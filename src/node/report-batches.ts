/** What gateways handed over: roots on their way to the ledger, and records sealed to authors; bounded, durable (T25). */
import { transaction, type Database } from '../database.ts';
import { SEALED_AT_ONCE, type HandedBatch, type SealedBatch } from '../api/report-batch.ts';
import { concat, equal } from '../bytes.ts';
import { check } from '../errors.ts';
import { HASH_LENGTH, leafHash } from '../log/merkle.ts';
import { MAX_LEAVES } from '../log/padded-tree.ts';

const SCHEMA = `
CREATE TABLE IF NOT EXISTS sealed_batch (
  number INTEGER PRIMARY KEY AUTOINCREMENT, root BLOB NOT NULL UNIQUE, author BLOB NOT NULL, received INTEGER NOT NULL,
  size INTEGER NOT NULL, sealed BLOB NOT NULL
);
CREATE INDEX IF NOT EXISTS sealed_batch_author ON sealed_batch (author, number);
CREATE TABLE IF NOT EXISTS gathering (
  digest BLOB PRIMARY KEY, leaves BLOB NOT NULL, statement BLOB NOT NULL, made INTEGER NOT NULL, ordered INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS batch_root (
  root BLOB PRIMARY KEY, received INTEGER NOT NULL, digest BLOB
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS batch_root_waiting ON batch_root (received) WHERE digest IS NULL;
`;

export interface BatchBounds {
  /** Of one author. */
  readonly batches: number;
  readonly bytes: number;
  /** Of all authors. */
  readonly allBytes: number;
  /** Roots that no statement has yet. */
  readonly waiting: number;
  /** Seconds for which sealed records and paths are kept. */
  readonly age: number;
}

export const BATCH_BOUNDS: BatchBounds = {
  batches: 2_000,
  bytes: 64 << 20,
  allBytes: 1 << 30,
  waiting: 16_384,
  age: 90 * 86_400,
};

/** Roots under one statement of this node. */
export interface Gathering {
  /** The statement's signing digest. */
  readonly digest: Uint8Array;
  readonly leaves: readonly Uint8Array[];
  readonly statement: Uint8Array;
}

export class ReportBatches {
  readonly #database: Database;
  readonly #bounds: BatchBounds;

  constructor(database: Database, bounds: BatchBounds = BATCH_BOUNDS) {
    this.#database = database;
    this.#bounds = bounds;
    database.exec(SCHEMA);
  }

  /** Keeps a batch; the oldest make room. What is known of a root already stays. Errors: NODE_OVERLOADED. */
  add({ root, author, sealed }: HandedBatch, now: number): void {
    const { waiting } = this.#bounds;
    const [known] = this.#database.prepare('SELECT 1 FROM batch_root WHERE root = ?').all(root);
    if (known) return;
    const row = this.#database
      .prepare('SELECT COUNT(*) AS n FROM batch_root WHERE digest IS NULL')
      .get();
    check(Number(row?.['n'] ?? 0) < waiting, 'NODE_OVERLOADED', 'too many roots wait');
    transaction(this.#database, () => {
      this.#database
        .prepare('INSERT INTO batch_root (root, received) VALUES (?, ?)')
        .run(root, now);
      this.#database
        .prepare(
          'INSERT INTO sealed_batch (root, author, received, size, sealed) VALUES (?, ?, ?, ?, ?)',
        )
        .run(root, author, now, sealed.length, sealed);
      this.#trim(author, now);
    });
  }

  #trim(author: Uint8Array, now: number): void {
    const { batches, bytes, allBytes, age } = this.#bounds;
    const database = this.#database;
    database.prepare('DELETE FROM sealed_batch WHERE received < ?').run(now - age);
    database
      .prepare('DELETE FROM batch_root WHERE received < ? AND digest IS NOT NULL')
      .run(now - age);
    database
      .prepare('DELETE FROM gathering WHERE made < ? AND ordered = 1')
      .run(now - age - 86_400);
    const beyond = (where: string): string =>
      `DELETE FROM sealed_batch WHERE number IN (
         SELECT number FROM (SELECT number, SUM(size) OVER (ORDER BY number DESC) AS above,
           ROW_NUMBER() OVER (ORDER BY number DESC) AS place FROM sealed_batch ${where})
         WHERE above > ? OR place > ?)`;
    database.prepare(beyond('WHERE author = ?')).run(author, bytes, batches);
    database.prepare(beyond('')).run(allBytes, Number.MAX_SAFE_INTEGER);
  }

  /** The next sealed to an author after a number, as many as one answer holds. */
  sealedFor(author: Uint8Array, after: number): readonly SealedBatch[] {
    return this.#database
      .prepare(
        `SELECT number, root, sealed FROM sealed_batch WHERE author = ? AND number > ?
         ORDER BY number LIMIT ${SEALED_AT_ONCE}`,
      )
      .all(author, after)
      .map((row) => ({
        number: Number(row['number']),
        root: row['root'] as Uint8Array,
        sealed: row['sealed'] as Uint8Array,
      }));
  }

  /** When the oldest root came that waits for a statement. */
  waitingSince(): number | undefined {
    const row = this.#database
      .prepare('SELECT MIN(received) AS since FROM batch_root WHERE digest IS NULL')
      .get();
    return (row?.['since'] as number | null | undefined) ?? undefined;
  }

  /** The oldest roots that wait, as many as one statement takes. */
  waiting(): readonly Uint8Array[] {
    return this.#database
      .prepare(
        `SELECT root FROM batch_root WHERE digest IS NULL ORDER BY received LIMIT ${MAX_LEAVES}`,
      )
      .all()
      .map((row) => row['root'] as Uint8Array);
  }

  /** The roots are under this statement from now on. */
  gather(
    { digest, leaves, statement }: Gathering,
    roots: readonly Uint8Array[],
    now: number,
  ): void {
    const under = this.#database.prepare('UPDATE batch_root SET digest = ? WHERE root = ?');
    transaction(this.#database, () => {
      this.#database
        .prepare('INSERT INTO gathering (digest, leaves, statement, made) VALUES (?, ?, ?, ?)')
        .run(digest, concat(...leaves), statement, now);
      for (const root of roots) under.run(digest, root);
    });
  }

  /** The statement that is not known to be ordered yet: one at most. */
  pending(): Gathering | undefined {
    const row = this.#database.prepare('SELECT * FROM gathering WHERE ordered = 0').get();
    return row && gatheringOf(row);
  }

  markOrdered(digest: Uint8Array): void {
    this.#database.prepare('UPDATE gathering SET ordered = 1 WHERE digest = ?').run(digest);
  }

  /** The ledger refused the statement: its roots wait again. */
  release(digest: Uint8Array): void {
    transaction(this.#database, () => {
      this.#database.prepare('UPDATE batch_root SET digest = NULL WHERE digest = ?').run(digest);
      this.#database.prepare('DELETE FROM gathering WHERE digest = ?').run(digest);
    });
  }

  /** What the root is under, and where; `null` while it waits, undefined when it is not known here. */
  placeOf(root: Uint8Array): (Gathering & { readonly index: number }) | null | undefined {
    const [row] = this.#database
      .prepare(
        `SELECT b.digest AS under, g.* FROM batch_root b LEFT JOIN gathering g ON g.digest = b.digest
         WHERE b.root = ?`,
      )
      .all(root);
    if (!row) return undefined;
    if (row['leaves'] === null) return null;
    const gathering = gatheringOf(row);
    const leaf = leafHash(root);
    return { ...gathering, index: gathering.leaves.findIndex((each) => equal(each, leaf)) };
  }
}

function gatheringOf(row: Readonly<Record<string, unknown>>): Gathering {
  const joined = row['leaves'] as Uint8Array;
  return {
    digest: row['digest'] as Uint8Array,
    leaves: Array.from({ length: joined.length / HASH_LENGTH }, (_, i) =>
      joined.subarray(i * HASH_LENGTH, (i + 1) * HASH_LENGTH),
    ),
    statement: row['statement'] as Uint8Array,
  };
}
