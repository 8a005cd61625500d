/**
 * The local engine's orderer: one node, group commit. A block is made at once when nothing is under
 * way; what arrives meanwhile goes into the next. A submit is answered after the durable commit.
 */
import type { Clock } from '../clock.ts';
import type { PrivateKey } from '../crypto/key.ts';
import { check, FirmamentError } from '../errors.ts';
import type { Logger } from '../logger.ts';
import { MAX_BLOCK, MAX_TRANSACTIONS } from '../registry/block.ts';
import type { Transaction } from '../registry/statement.ts';
import { sizeOf } from './block-run.ts';
import type { Head } from './close-block.ts';
import type { Placement } from './committed-ledger.ts';
import type { BlockSource, Ledger, LedgerStatus } from './ledger.ts';
import { policyInForce } from '../registry/state.ts';
import { replicaSource } from './replica-source.ts';
import type { Replica } from './replica.ts';
import { WaitingGroups } from './waiting-groups.ts';

export interface LocalLedgerOptions {
  readonly replica: Replica;
  /** The statement key of the node that the policy names as its orderer. */
  readonly key: PrivateKey;
  readonly clock: Clock;
  readonly logger: Logger;
  /** How much may wait: statements (default 4,096) and bytes (default 32 MiB). */
  readonly queueStatements?: number;
  readonly queueBytes?: number;
}

// Of a block's 8 MiB: its header, claims, hashes and signature take less than this.
const BLOCK_OVERHEAD = 1024;
// A commit is synchronous: groups share a block up to here, so that reads wait no longer than this takes.
const BATCH = 128;
// As many groups in one block say that more are coming; then it pays to wait for them so long.
const BUSY = 4;
const GATHER_MS = 15;

/** Orders on this replica until it is disposed of. Errors: LEDGER_NOT_ORDERER. */
export function createLocalLedger(options: LocalLedgerOptions): Ledger {
  const key = options.replica.orderer()?.node.statement;
  check(key?.bytes.toHex() === options.key.publicKey.bytes.toHex(), 'LEDGER_NOT_ORDERER');
  return new LocalLedger(options);
}

class LocalLedger implements Ledger {
  readonly #options: LocalLedgerOptions;
  readonly #source: BlockSource;
  readonly #waiting: WaitingGroups;
  /** Set while a commit is due. */
  #cancel: (() => void) | undefined;
  #busy = false;
  #closed = false;

  constructor(options: LocalLedgerOptions) {
    this.#options = options;
    this.#source = replicaSource(options.replica);
    const { queueStatements = 4096, queueBytes = 32 << 20 } = options;
    this.#waiting = new WaitingGroups({ statements: queueStatements, bytes: queueBytes });
  }

  async submit(group: readonly Transaction[]): Promise<readonly Placement[]> {
    const { replica, clock } = this.#options;
    check(!this.#closed, 'LEDGER_CLOSED');
    check(replica.halted() === undefined, 'LEDGER_HALTED');
    const bytes = sizeOf(group);
    check(
      group.length >= 1 && group.length <= MAX_TRANSACTIONS && bytes <= MAX_BLOCK - BLOCK_OVERHEAD,
      'LEDGER_GROUP_INVALID',
    );
    const { promise, resolve, reject } = Promise.withResolvers<readonly Placement[]>();
    const { maxHold } = policyInForce(replica.view()).policy;
    this.#waiting.push({ group, bytes, resolve, reject }, clock(), maxHold);
    this.#schedule();
    return promise;
  }

  #commit(): void {
    const { replica, clock, key, logger } = this.#options;
    const batch = this.#waiting.take({
      statements: BATCH,
      bytes: MAX_BLOCK - BLOCK_OVERHEAD,
    });
    const started = performance.now();
    try {
      const { head, outcomes } = replica.propose(
        batch.map(({ group }) => group),
        clock(),
        key,
      );
      batch.forEach(({ group, resolve, reject }, i) => {
        const outcome = outcomes[i] ?? { refused: new FirmamentError('LEDGER_GROUP_INVALID') };
        if ('refused' in outcome) reject(outcome.refused);
        else {
          // A repeated statement takes nothing of its signer's share.
          if (outcome.placements.some(({ known }) => !known)) this.#waiting.count(group, clock());
          resolve(outcome.placements);
        }
      });
      const ms = Math.round(performance.now() - started);
      if (head)
        logger.debug('block committed', {
          height: head.height,
          size: head.size,
          groups: batch.length,
          ms,
        });
    } catch (error) {
      logger.error('no block could be committed', { error });
      for (const { reject } of batch) reject(error);
    }
    this.#busy = batch.length >= BUSY;
    this.#cancel = undefined;
    if (this.#waiting.statements > 0) this.#schedule();
  }

  // Alone, a group is ordered at once. When many come, a moment of waiting makes one block of what would be several, each
  // with its own sync to disk here, and its own cosignature and round of messages on every node.
  #schedule(): void {
    if (this.#cancel) return;
    const timer = setTimeout(
      () => {
        // One more turn: whatever the sockets have already delivered shares the block.
        const immediate = setImmediate(() => this.#commit());
        this.#cancel = () => clearImmediate(immediate);
      },
      this.#busy && this.#waiting.statements < BATCH ? GATHER_MS : 0,
    );
    this.#cancel = () => clearTimeout(timer);
  }

  blocks(from: number, waitMs: number, signal?: AbortSignal): Promise<readonly Uint8Array[]> {
    return this.#source.blocks(from, waitMs, signal);
  }

  status(): LedgerStatus {
    const { replica } = this.#options;
    return {
      engine: 'local',
      orders: true,
      head: replica.head(),
      halted: replica.halted(),
      queued: this.#waiting.statements,
    };
  }

  onHead(listener: (head: Head) => void): () => void {
    return this.#options.replica.onHead(listener);
  }

  /** What still waits is ordered first: its callers get their answers. The replica stays open. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    while (this.#waiting.statements > 0) {
      this.#cancel?.();
      this.#commit();
    }
    this.#cancel?.();
  }
}
