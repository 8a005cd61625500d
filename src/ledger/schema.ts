/** The tables of a replica. One file holds one network's ledger. */
import { transaction, type Database } from '../database.ts';
import { check } from '../errors.ts';
import { equal } from '../bytes.ts';

const VERSION = 2;

const TABLES = `
  CREATE TABLE meta (name TEXT PRIMARY KEY, value) WITHOUT ROWID;

  -- One row a height. A block's bytes are prefix, its statements, suffix: statements are stored once.
  CREATE TABLE head (
    height INTEGER PRIMARY KEY, time INTEGER NOT NULL, size INTEGER NOT NULL UNIQUE, root BLOB NOT NULL,
    epoch BLOB NOT NULL, hash BLOB NOT NULL, prefix BLOB, suffix BLOB);

  -- By log index. The attachment's SHA-256 is the manifest digest of its release.
  CREATE TABLE statement (
    idx INTEGER PRIMARY KEY, entry BLOB NOT NULL UNIQUE, bytes BLOB NOT NULL, attachment BLOB);
  CREATE INDEX statement_attachment ON statement (attachment) WHERE attachment IS NOT NULL;
  CREATE TABLE attachment (digest BLOB PRIMARY KEY, bytes BLOB NOT NULL);
  CREATE TABLE seen (digest BLOB PRIMARY KEY, idx INTEGER NOT NULL) WITHOUT ROWID;

  CREATE TABLE log_node (level INTEGER, idx INTEGER, hash BLOB NOT NULL, PRIMARY KEY (level, idx)) WITHOUT ROWID;

  CREATE TABLE record (name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
  CREATE TABLE record_page (path TEXT PRIMARY KEY, bytes BLOB NOT NULL) WITHOUT ROWID;

  CREATE TABLE map_value (key BLOB PRIMARY KEY, bytes BLOB NOT NULL) WITHOUT ROWID;
  CREATE TABLE map_page (key TEXT PRIMARY KEY, bytes BLOB NOT NULL) WITHOUT ROWID;

  -- What a map row held up to and including height "until"; null bytes: it was not there.
  CREATE TABLE map_value_undo (key BLOB, until INTEGER, bytes BLOB, PRIMARY KEY (key, until)) WITHOUT ROWID;
  CREATE TABLE map_page_undo (key TEXT, until INTEGER, bytes BLOB, PRIMARY KEY (key, until)) WITHOUT ROWID;
  CREATE INDEX map_value_undo_until ON map_value_undo (until);
  CREATE INDEX map_page_undo_until ON map_page_undo (until);

  CREATE TABLE evidence (
    id INTEGER PRIMARY KEY, height INTEGER NOT NULL, code TEXT NOT NULL, reason TEXT NOT NULL, bytes BLOB NOT NULL);
`;

// Since version 2: what proves a block of the consortium engine.
const CERTIFICATES = 'CREATE TABLE certificate (height INTEGER PRIMARY KEY, bytes BLOB NOT NULL)';

/**
 * Makes the tables in a new database, or checks that these are this version's and this network's.
 * Returns whether the tables are new. Errors: DATABASE_UNUSABLE, LEDGER_GENESIS_MISMATCH.
 */
export function prepareTables(database: Database, networkId: Uint8Array): boolean {
  const { user_version: version } = database.prepare('PRAGMA user_version').get() as {
    user_version: number;
  };
  if (version === 0) {
    transaction(database, () => {
      database.exec(TABLES);
      database.exec(CERTIFICATES);
      setMeta(database, 'network', networkId);
      database.exec(`PRAGMA user_version = ${VERSION}`);
    });
    return true;
  }
  if (version === 1)
    transaction(database, () => database.exec(`${CERTIFICATES}; PRAGMA user_version = ${VERSION}`));
  check(
    version === 1 || version === VERSION,
    'DATABASE_UNUSABLE',
    `ledger tables of version ${version}, not ${VERSION}`,
  );
  const stored = getMeta(database, 'network');
  check(stored instanceof Uint8Array && equal(stored, networkId), 'LEDGER_GENESIS_MISMATCH');
  return false;
}

export function getMeta(database: Database, name: string): unknown {
  return database.prepare('SELECT value FROM meta WHERE name = ?').get(name)?.['value'];
}

export function setMeta(
  database: Database,
  name: string,
  value: Uint8Array | string | number,
): void {
  database.prepare('INSERT OR REPLACE INTO meta (name, value) VALUES (?, ?)').run(name, value);
}
