import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { acceptProof } from '../../src/trust/accept.ts';
import { freshnessText } from '../../src/trust/freshness.ts';
import type { TrustState } from '../../src/trust/state.ts';
import { SampleLedger } from './sample-ledger.ts';
import { NEW_READER, NOW, proveLine, provisionFor, type ProofOptions } from './sample-proof.ts';

const DAY = 86_400;
const YEARS = 10 * 365 * DAY;
const ledger = new SampleLedger();
const author = ledger.author('author');
const release = ledger.publish(author, 1n);
for (const operator of ['o1', 'o2']) ledger.apply(ledger.hold(operator, author, release));

function read(
  now: number,
  state: TrustState = NEW_READER,
  options: ProofOptions = {},
): { readonly verdict: string; readonly state: TrustState } {
  const proof = proveLine(ledger, author.line, options);
  const accepted = acceptProof(provisionFor(ledger, author), state, 0, proof, now);
  return { verdict: freshnessText(accepted.judged.freshness), state: accepted.state };
}

suite('T14: a reader by its own clock', () => {
  test('takes the smallest of the k times as its floor, not what one operator says', () => {
    assert.equal(read(NOW).state.floor, NOW);
    const ahead = read(NOW, NEW_READER, { times: [NOW + 200, NOW - 9, NOW - 4] });
    assert.deepEqual([ahead.verdict, ahead.state.floor], ['fresh(own clock)', NOW - 9]);
  });

  test('is never set back: a floor that was reached stays', () => {
    const { state } = read(NOW);
    const older = read(NOW, state, { time: NOW - 1000 });
    assert.deepEqual([older.verdict, older.state.floor], ['fresh(own clock)', NOW]);
  });

  test('ten years ahead finds everything stale, learns no time from it, and recovers', () => {
    const { state } = read(NOW - DAY, NEW_READER, { time: NOW - DAY });
    const jumped = read(NOW + YEARS, state);
    assert.deepEqual([jumped.verdict, jumped.state.floor], ['stale(age)', NOW - DAY]);
    const back = read(NOW, jumped.state);
    assert.deepEqual([back.verdict, back.state.floor], ['fresh(own clock)', NOW]);
  });

  test('back in 1970 is not told that a recorded proof is fresh', () => {
    const { state } = read(NOW);
    // The very proof that was fresh when the battery was: who recorded it may replay it for ever.
    for (const now of [0, NOW - YEARS, NOW - 301])
      assert.equal(read(now, state).verdict, 'stale(clock)');
    assert.equal(read(0, state).state.floor, NOW);
    // Nor does a proof from long after the floor make a clock of it.
    const later = read(0, state, { time: NOW + 40 * DAY });
    assert.deepEqual([later.verdict, later.state.floor], ['stale(clock)', NOW]);
  });

  test('is not drawn ahead by cosignatures from the future', () => {
    const future = read(NOW, NEW_READER, { time: NOW + YEARS });
    assert.deepEqual([future.verdict, future.state.floor], ['stale(clock)', 0]);
    // k operators that say the time make one that runs ahead count for nothing.
    const signers = ['o0', 'o1', 'o2', 'o3'];
    const one = read(NOW, NEW_READER, { signers, times: [NOW + YEARS, NOW, NOW, NOW] });
    assert.deepEqual([one.verdict, one.state.floor], ['fresh(own clock)', NOW]);
  });
});
