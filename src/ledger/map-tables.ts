/**
 * The device-facing map in the database, with the past that its readers need: answers are made for the
 * newest head that k operators cosigned while newer blocks are already here. A write at height h keeps
 * what it replaces as "until h - 1"; the value at height H is the oldest kept one with until >= H, and
 * the current one when there is none.
 */
import type { Database } from '../database.ts';
import type { PageStore } from '../log/map-tree.ts';

type Table = 'map_value' | 'map_page';
type Key = string | Uint8Array;

function current(database: Database, table: Table, key: Key): Uint8Array | undefined {
  return database.prepare(`SELECT bytes FROM ${table} WHERE key = ?`).get(key)?.['bytes'] as
    | Uint8Array
    | undefined;
}

function at(database: Database, table: Table, key: Key, height: number): Uint8Array | undefined {
  const kept = database
    .prepare(`SELECT bytes FROM ${table}_undo WHERE key = ? AND until >= ? ORDER BY until LIMIT 1`)
    .get(key, height);
  if (kept === undefined) return current(database, table, key);
  return (kept['bytes'] as Uint8Array | null) ?? undefined;
}

function write(
  database: Database,
  table: Table,
  key: Key,
  bytes: Uint8Array,
  height: number,
): void {
  // Nothing is before height 0. A second write at one height keeps what stood before the first.
  if (height > 0)
    database
      .prepare(`INSERT OR IGNORE INTO ${table}_undo (key, until, bytes) VALUES (?, ?, ?)`)
      .run(key, height - 1, current(database, table, key) ?? null);
  database.prepare(`INSERT OR REPLACE INTO ${table} (key, bytes) VALUES (?, ?)`).run(key, bytes);
}

/** The map's value under a 32-byte key as of `height`, or as it is now. */
export function mapValue(
  database: Database,
  key: Uint8Array,
  height?: number,
): Uint8Array | undefined {
  return height === undefined
    ? current(database, 'map_value', key)
    : at(database, 'map_value', key, height);
}

export function setMapValue(
  database: Database,
  key: Uint8Array,
  value: Uint8Array,
  height: number,
): void {
  write(database, 'map_value', key, value, height);
}

/** The map tree's pages as they are now; what is put is written at `height`. */
export function mapPages(database: Database, height: number): PageStore {
  return {
    get: (path) => current(database, 'map_page', path),
    put: (path, page) => write(database, 'map_page', path, page, height),
  };
}

/** The map tree's pages as of `height`, to read. */
export function mapPagesAt(database: Database, height: number): Pick<PageStore, 'get'> {
  return { get: (path) => at(database, 'map_page', path, height) };
}

/** Forgets what only heights below `height` need. */
export function pruneMap(database: Database, height: number): void {
  for (const table of ['map_value', 'map_page'])
    database.prepare(`DELETE FROM ${table}_undo WHERE until < ?`).run(height);
}
