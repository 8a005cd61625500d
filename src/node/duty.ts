/** What a node has to do for the ledger, by the policy in force and by what it promised (T12). */
import { hex } from '../bytes.ts';
import { fail } from '../errors.ts';
import type { Replica } from '../ledger/replica.ts';
import {
  consortiumOf,
  memberName,
  type ConsortiumOrderer,
  type EngineMember,
} from '../registry/orderer.ts';
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
  replica: Pick<Replica, 'orderer' | 'ordering' | 'certified' | 'policyOf'>,
  appointed: NamedNode | undefined,
): Duty {
  if (replica.ordering().engine === 'cometbft') {
    // Whoever voted before a block has to vote for the header that proves it: those who stay may be too few for that.
    const { epoch } = replica.certified();
    const proven = consortiumOf(replica.policyOf(epoch.policyVersion).policy.orderer);
    const member = proven.members.find((each) => memberName(each) === self);
    return member
      ? { kind: 'consensus', member, consortium: proven }
      : { kind: 'follow consensus', consortium: proven };
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
