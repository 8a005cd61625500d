import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fail } from '../../errors.ts';
import { readiness } from './readiness.ts';
import type { EngineRpc } from './rpc.ts';

/** An engine that says so of itself and its peers. */
function engine(state: { catchingUp: boolean; own: number; peers: readonly unknown[] }): EngineRpc {
  const answers: Readonly<Record<string, () => unknown>> = {
    status: () => ({ sync_info: { catching_up: state.catchingUp } }),
    dump_consensus_state: () => ({
      round_state: { height: String(state.own) },
      peers: state.peers.map((height) => ({ peer_state: { round_state: { height } } })),
    }),
  };
  return {
    call: async (method) => (answers[method] ?? (() => fail('ENGINE_RPC')))(),
    calls: async () => [],
    [Symbol.dispose]: () => undefined,
  };
}

test('an engine is ready once it is where most of its peers are, whatever it says before', async () => {
  const state = { catchingUp: true, own: 1, peers: ['90', '90', '90'] as readonly unknown[] };
  let times = 0;
  const ready = readiness(engine(state), () => void times++);
  ready.start();
  await sleep(150);
  assert.equal(ready.isReady(), false);
  // It took to voting at its first height, as it does when no peer has told it of more in time.
  state.catchingUp = false;
  await sleep(250);
  assert.equal(ready.isReady(), false);
  state.peers = ['0', '0'];
  await sleep(250);
  assert.equal(ready.isReady(), false, 'nobody has said where he is');
  state.peers = ['90', '90', '90'];
  state.own = 89;
  await sleep(250);
  assert.equal(ready.isReady(), true);
  assert.equal(times, 1);
  ready.stop();
  assert.equal(ready.isReady(), false);
});

test('one peer that claims to be far ahead keeps nobody from being ready', async () => {
  const state = { catchingUp: false, own: 5, peers: ['1000000', '5', 'none'] };
  const ready = readiness(engine(state), () => undefined);
  ready.start();
  await sleep(150);
  assert.equal(ready.isReady(), true);
  ready.stop();
});
