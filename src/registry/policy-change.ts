/**
 * policy.change: the next policy, approved by operators of the one in force and of the next (T08). The registry and
 * every device check it alike (docs/spec/statement.md, "policy.change").
 */
import { sign, verify } from '#crypto';
import { concat, equal, hex, utf8 } from '../bytes.ts';
import { asArray, asBytes, asMap, asText, onlyKeys } from '../cbor/read.ts';
import { decode } from '../cbor/decode.ts';
import type { Cbor } from '../cbor/value.ts';
import { decodeKey } from '../cose/key.ts';
import type { PrivateKey } from '../crypto/key.ts';
import { check, fail } from '../errors.ts';
import { authenticate } from './authenticate.ts';
import { checkSuccession } from './orderer.ts';
import { nodesOf, type NamedNode, type Operator, type Policy } from './policy.ts';
import { shaped } from './recovery.ts';
import { parseRoot, type Root } from './root.ts';
import { createStatement, MAX_STATEMENT, type Statement } from './statement.ts';

/** One operator's word for the next policy, by a governance key that the old or the next policy lists for it. */
export interface PolicyApproval {
  readonly operator: string;
  readonly signature: Uint8Array;
}

// Two for each of 64 operators: one that changes its key may sign with both.
const MAX_APPROVALS = 128;
const MAX_ROOT = 1 << 19;

/** The bytes that governance keys sign: firmament/policy/v1 || network id || SHA-256(root bytes). */
export function policyApprovalBytes(root: Root): Uint8Array {
  return concat(utf8('firmament/policy/v1'), root.networkId, root.hash);
}

export function approvePolicy(operator: string, key: PrivateKey, root: Root): PolicyApproval {
  return { operator, signature: sign(key, policyApprovalBytes(root)) };
}

/** `iss` of an operator's own statements. */
export function operatorIssuer(operator: string): string {
  return `operator/${operator}`;
}

/** The statement that puts `root` into force, signed by one of the operators with its governance key. */
export function policyStatement(
  operator: string,
  key: PrivateKey,
  root: Root,
  approvals: readonly PolicyApproval[],
): Statement {
  const network = hex(root.networkId);
  return createStatement(
    key,
    {
      kind: 'policy.change',
      issuer: operatorIssuer(operator),
      subject: network,
      network,
      counter: BigInt(root.policy.version),
    },
    new Map<Cbor, Cbor>([
      [1, root.bytes],
      [2, approvals.map((approval) => [approval.operator, approval.signature])],
    ]),
  );
}

/** What a policy.change says; nothing of it is believed yet. Errors: STATEMENT_MALFORMED, POLICY_*. */
export function parsePolicyChange(statement: Statement): {
  readonly root: Root;
  readonly approvals: readonly PolicyApproval[];
} {
  const { bytes, approvals } = shaped(() => {
    const map = asMap(decode(statement.payload, { maxBytes: MAX_STATEMENT }), 'payload');
    onlyKeys(map, [1, 2], 'payload');
    const list = asArray(map.get(2) ?? null, 'approvals');
    check(list.length <= MAX_APPROVALS, 'STATEMENT_MALFORMED', 'too many approvals');
    return {
      bytes: asBytes(map.get(1) ?? null, 'root', { max: MAX_ROOT }),
      approvals: list.map((approval) => {
        const [operator, signature] = asArray(approval, 'approval', 2);
        return {
          operator: asText(operator ?? null, 'operator', 32),
          signature: asBytes(signature ?? null, 'signature', 64),
        };
      }),
    };
  });
  return { root: parseRoot(bytes), approvals };
}

/**
 * The root that follows `root` by this statement, everything about it checked: signer, network, version, T09, and the
 * approvals of g operators by each of the two policies.
 * Errors: STATEMENT_*, COSE_SIGNATURE_INVALID, POLICY_MALFORMED, POLICY_QUORUM, POLICY_KEY_REUSED, POLICY_VERSION,
 * POLICY_APPROVALS.
 */
export function nextRoot(root: Root, statement: Statement): Root {
  const network = hex(root.networkId);
  check(statement.kind === 'policy.change', 'STATEMENT_KIND_UNKNOWN', 'not a policy.change');
  check(statement.network === network, 'STATEMENT_NETWORK');
  check(statement.subject === network, 'STATEMENT_SUBJECT');
  authenticate(statement, decodeKey(signingOperator(root.policy, statement).governance));
  const { root: next, approvals } = parsePolicyChange(statement);
  check(equal(next.networkId, root.networkId), 'STATEMENT_NETWORK', 'a root of another network');
  const { version } = next.policy;
  check(version === root.policy.version + 1, 'POLICY_VERSION', undefined, {
    version,
    inForce: root.policy.version,
  });
  check(statement.counter === BigInt(version), 'STATEMENT_COUNTER');
  // T09: no device made for another mode is moved to one that is weaker.
  check(
    next.policy.mode !== 'trial' || root.policy.mode === 'trial',
    'POLICY_QUORUM',
    'a network does not become a trial',
  );
  checkSuccession(root.policy.orderer, next.policy.orderer, version);
  checkApprovals(root.policy, next, approvals);
  return next;
}

function signingOperator(policy: Policy, statement: Statement): Operator {
  return (
    policy.operators.find(({ name }) => operatorIssuer(name) === statement.issuer) ??
    fail('STATEMENT_SIGNER_UNKNOWN', 'not an operator of the policy in force')
  );
}

/**
 * As which operator's an approval counts: of the policy in force, of the next, or of both.
 * Errors: POLICY_APPROVALS, when its signature is neither's.
 */
export function approvedBy(
  policy: Policy,
  next: Root,
  { operator, signature }: PolicyApproval,
): { readonly byOld: boolean; readonly byNext: boolean } {
  const message = policyApprovalBytes(next);
  const isOneOf = (list: readonly Operator[]): boolean => {
    const listed = list.find(({ name }) => name === operator);
    return listed !== undefined && verify(decodeKey(listed.governance), message, signature);
  };
  const [byOld, byNext] = [isOneOf(policy.operators), isOneOf(next.policy.operators)];
  check(
    byOld || byNext,
    'POLICY_APPROVALS',
    `not signed with the governance key of an operator "${operator}"`,
  );
  return { byOld, byNext };
}

// T08: g operators of the old policy with the keys that it lists, and g of the next with those of the next.
function checkApprovals(policy: Policy, next: Root, approvals: readonly PolicyApproval[]): void {
  const before = new Set<string>();
  const after = new Set<string>();
  for (const approval of approvals) {
    const { byOld, byNext } = approvedBy(policy, next, approval);
    if (byOld) before.add(approval.operator);
    if (byNext) after.add(approval.operator);
  }
  check(
    before.size >= policy.threshold,
    'POLICY_APPROVALS',
    `${before.size} of the ${policy.threshold} operators of the policy in force`,
    {
      approvals: before.size,
      threshold: policy.threshold,
    },
  );
  check(
    after.size >= next.policy.threshold,
    'POLICY_APPROVALS',
    `${after.size} of the ${next.policy.threshold} operators of the next policy`,
    {
      approvals: after.size,
      threshold: next.policy.threshold,
    },
  );
}

/** The node that a policy names to order blocks; undefined when a consortium does. */
export function ordererOf(policy: Policy): NamedNode | undefined {
  const { orderer } = policy;
  if (orderer.engine !== 'local') return undefined;
  const named = nodesOf(policy).find(
    ({ operator, node }) => operator.name === orderer.operator && node.name === orderer.node,
  );
  return named ?? fail('POLICY_MALFORMED', 'the orderer is not a listed node');
}
