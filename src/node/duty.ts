/** What a node has to do for the ledger, by the policy in force and by what it promised (T12). */
import { fail } from '../errors.ts';
import type { Replica } from '../ledger/replica.ts';
import type { NamedNode } from '../registry/policy.ts';

export type Duty =
  | { readonly kind: 'order' }
  /** `promised`: before its policy is in force; nobody else's blocks are taken in. */
  | { readonly kind: 'follow'; readonly orderer: NamedNode; readonly promised: boolean }
  | { readonly kind: 'take over' };

export function dutyOf(
  self: string,
  replica: Pick<Replica, 'orderer'>,
  appointed: NamedNode | undefined,
): Duty {
  if (appointed?.name === self) return { kind: 'take over' };
  if (appointed) return { kind: 'follow', orderer: appointed, promised: true };
  const orderer = replica.orderer() ?? fail('LEDGER_ENGINE');
  if (orderer.name === self) return { kind: 'order' };
  return { kind: 'follow', orderer, promised: false };
}

export function sameDuty(a: Duty, b: Duty): boolean {
  if (a.kind !== 'follow' || b.kind !== 'follow') return a.kind === b.kind;
  const same = a.orderer.name === b.orderer.name && a.orderer.node.url === b.orderer.node.url;
  return same && a.promised === b.promised;
}
