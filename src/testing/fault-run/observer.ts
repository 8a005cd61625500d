/**
 * Looks at every node all the time: the blocks that it serves, what it cosigned, how it is. A replica of its own derives
 * each height anew, so that equal blocks are equal logs, maps and states.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import {
  blocksPath,
  decodeBlocks,
  decodeCosignatures,
  MAX_BLOCKS_ANSWER,
  PEER_COSIGNATURES,
} from '../../api/peer.ts';
import { hex, text } from '../../bytes.ts';
import { sha256 } from '#crypto';
import { openDatabase } from '../../database.ts';
import { codeOf } from '../../errors.ts';
import { hashedBytes } from '../../ledger/consensus-block.ts';
import { openReplica, type Replica } from '../../ledger/replica.ts';
import type { Client } from '../../net/client.ts';
import type { Health } from '../../node/general-routes.ts';
import type { Acknowledgements } from './acknowledgements.ts';
import type { CosignerWatch } from './cosigner-watch.ts';
import type { FaultNetwork } from './network.ts';
import type { FaultNode } from './node.ts';
import type { Violations } from './violations.ts';

const PACE_MS = 500;
const TIMEOUT_MS = 3_000;

/** How a node was when it was last asked. */
export type Seen = Pick<Health, 'status' | 'height' | 'size' | 'engine'>;

export class Observer implements Disposable {
  readonly replica: Replica;
  readonly #database = openDatabase(':memory:');
  readonly #network: FaultNetwork;
  readonly #violations: Violations;
  readonly #acknowledgements: Acknowledgements;
  readonly #cosigners: CosignerWatch;
  /** SHA-256 of each block, by height. */
  readonly #blocks = new Map<number, string>();
  /** The height that each node was followed to. */
  readonly #compared = new Map<string, number>();
  readonly #seen = new Map<string, Seen>();
  #checked = 0;

  constructor(
    network: FaultNetwork,
    acknowledgements: Acknowledgements,
    cosigners: CosignerWatch,
    violations: Violations,
  ) {
    this.#network = network;
    this.#acknowledgements = acknowledgements;
    this.#cosigners = cosigners;
    this.#violations = violations;
    this.replica = openReplica(this.#database, network.genesis);
  }

  /** Undefined: it did not answer. */
  seen(name: string): Seen | undefined {
    return this.#seen.get(name);
  }

  /** Every node's blocks are compared up to this height. */
  get comparedTo(): number {
    return Math.min(...this.#network.nodes.map(({ name }) => this.#compared.get(name) ?? 0));
  }

  /** Goes on until the signal is aborted. Never rejects. */
  async run(signal: AbortSignal): Promise<void> {
    await using client = this.#network.client('peer');
    while (!signal.aborted) {
      await this.look(client);
      await sleep(PACE_MS, undefined, { signal }).catch(() => undefined);
    }
  }

  /** Asks every node once. */
  async look(client: Client): Promise<void> {
    try {
      await Promise.all(this.#network.nodes.map((node) => this.#ask(client, node)));
      this.#checkAcknowledged();
    } catch (error) {
      this.#violations.add(`the observer failed: ${String(error)}`);
    }
  }

  async #ask(client: Client, node: FaultNode): Promise<void> {
    try {
      this.#seen.set(node.name, JSON.parse(text(await get(client, node, '/healthz'))) as Seen);
    } catch (error) {
      if (!codeOf(error)) throw error;
      // A node that is not well says so with 503, and the rest of it answers.
      this.#seen.delete(node.name);
    }
    try {
      this.#cosigners.take(
        node.name,
        decodeCosignatures(await get(client, node, PEER_COSIGNATURES)),
      );
      const from = (this.#compared.get(node.name) ?? 0) + 1;
      for (const block of decodeBlocks(await get(client, node, blocksPath(from, 0))))
        this.#compare(node.name, block);
    } catch (error) {
      if (!codeOf(error)) throw error;
    }
  }

  #compare(name: string, served: Uint8Array): void {
    const height = (this.#compared.get(name) ?? 0) + 1;
    if (height === this.replica.head().height + 1) {
      try {
        this.replica.append(served);
      } catch (error) {
        return this.#violations.add(
          `${name} serves a block ${height} that does not hold: ${codeOf(error) ?? ''} ${String(error)}`,
        );
      }
    }
    const hash = hex(sha256(hashedBytes(served)));
    const known = this.#blocks.get(height) ?? hash;
    this.#blocks.set(height, known);
    this.#violations.check(hash === known, `${name} has another block ${height} than others`);
    this.#compared.set(name, height);
  }

  // T12: what was acknowledged stands at its place.
  #checkAcknowledged(): void {
    const { all } = this.#acknowledgements;
    const { size } = this.replica.head();
    for (; this.#checked < all.length; this.#checked++) {
      const receipted = all[this.#checked];
      if (!receipted || receipted.index >= size) return;
      const found = this.replica.find(receipted.statement.signingDigest)?.index;
      this.#violations.check(
        found === receipted.index,
        `acknowledged at ${receipted.index}, and is ${found === undefined ? 'nowhere' : `at ${found}`}`,
      );
    }
  }

  /** How many acknowledged statements were found at their places. */
  get found(): number {
    return this.#checked;
  }

  [Symbol.dispose](): void {
    this.#database.close();
  }
}

async function get(client: Client, { url }: FaultNode, path: string): Promise<Uint8Array> {
  const maxBytes = MAX_BLOCKS_ANSWER;
  const { body } = await client.request({ url: url + path, maxBytes, timeoutMs: TIMEOUT_MS });
  return body;
}
