/** The policy.change statements that a replica holds, by the version that each brought. */
import { MAX_POLICIES_BYTES } from '../api/policy.ts';
import type { Replica } from '../ledger/replica.ts';
import { getPolicyIndex } from '../registry/state.ts';
import { MAX_POLICIES } from '../trust/root-chain.ts';

/** From a version on (2 is the first: genesis brings 1), as many as one answer takes, one at least if there is one. */
export function policiesFrom(
  replica: Pick<Replica, 'view' | 'statement'>,
  from: number,
): readonly Uint8Array[] {
  const statements: Uint8Array[] = [];
  let bytes = 0;
  for (let version = Math.max(2, from); statements.length < MAX_POLICIES; version++) {
    const index = getPolicyIndex(replica.view(), version);
    const stored = index === undefined ? undefined : replica.statement(index);
    if (!stored) break;
    bytes += stored.bytes.length;
    if (statements.length > 0 && bytes > MAX_POLICIES_BYTES) break;
    statements.push(stored.bytes);
  }
  return statements;
}
