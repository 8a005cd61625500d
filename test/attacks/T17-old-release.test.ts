import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hex } from '../../src/bytes.ts';
import { acceptProof, acceptRelease } from '../../src/trust/accept.ts';
import { SampleLedger } from './sample-ledger.ts';
import { availableRelease, honestNode, imageOf, SampleDevice } from './sample-device.ts';
import { envelopeOf, NEW_READER, NOW, proveLine, provisionFor } from './sample-proof.ts';

test('T17: an old release, truly signed, is not taken for the newest by a factory-new device', async () => {
  const ledger = new SampleLedger();
  const author = ledger.author('author');
  const old = availableRelease(ledger, author, 1n);
  const newest = availableRelease(ledger, author, 2n);
  const honest = honestNode(ledger, author, [old, newest]);
  const replay = { ...honest, release: () => envelopeOf(old), image: () => imageOf(1n) };
  const device = await SampleDevice.boot(ledger, author);
  assert.equal((await device.poll(replay)).code, 'TRUST_NOT_NEWEST');
  assert.equal(device.runs, undefined);
  assert.equal((await device.poll(replay, honest)).outcome, 'installed');
  assert.equal(device.runs, hex(newest.digest));
});

test('T17: nor by the rule alone', () => {
  const ledger = new SampleLedger();
  const author = ledger.author('author');
  const old = availableRelease(ledger, author, 1n);
  availableRelease(ledger, author, 2n);
  const proof = proveLine(ledger, author.line);
  const { judged } = acceptProof(provisionFor(ledger, author), NEW_READER, 0, proof, NOW);
  assert.throws(() => acceptRelease(judged, envelopeOf(old), null), { code: 'TRUST_NOT_NEWEST' });
});

test('T17: not even the newest is taken for the waypoint that was asked for', async () => {
  const ledger = new SampleLedger();
  const author = ledger.author('author');
  const first = availableRelease(ledger, author, 1n);
  const device = await SampleDevice.boot(ledger, author);
  await device.poll(honestNode(ledger, author, [first], { size: 9 }));
  const way = availableRelease(ledger, author, 2n);
  const about = { version: '3.0.0', urgency: 'functional', documents: [] } as const;
  const newest = ledger.publish(author, 3n, {
    claims: { release: { ...about, applies: [2n, 2n], via: way.digest } },
  });
  for (const operator of ['o1', 'o2']) ledger.apply(ledger.hold(operator, author, newest));
  const honest = honestNode(ledger, author, [first, way, newest], { size: 12 });
  const other = { ...honest, release: () => envelopeOf(newest), image: () => imageOf(3n) };
  assert.equal((await device.poll(other)).code, 'TRUST_NOT_NEWEST');
  assert.equal(device.runs, hex(first.digest));
  await device.poll(other, honest);
  assert.equal(device.runs, hex(way.digest));
});
