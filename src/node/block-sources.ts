/** Other nodes as sources of blocks: the orderer while it answers, the others when it does not (T12). */
import type { Clock } from '../clock.ts';
import { codeOf } from '../errors.ts';
import type { HeldBlocks } from '../ledger/follow.ts';
import type { BlockSource } from '../ledger/ledger.ts';
import type { Neighbour } from '../ledger/rival-history.ts';
import type { NamedNode } from '../registry/policy.ts';
import type { Peers } from './peers.ts';

const NEVER = new AbortController().signal;

export function neighbourOf(peers: Peers, peer: NamedNode): Neighbour {
  return {
    blocks: (from, waitMs, signal) => peers.blocks(peer, from, waitMs, signal ?? NEVER),
    policies: (from, signal) => peers.policies(peer, from, signal),
  };
}

export interface Failover {
  readonly clock: Clock;
  /** Who is asked while the orderer can't be. */
  readonly others: () => readonly NamedNode[];
  /** Of an answer, the blocks that may be taken in. Throws when those are none. */
  readonly usable: (blocks: readonly Uint8Array[]) => readonly Uint8Array[];
  /** The orderer itself answered what was asked at `askedAt`, POSIX seconds, with so many blocks. */
  readonly onHeard: (from: number, count: number, askedAt: number) => void;
}

/** The orderer's blocks; while it cannot be reached, those that others have of them. */
export function withFailover(
  peers: Peers,
  orderer: NamedNode,
  { clock, others, usable, onHeard }: Failover,
): BlockSource {
  let turn = 0;
  // Whether it is there is asked first: a poll is answered only when there is something new.
  let heard = false;
  return {
    async blocks(from, waitMs, signal = NEVER) {
      const askedAt = clock();
      try {
        const blocks = usable(await peers.blocks(orderer, from, heard ? waitMs : 0, signal));
        heard = true;
        onHeard(from, blocks.length, askedAt);
        return blocks;
      } catch (error) {
        heard = false;
        signal.throwIfAborted();
        const list = others().filter(({ name }) => name !== orderer.name);
        // Another one first each time: one that gives what is refused must not be asked alone.
        const first = list.length === 0 ? 0 : turn++ % list.length;
        for (const peer of [...list.slice(first), ...list.slice(0, first)]) {
          const blocks = await peers.blocks(peer, from, 0, signal).catch((cause: unknown) => {
            if (!codeOf(cause)) throw cause;
            return [];
          });
          signal.throwIfAborted();
          if (blocks.length > 0) return usable(blocks);
        }
        throw error;
      }
    },
  };
}

/** What a peer holds, asked for once `first` was done with it. */
export function heldBy(
  peers: Peers,
  peer: NamedNode,
  own: string,
  first: (neighbour: Neighbour) => Promise<void>,
): HeldBlocks {
  const neighbour = neighbourOf(peers, peer);
  let ready = false;
  return {
    operator: peer.operator.name === own ? null : peer.operator.name,
    async blocks(from, waitMs, signal) {
      if (!ready) await first(neighbour);
      ready = true;
      return neighbour.blocks(from, waitMs, signal);
    },
  };
}
