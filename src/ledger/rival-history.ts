/**
 * T12: what a replica does when another node holds a policy that is not in force here, or another newest block. Either it is simply further on,
 * or its history took another way before this replica's end: another orderer was appointed upon an earlier block.
 */
import { sha256 } from '#crypto';
import { equal } from '../bytes.ts';
import { nextRoot } from '../registry/policy-change.ts';
import { policyInForce } from '../registry/state.ts';
import { parseStatement } from '../registry/statement.ts';
import { hashedBytes } from './consensus-block.ts';
import type { BlockSource } from './ledger.ts';
import type { Replica } from './replica.ts';

/** Another node, as far as this needs it. */
export interface Neighbour extends BlockSource {
  /** policy.change statements from a version on. */
  policies(from: number, signal?: AbortSignal): Promise<readonly Uint8Array[]>;
}

/**
 * Compares with a neighbour that has a later policy, approved upon ours, or another block in the place of one here that
 * nobody is known to have acknowledged; appends the blocks that lead to the policy.
 * `acknowledged`: size of the newest head that k operators are known to have cosigned. Answers whether anything was
 * appended. Errors: LEDGER_SUPERSEDED when the blocks here are not on the way, once and for good; what the neighbour or
 * its blocks are refused with.
 */
export async function followPolicy(
  replica: Replica,
  neighbour: Neighbour,
  acknowledged: () => number,
  signal: AbortSignal,
): Promise<boolean> {
  const root = policyInForce(replica.view());
  const [change] = await neighbour.policies(root.policy.version + 1, signal);
  // Only operators can make this replica follow another policy: g of them approved.
  const isLater = change !== undefined && !isOrdered(replica, change);
  if (isLater) nextRoot(root, parseStatement(change));
  else if (await agrees(replica, neighbour, acknowledged, signal)) return false;
  const from = await firstDifference(replica, neighbour, signal);
  const blocks = await neighbour.blocks(from, 0, signal);
  signal.throwIfAborted();
  const [first] = blocks;
  if (first && from <= replica.head().height) replica.supersede(first, acknowledged());
  const { height } = replica.head();
  for (const bytes of blocks) {
    // The way goes on under the orderer that the node follows by itself then.
    if (!isLater || policyInForce(replica.view()).policy.version > root.policy.version) break;
    replica.append(bytes);
  }
  return replica.head().height > height;
}

// The same change may have been ordered here and there in two blocks, one of which nobody acknowledged.
async function agrees(
  replica: Replica,
  neighbour: Neighbour,
  acknowledged: () => number,
  signal: AbortSignal,
): Promise<boolean> {
  const { height, size, hash } = replica.head();
  if (height === 0 || acknowledged() >= size) return true;
  const [block] = await neighbour.blocks(height, 0, signal);
  return block === undefined || equal(sha256(hashedBytes(block)), hash);
}

// While the question was under way the change may have come by itself.
function isOrdered(replica: Replica, change: Uint8Array): boolean {
  return replica.find(parseStatement(change).signingDigest) !== undefined;
}

/** The lowest height above 0 at which the neighbour has not the block that is here; one above ours if it has all. */
async function firstDifference(
  replica: Replica,
  neighbour: Neighbour,
  signal: AbortSignal,
): Promise<number> {
  const same = async (height: number): Promise<boolean> => {
    const [block] = await neighbour.blocks(height, 0, signal);
    return block !== undefined && equal(sha256(hashedBytes(block)), replica.headAt(height).hash);
  };
  let equalUpTo = 0;
  let high = replica.head().height;
  if (high === 0 || (await same(high))) return high + 1;
  // Histories that differ at a height differ from there on.
  while (high - equalUpTo > 1) {
    const middle = Math.floor((equalUpTo + high) / 2);
    if (await same(middle)) equalUpTo = middle;
    else high = middle;
  }
  return equalUpTo + 1;
}
