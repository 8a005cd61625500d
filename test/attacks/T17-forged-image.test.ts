import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hex, utf8 } from '../../src/bytes.ts';
import { SampleLedger } from './sample-ledger.ts';
import { availableRelease, honestNode, SampleDevice } from './sample-device.ts';

function scene() {
  const ledger = new SampleLedger();
  const author = ledger.author('author');
  const first = availableRelease(ledger, author, 1n);
  const before = honestNode(ledger, author, [first], { size: 9 });
  const second = availableRelease(ledger, author, 2n);
  const honest = honestNode(ledger, author, [first, second], { size: 12 });
  const forger = { ...honest, image: () => utf8('image X') };
  return { ledger, author, first, second, before, honest, forger };
}

test('T17: a forged image is never armed, and what runs stays', async () => {
  const { ledger, author, first, before, forger } = scene();
  const device = await SampleDevice.boot(ledger, author);
  assert.equal((await device.poll(before)).outcome, 'installed');
  const refused = await device.poll(forger);
  assert.equal(refused.code, 'DEVICE_DOWNLOAD_MISMATCH');
  assert.equal(device.runs, hex(first.digest));
  await device.bootloader.reboot();
  assert.equal(device.runs, hex(first.digest));
});

test('T17: with one honest node the true image is installed, and the forger is named', async () => {
  const { ledger, author, second, honest, forger } = scene();
  const device = await SampleDevice.boot(ledger, author);
  assert.equal((await device.poll(forger, honest)).outcome, 'installed');
  assert.equal(device.runs, hex(second.digest));
  const liars = device.events.filter(({ type }) => type === 'liar');
  assert.deepEqual(liars, [{ type: 'liar', node: 'node/0', code: 'DEVICE_DOWNLOAD_MISMATCH' }]);
});
