/**
 * T08: a device may pin a root older than the one that the owner gave the gateway. What leads from there is asked for once
 * and checked from the network's first policy on, which its id is the hash of.
 */
import { equal, hex } from '../bytes.ts';
import { check } from '../errors.ts';
import { parseGenesis } from '../registry/genesis.ts';
import { createRoot, type Root } from '../registry/root.ts';
import { advanceRoot } from '../trust/root-chain.ts';
import type { PolicyChanges } from './policy-changes.ts';

/** What is asked of a node; each may throw. */
export interface HistorySource {
  readonly name: string;
  /** The genesis, whose bytes are believed when they hash to the network's id. */
  genesis(): Promise<Uint8Array>;
  /** policy.change statements from a version on. */
  policies(from: number): Promise<readonly Uint8Array[]>;
}

/** Whether every change from the first policy to this root is kept. */
export function hasHistory(changes: Pick<PolicyChanges, 'has'>, root: Root): boolean {
  const network = hex(root.networkId);
  for (let version = 2; version <= root.policy.version; version++)
    if (!changes.has(network, version)) return false;
  return true;
}

/**
 * Keeps every change that led to the root in force, from the source. Nothing is kept of a history that does not end there.
 * Errors: NET_*, CBOR_*, TRUST_POLICY_CHAIN_INVALID, POLICY_MALFORMED.
 */
export async function fetchHistory(
  changes: Pick<PolicyChanges, 'save'>,
  root: Root,
  source: HistorySource,
): Promise<void> {
  const { networkId, policy } = root;
  const genesis = parseGenesis(await source.genesis());
  check(equal(genesis.networkId, networkId), 'TRUST_POLICY_CHAIN_INVALID', 'another genesis');
  let known = createRoot(networkId, genesis.policy);
  const statements: Uint8Array[] = [];
  while (known.policy.version < policy.version) {
    const next = await source.policies(known.policy.version + 1);
    const wanted = next.slice(0, policy.version - known.policy.version);
    check(wanted.length > 0, 'TRUST_POLICY_CHAIN_INVALID', `${source.name} lacks policy changes`);
    known = advanceRoot(known, wanted);
    statements.push(...wanted);
  }
  check(
    equal(known.hash, root.hash),
    'TRUST_POLICY_CHAIN_INVALID',
    `the policies of ${source.name} lead to another root`,
  );
  changes.save(networkId, 2, statements);
}
