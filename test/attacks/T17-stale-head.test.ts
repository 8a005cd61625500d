import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hex } from '../../src/bytes.ts';
import { SampleLedger } from './sample-ledger.ts';
import { availableRelease, honestNode, SampleDevice } from './sample-device.ts';
import { NOW } from './sample-proof.ts';

function scene() {
  const ledger = new SampleLedger();
  const author = ledger.author('author');
  const first = availableRelease(ledger, author, 1n);
  const recorded = honestNode(ledger, author, [first], { size: 9 });
  const second = availableRelease(ledger, author, 2n);
  const now = honestNode(ledger, author, [first, second], { size: 12 });
  return { ledger, author, first, second, recorded, now };
}

test('T17: a head older than one seen before is refused, after a restart too', async () => {
  const { ledger, author, second, recorded, now } = scene();
  const device = await SampleDevice.boot(ledger, author);
  assert.equal((await device.poll(now)).outcome, 'installed');
  assert.equal((await device.poll(recorded)).code, 'TRUST_HEAD_ROLLBACK');
  const restarted = await SampleDevice.boot(ledger, author, device.disk);
  assert.equal((await restarted.poll(recorded)).code, 'TRUST_HEAD_ROLLBACK');
  assert.equal(restarted.runs, hex(second.digest));
  assert.equal((await restarted.poll(recorded, now)).outcome, 'up-to-date');
});

test('T17: a head that was only seen counts, though nothing was installed under it', async () => {
  const { ledger, author, recorded, now } = scene();
  const device = await SampleDevice.boot(ledger, author);
  const withheld = { ...now, release: () => new Uint8Array() };
  assert.equal((await device.poll(withheld)).outcome, 'refused');
  assert.equal((await device.poll(recorded)).code, 'TRUST_HEAD_ROLLBACK');
});

test('T18: a device that never saw a newer head finds an old one stale and installs nothing', async () => {
  const { ledger, author, recorded } = scene();
  const device = await SampleDevice.boot(ledger, author);
  device.clock = NOW + ledger.root.policy.maxAge + 1;
  assert.equal((await device.poll(recorded)).code, 'TRUST_STALE');
  assert.equal(device.runs, undefined);
});
