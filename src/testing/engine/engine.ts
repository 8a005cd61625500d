/**
 * What the shared properties need of an engine: a few nodes, each a process of its own with a replica on disk, that
 * take groups, serve blocks, and can be killed.
 */
import type { Placement } from '../../ledger/committed-ledger.ts';
import type { Head } from '../../ledger/close-block.ts';
import type { Transaction } from '../../registry/statement.ts';
import type { FixtureNetwork } from '../fixture.ts';

export interface EngineNode {
  readonly name: string;
  /** As `Ledger.submit`; rejects without a code when the process dies meanwhile. */
  submit(group: readonly Transaction[]): Promise<readonly Placement[]>;
  /** Blocks as served to followers. */
  blocks(from: number, waitMs?: number): Promise<readonly Uint8Array[]>;
  head(): Promise<Head>;
  headAt(height: number): Promise<Head>;
  /** Where the statement with this signing digest stands. */
  find(signingDigest: Uint8Array): Promise<Placement | undefined>;
  /** The log entry at an index. */
  entry(index: number): Promise<Uint8Array>;
  /** Ends the ledger; the process goes on and answers about its replica. */
  close(): Promise<void>;
  /** SIGKILL to the process; what it started goes with it. Resolves when it is gone. */
  kill(): Promise<void>;
  /** Starts it on the same disk, after `kill` or `close`. */
  start(): Promise<void>;
}

export interface Engine extends AsyncDisposable {
  readonly kind: 'local' | 'cometbft';
  readonly network: FixtureNetwork;
  readonly nodes: readonly EngineNode[];
  /** How many of the nodes may be dead while the others go on ordering. */
  readonly spare: number;
  /** Statements of the largest group that it takes. */
  readonly largestGroup: number;
}
