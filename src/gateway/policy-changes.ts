/** The policy.change statements that led this gateway on (T08): devices that pin an older root ask for them and check each. */
import { hex } from '../bytes.ts';
import { MAX_POLICIES_BYTES } from '../api/policy.ts';
import { transaction, type Database } from '../database.ts';
import { MAX_POLICIES } from '../trust/root-chain.ts';

const SCHEMA = `CREATE TABLE IF NOT EXISTS policy_change (
  network TEXT NOT NULL, version INTEGER NOT NULL, statement BLOB NOT NULL, PRIMARY KEY (network, version)
) WITHOUT ROWID`;

export class PolicyChanges {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
    database.exec(SCHEMA);
  }

  /** Statements that were checked, the first of them to `version`, each of the next ones to the version after it. */
  save(networkId: Uint8Array, version: number, statements: readonly Uint8Array[]): void {
    const insert = this.#database.prepare(
      'INSERT OR IGNORE INTO policy_change (network, version, statement) VALUES (?, ?, ?)',
    );
    transaction(this.#database, () => {
      for (const [i, statement] of statements.entries())
        insert.run(hex(networkId), version + i, statement);
    });
  }

  /** `network`: its id, hex. */
  has(network: string, version: number): boolean {
    const row = this.#database
      .prepare('SELECT 1 FROM policy_change WHERE network = ? AND version = ?')
      .get(network, version);
    return row !== undefined;
  }

  /** Without a gap from a version on, as many as one answer carries. `network`: its id, hex. */
  from(network: string, version: number): readonly Uint8Array[] {
    const rows = this.#database
      .prepare(
        `SELECT version, statement FROM policy_change WHERE network = ? AND version >= ? ORDER BY version LIMIT ?`,
      )
      .all(network, version, MAX_POLICIES);
    const statements: Uint8Array[] = [];
    let room = MAX_POLICIES_BYTES;
    for (const row of rows) {
      const statement = row['statement'] as Uint8Array;
      room -= statement.length;
      if (row['version'] !== version + statements.length || (room < 0 && statements.length > 0))
        break;
      statements.push(statement);
    }
    return statements;
  }
}
