/** Taking a restored ledger over into a replica's own database: all of its rows in one transaction. */
import { equal } from '../bytes.ts';
import { transaction, type Database } from '../database.ts';
import { check, fail } from '../errors.ts';
import { consortiumOf } from '../registry/orderer.ts';
import { parseRoot } from '../registry/root.ts';
import { writePosition } from './engine-position.ts';
import { setMeta } from './schema.ts';

const TABLES: readonly string[] = [
  'head',
  'statement',
  'attachment',
  'seen',
  'log_node',
  'record',
  'record_page',
  'map_value',
  'map_page',
  'certificate',
];
/** What the map was at older heights; a snapshot has the newest alone. */
const HISTORY: readonly string[] = ['map_value_undo', 'map_page_undo'];

/**
 * Replaces the ledger in `database` by that in the file at `path`, which goes on from the one here. `engineHeight`: of
 * the engine's block after which it was made. Errors: SNAPSHOT_FORK, LEDGER_ENGINE, DATABASE_*.
 */
export function adoptRows(database: Database, path: string, engineHeight: number): void {
  database.prepare('ATTACH DATABASE ? AS restored').run(path);
  try {
    const height = checkContinues(database);
    const policy = database
      .prepare(`SELECT value FROM restored.record WHERE name = 'policy'`)
      .get();
    const root = parseRoot((policy?.['value'] as Uint8Array | undefined) ?? fail('SNAPSHOT_FORK'));
    const { chain } = consortiumOf(root.policy.orderer);
    transaction(database, () => {
      for (const table of [...TABLES, ...HISTORY]) database.exec(`DELETE FROM main.${table}`);
      for (const table of TABLES)
        database.exec(`INSERT INTO main.${table} SELECT * FROM restored.${table}`);
      setMeta(database, 'pruned', height);
      writePosition(database, chain, { height: engineHeight, ledger: height });
    });
  } finally {
    database.exec('DETACH DATABASE restored');
  }
}

// A node that was away for long is moved on, and never to another history: it may have cosigned this one.
function checkContinues(database: Database): number {
  const own = database
    .prepare('SELECT height, hash, root FROM main.head ORDER BY height DESC LIMIT 1')
    .get();
  const newest = database
    .prepare('SELECT height FROM restored.head ORDER BY height DESC LIMIT 1')
    .get();
  const same = database
    .prepare('SELECT hash, root FROM restored.head WHERE height = ?')
    .get(Number(own?.['height']));
  const continues =
    own !== undefined &&
    newest !== undefined &&
    same !== undefined &&
    Number(newest['height']) > Number(own['height']) &&
    equal(same['hash'] as Uint8Array, own['hash'] as Uint8Array) &&
    equal(same['root'] as Uint8Array, own['root'] as Uint8Array);
  check(continues, 'SNAPSHOT_FORK');
  return Number(newest['height']);
}
