/** Policy changes of test networks, approved by operators whose governance keys are at hand. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { decodePrivateKey } from '../cose/key.ts';
import type { PrivateKey } from '../crypto/key.ts';
import type { Policy } from '../registry/policy.ts';
import { approvePolicy, policyStatement } from '../registry/policy-change.ts';
import { createRoot, type Root } from '../registry/root.ts';
import type { Statement } from '../registry/statement.ts';

export interface Changed {
  readonly root: Root;
  readonly statement: Statement;
}

/** The next policy with these changes, approved by these operators and signed by the first of them. */
export function changedPolicy(
  root: Root,
  changes: Partial<Policy>,
  approvers: readonly { readonly name: string; readonly governance: PrivateKey }[],
): Changed {
  const version = root.policy.version + 1;
  const next = createRoot(root.networkId, { ...root.policy, version, ...changes });
  const approvals = approvers.map(({ name, governance }) => approvePolicy(name, governance, next));
  const [first] = approvers;
  if (!first) throw new Error('somebody signs a policy change');
  return { root: next, statement: policyStatement(first.name, first.governance, next, approvals) };
}

/** The governance keys in the folder of a network made by `createNetwork`. */
export function governanceKeys(
  folder: string,
  operators: readonly string[],
): readonly { readonly name: string; readonly governance: PrivateKey }[] {
  return operators.map((name) => ({
    name,
    governance: decodePrivateKey(
      new Uint8Array(readFileSync(join(folder, name, 'governance.key'))),
    ),
  }));
}
