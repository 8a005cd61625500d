/** Writing a snapshot while the replica goes on: from a copy of its database, a row at a time. */
import { closeSync, fsyncSync, openSync, renameSync, rmSync } from 'node:fs';
import { mkdir, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { sha256 } from '#crypto';
import { concat } from '../bytes.ts';
import { openDatabase, type Database } from '../database.ts';
import { check, fail } from '../errors.ts';
import { encodeEpoch, decodeEpoch } from '../log/epoch.ts';
import { consortiumOf } from '../registry/orderer.ts';
import { policyInForce } from '../registry/state.ts';
import { readBlock } from './block-tables.ts';
import { readCertificate } from './certificate-tables.ts';
import type { Head } from './close-block.ts';
import { newestHead } from './committed-ledger.ts';
import { isBare } from './consensus-block.ts';
import { readIfThere, replaceDurably } from './durable-file.ts';
import { readPosition } from './engine-position.ts';
import { committedView } from './record-tables.ts';
import type { Replica } from './replica.ts';
import {
  chunked,
  encodeBlockRow,
  encodeMapRow,
  encodeRecordRow,
  encodeTitle,
} from './snapshot-rows.ts';

/** A snapshot on disk. */
export interface Snapshot {
  readonly chain: number;
  /** The engine's height after which it was made. */
  readonly height: number;
  readonly head: Head;
  /** SHA-256 of each chunk. */
  readonly chunks: readonly Uint8Array[];
  /** SHA-256 of those together. */
  readonly hash: Uint8Array;
}

/**
 * Writes a snapshot of the newest state into a new folder of this name; all of it is there or nothing. Blocks, records
 * and values are the same bytes on every node, certificates may differ.
 * Errors: LEDGER_ENGINE, SNAPSHOT_UNREADY, DATABASE_*.
 */
export async function writeSnapshot(
  replica: Pick<Replica, 'copyTo'>,
  folder: string,
): Promise<Snapshot> {
  const work = `${folder}.new`;
  await rm(work, { recursive: true, force: true });
  await mkdir(work, { recursive: true, mode: 0o700 });
  try {
    const copy = join(work, 'copy.db');
    await replica.copyTo(copy);
    const snapshot = await writeChunks(copy, work);
    for (const suffix of ['', '-wal', '-shm']) rmSync(copy + suffix, { force: true });
    await rm(folder, { recursive: true, force: true });
    renameSync(work, folder);
    syncFolder(dirname(folder));
    return snapshot;
  } catch (error) {
    await rm(work, { recursive: true, force: true });
    throw error;
  }
}

async function writeChunks(copy: string, folder: string): Promise<Snapshot> {
  await using database = openDatabase(copy);
  const facts = factsOf(database);
  const chunks: Uint8Array[] = [];
  for (const chunk of chunked(snapshotRows(database))) {
    replaceDurably(chunkFile(folder, chunks.length), chunk);
    chunks.push(sha256(chunk));
    // The node answers and orders on meanwhile.
    await turn();
  }
  return { ...facts, chunks, hash: sha256(concat(...chunks)) };
}

function factsOf(database: Database): Omit<Snapshot, 'chunks' | 'hash'> {
  const head = newestHead(database) ?? fail('SNAPSHOT_UNREADY');
  const { chain } = consortiumOf(policyInForce(committedView(database)).policy.orderer);
  const position = readPosition(database, chain);
  check(position?.ledger === head.height, 'SNAPSHOT_UNREADY');
  const proven = isProven(database, head.height - 1);
  check(proven, 'SNAPSHOT_UNREADY', 'a certificate is still missing');
  return { chain, height: position.height, head };
}

// Whoever begins with a snapshot has no older headers: it can prove none but the last block of it.
function isProven(database: Database, height: number): boolean {
  if (height === 0 || readCertificate(database, height)) return true;
  return !isBare(readBlock(database, height));
}

/** The rows of a database that nobody writes meanwhile, without their lengths. */
export function* snapshotRows(database: Database): Generator<Uint8Array> {
  const { height, size, root, epoch } = newestHead(database) ?? fail('SNAPSHOT_UNREADY');
  const { policy, networkId } = policyInForce(committedView(database));
  check(policy.version === epoch.policyVersion, 'SNAPSHOT_UNREADY');
  yield encodeTitle({
    networkId,
    height,
    size,
    root,
    stateRoot: epoch.stateRoot,
    records: count(database, 'SELECT count(*) AS n FROM record'),
    mapValues: count(database, 'SELECT count(*) AS n FROM map_value'),
  });
  const epochs = database.prepare('SELECT epoch FROM head WHERE height = ?');
  for (let at = 1; at <= height; at++)
    yield encodeBlockRow({
      epoch: encodeEpoch(decodeEpoch(epochs.get(at)?.['epoch'] as Uint8Array)),
      block: readBlock(database, at),
      certificate: readCertificate(database, at) ?? null,
    });
  for (const row of database.prepare('SELECT name, value FROM record ORDER BY name').iterate())
    yield encodeRecordRow({ name: String(row['name']), value: row['value'] as Uint8Array });
  for (const row of database.prepare('SELECT key, bytes FROM map_value ORDER BY key').iterate())
    yield encodeMapRow({ key: row['key'] as Uint8Array, value: row['bytes'] as Uint8Array });
}

function count(database: Database, sql: string): number {
  return Number(database.prepare(sql).get()?.['n']);
}

function chunkFile(folder: string, index: number): string {
  return join(folder, `chunk-${String(index).padStart(6, '0')}`);
}

/** A chunk of a snapshot's folder; undefined when there is none. */
export function readChunk(folder: string, index: number): Uint8Array | undefined {
  return readIfThere(chunkFile(folder, index));
}

function syncFolder(path: string): void {
  const handle = openSync(path, 'r');
  try {
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
}
