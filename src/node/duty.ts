/** What a node has to do for the ledger, by the policy in force and by what it promised (T12). */
import { hex } from '../bytes.ts';
import { fail } from '../errors.ts';
import type { Replica } from '../ledger/replica.ts';
import { memberName, type ConsortiumOrderer, type EngineMember } from '../registry/orderer.ts';
import type { NamedNode } from '../registry/policy.ts';

export type Duty =
  | { readonly kind: 'order' }
  /** `promised`: before its policy is in force; nobody else's blocks are taken in. */
  | { readonly kind: 'follow'; readonly orderer: NamedNode; readonly promised: boolean }
  | { readonly kind: 'take over' }
  /** Runs the consortium engine, with or without a vote. */
  | {
      readonly kind: 'consensus';
      readonly member: EngineMember;
      readonly consortium: ConsortiumOrderer;
    }
  /** Takes blocks from the members, and hands on to them what it is sent. */
  | { readonly kind: 'follow consensus'; readonly consortium: ConsortiumOrderer };

export function dutyOf(
  self: string,
  replica: Pick<Replica, 'orderer' | 'ordering'>,
  appointed: NamedNode | undefined,
): Duty {
  const ordering = replica.ordering();
  if (ordering.engine === 'cometbft') {
    const member = ordering.members.find((each) => memberName(each) === self);
    return member
      ? { kind: 'consensus', member, consortium: ordering }
      : { kind: 'follow consensus', consortium: ordering };
  }
  if (appointed?.name === self) return { kind: 'take over' };
  if (appointed) return { kind: 'follow', orderer: appointed, promised: true };
  const orderer = replica.orderer() ?? fail('LEDGER_ENGINE');
  if (orderer.name === self) return { kind: 'order' };
  return { kind: 'follow', orderer, promised: false };
}

export function sameDuty(a: Duty, b: Duty): boolean {
  if (a.kind === 'follow' && b.kind === 'follow') {
    const same = a.orderer.name === b.orderer.name && a.orderer.node.url === b.orderer.node.url;
    return same && a.promised === b.promised;
  }
  // To whom it connects, and who votes, a running engine learns by its blocks.
  if (a.kind === 'consensus' && b.kind === 'consensus')
    return a.consortium.chain === b.consortium.chain && connection(a) === connection(b);
  if (a.kind === 'follow consensus' && b.kind === 'follow consensus')
    return a.consortium.chain === b.consortium.chain;
  return a.kind === b.kind;
}

function connection({ member }: Extract<Duty, { readonly kind: 'consensus' }>): string {
  return `${hex(member.key.bytes)} ${hex(member.peer)}@${member.address}`;
}
