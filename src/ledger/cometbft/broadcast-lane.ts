/** Hands transactions to the engine's mempool, one request at a time: what one signer submitted in order stays in order. */
import { codeOf } from '../../errors.ts';
import type { Logger } from '../../logger.ts';
import { MAX_GROUP } from '../../registry/group.ts';
import { MAX_CALLS, type EngineRpc } from './rpc.ts';

export interface BroadcastLaneOptions {
  readonly rpc: EngineRpc;
  readonly logger: Logger;
  /** Asked just before a transaction goes out: whether its outcome is still unknown. */
  readonly isWanted: (id: string) => boolean;
}

export class BroadcastLane {
  readonly #options: BroadcastLaneOptions;
  /** In order; a transaction stands there once. */
  readonly #lane = new Map<string, Uint8Array>();
  #sending = false;

  constructor(options: BroadcastLaneOptions) {
    this.#options = options;
  }

  push(id: string, bytes: Uint8Array): void {
    if (!this.#lane.has(id)) this.#lane.set(id, bytes);
    void this.#work();
  }

  async #work(): Promise<void> {
    if (this.#sending) return;
    this.#sending = true;
    try {
      for (let batch = this.#batch(); batch.length > 0; batch = this.#batch())
        await this.#broadcast(batch);
    } finally {
      this.#sending = false;
    }
  }

  #batch(): readonly Uint8Array[] {
    const batch: Uint8Array[] = [];
    let length = 0;
    for (const [id, bytes] of this.#lane) {
      const full = batch.length === MAX_CALLS || length + bytes.length > MAX_GROUP;
      if (batch.length > 0 && full) break;
      this.#lane.delete(id);
      if (!this.#options.isWanted(id)) continue;
      length += bytes.length;
      batch.push(bytes);
    }
    return batch;
  }

  // Without waiting for what the rules say: the application is told that when the engine asks it. An answer that it is
  // in the mempool already, or that the mempool is full, changes nothing: whoever waits puts it forward again.
  async #broadcast(batch: readonly Uint8Array[]): Promise<void> {
    const { rpc, logger } = this.#options;
    try {
      await rpc.calls(
        'broadcast_tx_async',
        batch.map((bytes) => ({ tx: bytes.toBase64() })),
      );
    } catch (error) {
      logger.debug('groups could not be put forward', { code: codeOf(error), error });
    }
  }
}
