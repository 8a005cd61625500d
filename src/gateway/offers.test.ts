import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { Database } from '../database.ts';
import { Decisions, ALL } from './decisions.ts';
import { Devices } from './devices.ts';
import { Offers } from './offers.ts';
import { DEFAULT_POLICY } from './policy.ts';
import { ReviewMemo } from './review-memo.ts';
import { openState } from './state.ts';

const A = 'a'.repeat(32);
const B = 'b'.repeat(32);
const R1 = '1'.repeat(64);
const R2 = '2'.repeat(64);
let folder: string;
let database: Database;
let devices: Devices;
let offers: Offers;
let now = 1_000;
let count = 0;

before(() => {
  folder = mkdtempSync(join(tmpdir(), 'firmament-gateway-'));
  database = openState(join(folder, 'gateway.db'));
  devices = new Devices(database);
  offers = new Offers(
    database,
    () => now,
    (length) => new Uint8Array(length).fill(++count),
  );
  for (const [id, psk] of [
    [A, 1],
    [B, 2],
  ] as const)
    devices.add(
      {
        id,
        tier: 'psk',
        name: id.slice(0, 1),
        type: 'lamp',
        model: 'L1',
        hardware: '1.0',
        mac: null,
        vendorClaim: null,
      },
      { psk: new Uint8Array(32).fill(psk) },
      now,
    );
});

after(async () => {
  await database[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true });
});

test('a device has one open offer; another takes its place', () => {
  const first = offers.make(A, R1, 'force');
  const second = offers.make(A, R2, 'self');
  assert.equal(offers.open(A)?.offer, second.offer);
  assert.equal(offers.get(first.offer)?.state, 'superseded');
  assert.deepEqual(
    offers.allOpen().map(({ offer }) => offer),
    [second.offer],
  );
});

test('an attempt that ended stays ended', () => {
  const { offer } = offers.make(A, R1, 'force');
  assert.equal(offers.status(A, offer, 'downloading', '').state, 'downloading');
  assert.equal(offers.status(A, offer, 'rolled-back', 'DEVICE_TRIAL_FAILED').state, 'rolled-back');
  assert.equal(offers.status(A, offer, 'installed', '').state, 'rolled-back');
  assert.deepEqual(offers.failures(A, R1), { made: 2, failed: 1, lastFailure: now });
});

test('no device ends the attempt of another', () => {
  const { offer } = offers.make(A, R1, 'force');
  assert.throws(() => offers.status(B, offer, 'installed', ''), { code: 'GATEWAY_OFFER_UNKNOWN' });
  assert.equal(offers.open(A)?.offer, offer);
});

test('T25 a report counts once an offer, and of its own device', () => {
  const { nonce } = offers.make(B, R1, 'force');
  assert.throws(() => offers.byNonce(A, nonce), { code: 'GATEWAY_OFFER_UNKNOWN' });
  const offer = offers.byNonce(B, nonce);
  assert.equal(offer.digest, R1);
  offers.takeReport(offer, new Uint8Array([1]));
  assert.throws(() => offers.takeReport(offer, new Uint8Array([1])), {
    code: 'GATEWAY_REPORT_REPLAYED',
  });
  devices.takeReportCounter(B, 5);
  assert.throws(() => devices.takeReportCounter(B, 5), { code: 'GATEWAY_REPORT_REPLAYED' });
});

test('progress counts devices of a group, not attempts', () => {
  const { offer } = offers.make(B, R2, 'force');
  offers.status(B, offer, 'refused', '');
  const again = offers.make(B, R2, 'force');
  assert.equal(again.attempt, 2);
  offers.status(B, again.offer, 'installed', '');
  assert.deepEqual(offers.progress(R2, 'default'), {
    devices: 2,
    started: 2,
    succeeded: 1,
    failed: 1,
  });
});

test('a revoked device has no key any more, and whoever listens hears of it', () => {
  const heard: string[] = [];
  devices.onRevoked((id) => void heard.push(id));
  assert.ok(devices.psk(B));
  devices.revoke(B);
  assert.equal(devices.psk(B), undefined);
  assert.equal(devices.get(B)?.status, 'revoked');
  assert.deepEqual(heard, [B]);
  assert.throws(() => devices.revoke('c'.repeat(32)), { code: 'GATEWAY_DEVICE_UNKNOWN' });
});

const none = { release: () => undefined, line: () => undefined };

test('the owner says it for one device, one release, or all', () => {
  const decisions = new Decisions(
    database,
    new Map([['night', { ...DEFAULT_POLICY, battery: 50 }]]),
  );
  decisions.say('consent', ALL, R1);
  decisions.say('postpone', A, ALL, 5_000);
  const postponed = { device: A, toThis: false, word: 'postpone', until: 5_000 };
  const agreed = { device: ALL, toThis: true, word: 'consent', until: null };
  assert.deepEqual(decisions.about(R2), [postponed]);
  assert.deepEqual(new Set(decisions.about(R1)), new Set([postponed, agreed]));
  const memo = new ReviewMemo({ decisions, offers, releases: none });
  assert.deepEqual(memo.said(A, R1), [postponed, agreed]);
  assert.deepEqual(memo.said(B, R1), [agreed]);
  assert.deepEqual(memo.said(B, R2), []);
  decisions.takeBack('consent', ALL, R1);
  assert.deepEqual(decisions.about(R1), [postponed]);
  assert.equal(decisions.policy('night').battery, 50);
  assert.deepEqual(decisions.policy('default'), DEFAULT_POLICY);
  decisions.setPolicy('night', { ...DEFAULT_POLICY, pin: '9' });
  assert.equal(decisions.policy('night').pin, '9');
  now += 1;
});
