/** The cosignatures that this node knows, its own and others', and the newest head that k operators signed. */
import { equal, hex } from '../bytes.ts';
import type { NamedCosignature } from '../api/peer.ts';
import { check, fail } from '../errors.ts';
import { formatCheckpoint } from '../log/checkpoint.ts';
import { keyId, verifyCosignature, type Cosignature } from '../log/cosignature.ts';
import type { Head } from '../ledger/close-block.ts';
import { nodesOf } from '../registry/policy.ts';
import type { Root } from '../registry/root.ts';

/** What the collection needs of the replica. */
export interface HeadSource {
  readonly origin: string;
  head(): Head;
  headOfSize(size: number): Head | undefined;
}

/** A head with exactly k cosignatures of different operators, the newest ones. */
export interface QuorumHead {
  readonly head: Head;
  /** Sorted by key id. */
  readonly cosignatures: readonly Cosignature[];
  readonly operators: readonly string[];
  /** The smallest of their times. */
  readonly time: number;
}

// Heads that wait for cosignatures or for our own replica; older ones are dropped.
const MAX_SIZES = 256;

export class Heads {
  readonly #source: HeadSource;
  readonly #root: () => Root;
  readonly #bySize = new Map<number, Map<string, NamedCosignature>>();
  readonly #newest = new Map<string, NamedCosignature>();
  readonly #waiting = new Set<() => void>();
  #quorum: QuorumHead | undefined;

  constructor(source: HeadSource, root: () => Root) {
    this.#source = source;
    this.#root = root;
  }

  /**
   * Takes one node's cosignature. Answers whether it was news.
   * Errors: NODE_PEER_UNKNOWN, LOG_COSIGNATURE_INVALID, NODE_HEAD_FORK when this node derived another root.
   */
  add(cosignature: NamedCosignature): boolean {
    const { name, size, root, time } = cosignature;
    const before = this.#newest.get(name);
    if (before && (before.size > size || (before.size === size && before.time >= time))) {
      if ((this.#bySize.get(size)?.get(name)?.time ?? 0) >= time) return false;
    }
    const signer =
      nodesOf(this.#root().policy).find((node) => node.name === name) ?? fail('NODE_PEER_UNKNOWN');
    const checkpoint = formatCheckpoint({ origin: this.#source.origin, size, root });
    verifyCosignature(signer.node.cosigner, name, checkpoint, {
      keyId: keyId(name, signer.node.cosigner),
      time,
      signature: cosignature.signature,
    });
    this.#checkAgainstOwn(size, root);
    this.#keep(cosignature);
    this.refresh();
    return true;
  }

  // A cosigned head that our own replica contradicts is evidence against somebody: never counted.
  #checkAgainstOwn(size: number, root: Uint8Array): void {
    if (size > this.#source.head().size) return;
    const own = this.#source.headOfSize(size);
    check(own !== undefined && equal(own.root, root), 'NODE_HEAD_FORK', undefined, { size, root: hex(root) });
  }

  #keep(cosignature: NamedCosignature): void {
    const { name, size } = cosignature;
    const row = this.#bySize.get(size) ?? new Map<string, NamedCosignature>();
    row.set(name, cosignature);
    this.#bySize.set(size, row);
    if ((this.#newest.get(name)?.size ?? -1) <= size) this.#newest.set(name, cosignature);
    if (this.#bySize.size > MAX_SIZES) this.#bySize.delete(Math.min(...this.#bySize.keys()));
  }

  /** Looks for a newer quorum: after a new cosignature and after a new block of our own. */
  refresh(): void {
    const { policy } = this.#root();
    const sizes = [...this.#bySize.keys()]
      .filter((size) => size >= (this.#quorum?.head.size ?? 0))
      .toSorted((a, b) => b - a);
    for (const size of sizes) {
      const head = this.#source.headOfSize(size);
      if (!head) continue;
      const found = this.#countAt(head, policy.quorum);
      if (!found) continue;
      if (this.#quorum && found.head.size === this.#quorum.head.size && found.time <= this.#quorum.time) return;
      this.#quorum = found;
      this.#dropBelow(size);
      for (const wake of this.#waiting) wake();
      return;
    }
  }

  #countAt(head: Head, quorum: number): QuorumHead | undefined {
    const byOperator = new Map<string, NamedCosignature>();
    for (const cosignature of this.#bySize.get(head.size)?.values() ?? []) {
      if (!equal(cosignature.root, head.root)) continue;
      const operator = operatorOf(cosignature.name);
      const other = byOperator.get(operator);
      if (!other || other.time < cosignature.time) byOperator.set(operator, cosignature);
    }
    if (byOperator.size < quorum) return undefined;
    const chosen = [...byOperator.values()].toSorted((a, b) => b.time - a.time).slice(0, quorum);
    return {
      head,
      cosignatures: chosen
        .map((cosignature) => this.#compact(cosignature))
        .toSorted((a, b) => (hex(a.keyId) < hex(b.keyId) ? -1 : 1)),
      operators: chosen.map(({ name }) => operatorOf(name)).toSorted(),
      time: Math.min(...chosen.map(({ time }) => time)),
    };
  }

  #compact({ name, time, signature }: NamedCosignature): Cosignature {
    const signer = nodesOf(this.#root().policy).find((node) => node.name === name) ?? fail('NODE_PEER_UNKNOWN');
    return { keyId: keyId(name, signer.node.cosigner), time, signature };
  }

  #dropBelow(size: number): void {
    for (const old of this.#bySize.keys()) if (old < size) this.#bySize.delete(old);
  }

  /** The newest head with k operators' cosignatures. Errors: NODE_NO_QUORUM. */
  quorum(): QuorumHead {
    return this.#quorum ?? fail('NODE_NO_QUORUM');
  }

  hasQuorum(): boolean {
    return this.#quorum !== undefined;
  }

  /** The newest cosignature of every node. */
  all(): readonly NamedCosignature[] {
    return [...this.#newest.values()];
  }

  newestOf(name: string): NamedCosignature | undefined {
    return this.#newest.get(name);
  }

  /** Waits until k operators cosigned a head of at least this size. Answers false when time is up. */
  async reach(size: number, timeoutMs: number): Promise<boolean> {
    const reached = (): boolean => (this.#quorum?.head.size ?? -1) >= size;
    if (reached()) return true;
    const { promise, resolve } = Promise.withResolvers<boolean>();
    const wake = (): void => {
      if (reached()) resolve(true);
    };
    const timer = setTimeout(() => resolve(false), timeoutMs);
    this.#waiting.add(wake);
    try {
      return await promise;
    } finally {
      clearTimeout(timer);
      this.#waiting.delete(wake);
    }
  }
}

function operatorOf(name: string): string {
  return name.split('/', 1)[0] ?? name;
}
