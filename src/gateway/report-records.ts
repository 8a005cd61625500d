/** Records of accepted reports until they are batched, and batches until they are proven or erased (T25). */
import { privateKey } from '#crypto';
import type { PrivateKey } from '../crypto/key.ts';
import { transaction, type Database } from '../database.ts';
import type { Random } from '../random.ts';
import { MAX_RECORD_BYTES, MAX_RECORDS } from '../reports/batch.ts';

/** Of whom, for whom. */
export interface RecordOwner {
  /** Network id and author id, hex. */
  readonly network: string;
  readonly author: string;
}

export interface StoredBatch extends RecordOwner {
  readonly root: Uint8Array;
  /** POSIX seconds. */
  readonly made: number;
  /** Sealed to the owner; null once erased. */
  readonly own: Uint8Array | null;
  /** Sealed to the author, until the batch is proven. */
  readonly sealed: Uint8Array | null;
  /** OPERATOR/NODE that took it. */
  readonly node: string | null;
  /** From the root to the ledger. */
  readonly proof: Uint8Array | null;
}

const MAX_BATCHES = 2_000;

interface Waiting {
  readonly id: number;
  readonly taken: number;
  readonly record: Uint8Array;
}

export class ReportRecords {
  readonly #database: Database;
  readonly #keep: number;

  /** `keep`: so many batches at most, the newest. */
  constructor(database: Database, keep = MAX_BATCHES) {
    this.#database = database;
    this.#keep = keep;
  }

  /** The owner's own key, made at the first call. It lies in the database, and so in backups. */
  ownKey(random: Random): PrivateKey {
    const row = this.#database.prepare('SELECT secret FROM report_key').get();
    const secret = (row?.['secret'] as Uint8Array | undefined) ?? random(32);
    const key = privateKey('P-256', secret);
    if (!row) this.#database.prepare('INSERT INTO report_key VALUES (0, ?)').run(secret);
    return key;
  }

  /** Within the caller's transaction. */
  add({ network, author }: RecordOwner, device: string, record: Uint8Array, now: number): void {
    this.#database
      .prepare(
        'INSERT INTO report_record (network, author, device, taken, record) VALUES (?, ?, ?, ?, ?)',
      )
      .run(network, author, device, now, record);
  }

  /** For whom records wait, and since when. */
  owners(): readonly (RecordOwner & { readonly since: number })[] {
    return this.#database
      .prepare(
        'SELECT network, author, MIN(taken) AS since FROM report_record GROUP BY network, author',
      )
      .all()
      .map((row) => ({
        network: row['network'] as string,
        author: row['author'] as string,
        since: Number(row['since']),
      }));
  }

  /** The oldest that wait for an author, as many as one batch holds. */
  waiting({ network, author }: RecordOwner): readonly Waiting[] {
    const rows = this.#database
      .prepare(
        `SELECT id, taken, record FROM report_record WHERE network = ? AND author = ? ORDER BY id LIMIT ${MAX_RECORDS}`,
      )
      .all(network, author);
    let room = MAX_RECORD_BYTES;
    const found: Waiting[] = [];
    for (const row of rows) {
      const record = row['record'] as Uint8Array;
      room -= record.length + 3;
      if (room < 0) break;
      found.push({ id: Number(row['id']), taken: Number(row['taken']), record });
    }
    return found;
  }

  /** The records are in this batch from now on. */
  saveBatch(batch: Omit<StoredBatch, 'node' | 'proof'>, records: readonly Waiting[]): void {
    const { root, network, author, made, own, sealed } = batch;
    const done = this.#database.prepare('DELETE FROM report_record WHERE id = ?');
    transaction(this.#database, () => {
      this.#database
        .prepare(
          'INSERT INTO report_batch (root, network, author, made, own, sealed) VALUES (?, ?, ?, ?, ?, ?)',
        )
        .run(root, network, author, made, own, sealed);
      for (const { id } of records) done.run(id);
      this.#database
        .prepare(
          `DELETE FROM report_batch WHERE root IN
             (SELECT root FROM report_batch ORDER BY made DESC, root LIMIT -1 OFFSET ?)`,
        )
        .run(this.#keep);
    });
  }

  /** The newest first. */
  batches(): readonly StoredBatch[] {
    return this.#database
      .prepare('SELECT * FROM report_batch ORDER BY made DESC, root')
      .all()
      .map(batchOf);
  }

  /** Those without a proof, the oldest first. */
  unproven(): readonly StoredBatch[] {
    return this.#database
      .prepare('SELECT * FROM report_batch WHERE proof IS NULL ORDER BY made, root LIMIT 1000')
      .all()
      .map(batchOf);
  }

  /** `node`: who took it; null: it has to be handed over again. */
  handed(root: Uint8Array, node: string | null): void {
    this.#database.prepare('UPDATE report_batch SET node = ? WHERE root = ?').run(node, root);
  }

  proven(root: Uint8Array, proof: Uint8Array): void {
    this.#database
      .prepare('UPDATE report_batch SET proof = ?, sealed = NULL WHERE root = ?')
      .run(proof, root);
  }

  /** Puts other sealed bytes in their places; null: erased. */
  reseal(root: Uint8Array, own: Uint8Array | null, sealed: Uint8Array | null): void {
    this.#database
      .prepare('UPDATE report_batch SET own = ?, sealed = ? WHERE root = ?')
      .run(own, sealed, root);
  }

  /** What waits of a device, and what its offers keep of its reports. */
  eraseOf(device: string): number {
    return transaction(this.#database, () => {
      this.#database.prepare('UPDATE offer SET report = NULL WHERE device = ?').run(device);
      const { changes } = this.#database
        .prepare('DELETE FROM report_record WHERE device = ?')
        .run(device);
      return Number(changes);
    });
  }

  /** The reports that offers with these nonces (hex) keep. */
  eraseAnswers(nonces: readonly string[]): void {
    const erase = this.#database.prepare('UPDATE offer SET report = NULL WHERE nonce = ?');
    transaction(this.#database, () => {
      for (const nonce of nonces) erase.run(nonce);
    });
  }
}

function batchOf(row: Readonly<Record<string, unknown>>): StoredBatch {
  return {
    root: row['root'] as Uint8Array,
    network: row['network'] as string,
    author: row['author'] as string,
    made: Number(row['made']),
    own: row['own'] as Uint8Array | null,
    sealed: row['sealed'] as Uint8Array | null,
    node: row['node'] as string | null,
    proof: row['proof'] as Uint8Array | null,
  };
}
