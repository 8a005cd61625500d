import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { hex } from '../../src/bytes.ts';
import type { Cbor } from '../../src/cbor/value.ts';
import { CWT_CLAIMS, FRESHNESS } from '../../src/cose/claims.ts';
import { decodeSign1 } from '../../src/cose/sign1.ts';
import { acceptProof, acceptRelease, choicesOf } from '../../src/trust/accept.ts';
import type { TrustState } from '../../src/trust/state.ts';
import { honestNode, SampleDevice, type SampleMaking } from './sample-device.ts';
import { SampleLedger, type SampleAuthor, type SampleRelease } from './sample-ledger.ts';
import {
  envelopeOf,
  NEW_READER,
  NOW,
  proveLine,
  provisionFor,
  type ProofOptions,
} from './sample-proof.ts';

const OLD = NOW - 86_401;

interface Scene {
  readonly ledger: SampleLedger;
  readonly author: SampleAuthor;
  readonly releases: readonly [SampleRelease, SampleRelease];
}

function scene(): Scene {
  const ledger = new SampleLedger();
  const author = ledger.author('author');
  const [one, two] = [1n, 2n].map((sequence) => {
    const release = ledger.publish(author, sequence);
    for (const operator of ['o1', 'o2']) ledger.apply(ledger.hold(operator, author, release));
    return release;
  }) as [SampleRelease, SampleRelease];
  return { ledger, author, releases: [one, two] };
}

function read({ ledger, author }: Scene, options: ProofOptions, state: TrustState = NEW_READER) {
  const proof = proveLine(ledger, author.line, options);
  return acceptProof(provisionFor(ledger, author), state, 0, proof, NOW);
}

async function install(making: SampleMaking, options: ProofOptions, consent = false) {
  const { ledger, author, releases } = scene();
  const device = await SampleDevice.boot(ledger, author, undefined, making);
  device.consent = consent;
  const result = await device.poll(honestNode(ledger, author, releases, options));
  const said = device.reports.map(freshnessIn);
  return { result, said, runs: device.runs, newest: hex(releases[1].digest) };
}

/** What a signed report says of freshness. */
function freshnessIn(report: Uint8Array): unknown {
  const { header } = decodeSign1(report, { maxBytes: 16_384 });
  return (header.get(CWT_CLAIMS) as ReadonlyMap<Cbor, Cbor>).get(FRESHNESS);
}

suite('T18: a stale proof', () => {
  test('raises the head and lowest, and never the floor', () => {
    const found = scene();
    found.ledger.apply(found.ledger.withdraw(found.author, found.releases[0], 2n));
    const { judged, state } = read(found, { time: OLD });
    assert.deepEqual(judged.freshness, { kind: 'stale', reason: 'age' });
    assert.deepEqual([state.head?.size, state.lowest, state.floor], [9, [2n], 0]);
    // What it has shown is not taken back by another one.
    assert.throws(() => read(found, { size: 8 }, state), { code: 'TRUST_HEAD_ROLLBACK' });
  });

  test('of a later policy than the pinned one is stale too', () => {
    const { judged, state } = read(scene(), { epoch: { policyVersion: 2 } });
    assert.deepEqual(judged.freshness, { kind: 'stale', reason: 'policy' });
    assert.equal(state.floor, 0);
  });

  test('installs only a higher sequence', () => {
    const found = scene();
    const [, two] = found.releases;
    const confirmed = { sequence: 2n, digest: two.digest };
    const fresh = read(found, {}).judged;
    const stale = read(found, { time: OLD }).judged;
    assert.equal(acceptRelease(fresh, envelopeOf(two), confirmed).sequence, 2n);
    assert.throws(() => acceptRelease(stale, envelopeOf(two), confirmed), {
      code: 'TRUST_SEQUENCE_ROLLBACK',
    });
    assert.equal(
      acceptRelease(stale, envelopeOf(two), { ...confirmed, sequence: 1n }).sequence,
      2n,
    );
    const wish = { reinstall: true };
    assert.equal(choicesOf([fresh], confirmed, wish).length, 1);
    assert.equal(choicesOf([stale], confirmed, wish).length, 0);
  });

  test('installs on a device only as its maker pinned it, and the report says so', async () => {
    const stale = { time: OLD };
    const never = await install({ staleInstall: 'never' }, stale, true);
    assert.deepEqual([never.result.code, never.runs], ['TRUST_STALE', undefined]);
    const asked = await install({ staleInstall: 'consent' }, stale);
    assert.deepEqual([asked.result.code, asked.runs], ['DEVICE_CONSENT_NEEDED', undefined]);
    for (const [staleInstall, consent] of [
      ['consent', true],
      ['allow', false],
    ] as const) {
      const done = await install({ staleInstall }, stale, consent);
      assert.deepEqual([done.result.outcome, done.runs], ['installed', done.newest]);
      assert.deepEqual([done.result.freshness, done.said], ['stale(age)', ['stale(age)']]);
    }
  });

  test('does not count beside a fresh one of another node', async () => {
    const { ledger, author, releases } = scene();
    const device = await SampleDevice.boot(ledger, author);
    const [late, prompt] = [OLD, NOW].map((time) => honestNode(ledger, author, releases, { time }));
    const result = await device.poll(late!, prompt!);
    assert.deepEqual([result.outcome, result.freshness], ['installed', 'fresh(own clock)']);
  });
});
