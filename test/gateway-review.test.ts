// A house, or a whole estate, of devices is looked at within a moment (numbers are in `npm run bench`, bench/gateway.ts).
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { availableRelease, honestNode } from './attacks/sample-device.ts';
import { sampleGateway } from './attacks/sample-gateway.ts';
import { SampleLedger } from './attacks/sample-ledger.ts';

const DEVICES = 500;
// On a Raspberry Pi, and on a machine that does other things; a workstation takes a tenth of it.
const OFFERED_MS = 5_000;
const AGAIN_MS = 2_500;
const TURN_MS = 1_000;

test('500 devices are offered a release, looked at again without holding up the loop', async () => {
  const ledger = new SampleLedger();
  const author = ledger.author('author');
  const honest = honestNode(ledger, author, [availableRelease(ledger, author, 1n)]);
  await using gateway = await sampleGateway(ledger, author, { devices: DEVICES });
  let longest = 0;
  let last = performance.now();
  const turns = setInterval(() => {
    longest = Math.max(longest, performance.now() - last);
    last = performance.now();
  }, 5);
  try {
    const began = performance.now();
    await gateway.round(honest);
    const offered = performance.now() - began;
    assert.equal(new Set(gateway.offers.map(({ offer }) => offer)).size, DEVICES);
    assert.ok(offered < OFFERED_MS, `offered in ${offered} ms`);
    const before = performance.now();
    await gateway.campaign.reviewAll();
    const again = performance.now() - before;
    assert.equal(gateway.offers.length, DEVICES);
    assert.ok(again < AGAIN_MS, `looked at again in ${again} ms`);
    assert.ok(longest < TURN_MS, `nothing else for ${longest} ms`);
  } finally {
    clearInterval(turns);
  }
});
