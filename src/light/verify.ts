/** Whether validators of a set signed a header: CometBFT's types/validation.go, and nothing it lets through. */
import { verify } from '#crypto';
import { equal, hex } from '../bytes.ts';
import { check } from '../errors.ts';
import { isZip215Signature } from '../crypto/zip215.ts';
import type { Certificate } from './certificate.ts';
import { voteSignBytes, type Commit } from './commit.ts';
import { headerHash } from './header.ts';
import {
  setHash,
  validatorSet,
  type Member,
  type Validator,
  type ValidatorSet,
} from './validators.ts';

/**
 * The whole check of one certificate: this chain, the header's own hash, exactly these validators, and
 * valid votes of more than two thirds of their power. Errors: COMMIT_CHAIN, COMMIT_HEADER,
 * COMMIT_SET_INVALID, COMMIT_SET, COMMIT_VOTER, COMMIT_SIGNATURE_INVALID, COMMIT_POWER.
 */
export function verifyCommit(
  certificate: Certificate,
  validators: readonly Validator[],
  chainId: string,
): void {
  verifyCommitOfSet(certificate, validatorSet(validators), chainId);
}

/** `verifyCommit` for a set at hand. */
export function verifyCommitOfSet(
  certificate: Certificate,
  set: ValidatorSet,
  chainId: string,
): void {
  checkBelongs(certificate, set, chainId);
  const { commit } = certificate;
  check(commit.votes.length === set.members.length, 'COMMIT_VOTER', 'one vote a validator');
  let power = 0n;
  for (const [index, vote] of commit.votes.entries()) {
    if (vote.kind !== 'commit') continue;
    const member = set.members[index] as Member;
    // CSA-2026-001: the address must be that of the validator whose place it is.
    const own = equal(vote.address, member.address);
    check(own, 'COMMIT_VOTER', 'a vote at the place of another validator', { index });
    checkVote(commit, vote, member, chainId, index);
    power += member.power;
  }
  check(power * 3n > set.power * 2n, 'COMMIT_POWER', undefined, { power, of: set.power });
}

/**
 * The share of a trusted set that signed a block of some later set: valid votes, found by address, no
 * validator twice. Says nothing of the header. Errors: COMMIT_VOTER, COMMIT_SIGNATURE_INVALID.
 */
export function powerSigned(commit: Commit, trusted: ValidatorSet, chainId: string): bigint {
  const members = new Map(trusted.members.map((member) => [hex(member.address), member]));
  const counted = new Set<Member>();
  let power = 0n;
  for (const [index, vote] of commit.votes.entries()) {
    if (vote.kind !== 'commit') continue;
    const member = members.get(hex(vote.address));
    if (member === undefined) continue;
    check(!counted.has(member), 'COMMIT_VOTER', 'a validator that votes twice', { index });
    counted.add(member);
    checkVote(commit, vote, member, chainId, index);
    power += member.power;
  }
  return power;
}

/**
 * That header, commit and set belong together and to this chain; no vote is looked at.
 * Errors: COMMIT_CHAIN, COMMIT_HEADER, COMMIT_SET.
 */
export function checkBelongs(
  { header, commit }: Certificate,
  set: ValidatorSet,
  chainId: string,
): void {
  check(header.chainId === chainId, 'COMMIT_CHAIN', undefined, { chain: header.chainId });
  check(commit.height === header.height, 'COMMIT_HEADER', 'votes for another height');
  check(
    equal(commit.blockId.hash, headerHash(header)),
    'COMMIT_HEADER',
    'votes for another header',
  );
  check(equal(header.validatorsHash, setHash(set)), 'COMMIT_SET');
}

function checkVote(
  commit: Commit,
  vote: Extract<Commit['votes'][number], { readonly kind: 'nil' | 'commit' }>,
  { key }: Member,
  chainId: string,
  index: number,
): void {
  const message = voteSignBytes(commit, vote.time, chainId);
  // CometBFT takes ZIP-215, a little more than T06; a vote that it counted must count here, or one
  // validator could make blocks that no follower can prove.
  const valid =
    verify(key, message, vote.signature) || isZip215Signature(key.bytes, message, vote.signature);
  check(valid, 'COMMIT_SIGNATURE_INVALID', undefined, { index });
}
