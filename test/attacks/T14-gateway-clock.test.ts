// T14: a gateway's time is a hint with its own name, and lowers nothing.
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { deviceClock } from '../../src/device/gateway-clock.ts';
import { availableRelease, honestNode, SampleDevice } from './sample-device.ts';
import { SampleLedger } from './sample-ledger.ts';
import { NOW } from './sample-proof.ts';

suite('T14: the clock of a gateway', () => {
  test('stands in only for a clock that has lost its time, and only when it is set itself', () => {
    let own = 2000;
    let steady = 0;
    const clock = deviceClock({ own: () => own, floor: () => 1000, steady: () => steady });
    clock.hear({ time: 5000, synchronised: false });
    assert.equal(clock.now(), 2000);
    own = 0;
    assert.deepEqual([clock.now(), clock.name()], [0, 'own clock']);
    clock.hear({ time: 5000, synchronised: true });
    steady = 7_000;
    assert.deepEqual([clock.now(), clock.name()], [5007, 'gateway clock']);
    own = 3000;
    assert.deepEqual([clock.now(), clock.name()], [3000, 'own clock']);
  });

  test('SNTP stands in like it, and never against what the gateway says over TLS', () => {
    let steady = 100;
    const clock = deviceClock({ own: () => 0, floor: () => 1000, steady: () => steady });
    clock.hearSntp({ milliseconds: 5_000_900, at: 0 });
    assert.deepEqual([clock.now(), clock.name()], [5001, 'gateway clock']);
    // Forged: far from what came over TLS.
    clock.hear({ time: 9000, synchronised: true });
    assert.equal(clock.now(), 9000);
    clock.hearSntp({ milliseconds: 9_001_500, at: 100 });
    assert.equal(clock.now(), 9001);
    steady = 1_600;
    assert.equal(clock.now(), 9003);
    const unset = deviceClock({ own: () => 0, floor: () => 1000, steady: () => 0 });
    unset.hear({ time: 9000, synchronised: false });
    unset.hearSntp({ milliseconds: 5_000_000, at: 0 });
    assert.deepEqual([unset.now(), unset.name()], [0, 'own clock']);
  });

  test('a verdict by it says so', async () => {
    const ledger = new SampleLedger();
    const author = ledger.author('author');
    const release = availableRelease(ledger, author, 1n);
    const device = await SampleDevice.boot(ledger, author);
    device.clockName = 'gateway clock';
    const result = await device.poll(honestNode(ledger, author, [release]));
    assert.equal(result.freshness, 'fresh(gateway clock)');
  });

  test('one that says an earlier time makes no old head fresh and lowers no floor', async () => {
    const ledger = new SampleLedger();
    const author = ledger.author('author');
    const release = availableRelease(ledger, author, 1n);
    const old = honestNode(ledger, author, [release], { time: NOW - 900_000 });
    const device = await SampleDevice.boot(ledger, author);
    await device.state.update((state) => ({ ...state, floor: NOW }));
    device.clockName = 'gateway clock';
    device.clock = NOW - 900_000;
    const { code } = await device.poll(old);
    assert.equal(code, 'TRUST_STALE');
    assert.equal(device.state.state.floor, NOW);
    assert.equal(device.runs, undefined);
  });
});
