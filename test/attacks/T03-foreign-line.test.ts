import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hex } from '../../src/bytes.ts';
import { lineText } from '../../src/registry/line.ts';
import { SampleLedger } from './sample-ledger.ts';
import { availableRelease, honestNode, SampleDevice } from './sample-device.ts';

function scene() {
  const ledger = new SampleLedger();
  const author = ledger.author('author');
  const rogue = ledger.author('rogue');
  const own = availableRelease(ledger, author, 1n);
  const foreign = availableRelease(ledger, rogue, 2n);
  return { ledger, author, rogue, own, foreign };
}

test('T03: the registry refuses what another author says of a line', () => {
  const { ledger, author, rogue } = scene();
  const { statement, attachment } = ledger.release({ ...rogue, line: author.line }, 3n);
  assert.equal(statement.subject, lineText(author.line));
  assert.throws(() => ledger.apply(statement, attachment), { code: 'LINE_FOREIGN' });
});

test("T03: the proof of another author's line for the same hardware is refused", async () => {
  const { ledger, author, rogue, own, foreign } = scene();
  const passedOff = honestNode(ledger, rogue, [own, foreign]);
  const device = await SampleDevice.boot(ledger, author);
  assert.equal((await device.poll(passedOff)).code, 'LOG_COSIGNATURE_INVALID');
  assert.equal(device.runs, undefined);
});

test("T03: another author's release under the true proof is refused", async () => {
  const { ledger, author, own, foreign, rogue } = scene();
  const honest = honestNode(ledger, author, [own]);
  const other = honestNode(ledger, rogue, [foreign]);
  const liar = { ...other, latest: honest.latest, release: () => other.release(foreign.digest) };
  const device = await SampleDevice.boot(ledger, author);
  assert.equal((await device.poll(liar)).code, 'SUIT_SIGNATURE_INVALID');
  assert.equal(device.runs, undefined);
  await device.poll(liar, honest);
  assert.equal(device.runs, hex(own.digest));
});
