/** T11: the kinds of statement that an orderer may not hold back, and that are ordered before all else. */
import { hex } from '../bytes.ts';
import type { Kind } from './claims.ts';
import type { Transaction } from './statement.ts';

const URGENT: readonly Kind[] = ['release.withdraw', 'key.revoke', 'policy.change'];

/** q: how many of them one signer may have waiting at a node, or have put first within maxHold. */
export const URGENT_A_SIGNER = 16;

export function isUrgent(group: readonly Transaction[]): boolean {
  return group.some(({ statement }) => URGENT.includes(statement.kind));
}

/** The keys, in hex, that signed a group's urgent statements. */
export function urgentSigners(group: readonly Transaction[]): readonly string[] {
  const urgent = group.filter(({ statement }) => URGENT.includes(statement.kind));
  return [...new Set(urgent.map(({ statement }) => hex(statement.keyId)))];
}
