/**
 * A copy of a node's data while it runs, and a new data folder from one. The cosigner's record is in no backup and no
 * restore touches it (T10): an old copy of it could sign a second history.
 */
import { constants, readFileSync } from 'node:fs';
import { cp, mkdir, open, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, isAbsolute, join, resolve } from 'node:path';
import { hex } from '../bytes.ts';
import type { BackedUp } from '../api/own.ts';
import { openDatabase, type Database } from '../database.ts';
import { check, fail, FirmamentError } from '../errors.ts';
import { openReplica, type Replica } from '../ledger/replica.ts';
import { parseGenesis } from '../registry/genesis.ts';
import type { NodeConfig } from './config.ts';

const FORMAT = 'firmament/backup/v1';
const DESCRIPTION = 'backup.json';

export interface BackupParts {
  readonly config: NodeConfig;
  readonly replica: Replica;
  readonly ledger: Database;
  readonly node: Database;
}

/**
 * Copies ledger, index and blocks into a new folder, which has its name only once everything in it is on disk. The
 * node goes on meanwhile. Errors: NODE_BACKUP_EXISTS, NODE_BACKUP_INVALID for a path that is not absolute.
 */
export async function writeBackup(parts: BackupParts, directory: string): Promise<BackedUp> {
  const { config, replica, ledger, node } = parts;
  check(isAbsolute(directory), 'NODE_BACKUP_INVALID', 'the folder of a backup is an absolute path');
  const partial = await begin(directory, 'NODE_BACKUP_EXISTS');
  // The index before the ledger that it follows, the blocks after the index that says which are here.
  await node.copyTo(join(partial, 'node.db'));
  await ledger.copyTo(join(partial, 'ledger.db'));
  await copyBlocks(join(config.data, 'blocks'), join(partial, 'blocks'));
  const head = headOf(join(partial, 'ledger.db'), config);
  const network = hex(replica.genesis.networkId);
  const description = { format: FORMAT, node: config.node, network, ...head };
  await writeFile(join(partial, DESCRIPTION), `${JSON.stringify(description, null, 2)}\n`);
  await finish(partial, directory);
  return head;
}

/**
 * Makes the node's data folder, which must not be there, from a backup of the same node. The ledger in it is opened
 * and must be what the backup says. Errors: NODE_BACKUP_INVALID, NODE_RESTORE_OCCUPIED, LEDGER_*, DATABASE_*.
 */
export async function restoreBackup(config: NodeConfig, directory: string): Promise<BackedUp> {
  const said = await describe(directory);
  check(said['node'] === config.node, 'NODE_BACKUP_INVALID', `a backup of ${String(said['node'])}`);
  const partial = await begin(config.data, 'NODE_RESTORE_OCCUPIED');
  for (const name of ['ledger.db', 'node.db'])
    await cp(join(directory, name), join(partial, name), { mode: constants.COPYFILE_FICLONE });
  await copyBlocks(join(directory, 'blocks'), join(partial, 'blocks'));
  const head = headOf(join(partial, 'ledger.db'), config);
  check(
    head.height === said['height'] && head.size === said['size'],
    'NODE_BACKUP_INVALID',
    'another ledger than the backup says',
  );
  await finish(partial, config.data);
  return head;
}

async function describe(directory: string): Promise<Readonly<Record<string, unknown>>> {
  try {
    const said: unknown = JSON.parse(await readFile(join(directory, DESCRIPTION), 'utf8'));
    const right = typeof said === 'object' && said !== null && 'format' in said;
    check(right && said.format === FORMAT, 'NODE_BACKUP_INVALID', `no ${FORMAT}`);
    return said;
  } catch (cause) {
    if (cause instanceof FirmamentError) throw cause;
    return fail('NODE_BACKUP_INVALID', `${directory} is no finished backup`, {}, cause);
  }
}

/** The folder under its temporary name. */
async function begin(
  directory: string,
  occupied: 'NODE_BACKUP_EXISTS' | 'NODE_RESTORE_OCCUPIED',
): Promise<string> {
  check(!(await isThere(directory)), occupied, `${directory} is there already`);
  const partial = `${resolve(directory)}.partial`;
  await rm(partial, { recursive: true, force: true });
  await mkdir(partial, { recursive: true, mode: 0o700 });
  return partial;
}

async function isThere(directory: string): Promise<boolean> {
  try {
    // An empty folder gives way.
    return (await readdir(directory)).length > 0;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
    throw error;
  }
}

async function finish(partial: string, directory: string): Promise<void> {
  for (const name of await readdir(partial)) await sync(join(partial, name));
  await sync(partial);
  await rm(directory, { recursive: true, force: true });
  await rename(partial, directory);
  await sync(dirname(resolve(directory)));
}

async function sync(path: string): Promise<void> {
  await using handle = await open(path, 'r');
  await handle.sync();
}

// Blocks have their names only once they are whole, and are checked by them whenever they are read.
async function copyBlocks(from: string, to: string): Promise<void> {
  await mkdir(to, { recursive: true });
  const temporary = join(from, 'tmp');
  await cp(from, to, {
    recursive: true,
    mode: constants.COPYFILE_FICLONE,
    filter: (path) => path !== temporary && !path.startsWith(`${temporary}/`),
  });
}

function headOf(path: string, config: NodeConfig): BackedUp {
  const genesis = parseGenesis(new Uint8Array(readFileSync(config.genesis)));
  const database = openDatabase(path);
  try {
    const { height, size } = openReplica(database, genesis).head();
    return { height, size };
  } finally {
    database.close();
  }
}
