/** The cosignatures that this node knows, its own and others', and the newest head that k operators signed. */
import { equal, hex } from '../bytes.ts';
import type { NamedCosignature } from '../api/peer.ts';
import type { Clock } from '../clock.ts';
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

// Heads of one signer that wait for others' cosignatures or for our own replica: its smallest go first, so that
// a signer of many heads pushes out nobody's but its own.
const MAX_A_SIGNER = 64;

export class Heads {
  readonly #source: HeadSource;
  readonly #root: () => Root;
  /** OPERATOR/NODE of this node. */
  readonly #self: string;
  readonly #clock: Clock;
  /** By signer, then by size. */
  readonly #bySigner = new Map<string, Map<number, NamedCosignature>>();
  readonly #newest = new Map<string, NamedCosignature>();
  /** The key under which a name's cosignatures were checked. */
  readonly #keys = new Map<string, Uint8Array>();
  readonly #listeners = new Set<() => void>();
  #quorum: QuorumHead | undefined;
  #receipted: Head | undefined;

  /** `clock`: this node's, POSIX seconds; without one no time counts as wrong. */
  constructor(source: HeadSource, root: () => Root, self: string, clock: Clock = () => Infinity) {
    this.#source = source;
    this.#root = root;
    this.#self = self;
    this.#clock = clock;
  }

