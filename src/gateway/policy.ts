/**
 * Whether a device is offered a release now: pure, so that every owner's rule is one line of a table in the tests.
 */
export interface GroupPolicy {
  /** Security releases install by themselves unless the owner says otherwise; functional ones ask. */
  readonly security: 'automatic' | 'consent' | 'never';
  readonly functional: 'automatic' | 'consent' | 'never';
  /** `force`: pushed at once; `self`: given when the device asks. */
  readonly validation: 'force' | 'self';
  /** Local hours between which installs may start, [from, to), e.g. [2, 5]; null: always. */
  readonly window: readonly [number, number] | null;
  /** Releases of a higher sequence than this are not offered; null: no pin. Decimal text. */
  readonly pin: string | null;
  /** First so many devices (or so many percent), then wait for as many successes; null: all at once. */
  readonly phase: {
    readonly count: number;
    readonly percent: boolean;
    readonly successes: number;
  } | null;
  /** Stop offering when so many of a hundred finished attempts failed; null: never. */
  readonly stopAtFailurePercent: number | null;
  /** Least battery, percent, to begin with. */
  readonly battery: number;
}

export const DEFAULT_POLICY: GroupPolicy = {
  security: 'automatic',
  functional: 'consent',
  validation: 'force',
  window: null,
  pin: null,
  phase: null,
  stopAtFailurePercent: 50,
  battery: 20,
};

/** Everything that a decision rests on. */
export interface Circumstances {
  readonly policy: GroupPolicy;
  readonly release: { readonly sequence: bigint; readonly urgency: 'security' | 'functional' };
  /** The line changed hands, and the owner agreed neither to that nor to this very release since. */
  readonly newOwner: boolean;
  readonly consent: boolean;
  readonly vetoed: boolean;
  readonly optedOut: boolean;
  /** POSIX seconds. */
  readonly postponedUntil: number | null;
  readonly now: number;
  /** 0 to 23, where the gateway is. */
  readonly hour: number;
  readonly battery: number | null;
  /** Of this release, in the device's group. */
  readonly progress: {
    readonly devices: number;
    readonly started: number;
    readonly succeeded: number;
    readonly failed: number;
  };
  /** Of this device with this release. */
  readonly attempts: {
    readonly made: number;
    readonly failed: number;
    readonly lastFailure: number | null;
  };
  /** The device asked by itself. */
  readonly asked: boolean;
}

export type Decision =
  | { readonly kind: 'offer'; readonly mode: 'force' | 'self' }
  | { readonly kind: 'wait'; readonly reason: WaitReason };

export type WaitReason =
  | 'vetoed'
  | 'opted out'
  | 'pinned'
  | 'never by policy'
  | 'the line changed hands'
  | 'consent'
  | 'postponed'
  | 'maintenance window'
  | 'battery'
  | 'stopped after failures'
  | 'phase'
  | 'retry later'
  | 'until it asks'
  | 'failed too often';

const FORBIDS: readonly WaitReason[] = [
  'vetoed',
  'opted out',
  'pinned',
  'never by policy',
  'the line changed hands',
];
const HOLDS_BACK: readonly WaitReason[] = [
  'consent',
  'postponed',
  'maintenance window',
  'stopped after failures',
];

/** Whether an offer that was made is taken back for this reason: what the owner forbids at once, the rest unless begun. */
export function withdraws(reason: WaitReason, state: string): boolean {
  const begun = state !== 'offered' && state !== 'postponed';
  return FORBIDS.includes(reason) || (HOLDS_BACK.includes(reason) && !begun);
}

const MAX_FAILURES = 5;
const FIRST_RETRY = 60;
const MIN_FINISHED = 4;

export function decide(circumstances: Circumstances): Decision {
  const reason = whyNot(circumstances);
  if (reason) return { kind: 'wait', reason };
  return { kind: 'offer', mode: circumstances.asked ? 'self' : 'force' };
}

function whyNot(c: Circumstances): WaitReason | undefined {
  const { policy, release } = c;
  if (c.vetoed) return 'vetoed';
  if (c.optedOut) return 'opted out';
  if (policy.pin !== null && release.sequence > BigInt(policy.pin)) return 'pinned';
  const rule = policy[release.urgency];
  if (rule === 'never') return 'never by policy';
  if (c.newOwner) return 'the line changed hands';
  if (rule === 'consent' && !c.consent) return 'consent';
  if (c.postponedUntil !== null && c.now < c.postponedUntil) return 'postponed';
  if (policy.window && !inWindow(policy.window, c.hour)) return 'maintenance window';
  if (c.battery !== null && c.battery < policy.battery) return 'battery';
  return whyNotYet(c);
}

function whyNotYet(c: Circumstances): WaitReason | undefined {
  const { policy, progress, attempts } = c;
  const finished = progress.succeeded + progress.failed;
  const limit = policy.stopAtFailurePercent;
  if (limit !== null && finished >= MIN_FINISHED && progress.failed * 100 > limit * finished)
    return 'stopped after failures';
  // A device of the first ones may try again: without it the phase might never end.
  if (policy.phase && attempts.made === 0 && !phaseOpen(policy.phase, progress)) return 'phase';
  if (attempts.failed >= MAX_FAILURES) return 'failed too often';
  const pause = FIRST_RETRY * 4 ** (attempts.failed - 1);
  if (attempts.lastFailure !== null && c.now < attempts.lastFailure + pause) return 'retry later';
  return policy.validation === 'self' && !c.asked ? 'until it asks' : undefined;
}

/** A window may pass midnight: [22, 4]. */
function inWindow([from, to]: readonly [number, number], hour: number): boolean {
  return from <= to ? hour >= from && hour < to : hour >= from || hour < to;
}

function phaseOpen(
  phase: NonNullable<GroupPolicy['phase']>,
  progress: Circumstances['progress'],
): boolean {
  const first = phase.percent ? Math.ceil((progress.devices * phase.count) / 100) : phase.count;
  // More successes than first devices would never come.
  if (progress.succeeded >= Math.min(phase.successes, Math.max(first, 1))) return true;
  return progress.started < first;
}
