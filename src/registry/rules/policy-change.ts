/** policy.change: the next policy in force, from the statement after this one on (T08). */
import { nextRoot } from '../policy-change.ts';
import { policyInForce, setPolicy, setPolicyIndex } from '../state.ts';
import type { Statement } from '../statement.ts';
import type { View } from '../view.ts';

export function changePolicy(view: View, statement: Statement, index: number): void {
  const next = nextRoot(policyInForce(view), statement);
  setPolicy(view, next.bytes);
  setPolicyIndex(view, next.policy.version, index);
}
