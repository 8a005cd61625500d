// T25: a report counts once an offer, and only from the device that the offer was made to.
import assert from 'node:assert/strict';
import { after, before, suite, test } from 'node:test';
import { privateKey } from '#crypto';
import { fromHex, hex } from '../../src/bytes.ts';
import type { Database } from '../../src/database.ts';
import { signReport } from '../../src/device/report.ts';
import { Devices } from '../../src/gateway/devices.ts';
import { Events } from '../../src/gateway/events.ts';
import { take, type InboxParts } from '../../src/gateway/inbox.ts';
import { Offers, type StoredOffer } from '../../src/gateway/offers.ts';
import { Releases } from '../../src/gateway/releases.ts';
import { openState } from '../../src/gateway/state.ts';
import { digestToCbor } from '../../src/suit/digest.ts';
import { encode } from '../../src/cbor/encode.ts';
import type { Root } from '../../src/registry/root.ts';

const A = 'a'.repeat(32);
const B = 'b'.repeat(32);
const LINE = 'the line';
const NETWORK = new Uint8Array(32).fill(3);
const RELEASE = '1'.repeat(64);
const OTHER = '2'.repeat(64);
const keys = new Map(
  [A, B].map((id, i) => [id, privateKey('P-256', new Uint8Array(32).fill(i + 1))]),
);

suite('T25 reports', () => {
  let database: Database;
  let offers: Offers;
  let parts: InboxParts;
  let count = 0;

  before(() => {
    database = openState(':memory:');
    const devices = new Devices(database);
    const clock = (): number => 1000;
    const random = (length: number): Uint8Array => new Uint8Array(length).fill(++count);
    offers = new Offers(database, clock, random);
    const releases = new Releases(database);
    for (const [id, key] of keys) {
      const labels = { name: id, type: 't', model: 'm', hardware: '1', mac: null };
      const secret = { spki: new Uint8Array(32), point: key.publicKey.bytes };
      devices.add({ id, tier: 'certificate', ...labels, vendorClaim: null }, secret, 0);
    }
    for (const digest of [RELEASE, OTHER])
      releases.saveRelease(
        {
          digest,
          line: LINE,
          sequence: 1n,
          version: '1',
          urgency: 'security',
          envelope: new Uint8Array(),
          sha256: digest,
          size: 1,
        },
        0,
      );
    const nothing = (): undefined => undefined;
    parts = {
      database,
      devices,
      offers,
      releases,
      events: new Events(database, clock),
      campaign: undefined as never,
      downloads: undefined as never,
      clock,
      logger: { debug: nothing, info: nothing, warn: nothing, error: nothing },
      networkOf: (line) => (line === LINE ? hex(NETWORK) : undefined),
      entries: { take: () => 0 },
      keepRecord: nothing,
    };
  });
  after(() => database.close());

  const report = (
    offer: StoredOffer,
    change: { by?: string; digest?: string; counter?: number; network?: Uint8Array } = {},
  ): Uint8Array => {
    const key = keys.get(change.by ?? offer.device);
    assert.ok(key);
    return signReport(key, { networkId: change.network ?? NETWORK } as Root, {
      digest: encode(
        digestToCbor({
          algorithm: 'SHA-256',
          bytes: fromHex(change.digest ?? offer.digest),
        } as never),
      ),
      referenceUri: '',
      records: [],
      result: true,
      counter: change.counter ?? ++count,
      headSize: 10,
      freshness: 'fresh(own clock)',
      opaque: false,
      nonce: fromHex(offer.nonce),
    });
  };
  const counts = (device: string, offer: StoredOffer, bytes: Uint8Array): boolean => {
    take(parts, device, 'report', bytes);
    return offers.get(offer.offer)?.reported === true;
  };

  test('its own, once', () => {
    const offer = offers.make(A, RELEASE, 'force');
    assert.equal(counts(A, offer, report(offer)), true);
    const events = parts.events.after(0).length;
    take(parts, A, 'report', report(offer));
    const said = parts.events.after(0).slice(events);
    assert.deepEqual(
      said.map(({ step, detail }) => [step, detail]),
      [['refused', 'report: GATEWAY_REPORT_REPLAYED']],
    );
  });

  test('signed by another device, or about the offer of another', () => {
    const offer = offers.make(A, RELEASE, 'force');
    assert.equal(counts(A, offer, report(offer, { by: B })), false);
    assert.equal(counts(B, offer, report(offer, { by: B })), false);
    assert.equal(counts(B, offer, report(offer)), false);
  });

  test('about another release, or of another network', () => {
    const offer = offers.make(A, RELEASE, 'force');
    assert.equal(counts(A, offer, report(offer, { digest: OTHER })), false);
    assert.equal(counts(A, offer, report(offer, { network: new Uint8Array(32) })), false);
    // A refused report burns nothing.
    assert.equal(counts(A, offer, report(offer)), true);
  });

  test('with a counter that does not grow', () => {
    const first = offers.make(B, RELEASE, 'force');
    assert.equal(counts(B, first, report(first, { counter: 1000 })), true);
    const second = offers.make(B, RELEASE, 'force');
    assert.equal(counts(B, second, report(second, { counter: 1000 })), false);
    assert.equal(counts(B, second, report(second, { counter: 1001 })), true);
  });

  test('from a device that was revoked', () => {
    const offer = offers.make(B, RELEASE, 'force');
    parts.devices.revoke(B);
    assert.equal(counts(B, offer, report(offer, { counter: 2000 })), false);
  });
});
