import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decodeLatest, encodeLatest } from '../../src/api/retrieval.ts';
import { hex } from '../../src/bytes.ts';
import { forkedLatest } from '../../src/testing/fork.ts';
import { availableRelease, honestNode, SampleDevice, type SampleAnswers } from './sample-device.ts';
import { SampleLedger } from './sample-ledger.ts';
import { sampleKey } from './sample-policy.ts';
import { NOW } from './sample-proof.ts';

function scene() {
  const ledger = new SampleLedger();
  const author = ledger.author('author');
  const release = availableRelease(ledger, author, 1n);
  const honest = honestNode(ledger, author, [release], { size: 9 });
  const forked = (operators: readonly string[]): SampleAnswers => ({
    ...honest,
    latest(line) {
      const colluders = operators.map((name) => ({
        name: `${name}/n`,
        key: sampleKey(`${name} cosigner`),
      }));
      const answer = encodeLatest({ line, version: '', proof: honest.latest(line) });
      return decodeLatest(forkedLatest(answer, ledger.networkId, colluders, NOW)).proof;
    },
  });
  return { ledger, author, release, honest, forked };
}

test('T17: another head of a size that was seen is refused, whoever signed it', async () => {
  const { ledger, author, release, honest, forked } = scene();
  const device = await SampleDevice.boot(ledger, author);
  assert.equal((await device.poll(honest)).outcome, 'installed');
  const fork = forked(['o1', 'o2', 'o3']);
  assert.equal((await device.poll(fork)).code, 'TRUST_HEAD_FORK');
  const restarted = await SampleDevice.boot(ledger, author, device.disk);
  assert.equal((await restarted.poll(fork)).code, 'TRUST_HEAD_FORK');
  assert.equal(restarted.runs, hex(release.digest));
  assert.equal((await restarted.poll(fork, honest)).outcome, 'up-to-date');
});

test('T09: a fork that less than a quorum signed is refused by a device that has seen nothing', async () => {
  const { ledger, author, forked } = scene();
  const device = await SampleDevice.boot(ledger, author);
  assert.equal((await device.poll(forked(['o1', 'o2']))).code, 'TRUST_QUORUM');
  assert.equal(device.runs, undefined);
  // A quorum that lies is believed: what it takes is k operators (T09).
  assert.equal((await device.poll(forked(['o1', 'o2', 'o3']))).outcome, 'installed');
});
