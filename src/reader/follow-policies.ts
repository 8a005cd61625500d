/** T08: a reader that a proof tells of a later policy asks for the changes that lead there, and believes signatures. */
import { codeOf } from '../errors.ts';
import { advanceRoot, namedPolicyVersion } from '../trust/root-chain.ts';
import type { Root } from '../registry/root.ts';
import type { NodeAccess } from './nodes.ts';

/** The root in force for a reader, and how it moves on. */
export interface PinnedRoot {
  readonly root: Root;
  /** Durable when it resolves; only ever forward. */
  advance(next: Root): Promise<void>;
}

/**
 * Moves the pinned root on to the policy that the proof names, as far as the node has the changes. Without them the proof
 * is judged under the root that is there, and can be `stale(policy)` at best.
 * Errors: TRUST_PROOF_MALFORMED, TRUST_POLICY_CHAIN_INVALID, CBOR_*; the root is as far as what held led it.
 */
export async function followPolicies(
  pinned: PinnedRoot,
  node: Pick<NodeAccess, 'policies'>,
  proof: Uint8Array,
): Promise<void> {
  const named = namedPolicyVersion(proof);
  for (;;) {
    const { version } = pinned.root.policy;
    if (version >= named) return;
    const changes = await changesFrom(node, version + 1);
    if (changes.length === 0) return;
    await pinned.advance(advanceRoot(pinned.root, changes.slice(0, named - version)));
  }
}

async function changesFrom(
  node: Pick<NodeAccess, 'policies'>,
  version: number,
): Promise<readonly Uint8Array[]> {
  try {
    return await node.policies(version);
  } catch (error) {
    if (/^(NET|NODE)_/.test(codeOf(error) ?? '')) return [];
    throw error;
  }
}
