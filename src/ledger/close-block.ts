/** Closing a block: state, map, log and the epoch leaf, all inside the caller's transaction (T15). */
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

/** Writes everything but the head's row, and returns the head that these statements lead to. */
export function closeBlock(
  database: Database,
  before: Head | null,
  closing: Closing,
): Omit<Head, 'hash'> {
  const { height, time, transactions, state } = closing;
  const { records, map } = state.changes();
  for (const [name, value] of records) setRecord(database, name, value);
  for (const { key, value } of map.values()) setMapValue(database, key, value, height);
  const stateRoot = updated(
    recordPages(database),
    [...records].map(([name, value]) => ({ key: sha256(utf8(name)), valueHash: sha256(value) })),
  );
  const mapped = updated(
    mapPages(database, height),
    [...map.values()].map(({ key, value }) => ({ key, valueHash: sha256(value) })),
  );

  const nodes = logNodes(database);
  let size = before?.size ?? 0;
  for (const { statement, attachment } of transactions) {
    writeStatement(database, size, statement, attachment);
    tree.append(nodes, size, leafHash(statement.entry));
    size++;
  }
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
  tree.append(nodes, size, leafHash(epochEntry(epoch)));
  size++;
  return { height, time, size, root: tree.root(nodes, size), epoch };
}

function updated(
  pages: PageStore,
  changes: readonly { readonly key: Uint8Array; readonly valueHash: Uint8Array }[],
): Uint8Array {
  return changes.length === 0 ? mapRoot(pages) : updateMap(pages, changes);
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
