import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { openDatabase, together, transaction } from './database.ts';

const folder = mkdtempSync(join(tmpdir(), 'firmament-database-'));
after(() => rmSync(folder, { recursive: true }));

test('a transaction happens as a whole or not at all, and does not nest', () => {
  const database = openDatabase(':memory:');
  database.exec('CREATE TABLE t (n INTEGER)');
  const count = () => database.prepare('SELECT count(*) AS n FROM t').get()?.['n'];
  const add = () => database.prepare('INSERT INTO t VALUES (1)').run();
  assert.equal(
    transaction(database, () => add().changes),
    1,
  );
  const thrown = new Error('refused');
  assert.throws(
    () =>
      transaction(database, () => {
        add();
        throw thrown;
      }),
    thrown,
  );
  assert.equal(count(), 1);
  assert.throws(() => transaction(database, () => transaction(database, add)), {
    code: 'DATABASE_NESTED',
  });
  assert.equal(count(), 1);
  transaction(database, add);
  assert.equal(count(), 2);
});

test('together: one commit for several transactions; what throws in one is undone alone', () => {
  let commits = 0;
  const database = openDatabase(':memory:', {
    onCommit: (when) => (commits += when === 'after' ? 1 : 0),
  });
  database.exec('CREATE TABLE t (n INTEGER)');
  const all = () =>
    database
      .prepare('SELECT n FROM t')
      .all()
      .map(({ n }) => n);
  const add = (n: number) => database.prepare('INSERT INTO t VALUES (?)').run(n);
  const thrown = new Error('refused');
  const fails = (n: number) => () => {
    add(n);
    throw thrown;
  };
  together(database, () => {
    transaction(database, () => add(1));
    assert.throws(() => transaction(database, fails(2)), thrown);
    assert.throws(() => transaction(database, () => transaction(database, () => add(3))), {
      code: 'DATABASE_NESTED',
    });
    add(4);
  });
  assert.deepEqual(all(), [1, 4]);
  assert.equal(commits, 1);
  assert.throws(() => together(database, fails(5)), thrown);
  assert.deepEqual(all(), [1, 4]);
  transaction(database, () => add(6));
  assert.deepEqual(all(), [1, 4, 6]);
  assert.equal(commits, 2);
});

test('every commit is synced: write-ahead log, synchronous full, foreign keys', () => {
  const database = openDatabase(join(folder, 'settings'));
  assert.equal(database.prepare('PRAGMA journal_mode').get()?.['journal_mode'], 'wal');
  assert.equal(database.prepare('PRAGMA synchronous').get()?.['synchronous'], 2);
  assert.equal(database.prepare('PRAGMA foreign_keys').get()?.['foreign_keys'], 1);
  assert.equal(database.prepare('SELECT 1'), database.prepare('SELECT 1'));
  database.close();
  database.close();
});

test('a second process, or a second opening, is kept out until the first closes', async () => {
  const path = join(folder, 'locked');
  {
    await using database = openDatabase(path);
    assert.equal(database.path, path);
    assert.throws(() => openDatabase(path, { busyTimeout: 0 }), { code: 'DATABASE_LOCKED' });
    const module = new URL('database.ts', import.meta.url).href;
    const program = `import { openDatabase } from '${module}';
      try { openDatabase(${JSON.stringify(path)}, { busyTimeout: 0 }); } catch (error) { console.log(error.code); }`;
    const told = execFileSync(process.execPath, ['--input-type=module', '-e', program], {
      encoding: 'utf8',
    });
    assert.equal(told.trim(), 'DATABASE_LOCKED');
  }
  openDatabase(path).close();
});

test('what is no database is not opened', () => {
  const path = join(folder, 'text');
  writeFileSync(path, 'not a database, but long enough to look at the header of one'.repeat(20));
  assert.throws(() => openDatabase(path), { code: 'DATABASE_UNUSABLE' });
  assert.throws(() => openDatabase(join(folder, 'none', 'file')), { code: 'DATABASE_UNUSABLE' });
});

test('a full disk is DATABASE_FULL, keeps nothing of the change, and ends when there is room', async () => {
  await using database = openDatabase(join(folder, 'full.db'));
  database.exec('CREATE TABLE t (a BLOB); PRAGMA max_page_count = 8');
  const add = (): unknown =>
    transaction(database, () =>
      database.prepare('INSERT INTO t VALUES (?)').run(new Uint8Array(100_000)),
    );
  assert.throws(add, { code: 'DATABASE_FULL' });
  assert.equal(database.inTransaction, false);
  assert.deepEqual(database.prepare('SELECT count(*) AS n FROM t').get()?.['n'], 0);
  database.exec('PRAGMA max_page_count = 1000');
  add();
  assert.deepEqual(database.prepare('SELECT count(*) AS n FROM t').get()?.['n'], 1);
});
