import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hex } from '../../src/bytes.ts';
import { SampleLedger } from './sample-ledger.ts';
import { availableRelease, honestNode, imageOf, SampleDevice } from './sample-device.ts';
import { envelopeOf } from './sample-proof.ts';

test('T16: a withdrawn release is refused though its author signed it, and what runs stays', async () => {
  const ledger = new SampleLedger();
  const author = ledger.author('author');
  const first = availableRelease(ledger, author, 1n);
  const device = await SampleDevice.boot(ledger, author);
  await device.poll(honestNode(ledger, author, [first], { size: 9 }));
  const flawed = availableRelease(ledger, author, 2n);
  const fixed = availableRelease(ledger, author, 3n);
  ledger.apply(ledger.withdraw(author, flawed, 3n));
  const honest = honestNode(ledger, author, [first, flawed, fixed], { size: 12 });
  const liar = { ...honest, release: () => envelopeOf(flawed), image: () => imageOf(2n) };
  assert.equal((await device.poll(liar)).code, 'TRUST_WITHDRAWN');
  assert.equal(device.runs, hex(first.digest));
  assert.equal((await device.poll(honest)).outcome, 'installed');
  assert.equal(device.runs, hex(fixed.digest));
});

test('T16: the newest, withdrawn with nothing in its place, is no longer offered', async () => {
  const ledger = new SampleLedger();
  const author = ledger.author('author');
  const flawed = availableRelease(ledger, author, 1n);
  ledger.apply(ledger.withdraw(author, flawed, 2n));
  const device = await SampleDevice.boot(ledger, author);
  const { outcome } = await device.poll(honestNode(ledger, author, [flawed]));
  assert.equal(outcome, 'up-to-date');
  assert.equal(device.runs, undefined);
});
