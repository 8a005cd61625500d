/** T08: a pinned root goes forward by policy.change statements, one version a step, each approved by operators. */
import { check, codeOf, fail } from '../errors.ts';
import { nextRoot } from '../registry/policy-change.ts';
import type { Root } from '../registry/root.ts';
import { parseStatement } from '../registry/statement.ts';
import { decodeProof } from './proof.ts';

/** Statements that a reader checks in one go; it asks again for more. */
export const MAX_POLICIES = 64;

/**
 * The root after these policy.change statements, in the order of their versions from the next on. It stands on the
 * operators' signatures alone, whoever handed it over. Errors: TRUST_POLICY_CHAIN_INVALID.
 */
export function advanceRoot(root: Root, statements: readonly Uint8Array[]): Root {
  check(
    statements.length <= MAX_POLICIES,
    'TRUST_POLICY_CHAIN_INVALID',
    'too many policies at once',
  );
  return statements.reduce((known, bytes) => {
    try {
      return nextRoot(known, parseStatement(bytes));
    } catch (cause) {
      const message =
        cause instanceof Error ? `${codeOf(cause) ?? ''} ${cause.message}` : undefined;
      return fail('TRUST_POLICY_CHAIN_INVALID', message, {}, cause);
    }
  }, root);
}

/**
 * The policy version that a proof names: a hint of whether to ask for the chain, checked by nobody yet.
 * Errors: TRUST_PROOF_MALFORMED.
 */
export function namedPolicyVersion(proof: Uint8Array): number {
  return decodeProof(proof).epoch.policyVersion;
}
