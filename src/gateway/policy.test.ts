import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import {
  decide,
  DEFAULT_POLICY,
  type Circumstances,
  type GroupPolicy,
  type WaitReason,
} from './policy.ts';

type Given = Partial<Omit<Circumstances, 'policy'>> & { readonly policy?: Partial<GroupPolicy> };

const SECURITY = { sequence: 7n, urgency: 'security' } as const;
const FUNCTIONAL = { sequence: 7n, urgency: 'functional' } as const;
const NOTHING = { devices: 10, started: 0, succeeded: 0, failed: 0 };

function reason(given: Given): WaitReason | 'force' | 'self' {
  const decision = decide({
    release: SECURITY,
    newOwner: false,
    consent: false,
    vetoed: false,
    optedOut: false,
    postponedUntil: null,
    now: 10_000,
    hour: 12,
    battery: null,
    progress: NOTHING,
    attempts: { made: 0, failed: 0, lastFailure: null },
    asked: false,
    ...given,
    policy: { ...DEFAULT_POLICY, ...given.policy },
  });
  return decision.kind === 'wait' ? decision.reason : decision.mode;
}

const progress = (
  started: number,
  succeeded: number,
  failed: number,
): Circumstances['progress'] => ({
  devices: 10,
  started,
  succeeded,
  failed,
});
const PHASE = { count: 2, percent: false, successes: 2 };

suite('what a device is offered', () => {
  const table: readonly [string, Given, ReturnType<typeof reason>][] = [
    ['a security release installs by itself', {}, 'force'],
    ['a functional one asks the owner', { release: FUNCTIONAL }, 'consent'],
    ['and comes with consent', { release: FUNCTIONAL, consent: true }, 'force'],
    [
      'or when the group takes all',
      { release: FUNCTIONAL, policy: { functional: 'automatic' } },
      'force',
    ],
    ['a veto stands above consent', { consent: true, vetoed: true }, 'vetoed'],
    ['a device that opted out gets nothing', { optedOut: true, consent: true }, 'opted out'],
    ['a pin holds back what is above it', { policy: { pin: '6' } }, 'pinned'],
    ['and lets through what is not', { policy: { pin: '7' } }, 'force'],
    ['never is never', { policy: { security: 'never' }, consent: true }, 'never by policy'],
    [
      'a line that changed hands waits, security or not',
      { newOwner: true },
      'the line changed hands',
    ],
    ['until the owner agrees', { newOwner: false, consent: true }, 'force'],
    ['postponed until later', { postponedUntil: 10_001 }, 'postponed'],
    ['and then no more', { postponedUntil: 10_000 }, 'force'],
    ['outside of the window', { policy: { window: [2, 5] } }, 'maintenance window'],
    ['inside of it', { policy: { window: [2, 5] }, hour: 4 }, 'force'],
    ['its end is outside', { policy: { window: [2, 5] }, hour: 5 }, 'maintenance window'],
    ['a window over midnight, before it', { policy: { window: [22, 4] }, hour: 23 }, 'force'],
    ['a window over midnight, after it', { policy: { window: [22, 4] }, hour: 3 }, 'force'],
    ['a window over midnight, by day', { policy: { window: [22, 4] } }, 'maintenance window'],
    ['a low battery', { battery: 19 }, 'battery'],
    ['a good one', { battery: 20 }, 'force'],
    [
      'too many failures stop the release',
      { progress: progress(4, 1, 3) },
      'stopped after failures',
    ],
    ['three are too few to say', { progress: progress(3, 0, 3) }, 'force'],
    ['half of them is not more than half', { progress: progress(4, 2, 2) }, 'force'],
    ['the first phase begins', { policy: { phase: PHASE } }, 'force'],
    ['and is full', { policy: { phase: PHASE }, progress: progress(2, 1, 0) }, 'phase'],
    ['and opens the rest', { policy: { phase: PHASE }, progress: progress(2, 2, 0) }, 'force'],
    [
      'a phase in percent',
      { policy: { phase: { ...PHASE, percent: true, count: 15 } }, progress: progress(1, 0, 0) },
      'force',
    ],
    [
      'a phase in percent, full',
      { policy: { phase: { ...PHASE, percent: true, count: 15 } }, progress: progress(2, 0, 0) },
      'phase',
    ],
    [
      'a failure waits a minute',
      { attempts: { made: 0, failed: 1, lastFailure: 9_950 } },
      'retry later',
    ],
    ['and is tried again', { attempts: { made: 0, failed: 1, lastFailure: 9_940 } }, 'force'],
    [
      'the second waits longer',
      { attempts: { made: 0, failed: 2, lastFailure: 9_800 } },
      'retry later',
    ],
    ['five are enough', { attempts: { made: 0, failed: 5, lastFailure: 0 } }, 'failed too often'],
    ['self validation waits for the question', { policy: { validation: 'self' } }, 'until it asks'],
    ['and answers it', { policy: { validation: 'self' }, asked: true }, 'self'],
    ['a device may ask under force validation too', { asked: true }, 'self'],
  ];
  for (const [name, given, expected] of table) {
    test(name, () => {
      assert.equal(reason(given), expected);
    });
  }
});