  // Readers count no time ahead of their clock (T14): one operator whose clock is would make every proof stale if
  // its cosignature, the newest there seems to be, were always among the k.
  #rank(time: number): number {
    return time <= this.#clock() + this.#root().policy.skew ? time : -time;
  }

  #rankOf({ cosignatures }: QuorumHead): number {
    return Math.min(...cosignatures.map(({ time }) => this.#rank(time)));
  }

  /**
   * Takes one node's cosignature. Answers whether it was news.
   * Errors: NODE_PEER_UNKNOWN, LOG_COSIGNATURE_INVALID, NODE_HEAD_FORK when this node derived another root.
   */
  add(cosignature: NamedCosignature): boolean {
    const { name, size, root, time } = cosignature;
    const signer =
      nodesOf(this.#root().policy).find((node) => node.name === name) ?? fail('NODE_PEER_UNKNOWN');
    const same = this.#bySigner.get(name)?.get(size);
    if (same && this.#rank(same.time) >= this.#rank(time) && equal(same.root, root)) return false;
    const checkpoint = formatCheckpoint({ origin: this.#source.origin, size, root });
    verifyCosignature(signer.node.cosigner, name, checkpoint, {
      keyId: keyId(name, signer.node.cosigner),
      time,
      signature: cosignature.signature,
    });
    this.#checkAgainstOwn(size, root);
    this.#keys.set(name, signer.node.cosigner.bytes);
    // Below the quorum's head nothing is waited for any more.
    if (size < (this.#quorum?.head.size ?? 0)) return false;
    this.#keep(cosignature);
    this.refresh();
    for (const wake of this.#listeners) wake();
    return true;
  }

  // A cosigned head that our own replica contradicts is evidence against somebody: never counted.
  #checkAgainstOwn(size: number, root: Uint8Array): void {
    if (size > this.#source.head().size) return;
    const own = this.#source.headOfSize(size);
    check(own !== undefined && equal(own.root, root), 'NODE_HEAD_FORK', undefined, {
      size,
      root: hex(root),
    });
  }

  #keep(cosignature: NamedCosignature): void {
    const { name, size } = cosignature;
    const heads = this.#bySigner.get(name) ?? new Map<number, NamedCosignature>();
    heads.set(size, cosignature);
    if (heads.size > MAX_A_SIGNER) heads.delete(Math.min(...heads.keys()));
    this.#bySigner.set(name, heads);
    if ((this.#newest.get(name)?.size ?? -1) <= size) this.#newest.set(name, cosignature);
  }

  /** Looks for a newer quorum: after a new cosignature and after a new block of our own. */
  refresh(): void {
    const { quorum } = this.#root().policy;
    const sizes = new Set(this.#bySigner.values().flatMap((heads) => heads.keys()));
    for (const size of [...sizes].toSorted((a, b) => b - a)) {
      const head = this.#source.headOfSize(size);
      const found = head && this.#countAt(head, quorum);
      if (!found) continue;
      this.#advance(found);
      return;
    }
  }

  #advance(found: QuorumHead): void {
    const { size } = found.head;
    const before = this.#quorum;
    const own = this.#bySigner.get(this.#self)?.get(size);
    // T13: this node's receipts are only for heads that it cosigned too.
    const receipted = own && equal(own.root, found.head.root) ? found.head : this.#receipted;
    const moved = receipted !== this.#receipted;
    this.#receipted = receipted;
    if (!before || before.head.size < size || this.#rankOf(before) < this.#rankOf(found))
      this.#quorum = found;
    else if (!moved) return;
    for (const heads of this.#bySigner.values())
      for (const old of heads.keys()) if (old < size) heads.delete(old);
    for (const wake of this.#listeners) wake();
  }

  #countAt(head: Head, quorum: number): QuorumHead | undefined {
    const byOperator = new Map<string, NamedCosignature>();
    for (const heads of this.#bySigner.values()) {
      const cosignature = heads.get(head.size);
      if (!cosignature || !equal(cosignature.root, head.root)) continue;
      const operator = operatorOf(cosignature.name);
      const other = byOperator.get(operator);
      if (!other || this.#rank(other.time) < this.#rank(cosignature.time))
        byOperator.set(operator, cosignature);
    }
    if (byOperator.size < quorum) return undefined;
    const chosen = [...byOperator.values()]
      .toSorted((a, b) => this.#rank(b.time) - this.#rank(a.time))
      .slice(0, quorum);
    return {
      head,
      cosignatures: chosen
        .map((cosignature) => this.#compact(cosignature))
        .toSorted((a, b) => (hex(a.keyId) < hex(b.keyId) ? -1 : 1)),
      operators: chosen.map(({ name }) => operatorOf(name)).toSorted(),
      time: Math.min(...chosen.map(({ time }) => time)),
    };
  }

  /** Forgets what nodes signed with keys that the policy in force does not list. */
  policyChanged(): void {
    const listed = new Map(
      nodesOf(this.#root().policy).map(({ name, node }) => [name, node.cosigner]),
    );
    for (const name of this.#bySigner.keys()) {
      const before = this.#keys.get(name);
      const now = listed.get(name);
      if (before && now && equal(before, now.bytes)) continue;
      this.#bySigner.delete(name);
      this.#newest.delete(name);
    }
  }

  #compact({ name, time, signature }: NamedCosignature): Cosignature {
    const signer =
      nodesOf(this.#root().policy).find((node) => node.name === name) ?? fail('NODE_PEER_UNKNOWN');
    return { keyId: keyId(name, signer.node.cosigner), time, signature };
  }

  /** The newest head with k operators' cosignatures. Errors: NODE_NO_QUORUM. */
  quorum(): QuorumHead {
    return this.#quorum ?? fail('NODE_NO_QUORUM');
  }

  hasQuorum(): boolean {
    return this.#quorum !== undefined;
  }

  /** The newest head that k operators and this node cosigned (T13). */
  receipted(): Head | undefined {
    return this.#receipted;
  }

  /**
   * The largest head that others cosigned and this node derived, of a size above one and not above another;
   * undefined: there is none.
   */
  proposed(above: number, upTo: number): Head | undefined {
    const sizes = this.#bySigner
      .entries()
      .filter(([name]) => name !== this.#self)
      .flatMap(([, heads]) => heads.keys())
      .filter((size) => size > above && size <= upTo);
    for (const size of [...sizes].toSorted((a, b) => b - a)) {
      const head = this.#source.headOfSize(size);
      if (head) return head;
    }
    return undefined;
  }

  /** Size of the log that k operators have cosigned as far as is known, also when it is not here yet. */
  claimed(): number {
    const byOperator = new Map<string, number>();
    for (const { name, size } of this.#newest.values()) {
      const operator = operatorOf(name);
      byOperator.set(operator, Math.max(byOperator.get(operator) ?? 0, size));
    }
    const sizes = [...byOperator.values()].toSorted((a, b) => b - a);
    return sizes[this.#root().policy.quorum - 1] ?? 0;
  }

  /** The newest cosignature of every node. */
  all(): readonly NamedCosignature[] {
    return [...this.#newest.values()];
  }

  /** Calls `listener` after each new cosignature and each new quorum. Returns how to stop. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** Waits until a receipt can be given at this log size. Answers false when time is up. */
  async reach(size: number, timeoutMs: number): Promise<boolean> {
    const reached = (): boolean => (this.#receipted?.size ?? -1) >= size;
    if (reached()) return true;
    const { promise, resolve } = Promise.withResolvers<boolean>();
    const stop = this.onChange(() => {
      if (reached()) resolve(true);
    });
    const timer = setTimeout(() => resolve(false), timeoutMs);
    try {
      return await promise;
    } finally {
      clearTimeout(timer);
      stop();
    }
  }
}

function operatorOf(name: string): string {
  return name.split('/', 1)[0] ?? name;
}
