/**
 * The light client's rules (CometBFT: light/verifier.go): when a later header may be believed because of
 * an earlier one. Bisection over them is in light-client.ts; docs/spec/commit-certificate.md explains both.
 */
import { equal } from '../bytes.ts';
import { check } from '../errors.ts';
import type { Certificate } from './certificate.ts';
import { headerHash, type Header, type Time } from './header.ts';
import { setHash, validatorSet, type Validator, type ValidatorSet } from './validators.ts';
import { checkBelongs, powerSigned, verifyCommitOfSet } from './verify.ts';

/** A header with its commit, and the validators of its height. */
export interface LightBlock {
  readonly certificate: Certificate;
  readonly validators: readonly Validator[];
}

declare const trusted: unique symbol;

/** A header that is believed; `set`: the validators of its height or of the next. Only the functions of this file make one. */
export interface TrustedBlock {
  readonly certificate: Certificate;
  readonly set: ValidatorSet;
  readonly [trusted]: true;
}

/** Periods in seconds. */
export interface LightOptions {
  readonly chainId: string;
  /** How long after its time a header is believed: shorter than what it takes to punish validators. */
  readonly trustingPeriod: number;
  /** How far a header may be ahead of the own clock. */
  readonly maxClockDrift: number;
}

/** Of the trusted power, this share must have signed: at least one honest validator did. */
const TRUST_LEVEL = { numerator: 1n, denominator: 3n };

function makeTrusted(certificate: Certificate, set: ValidatorSet): TrustedBlock {
  return { certificate, set } as TrustedBlock;
}

/**
 * The first header, believed because whoever asks already knows its hash.
 * Errors: LIGHT_ROOT (another hash), and those of `verifyCommit`.
 */
export function trustHash(block: LightBlock, hash: Uint8Array, chainId: string): TrustedBlock {
  check(equal(headerHash(block.certificate.header), hash), 'LIGHT_ROOT');
  return trustValidators(block.certificate, block.validators, chainId);
}

/**
 * The first header, believed because these validators signed it: those of a genesis, or of a policy that
 * governance keys signed. Errors: those of `verifyCommit`.
 */
export function trustValidators(
  certificate: Certificate,
  validators: readonly Validator[],
  chainId: string,
): TrustedBlock {
  const set = validatorSet(validators);
  verifyCommitOfSet(certificate, set, chainId);
  return makeTrusted(certificate, set);
}

/**
 * A header that was believed before and kept since; `validators`: of its height or of the next. No vote
 * is looked at. Errors: COMMIT_CHAIN, COMMIT_SET_INVALID, COMMIT_SET.
 */
export function trustKept(
  certificate: Certificate,
  validators: readonly Validator[],
  chainId: string,
): TrustedBlock {
  const { header } = certificate;
  check(header.chainId === chainId, 'COMMIT_CHAIN');
  const set = validatorSet(validators);
  const hash = setHash(set);
  const own = equal(hash, header.validatorsHash) || equal(hash, header.nextValidatorsHash);
  check(own, 'COMMIT_SET');
  return makeTrusted(certificate, set);
}

/**
 * A later header, believed because of an earlier one: of the next height, when its validators are those
 * that the earlier header announced; of any other, when more than a third of the earlier validators' power
 * signed it too. Always: more than two thirds of its own validators signed it. `now`: POSIX seconds.
 * Errors: LIGHT_EXPIRED, LIGHT_ORDER, LIGHT_FUTURE, LIGHT_NEXT_SET, LIGHT_TRUST (a header between the
 * two may help: no other code means that), and those of `verifyCommit`.
 */
export function verifyLater(
  from: TrustedBlock,
  block: LightBlock,
  options: LightOptions,
  now: number,
): TrustedBlock {
  const { certificate } = block;
  const { header, commit } = certificate;
  const earlier = from.certificate.header;
  checkFresh(earlier, options, now);
  check(header.height > earlier.height, 'LIGHT_ORDER', 'not above the trusted height');
  check(
    nanoseconds(header.time) > nanoseconds(earlier.time),
    'LIGHT_ORDER',
    'not after it in time',
  );
  const latest = nanosecondsOf(now + options.maxClockDrift);
  check(nanoseconds(header.time) < latest, 'LIGHT_FUTURE');
  const set = validatorSet(block.validators);
  // Before LIGHT_TRUST, which asks for another header: one that contradicts itself ends the search.
  checkBelongs(certificate, set, options.chainId);
  if (header.height === earlier.height + 1n) {
    check(equal(earlier.nextValidatorsHash, header.validatorsHash), 'LIGHT_NEXT_SET');
  } else {
    const { numerator, denominator } = TRUST_LEVEL;
    const power = powerSigned(commit, from.set, options.chainId);
    const enough = power * denominator > from.set.power * numerator;
    check(enough, 'LIGHT_TRUST', undefined, { power, of: from.set.power });
  }
  verifyCommitOfSet(certificate, set, options.chainId);
  return makeTrusted(certificate, set);
}

/**
 * The header before a trusted one, believed because its hash stands in it. `block` needs no votes that
 * are checked. Errors: LIGHT_EXPIRED, LIGHT_ORDER, LIGHT_ROOT, COMMIT_CHAIN.
 */
export function verifyBefore(
  from: TrustedBlock,
  header: Header,
  options: LightOptions,
  now: number,
): void {
  const later = from.certificate.header;
  checkFresh(later, options, now);
  check(header.chainId === options.chainId, 'COMMIT_CHAIN');
  check(header.height + 1n === later.height, 'LIGHT_ORDER', 'not the header before');
  check(nanoseconds(header.time) < nanoseconds(later.time), 'LIGHT_ORDER', 'not before it in time');
  check(equal(headerHash(header), later.lastBlockId.hash), 'LIGHT_ROOT');
}

/** Errors: LIGHT_EXPIRED. */
function checkFresh(header: Header, options: LightOptions, now: number): void {
  const expires = nanoseconds(header.time) + nanosecondsOf(options.trustingPeriod);
  check(expires > nanosecondsOf(now), 'LIGHT_EXPIRED');
}

function nanoseconds({ seconds, nanos }: Time): bigint {
  return seconds * 1_000_000_000n + BigInt(nanos);
}

function nanosecondsOf(seconds: number): bigint {
  return BigInt(Math.floor(seconds)) * 1_000_000_000n;
}
