/** No durable write of a running node or device passes by the fault points (docs/decisions/fault-points.md). */
import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';

const ROOT = join(import.meta.dirname, '..');
const FOLDERS = ['database.ts', 'device', 'ledger', 'net', 'node', 'reader', 'store'];
const sources = FOLDERS.flatMap((folder) =>
  globSync(folder.endsWith('.ts') ? `src/${folder}` : `src/${folder}/**/*.ts`, { cwd: ROOT }),
)
  .filter((path) => !/\.(?:test|child)\.ts$/.test(path))
  .map((path) => ({ path, text: readFileSync(join(ROOT, path), 'utf8') }));

/** Files that write to the file system, and why a crash there is driven, or leaves nothing to lose. */
const WRITERS: Readonly<Record<string, string>> = {
  'src/ledger/durable-file.ts': 'cosigner.record',
  'src/store/disk.ts': 'store.put, store.delete',
  'src/reader/files.ts': 'a port: device.*',
  'src/node/setup.ts': 'before a network begins',
  'src/node/backup.ts': 'a copy beside: the node itself changes nothing',
  'src/store/archive.ts': 'a copy beside',
  'src/ledger/new-folder.ts': 'a copy beside: finished by one rename',
  'src/ledger/snapshot-export.ts': 'a copy beside',
  'src/ledger/snapshot-import.ts': 'a copy beside: adopted in one transaction',
  'src/ledger/cometbft/snapshot-folder.ts': 'copies beside',
  'src/ledger/cometbft/pair.ts': 'a socket',
  'src/ledger/cometbft/sockets.ts': 'sockets',
  'src/device/device.ts': 'made once by its maker',
  'src/device/firmware-process.ts': 'a socket',
  'src/device/simulated-disk.ts': 'memory',
};

test('files are written only where a fault point stands', () => {
  const writes =
    /\b(?:writeFile|writeSync|appendFile|rename|truncate|copyFile|unlink|rm|cp)(?:Sync)?\(|\.sync\(/;
  for (const { path, text } of sources)
    if (writes.test(text) && /node:fs/.test(text)) assert.ok(WRITERS[path], `${path} writes files`);
});

test('rows change only in transactions, whose commit is a fault point', () => {
  const changes = /\b(?:INSERT|UPDATE|DELETE FROM|REPLACE INTO)\b/;
  for (const { path, text } of sources.filter(({ path }) => path.startsWith('src/node/')))
    if (changes.test(text)) assert.match(text, /\btransaction\(/, `${path} changes rows`);
  const commits = sources
    .filter(({ text }) => /exec\([^)]*\bCOMMIT\b/.test(text))
    .map(({ path }) => path);
  assert.deepEqual(commits, ['src/database.ts']);
});
