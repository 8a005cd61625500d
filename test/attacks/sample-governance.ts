/** Policy changes of sample networks, honest ones and others. */
import type { PrivateKey } from '../../src/crypto/key.ts';
import type { Policy } from '../../src/registry/policy.ts';
import { createRoot, type Root } from '../../src/registry/root.ts';
import { changedPolicy, type Changed } from '../../src/testing/governance.ts';
import { sampleKey } from './sample-policy.ts';

export interface Approver {
  readonly name: string;
  readonly governance: PrivateKey;
}

/** Operators o0, o1, ... with the keys that every sample policy lists. */
export function approvers(...numbers: readonly number[]): readonly Approver[] {
  return numbers.map((i) => ({ name: `o${i}`, governance: sampleKey(`o${i} governance`) }));
}

/** The next policy, approved by o0, o1 and o2 unless said otherwise. */
export function change(
  root: Root,
  changes: Partial<Policy> = {},
  by: readonly Approver[] = approvers(0, 1, 2),
): Changed {
  return changedPolicy(root, changes, by);
}

/** A chain of `count` approved changes; each raises maxAge by a second, and moves the orderer on. */
export function chainOf(
  networkId: Uint8Array,
  policy: Policy,
  count: number,
): { readonly root: Root; readonly statements: readonly Uint8Array[] } {
  let root = createRoot(networkId, policy);
  const statements: Uint8Array[] = [];
  for (let i = 0; i < count; i++) {
    const operator = `o${i % policy.operators.length}`;
    const next = change(root, {
      maxAge: root.policy.maxAge + 1,
      orderer: { engine: 'local', operator, node: 'n' },
    });
    statements.push(next.statement.bytes);
    ({ root } = next);
  }
  return { root, statements };
}
