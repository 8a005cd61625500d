/** T14: the operators that named a proof's head when this reader asked, with its own nonce. */
import { hex } from '../bytes.ts';
import { codeOf } from '../errors.ts';
import { originOf } from '../log/checkpoint.ts';
import { verifyChallenge, type ChallengeAnswer } from '../log/challenge.ts';
import type { Root } from '../registry/root.ts';
import { cosignersOf, type Witness } from './quorum.ts';

/** What a reader asked, and what came back: from anybody, of anything. */
export interface Challenge {
  /** `challengeHash` of this reader and a nonce that it made just now, and never uses again. */
  readonly hash: Uint8Array;
  readonly answers: readonly ChallengeAnswer[];
}

/**
 * The operators whose answers hold for this very head, each with its newest time. What does not hold counts for
 * nothing: anybody on the way could have added it.
 */
export function challengeWitnesses(
  root: Root,
  head: { readonly size: number; readonly root: Uint8Array },
  { hash, answers }: Challenge,
): readonly Witness[] {
  const challenged = { origin: originOf(root.networkId), hash, ...head };
  const cosigners = cosignersOf(root);
  const newest = new Map<string, number>();
  for (const answer of answers) {
    const signer = cosigners.get(hex(answer.keyId));
    if (!signer) continue;
    try {
      verifyChallenge(signer.node.cosigner, signer.name, challenged, answer);
    } catch (error) {
      if (!codeOf(error)) throw error;
      continue;
    }
    const operator = signer.operator.name;
    newest.set(operator, Math.max(newest.get(operator) ?? 0, answer.time));
  }
  return [...newest].map(([operator, time]) => ({ operator, time }));
}
