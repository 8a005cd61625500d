/**
 * T10: signs the heads that this node re-derived itself, each new one and the newest again on a timer, and
 * tells the other nodes. It signs nothing before enough operators have said what they know of its key.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { NamedCosignature } from '../api/peer.ts';
import type { Clock } from '../clock.ts';
import { codeOf } from '../errors.ts';
import type { CosignerRecord } from '../ledger/cosigner-record.ts';
import type { Head } from '../ledger/close-block.ts';
import type { Replica } from '../ledger/replica.ts';
import type { Logger } from '../logger.ts';
import type { Policy } from '../registry/policy.ts';
import type { Heads } from './heads.ts';
import type { Peers } from './peers.ts';

export interface CosignerParts {
  /** OPERATOR/NODE. */
  readonly name: string;
  readonly replica: Replica;
  readonly record: CosignerRecord;
  readonly heads: Heads;
  readonly peers: Peers;
  readonly policy: () => Policy;
  readonly clock: Clock;
  readonly logger: Logger;
  /** A person said that the record is the newest there is (`--cosigner-record-is-mine`). */
  readonly recordIsMine: boolean;
}

export class Cosigner implements AsyncDisposable {
  readonly #parts: CosignerParts;
  readonly #stop = new AbortController();
  readonly #running: Promise<void>;
  #wake = Promise.withResolvers<void>();
  #allowed = false;

  constructor(parts: CosignerParts) {
    this.#parts = parts;
    const unsubscribe = parts.replica.onHead(() => this.#wake.resolve());
    this.#running = this.#run().finally(unsubscribe);
  }

  /** Whether it has leave to sign. */
  get allowed(): boolean {
    return this.#allowed;
  }

  async #run(): Promise<void> {
    const { signal } = this.#stop;
    await this.#askLeave();
    while (!signal.aborted) {
      this.#wake = Promise.withResolvers<void>();
      if (!this.#parts.replica.halted()) this.#sign(this.#parts.replica.head());
      const pause = new AbortController();
      const { policy } = this.#parts;
      const timer = sleep((policy().maxAge * 1000) / 4, undefined, { signal: pause.signal }).catch(() => undefined);
      await Promise.race([this.#wake.promise, timer]);
      pause.abort();
    }
  }

  // Asks until n - f operators, itself counted, have said what newest cosignature of this key they know.
  async #askLeave(): Promise<void> {
    const { name, peers, record, replica, policy, recordIsMine, logger } = this.#parts;
    const { signal } = this.#stop;
    const known = new Map<string, NamedCosignature | null>();
    while (!signal.aborted) {
      await Promise.all(
        peers.others().map(async (peer) => {
          if (known.has(peer.name)) return;
          const rows = await peers.cosignatures(peer).catch(() => undefined);
          if (!rows) return;
          known.set(peer.name, rows.find((row) => row.name === name) ?? null);
          for (const row of rows) this.#learn(row);
        }),
      );
      const leave = record.askLeave({
        operators: policy().operators.length,
        answers: [...known].map(([peer, newest]) => ({ operator: peer.split('/', 1)[0] ?? peer, newest })),
        self: name.split('/', 1)[0] ?? name,
        override: recordIsMine,
      });
      if (leave.allowed) {
        if (recordIsMine) logger.warn('a person says that the cosigner record is the newest', { name });
        this.#allowed = true;
        return;
      }
      if (leave.code === 'COSIGNER_BEHIND') {
        logger.error('the cosigner record is behind what others hold: a new key is needed', { name });
        return this.#wait();
      }
      logger.info('cosigner waits for answers of other operators', { name, answers: known.size, height: replica.head().height });
      await sleep(300, undefined, { signal }).catch(() => undefined);
    }
  }

  async #wait(): Promise<void> {
    const stopped = Promise.withResolvers<void>();
    this.#stop.signal.addEventListener('abort', () => stopped.resolve(), { once: true });
    await stopped.promise;
  }

  #learn(row: NamedCosignature): void {
    try {
      this.#parts.heads.add(row);
    } catch (error) {
      this.#parts.logger.warn('a cosignature was refused', { name: row.name, size: row.size, code: codeOf(error) });
    }
  }

  #sign(head: Head): void {
    if (!this.#allowed) return;
    const { name, record, heads, peers, clock, logger, replica } = this.#parts;
    try {
      const { time, signature } = record.sign(head, clock(), replica.origin);
      const cosignature = { size: head.size, root: head.root, name, time, signature };
      heads.add(cosignature);
      for (const peer of peers.others()) {
        // Whoever is away asks when it is back.
        peers.tellCosignature(peer, cosignature).catch((error: unknown) => {
          logger.debug('a cosignature did not arrive', { peer: peer.name, code: codeOf(error) });
        });
      }
    } catch (error) {
      logger.error('a head was not cosigned', { size: head.size, code: codeOf(error), error });
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    this.#wake.resolve();
    await this.#running;
  }
}
