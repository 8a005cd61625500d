/** Closing a block: state, map, log and the epoch leaf (T15), first in memory and then in the caller's transaction. */
import { sha256 } from '#crypto';
import { utf8 } from '../bytes.ts';
import type { Database } from '../database.ts';
import { epochEntry, encodeEpoch, type Epoch } from '../log/epoch.ts';
import { mapRoot, updateMap, type PageStore } from '../log/map-tree.ts';
import { leafHash } from '../log/merkle.ts';
import * as tree from '../log/tree.ts';
import { policyInForce } from '../registry/state.ts';
import type { Transaction } from '../registry/statement.ts';
import type { Overlay } from '../registry/view.ts';
import { writeStatement } from './block-tables.ts';
import { mapPages, setMapValue } from './map-tables.ts';
import { logNodes, recordPages, setRecord } from './record-tables.ts';
import { writtenNodes, writtenPages, type WrittenNodes, type WrittenPages } from './written.ts';

/** The ledger after a block: what its epoch leaf says and the log's size and root with it. */
export interface Head {
  readonly height: number;
  /** POSIX seconds: "not before". */
  readonly time: number;
  readonly size: number;
  readonly root: Uint8Array;
  readonly epoch: Epoch;
  /** SHA-256 of the block as served; 32 zero bytes at height 0. */
  readonly hash: Uint8Array;
}

/** What follows the head before: its statements with the state after them. */
export interface Closing {
  readonly height: number;
  readonly time: number;
  readonly transactions: readonly Transaction[];
  readonly state: Overlay;
}

/** A block with everything that follows from it; nothing of it is in the database yet. */
export interface Closed {
  readonly closing: Closing;
  readonly head: Omit<Head, 'hash'>;
  /** The log's size before it. */
  readonly firstIndex: number;
  readonly recordPages: WrittenPages;
  readonly mapPages: WrittenPages;
  readonly nodes: WrittenNodes;
}

/** Derives the head that these statements lead to; reads the database and writes nothing. */
export function closeBlock(database: Database, before: Head | null, closing: Closing): Closed {
  const { height, time, transactions, state } = closing;
  const { records, map } = state.changes();
  const keptRecords = writtenPages(recordPages(database));
  const stateRoot = updated(
    keptRecords,
    [...records].map(([name, value]) => ({ key: sha256(utf8(name)), valueHash: sha256(value) })),
  );
  const keptMap = writtenPages(mapPages(database, height));
  const mapped = updated(
    keptMap,
    [...map.values()].map(({ key, value }) => ({ key, valueHash: sha256(value) })),
  );

  const nodes = writtenNodes(logNodes(database));
  const firstIndex = before?.size ?? 0;
  let size = firstIndex;
  for (const { statement } of transactions)
    size = tree.append(nodes, size, leafHash(statement.entry));
  const { hash: policyHash, policy } = policyInForce(state);
  const epoch: Epoch = {
    height,
    time,
    mapRoot: mapped,
    stateRoot,
    policyVersion: policy.version,
    policyHash,
    previous: before && before.size - 1,
  };
  size = tree.append(nodes, size, leafHash(epochEntry(epoch)));
  const head = { height, time, size, root: tree.root(nodes, size), epoch };
  return { closing, head, firstIndex, recordPages: keptRecords, mapPages: keptMap, nodes };
}

function updated(
  pages: PageStore,
  changes: readonly { readonly key: Uint8Array; readonly valueHash: Uint8Array }[],
): Uint8Array {
  return changes.length === 0 ? mapRoot(pages) : updateMap(pages, changes);
}

/** Writes everything but the head's row, inside the caller's transaction. */
export function writeBlock(database: Database, closed: Closed): void {
  const { closing, head, firstIndex } = closed;
  const { records, map } = closing.state.changes();
  for (const [name, value] of records) setRecord(database, name, value);
  for (const { key, value } of map.values()) setMapValue(database, key, value, head.height);
  const stored = { records: recordPages(database), map: mapPages(database, head.height) };
  for (const [path, page] of closed.recordPages.written) stored.records.put(path, page);
  for (const [path, page] of closed.mapPages.written) stored.map.put(path, page);
  const log = logNodes(database);
  for (const { level, index, hash } of closed.nodes.written.values()) log.put(level, index, hash);
  closing.transactions.forEach(({ statement, attachment }, position) =>
    writeStatement(database, firstIndex + position, statement, attachment),
  );
}

/** `prefix` and `suffix` of the block's bytes around its statements; null at height 0. */
export function writeHead(
  database: Database,
  head: Head,
  parts: { readonly prefix: Uint8Array; readonly suffix: Uint8Array } | null,
): void {
  database
    .prepare(
      'INSERT INTO head (height, time, size, root, epoch, hash, prefix, suffix) VALUES (?, ?, ?, ?, ?, ?, ?, ?)',
    )
    .run(
      head.height,
      head.time,
      head.size,
      head.root,
      encodeEpoch(head.epoch),
      head.hash,
      parts?.prefix ?? null,
      parts?.suffix ?? null,
    );
}
