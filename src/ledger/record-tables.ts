/** The registry's records and their tree in the database, and the views that `apply` and queries read. */
import type { Database } from '../database.ts';
import { fail } from '../errors.ts';
import type { PageStore } from '../log/map-tree.ts';
import type { NodeStore } from '../log/tree.ts';
import type { View } from '../registry/view.ts';
import { mapValue } from './map-tables.ts';
import { RecordCache } from './record-cache.ts';

/**
 * Committed state, to read; writing is LEDGER_READ_ONLY. Whoever commits tells the cache what was written, and asks
 * for no record by this view between its writing and its commit.
 */
export function committedView(database: Database, cache = new RecordCache()): View {
  return {
    get: (name) => cache.get(name) ?? readRecord(database, name, cache),
    getMap: (key) => mapValue(database, key),
    set: () => fail('LEDGER_READ_ONLY'),
    setMap: () => fail('LEDGER_READ_ONLY'),
  };
}

function readRecord(database: Database, name: string, cache: RecordCache): Uint8Array | undefined {
  const row = database.prepare('SELECT value FROM record WHERE name = ?').get(name);
  const value = row?.['value'] as Uint8Array | undefined;
  if (value !== undefined) cache.keep(name, value);
  return value;
}

export function setRecord(database: Database, name: string, value: Uint8Array): void {
  database.prepare('INSERT OR REPLACE INTO record (name, value) VALUES (?, ?)').run(name, value);
}

export function recordPages(database: Database): PageStore {
  return {
    get: (path) =>
      database.prepare('SELECT bytes FROM record_page WHERE path = ?').get(path)?.['bytes'] as
        | Uint8Array
        | undefined,
    put: (path, page) => {
      database
        .prepare('INSERT OR REPLACE INTO record_page (path, bytes) VALUES (?, ?)')
        .run(path, page);
    },
  };
}

/** The log's complete subtrees. */
export function logNodes(database: Database): NodeStore {
  return {
    get: (level, index) =>
      (database
        .prepare('SELECT hash FROM log_node WHERE level = ? AND idx = ?')
        .get(level, index)?.['hash'] ??
        fail('LEDGER_HEIGHT_UNKNOWN', 'no such node of the log', { level, index })) as Uint8Array,
    put: (level, index, hash) => {
      database
        .prepare('INSERT INTO log_node (level, idx, hash) VALUES (?, ?, ?)')
        .run(level, index, hash);
    },
  };
}
