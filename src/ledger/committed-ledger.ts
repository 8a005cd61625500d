/** The committed ledger of a replica, to read: only its newest heads and what was read last are kept in memory. */
import type { Database } from '../database.ts';
import { check, fail } from '../errors.ts';
import { decodeEpoch, epochEntry } from '../log/epoch.ts';
import * as mapTree from '../log/map-tree.ts';
import type { MapProof } from '../log/prefix-map.ts';
import * as tree from '../log/tree.ts';
import type { View } from '../registry/view.ts';
import * as tables from './block-tables.ts';
import type { StoredStatement } from './block-tables.ts';
import type { Head } from './close-block.ts';
import { mapPagesAt, mapValue } from './map-tables.ts';
import { RecordCache } from './record-cache.ts';
import { committedView, logNodes } from './record-tables.ts';
import { getMeta } from './schema.ts';

/** Where a statement stands in the ledger. `known`: it was ordered before (T05). */
export interface Placement {
  readonly height: number;
  readonly index: number;
  readonly known: boolean;
}

/** The map as of one height. */
export interface MapReader {
  readonly head: Head;
  value(key: Uint8Array): Uint8Array | undefined;
  prove(key: Uint8Array): MapProof;
}

/** The newest committed head; undefined in a database without genesis. */
export function newestHead(database: Database): Head | undefined {
  return readHead(database, 'ORDER BY height DESC LIMIT 1');
}

function readHead(
  database: Database,
  where: string,
  ...values: readonly number[]
): Head | undefined {
  const row = database
    .prepare(`SELECT height, time, size, root, epoch, hash FROM head ${where}`)
    .get(...values);
  if (row === undefined) return undefined;
  return {
    height: Number(row['height']),
    time: Number(row['time']),
    size: Number(row['size']),
    root: row['root'] as Uint8Array,
    epoch: decodeEpoch(row['epoch'] as Uint8Array),
    hash: row['hash'] as Uint8Array,
  };
}

const RECENT_HEADS = 64;

export class CommittedLedger {
  protected readonly database: Database;
  protected readonly committed: View;
  protected readonly records = new RecordCache();
  /** The newest heads by height: nearly every question is about one of them. */
  readonly #recent = new Map<number, Head>();
  protected newest: Head;
  /** The map is no longer readable at heights below this one. */
  protected prunedTo: number;

  constructor(database: Database) {
    this.database = database;
    this.committed = committedView(database, this.records);
    this.newest = newestHead(database) ?? fail('DATABASE_UNUSABLE', 'no genesis');
    this.prunedTo = Number(getMeta(database, 'pruned') ?? 0);
  }

  /** After a commit. */
  protected advance(head: Head): void {
    this.newest = head;
    this.#recent.set(head.height, head);
    if (this.#recent.size > RECENT_HEADS)
      this.#recent.delete(this.#recent.keys().next().value as number);
  }

  /** After other rows took the place of all that were here. */
  protected reload(): void {
    this.records.clear();
    this.#recent.clear();
    this.newest = newestHead(this.database) ?? fail('DATABASE_UNUSABLE', 'no genesis');
    this.prunedTo = Number(getMeta(this.database, 'pruned') ?? 0);
  }

  /** Copies the whole database into a new file, as it is at the end of the copying; reads and commits go on meanwhile. */
  copyTo(path: string): Promise<void> {
    return this.database.copyTo(path);
  }

  /** The newest committed head. */
  head(): Head {
    return this.newest;
  }

  /** Errors: LEDGER_HEIGHT_UNKNOWN. */
  headAt(height: number): Head {
    return (
      this.#recent.get(height) ??
      readHead(this.database, 'WHERE height = ?', height) ??
      fail('LEDGER_HEIGHT_UNKNOWN', 'no such height', { height })
    );
  }

  /** The epoch end with this log size, if there is one. */
  headOfSize(size: number): Head | undefined {
    for (const head of this.#recent.values()) if (head.size === size) return head;
    return readHead(this.database, 'WHERE size = ?', size);
  }

  /** Committed registry state, read only. */
  view(): View {
    return this.committed;
  }

  /** The bytes that a block's hash covers. Errors: LEDGER_HEIGHT_UNKNOWN. */
  block(height: number): Uint8Array {
    return tables.readBlock(this.database, height);
  }

  /** The statement at a log index; undefined at an epoch leaf. */
  statement(index: number): StoredStatement | undefined {
    return tables.readStatement(this.database, index);
  }

  /** Where the statement with this log entry, the SHA-256 of its bytes, stands. */
  findEntry(entry: Uint8Array): Placement | undefined {
    const index = tables.indexOfEntry(this.database, entry);
    return index === undefined ? undefined : { index, height: this.heightOf(index), known: true };
  }

  /** The 32-byte log entry at an index. Errors: LEDGER_HEIGHT_UNKNOWN. */
  entry(index: number): Uint8Array {
    const statement = this.statement(index);
    if (statement) return statement.entry;
    const head =
      this.headOfSize(index + 1) ?? fail('LEDGER_HEIGHT_UNKNOWN', 'no such log index', { index });
    return epochEntry(head.epoch);
  }

  /** The height whose block has this log index. Errors: LEDGER_HEIGHT_UNKNOWN. */
  heightOf(index: number): number {
    return tables.heightOfIndex(this.database, index);
  }

  /** Where a statement with this signing digest stands, if it is on the ledger (T05). */
  find(signingDigest: Uint8Array): Placement | undefined {
    const index = tables.seenAt(this.database, signingDigest);
    return index === undefined ? undefined : { index, height: this.heightOf(index), known: true };
  }

  /** The release statements that carry the manifest with this digest, oldest first, one a line. */
  releases(manifestDigest: Uint8Array): readonly StoredStatement[] {
    return tables.releasesOf(this.database, manifestDigest);
  }

  /** A release's manifest by its digest, as it stands in the envelope (T20). */
  attachment(digest: Uint8Array): Uint8Array | undefined {
    return tables.readAttachment(this.database, digest);
  }

  /** Hashes of the log's complete subtrees, for proofs and tiles. */
  logNodes(): Pick<tree.NodeStore, 'get'> {
    return logNodes(this.database);
  }

  /** Path of a leaf to the root of the log's first `size` leaves. Errors: LEDGER_HEIGHT_UNKNOWN. */
  inclusionPath(index: number, size: number): readonly Uint8Array[] {
    check(index < size && size <= this.newest.size, 'LEDGER_HEIGHT_UNKNOWN', undefined, {
      index,
      size,
    });
    return tree.inclusionPath(logNodes(this.database), index, size);
  }

  /** Errors: LEDGER_HEIGHT_UNKNOWN. */
  consistencyPath(size1: number, size2: number): readonly Uint8Array[] {
    check(size1 <= size2 && size2 <= this.newest.size, 'LEDGER_HEIGHT_UNKNOWN', undefined, {
      size1,
      size2,
    });
    return tree.consistencyPath(logNodes(this.database), size1, size2);
  }

  /** The map as it was after the block of `height`. Errors: LEDGER_HEIGHT_UNKNOWN, also when pruned. */
  at(height: number): MapReader {
    check(height >= this.prunedTo, 'LEDGER_HEIGHT_UNKNOWN', 'the map of this height is pruned', {
      height,
    });
    const head = this.headAt(height);
    const pages = mapPagesAt(this.database, height);
    return {
      head,
      value: (key) => mapValue(this.database, key, height),
      prove: (key) => mapTree.proveMap(pages, key),
    };
  }
}
