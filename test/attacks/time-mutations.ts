/** Mutations of the rules on time, stale proofs, slots, and on which release of which track fits (T14, T16, T18, T19). */
import { mutations } from './mutation-list.ts';
import type { Mutation } from './mutations.ts';

const ACCEPT = 'src/trust/accept.ts';
const AGENT = 'src/device/agent.ts';
const ARCHIVE = 'src/store/archive.ts';
const CAR = 'src/store/car.ts';
const FRESHNESS = 'src/trust/freshness.ts';
const NEWEST = 'src/registry/newest.ts';
const OFFER = 'src/trust/offer.ts';
const SLOT_STATE = 'src/device/slot-state.ts';

export const TIME_MUTATIONS: readonly Mutation[] = [
  ...mutations('T14', FRESHNESS, 'test/attacks/T14-time.test.ts', [
    ['.filter((time) => time <= clock + policy.skew)', ''],
    ['past[policy.quorum - 1]', 'past[0]'],
    ['if (now + policy.skew < floor)', 'if (now < 0)'],
    ['if (time < clock - policy.maxAge)', 'if (time < 0)'],
  ]),
  ...mutations('T14', ACCEPT, 'test/attacks/T14-time.test.ts', [
    ['Math.max(state.floor, age.time)', 'age.time'],
    ["age.freshness.kind === 'fresh' ?", "age.freshness.kind !== 'x' ?"],
  ]),
  ...mutations('T16', ACCEPT, 'test/attacks/T16-tracks.test.ts', [
    [
      "check(again || applies(release.claims, confirmed), 'TRUST_NOT_APPLICABLE',",
      "check(true, 'TRUST_NOT_APPLICABLE',",
    ],
    ['(value.newest !== null && !applies(value.newest, confirmed))', 'true'],
    ['offer.sequence === sequence && fitsClaims(offer, release.claims)', 'true'],
    ["check(choices.length > 0 || !noWay, 'TRUST_NOT_APPLICABLE');", ''],
  ]),
  ...mutations('T16', OFFER, 'test/attacks/T16-tracks.test.ts', [
    ['low === claimedLow && high === claimedHigh && via', 'via'],
    [
      'low === claimedLow && high === claimedHigh && via',
      'low === claimedLow && high === claimedHigh',
    ],
    ['if (fits && applies(pending, confirmed))', 'if (fits)'],
    ['if (applies(newest, confirmed)) return', 'return'],
  ]),
  ...mutations('T16', NEWEST, 'src/registry/newest.test.ts', [
    [
      "status === 'available' && sequence >= lowest ? via : null",
      'sequence >= lowest ? via : null',
    ],
    [
      "status === 'available' && sequence >= lowest ? via : null",
      "status === 'available' ? via : null",
    ],
  ]),
  ...mutations('T17', AGENT, 'test/attacks/T16-tracks.test.ts', [
    ['if (!NEXT_TRACK.includes(codeOf(error))) throw error;', 'throw error;'],
  ]),
  ...mutations('T18', FRESHNESS, 'test/attacks/T18-stale.test.ts', [
    ["check(staleInstall !== 'never', 'TRUST_STALE', freshnessText(freshness));", ''],
    ["check(agreed, 'DEVICE_CONSENT_NEEDED', freshnessText(freshness));", ''],
    ["staleInstall === 'allow' || consent", 'true'],
    [
      "if (proven.policyAhead) return { freshness: { kind: 'stale', reason: 'policy' }, time };",
      '',
    ],
  ]),
  ...mutations('T18', ACCEPT, 'test/attacks/T18-stale.test.ts', [
    [
      "isConfirmed(release.digest, confirmed) && freshness.kind === 'fresh'",
      'isConfirmed(release.digest, confirmed)',
    ],
    ["wish.reinstall === true && judged.freshness.kind === 'fresh'", 'wish.reinstall === true'],
  ]),
  ...mutations('T18', AGENT, 'test/attacks/T18-stale.test.ts', [
    ['checkFreshEnough(freshness, this.#provision.staleInstall, this.#parts.consent);', ''],
    ["if (judged.freshness.kind === 'fresh') return judged;", 'return judged;'],
  ]),
  ...mutations('T18', 'src/device/report.ts', 'test/attacks/T18-stale.test.ts', [
    ['[label.FRESHNESS, freshness],', ''],
  ]),
  ...mutations('T18', ARCHIVE, 'src/store/archive.test.ts', [
    ['      verifyBlock(cid, bytes);\n', ''],
    [
      "check(expected.size === 0, 'STORE_ARCHIVE_INCOMPLETE',",
      "check(true, 'STORE_ARCHIVE_INCOMPLETE',",
    ],
    ['    expected.delete(name);\n', ''],
    ["check(same, 'STORE_ARCHIVE_MALFORMED', 'other roots than the index has');", ''],
  ]),
  ...mutations('T18', CAR, 'src/store/car.test.ts', [
    ['    try {\n      verifyBlock(cid, bytes);\n', '    try {\n'],
  ]),
  ...mutations('T19', AGENT, 'test/attacks/T19-slots.test.ts', [
    ['{ reinstall: this.#isLost(confirmed) }', '{}'],
    ['retry: this.#parts.retry ?? false,', 'retry: true,'],
  ]),
  ...mutations('T19', SLOT_STATE, 'test/attacks/T19-slots.test.ts', [
    ['&& other.sequence >= lowest;', ';'],
    [
      "check(retry || !state.failed.includes(image.digest), 'DEVICE_TRIAL_FAILED_BEFORE',",
      "check(true, 'DEVICE_TRIAL_FAILED_BEFORE',",
    ],
  ]),
];
