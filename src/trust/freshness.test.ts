import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import type { Policy } from '../registry/policy.ts';
import { fixtureNetwork } from '../testing/fixture.ts';
import { checkFreshEnough, freshnessText, judgeAge, type Freshness } from './freshness.ts';
import type { ProvenLine } from './proof.ts';

const NOW = 1_800_000_000;
const DAY = 86_400;
const YEARS = 10 * 365 * DAY;
// k = 3, maximum age one day, skew 120 s.
const { policy } = fixtureNetwork().root;

/** A proof with these times, one an operator, `a` first. */
function proven(times: readonly number[], policyAhead = false): ProvenLine {
  const witnesses = times.map((time, i) => ({ operator: `o${i}`, time }));
  return { witnesses, policyAhead } as unknown as ProvenLine;
}

function judge(times: readonly number[], now: number, floor = 0, of: Policy = policy): string {
  return freshnessText(judgeAge(of, proven(times), now, floor).freshness);
}

const at = (time: number): readonly number[] => [time, time, time];

suite('T14: the verdict names the clock', () => {
  const matrix: readonly (readonly [string, readonly number[], number, number, string])[] = [
    ['a proof of now', at(NOW), NOW, 0, 'fresh(own clock)'],
    ['as old as allowed', at(NOW - DAY), NOW, 0, 'fresh(own clock)'],
    ['a second older', at(NOW - DAY - 1), NOW, 0, 'stale(age)'],
    ['cosigned ahead within the skew', at(NOW + 120), NOW, 0, 'fresh(own clock)'],
    ['cosigned beyond the skew', at(NOW + 121), NOW, 0, 'stale(clock)'],
    ['clock ten years ahead', at(NOW), NOW + YEARS, NOW - 5, 'stale(age)'],
    ['clock at 1970, no floor', at(NOW), 0, 0, 'stale(clock)'],
    ['clock at 1970, floor long ago', at(NOW), 0, NOW - DAY, 'stale(clock)'],
    ['clock at 1970, proof of the time of the floor', at(NOW), 0, NOW, 'stale(clock)'],
    ['clock at 1970, proof older than the floor allows', at(NOW), 0, NOW + 2 * DAY, 'stale(age)'],
    ['clock behind the floor by the skew', at(NOW), NOW - 120, NOW, 'fresh(own clock)'],
    ['clock behind the floor by more', at(NOW), NOW - 121, NOW, 'stale(clock)'],
    ['clock ten years back', at(NOW), NOW - YEARS, NOW - DAY, 'stale(clock)'],
    ['one of k old', [NOW, NOW, NOW - DAY - 1], NOW, 0, 'stale(age)'],
    ['one of four old', [NOW, NOW, NOW - YEARS, NOW], NOW, 0, 'fresh(own clock)'],
    ['one of k ahead', [NOW, NOW, NOW + 121], NOW, 0, 'stale(clock)'],
    ['one of four ahead', [NOW, NOW + YEARS, NOW, NOW], NOW, 0, 'fresh(own clock)'],
  ];
  for (const [what, times, now, floor, expected] of matrix)
    test(`${what}: ${expected}`, () => assert.equal(judge(times, now, floor), expected));

  test('a later policy is stale(policy), whatever the clock says', () => {
    const { freshness } = judgeAge(policy, proven(at(NOW), true), NOW, 0);
    assert.equal(freshnessText(freshness), 'stale(policy)');
  });
});

suite('T14: the floor is the smallest of the k newest times', () => {
  const floor = (times: readonly number[], now = NOW): number =>
    judgeAge(policy, proven(times), now, 0).time;

  test('one operator ahead, within the skew, does not raise it', () => {
    assert.equal(floor([NOW + 100, NOW - 7, NOW - 3]), NOW - 7);
  });
  test('one operator behind does not lower it where others make the quorum', () => {
    assert.equal(floor([NOW - YEARS, NOW - 7, NOW - 3, NOW]), NOW - 7);
  });
  test('a time beyond the skew counts for nothing', () => {
    assert.equal(floor([NOW + YEARS, NOW - 9, NOW - 7, NOW - 3]), NOW - 9);
  });
});

suite('T18: to install on a stale proof', () => {
  const stale: Freshness = { kind: 'stale', reason: 'age' };
  const fresh: Freshness = { kind: 'fresh', clock: 'own clock' };
  test('is pinned: never, the consent of the owner, or always', () => {
    for (const consent of [false, true])
      for (const setting of ['never', 'consent', 'allow'] as const)
        checkFreshEnough(fresh, setting, consent);
    for (const consent of [false, true])
      assert.throws(() => checkFreshEnough(stale, 'never', consent), { code: 'TRUST_STALE' });
    const without = { code: 'DEVICE_CONSENT_NEEDED', message: 'stale(age)' };
    assert.throws(() => checkFreshEnough(stale, 'consent', false), without);
    checkFreshEnough(stale, 'consent', true);
    checkFreshEnough(stale, 'allow', false);
  });
});
