/**
 * A copy of a gateway's data while it runs, and a new data folder from one. What must not come back from an old copy, does not:
 * codes that may have been spent since, offers whose reports may have been counted, consent that may have been taken back.
 */
import { constants, readFileSync } from 'node:fs';
import { chmod, copyFile, cp, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { hex } from '../bytes.ts';
import { openDatabase, transaction, type Database } from '../database.ts';
import { check, codeOf, fail, FirmamentError } from '../errors.ts';
import { beginFolder, finishFolder } from '../ledger/new-folder.ts';
import { certificateSha256 } from '../net/authority.ts';
import { openRepository } from './repository.ts';
import type { GatewayConfig } from './config.ts';
import { openState } from './state.ts';

export interface GatewayBackup {
  /** SHA-256 of the gateway's root certificate, hex: the same gateway for its devices. */
  readonly root: string;
  /** POSIX seconds. */
  readonly made: number;
  readonly devices: number;
  readonly images: number;
}

const FORMAT = 'firmament/gateway-backup/v1';
const DESCRIPTION = 'backup.json';
const DATABASE = 'gateway.db';
/** Of the owner's API: the database as it was at one moment, in the data folder, until it was taken from there. */
export const SNAPSHOT = 'snapshot.db';

/** Copies the running gateway's database to its snapshot. Errors: GATEWAY_BACKUP_EXISTS while another copy is made. */
export function snapshots(database: Database, data: string): () => Promise<void> {
  let busy = false;
  return async () => {
    check(!busy, 'GATEWAY_BACKUP_EXISTS');
    busy = true;
    try {
      await rm(join(data, SNAPSHOT), { force: true });
      await database.copyTo(join(data, SNAPSHOT));
    } finally {
      busy = false;
    }
  };
}

/**
 * Writes a new folder from the data and a copy of the database; it has its name only once everything in it is on disk.
 * Everything in it is secret: the root's key, pre-shared keys. `copyDatabase` makes the copy at the path.
 * Errors: GATEWAY_BACKUP_EXISTS.
 */
export async function writeBackup(
  data: string,
  directory: string,
  now: number,
  copyDatabase: (path: string) => Promise<void>,
): Promise<GatewayBackup> {
  const partial = await beginFolder(directory, 'GATEWAY_BACKUP_EXISTS');
  await copyDatabase(join(partial, DATABASE));
  await chmod(join(partial, DATABASE), 0o600);
  // Images have their names once they are whole; one that goes meanwhile is fetched again after a restore.
  const images = await copyImages(join(data, 'images'), join(partial, 'images'));
  await mkdir(join(partial, 'authority'), { mode: 0o700 });
  await copyFile(join(data, AUTHORITY), join(partial, AUTHORITY));
  const made = { root: rootOf(partial), made: now, devices: devicesIn(partial), images };
  const description = { format: FORMAT, ...made };
  await writeFile(join(partial, DESCRIPTION), `${JSON.stringify(description, null, 2)}\n`);
  await finishFolder(partial, directory);
  return made;
}

// The server's certificate is made anew, for the hosts of wherever the gateway is.
const AUTHORITY = join('authority', 'authority.pem');

/**
 * Makes the data folder, which must not be there, from a backup. Errors: GATEWAY_BACKUP_INVALID, GATEWAY_RESTORE_OCCUPIED,
 * DATABASE_*.
 */
export async function restoreBackup(
  config: Pick<GatewayConfig, 'data'>,
  directory: string,
  now: number,
): Promise<GatewayBackup> {
  const said = await describe(directory);
  const partial = await beginFolder(config.data, 'GATEWAY_RESTORE_OCCUPIED');
  await copyFile(join(directory, DATABASE), join(partial, DATABASE));
  await mkdir(join(partial, 'authority'), { mode: 0o700 });
  await cp(join(directory, AUTHORITY), join(partial, AUTHORITY));
  check(rootOf(partial) === said.root, 'GATEWAY_BACKUP_INVALID', 'another root than it says');
  await copyImages(join(directory, 'images'), join(partial, 'images'));
  const images = await dropDamaged(join(partial, 'images'));
  const devices = closeWhatMayNotComeBack(join(partial, DATABASE), said.made, now);
  check(devices === said.devices, 'GATEWAY_BACKUP_INVALID', 'another database than it says');
  await finishFolder(partial, config.data);
  return { ...said, images };
}

/**
 * What the copy does not know was done after it: a code of then may be spent (T29), an offer's report counted (T25), a word
 * of consent taken back. None of them is good any more. Answers how many devices there are.
 */
function closeWhatMayNotComeBack(path: string, made: number, now: number): number {
  const database = opened(path);
  try {
    const { quick_check: verdict } = database.prepare('PRAGMA quick_check(1)').get() ?? {};
    check(verdict === 'ok', 'GATEWAY_BACKUP_INVALID', 'the database is damaged');
    transaction(database, () => {
      database.exec('DELETE FROM code WHERE device IS NULL');
      database.exec(`DELETE FROM decision WHERE word = 'consent'`);
      database
        .prepare(
          `UPDATE offer SET state = 'superseded', detail = 'the gateway was restored', changed = ?
           WHERE state IN ('offered', 'accepted', 'downloading', 'installing', 'postponed')`,
        )
        .run(now);
      database.exec('UPDATE offer SET reported = 1');
      database
        .prepare(`INSERT INTO event (time, step, detail) VALUES (?, 'device', ?)`)
        .run(now, `the gateway was restored from a backup of ${made}`);
    });
    return countDevices(database);
  } finally {
    database.close();
  }
}

async function describe(directory: string): Promise<GatewayBackup> {
  try {
    const said = JSON.parse(await readFile(join(directory, DESCRIPTION), 'utf8')) as Partial<
      GatewayBackup & { readonly format: string }
    >;
    const { format, root, made, devices, images } = said;
    check(
      format === FORMAT &&
        typeof root === 'string' &&
        [made, devices, images].every((each) => Number.isSafeInteger(each)),
      'GATEWAY_BACKUP_INVALID',
      `no ${FORMAT}`,
    );
    return { root, made, devices, images } as GatewayBackup;
  } catch (cause) {
    if (cause instanceof FirmamentError) throw cause;
    return fail('GATEWAY_BACKUP_INVALID', `${directory} is no finished backup`, {}, cause);
  }
}

async function copyImages(from: string, to: string): Promise<number> {
  await mkdir(to, { recursive: true, mode: 0o700 });
  let copied = 0;
  for (const name of await readdir(from)) {
    if (!/^[0-9a-f]{64}$/.test(name)) continue;
    try {
      await copyFile(join(from, name), join(to, name), constants.COPYFILE_FICLONE);
      copied++;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    }
  }
  return copied;
}

async function dropDamaged(directory: string): Promise<number> {
  const repository = await openRepository({ directory, limit: 0 });
  let whole = 0;
  for (const name of await readdir(directory)) if (await repository.isWhole(name)) whole++;
  return whole;
}

function rootOf(directory: string): string {
  try {
    const pem = readFileSync(join(directory, AUTHORITY), 'utf8');
    const certificate = pem.slice(pem.indexOf('-----BEGIN CERTIFICATE-----'));
    return hex(certificateSha256(certificate));
  } catch (cause) {
    return fail('GATEWAY_BACKUP_INVALID', 'no authority that can be read', {}, cause);
  }
}

function devicesIn(directory: string): number {
  const database = openDatabase(join(directory, DATABASE));
  try {
    return countDevices(database);
  } finally {
    database.close();
  }
}

function countDevices(database: Database): number {
  return Number(database.prepare('SELECT COUNT(*) AS n FROM device').get()?.['n'] ?? 0);
}

function opened(path: string): Database {
  try {
    return openState(path);
  } catch (cause) {
    return codeOf(cause) === 'DATABASE_LOCKED'
      ? fail('DATABASE_LOCKED')
      : fail('GATEWAY_BACKUP_INVALID', 'the database can not be read', {}, cause);
  }
}
