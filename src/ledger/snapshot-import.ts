/**
 * Restoring a snapshot: into a database of its own, where nothing is believed. Log, state and map are built anew from
 * the rows and must end in the app hash that the validators certified (T15); whatever else is said is refused, and the
 * database deleted.
 */
import { rmSync } from 'node:fs';
import { sha256 } from '#crypto';
import { compare, equal, utf8 } from '../bytes.ts';
import { openDatabase, transaction, type Database } from '../database.ts';
import { check } from '../errors.ts';
import { appHash } from '../light/app-hash.ts';
import { mapRoot, updateMap, type PageStore } from '../log/map-tree.ts';
import type { Genesis } from '../registry/genesis.ts';
import { policyInForce } from '../registry/state.ts';
import type { Head } from './close-block.ts';
import { mapPages, setMapValue } from './map-tables.ts';
import { recordPages, setRecord } from './record-tables.ts';
import { openReplica } from './replica.ts';
import { SnapshotBlocks } from './snapshot-blocks.ts';
import {
  decodeBlockRow,
  decodeMapRow,
  decodeRecordRow,
  decodeTitle,
  RowReader,
  type SnapshotTitle,
} from './snapshot-rows.ts';

export interface SnapshotImportOptions {
  /** Where to restore: a new file, which is deleted when anything is wrong. */
  readonly path: string;
  readonly genesis: Genesis;
  /** What a light client verified for the head that the snapshot is of. */
  readonly appHash: Uint8Array;
}

// A statement makes a few records at most: an author, its lines, releases, anchors, holds.
const RECORDS_A_STATEMENT = 8;

interface Leaf {
  readonly key: Uint8Array;
  readonly valueHash: Uint8Array;
}

/** Takes the chunks in order. After an error it is at its end, and nothing is left of it. */
export class SnapshotImport {
  readonly #options: SnapshotImportOptions;
  readonly #database: Database;
  readonly #reader = new RowReader();
  #title: SnapshotTitle | undefined;
  #blocks: SnapshotBlocks | undefined;
  #records = 0;
  #mapValues = 0;
  #last: string | Uint8Array | undefined;

  constructor(options: SnapshotImportOptions) {
    this.#options = options;
    removeDatabase(options.path);
    this.#database = openDatabase(options.path);
    openReplica(this.#database, options.genesis);
  }

  /** Errors: SNAPSHOT_MALFORMED, SNAPSHOT_MISMATCH, SNAPSHOT_FOREIGN, DATABASE_*. */
  add(chunk: Uint8Array): void {
    try {
      transaction(this.#database, () => this.#add(chunk));
    } catch (error) {
      this.discard();
      throw error;
    }
  }

  /**
   * After the last chunk: everything is in the file, for `Replica.adopt`. Returns the head it is of.
   * Errors: SNAPSHOT_INCOMPLETE.
   */
  finish(): Head {
    const title = this.#title;
    const head = this.#blocks?.head;
    const complete =
      title !== undefined &&
      head !== undefined &&
      this.#reader.complete &&
      head.height === title.height &&
      this.#records === title.records &&
      this.#mapValues === title.mapValues;
    if (!complete) this.discard();
    check(complete, 'SNAPSHOT_INCOMPLETE');
    this.#database.close();
    return head;
  }

  /** Deletes the file, adopted or given up. */
  discard(): void {
    this.#database.close();
    removeDatabase(this.#options.path);
  }

  #add(chunk: Uint8Array): void {
    const records: Leaf[] = [];
    const values: Leaf[] = [];
    for (const row of this.#reader.rows(chunk)) {
      if (!this.#title) this.#begin(decodeTitle(row));
      else if (this.#inBlocks(this.#title)) this.#blocks?.add(decodeBlockRow(row));
      else if (this.#records < this.#title.records) records.push(this.#record(row));
      else values.push(this.#mapValue(row, this.#title));
      this.#checkBlocks();
    }
    const { stateRoot, mapRoot: root } = this.#blocks?.head.epoch ?? {};
    this.#grow(
      recordPages(this.#database),
      records,
      this.#title?.records === this.#records,
      stateRoot,
    );
    this.#grow(
      mapPages(this.#database, 0),
      values,
      this.#title?.mapValues === this.#mapValues,
      root,
    );
  }

  #begin(title: SnapshotTitle): void {
    const { genesis, appHash: certified } = this.#options;
    check(equal(title.networkId, genesis.networkId), 'SNAPSHOT_FOREIGN');
    check(equal(appHash(title), certified), 'SNAPSHOT_MISMATCH', 'another head than certified');
    const most = RECORDS_A_STATEMENT * title.size;
    const bounded = title.height >= 1 && title.records <= most && title.mapValues <= most;
    check(bounded, 'SNAPSHOT_MALFORMED', 'more rows than such a log can make');
    const replica = openReplica(this.#database, genesis);
    const start = { head: replica.head(), root: policyInForce(replica.view()) };
    this.#blocks = new SnapshotBlocks(this.#database, start, title.size);
    // The state comes whole; genesis' stands in the log.
    this.#database.exec('DELETE FROM record; DELETE FROM record_page');
    this.#title = title;
  }

  #inBlocks({ height }: SnapshotTitle): boolean {
    return (this.#blocks?.head.height ?? 0) < height;
  }

  // Once all blocks are there they are the certified log, or nothing more is read.
  #checkBlocks(): void {
    const title = this.#title;
    const head = this.#blocks?.head;
    if (!title || !head || head.height < title.height || this.#records + this.#mapValues > 0)
      return;
    const { size, root, epoch } = head;
    const same =
      size === title.size && equal(root, title.root) && equal(epoch.stateRoot, title.stateRoot);
    check(same, 'SNAPSHOT_MISMATCH', 'the log is not the certified one');
  }

  #record(row: Uint8Array): Leaf {
    const { name, value } = decodeRecordRow(row);
    const last = this.#last;
    check(typeof last !== 'string' || last < name, 'SNAPSHOT_MALFORMED', 'records out of order');
    this.#last = name;
    this.#records++;
    setRecord(this.#database, name, value);
    return { key: sha256(utf8(name)), valueHash: sha256(value) };
  }

  #mapValue(row: Uint8Array, title: SnapshotTitle): Leaf {
    check(this.#mapValues < title.mapValues, 'SNAPSHOT_MALFORMED', 'rows after the last');
    const { key, value } = decodeMapRow(row);
    const last = this.#last;
    const ordered = !(last instanceof Uint8Array) || compare(last, key) < 0;
    check(ordered, 'SNAPSHOT_MALFORMED', 'map values out of order');
    this.#last = key;
    this.#mapValues++;
    setMapValue(this.#database, key, value, 0);
    return { key, valueHash: sha256(value) };
  }

  #grow(
    pages: PageStore,
    leaves: readonly Leaf[],
    whole: boolean,
    root: Uint8Array | undefined,
  ): void {
    if (leaves.length > 0) updateMap(pages, leaves);
    if (!whole || this.#title === undefined || this.#inBlocks(this.#title)) return;
    const same = root !== undefined && equal(mapRoot(pages), root);
    check(same, 'SNAPSHOT_MISMATCH', 'another state or map than certified');
  }
}

function removeDatabase(path: string): void {
  for (const suffix of ['', '-wal', '-shm']) rmSync(path + suffix, { force: true });
}
