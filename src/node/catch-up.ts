/** A node that joins, or comes with new keys, is unknown to the policy that it has: it first reads on to the one that lists it. */
import { codeOf } from '../errors.ts';
import type { Replica } from '../ledger/replica.ts';
import type { Logger } from '../logger.ts';
import type { Peers } from './peers.ts';

/** Takes in blocks from whoever has them, until `isEnough` or nobody has more. */
export async function catchUp(
  replica: Replica,
  peers: Peers,
  isEnough: () => boolean,
  logger: Logger,
): Promise<void> {
  const { signal } = new AbortController();
  for (const peer of peers.others()) {
    try {
      while (!isEnough()) {
        const blocks = await peers.blocks(peer, replica.head().height + 1, 0, signal);
        if (blocks.length === 0) break;
        for (const bytes of blocks) replica.append(bytes);
      }
    } catch (error) {
      if (!codeOf(error) || replica.halted()) throw error;
      logger.info('a node could not be asked for blocks', { peer: peer.name, code: codeOf(error) });
    }
  }
}
