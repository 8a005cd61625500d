/** How fresh a proven head is, and by which clock (T14, T18): never a boolean. */
import { check } from '../errors.ts';
import type { Policy } from '../registry/policy.ts';
import type { ProvenLine } from './proof.ts';
import type { Witness } from './quorum.ts';
import type { Provision } from './state.ts';

/** Whose clock the reader goes by (T14). */
export type ClockName = 'own clock' | 'gateway clock';

export type Freshness =
  | { readonly kind: 'fresh'; readonly clock: 'nonce' | ClockName }
  | { readonly kind: 'stale'; readonly reason: 'age' | 'clock' | 'policy' };

export interface Age {
  readonly freshness: Freshness;
  /** The smallest of the k newest operators' times: what the floor may rise to once all checks passed. */
  readonly time: number;
}

/**
 * Judges the age of a proven head by the reader's clock, its own unless said otherwise, never earlier than its stored floor.
 * `now` and `floor` in POSIX seconds.
 */
export function judgeAge(
  policy: Policy,
  proven: ProvenLine,
  now: number,
  floor: number,
  name: ClockName = 'own clock',
): Age {
  const clock = Math.max(now, floor);
  const past = newestFirst(proven.witnesses).filter((time) => time <= clock + policy.skew);
  const time = past[policy.quorum - 1];
  // Too few operators' times lie before our clock: it is wrong, or theirs are. Not fresh either way.
  if (time === undefined) return { freshness: { kind: 'stale', reason: 'clock' }, time: floor };
  if (proven.policyAhead) return { freshness: { kind: 'stale', reason: 'policy' }, time };
  if (time < clock - policy.maxAge) return { freshness: { kind: 'stale', reason: 'age' }, time };
  // A clock behind the floor is wrong: an old head from about that time must not look fresh by it.
  if (now + policy.skew < floor) return { freshness: { kind: 'stale', reason: 'clock' }, time };
  return { freshness: { kind: 'fresh', clock: name }, time };
}

/**
 * Judges a proven head by the operators that answered the reader's challenge with it: no clock is asked, since the nonce
 * says how old an answer can be. Undefined with fewer than k of them: they say nothing then.
 */
export function judgeChallenge(
  policy: Policy,
  proven: ProvenLine,
  answered: readonly Witness[],
): Age | undefined {
  const time = newestFirst(answered)[policy.quorum - 1];
  if (time === undefined) return undefined;
  const freshness: Freshness = proven.policyAhead
    ? { kind: 'stale', reason: 'policy' }
    : { kind: 'fresh', clock: 'nonce' };
  return { freshness, time };
}

function newestFirst(witnesses: readonly Witness[]): readonly number[] {
  return witnesses.map((witness) => witness.time).toSorted((a, b) => b - a);
}

/** `fresh(own clock)`, `stale(age)`, ... */
export function freshnessText(freshness: Freshness): string {
  return freshness.kind === 'fresh' ? `fresh(${freshness.clock})` : `stale(${freshness.reason})`;
}

/**
 * T18: stale is not fresh, and not never: whether to install on it is pinned, and may be the owner's to say.
 * Errors: TRUST_STALE, DEVICE_CONSENT_NEEDED.
 */
export function checkFreshEnough(
  freshness: Freshness,
  staleInstall: Provision['staleInstall'],
  consent: boolean,
): void {
  if (freshness.kind === 'fresh') return;
  check(staleInstall !== 'never', 'TRUST_STALE', freshnessText(freshness));
  const agreed = staleInstall === 'allow' || consent;
  check(agreed, 'DEVICE_CONSENT_NEEDED', freshnessText(freshness));
}
