/**
 * The names of the moments around a node's durable writes. Whoever starts a node may be told of each, for tests
 * that end the process there or let the disk be full; by default nobody is (docs/decisions/fault-points.md).
 */

/** Of a file that is written beside its place, synced, renamed, and whose folder is synced then. */
export type FileStep = 'before' | 'before-rename' | 'after-rename' | 'after';

/** `before` lies inside a write that has not happened, `after` behind one that is durable and not yet answered. */
export type FaultName =
  | `${'ledger' | 'node'}.commit.${'before' | 'after'}`
  | `${'store.put' | 'cosigner.record'}.${FileStep}`
  | `store.delete.${'before' | 'after'}`;

/** May throw what a file operation throws; only at `before` and `before-rename` is that a failed write. */
export type FaultPoint = (name: FaultName) => void;
