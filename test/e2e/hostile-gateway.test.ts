/**
 * A gateway that turned against its devices, keys and all: it offers what is forged, withdrawn or another's, answers with old
 * heads and false images, and lies about the time. The device runs what it ran, keeps what it had accepted, and goes on with an honest one.
 */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, before, suite, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { privateKey, sha256 } from '#crypto';
import { encodePayload, topic, type Offer } from '../../src/api/downlink.ts';
import { latestPath } from '../../src/api/retrieval.ts';
import { hex } from '../../src/bytes.ts';
import type { Enrolment } from '../../src/device/enrolment.ts';
import { openGatewayDevice, type GatewayDevice } from '../../src/device/gateway-device.ts';
import type { OfferEvent } from '../../src/device/offers.ts';
import {
  createClientCertificate,
  createRootCertificate,
  createServerCertificate,
  readCertificateRequest,
} from '../../src/net/authority.ts';
import { createCertificateRequest } from '../../src/net/certificate-request.ts';
import { lineText } from '../../src/registry/line.ts';
import { honest, startAttacker, type Attacker } from '../../src/testing/attacker.ts';
import { startTestNetwork, type TestDevice, type TestNetwork } from '../../src/testing/network.ts';
import { testAuthor, type TestAuthor, type TestRelease } from '../../src/testing/network-author.ts';
import { startRogueBroker, type RogueBroker } from '../../src/testing/rogue-broker.ts';
import { challengesWithheld, forgedImage, latestInstead } from '../../src/testing/tricks.ts';

type Attempt = Extract<OfferEvent, { readonly type: 'attempt' }>;

let network: TestNetwork;
let author: TestAuthor;
let https: Attacker;
let mqtt: RogueBroker;
let enrolment: Enrolment;
let made: TestDevice;
let running: GatewayDevice;
let own = 0;
const events: OfferEvent[] = [];
const releases: TestRelease[] = [];
const clock = (): number => network.clock() + own;

/** An offer as an honest gateway makes it, with what is changed. */
function offerOf(release: TestRelease, change: Partial<Offer> = {}): Offer {
  const line = lineText(release.release);
  const digest = hex(release.digest);
  const sha = hex(sha256(release.image));
  return {
    offer: hex(new Uint8Array(randomBytes(16))),
    mode: 'force',
    line,
    digest,
    sequence: '9',
    version: release.version,
    urgency: 'security',
    size: release.image.length,
    sha256: sha,
    nonce: hex(new Uint8Array(randomBytes(16))),
    proof: latestPath(release.release, 0),
    envelope: `/v1/releases/${digest}`,
    image: `/v1/images/${sha}`,
    time: network.clock(),
    ...change,
  };
}

const send = (offer: Offer, device = enrolment.device): void =>
  mqtt.publish(topic(device, 'offer'), encodePayload(offer));

/** What the device answers to it. */
async function answerTo(offer: Offer): Promise<Attempt> {
  send(offer);
  const end = performance.now() + 15_000;
  for (;;) {
    const found = events.find(
      (event): event is Attempt => event.type === 'attempt' && event.offer === offer.offer,
    );
    if (found) return found;
    assert.ok(performance.now() < end, JSON.stringify(events.slice(-5)));
    await sleep(10);
  }
}

function open(): Promise<GatewayDevice> {
  return openGatewayDevice(made.folder, {
    enrolment,
    sntp: null,
    device: { clock },
    offers: {
      mode: 'force',
      pauses: [20, 100],
      retry: [50, 100],
      onEvent: (event) => void events.push(event),
    },
  });
}

async function ready(): Promise<void> {
  const from = mqtt.heard.length;
  await mqtt.until((heard) => heard.includes('/hello '), Math.max(0, from - 1));
}

const runs = (): string | undefined => {
  const { status } = running.device.bootloader;
  return 'image' in status ? status.image.version : undefined;
};
const head = (): number => running.device.state.state.head?.size ?? 0;

before(async () => {
  network = await startTestNetwork({ operators: 1 });
  author = await testAuthor(network);
  const now = network.clock();
  const root = await createRootCertificate('a root', 10, now);
  const tls = await createServerCertificate(root, 'gateway', ['127.0.0.1'], 10, now);
  const upstream = { url: network.url('a/n1'), spki: network.named('a/n1').node.spki };
  https = await startAttacker({ tls, host: '127.0.0.1', port: 0, upstream });
  mqtt = await startRogueBroker({ tls });
  const key = privateKey('P-256', new Uint8Array(randomBytes(32)));
  const request = await readCertificateRequest(await createCertificateRequest(key, 'x'));
  const device = hex(request.spkiSha256.subarray(0, 16));
  const certificatePem = await createClientCertificate(root, request, device, 10, now);
  enrolment = {
    device,
    type: 'lamp',
    model: 'lamp',
    hardware: '1.0',
    credential: { tier: 'certificate', key, certificatePem },
    rootPem: root.certificatePem,
    mqtt: `127.0.0.1:${mqtt.port}`,
    https: `127.0.0.1:${https.port}`,
  };
  made = network.device([{ line: author.line(), anchor: author.anchor }]);
  releases.push(await author.publish({ version: '1.0.0', size: 5000 }));
  running = await open();
  await ready();
});

after(async () => {
  await running[Symbol.asyncDispose]();
  await mqtt[Symbol.asyncDispose]();
  await https[Symbol.asyncDispose]();
  await network[Symbol.asyncDispose]();
});

suite('a hostile gateway', () => {
  let old: Uint8Array;

  test('passing on what is true, it is as good as any', async () => {
    const [first] = releases as [TestRelease];
    old = await latestOf(first);
    assert.equal((await answerTo(offerOf(first))).state, 'installed');
    assert.equal(runs(), '1.0.0');
    releases.push(await author.publish({ version: '2.0.0', size: 6000 }));
    assert.equal((await answerTo(offerOf(releases[1] as TestRelease))).state, 'installed');
    assert.equal(runs(), '2.0.0');
  });

  test('a stale head: an old answer, true once, takes nothing back', async () => {
    const before = head();
    https.play(latestInstead(old));
    const answer = await answerTo(offerOf(releases[0] as TestRelease));
    assert.deepEqual([answer.state, answer.detail], ['refused', 'TRUST_HEAD_ROLLBACK']);
    https.play(honest);
    assert.deepEqual([runs(), head()], ['2.0.0', before]);
  });

  test('an offer of an older release, with the newest proof', async () => {
    const answer = await answerTo(offerOf(releases[0] as TestRelease));
    assert.deepEqual([answer.state, answer.detail], ['refused', 'TRUST_NOT_NEWEST']);
    assert.equal(runs(), '2.0.0');
  });

  test('an offer of what nobody released, or of a line that it was not made for', async () => {
    const third = await author.publish({ version: '3.0.0', size: 7000 });
    releases.push(third);
    const forged = await answerTo(offerOf(third, { digest: hex(randomBytes(32)) }));
    assert.deepEqual([forged.state, forged.detail], ['refused', 'TRUST_NOT_NEWEST']);
    const { release } = third;
    const foreign = lineText({ ...release, author: new Uint8Array(randomBytes(32)) });
    const other = await answerTo(offerOf(third, { line: foreign }));
    assert.deepEqual([other.state, other.detail], ['refused', 'TRUST_UNPROVISIONED']);
    assert.equal(runs(), '2.0.0');
  });

  test("an image that is not the release's, whatever the offer says of it", async () => {
    const third = releases[2] as TestRelease;
    https.play(forgedImage);
    const lie = { sha256: hex(randomBytes(32)), size: 1, version: '9.9.9' };
    const answer = await answerTo(offerOf(third, lie));
    assert.match(answer.state, /^(?:refused|rolled-back)$/);
    assert.equal(answer.detail, 'DEVICE_DOWNLOAD_MISMATCH');
    assert.equal(runs(), '2.0.0');
    https.play(honest);
  });

  test("another device's topic: nothing of it is taken for the own", async () => {
    const from = events.length;
    send(offerOf(releases[2] as TestRelease), '0'.repeat(32));
    await sleep(100);
    assert.equal(events.length, from);
    assert.equal(runs(), '2.0.0');
  });

  test('a wrong clock: an own clock that can be right is not asked for another', async () => {
    const { floor } = running.device.state.state;
    for (const time of [0, 1_700_000_000, 4_000_000_000]) {
      mqtt.publish(topic(enrolment.device, 'time'), encodePayload({ time, synchronised: true }));
      await sleep(20);
      assert.equal(running.device.clock.name(), 'own clock');
      assert.ok(Math.abs(running.device.clock.now() - clock()) <= 1);
    }
    assert.equal(running.device.state.state.floor, floor);
  });

  test('a wrong clock: whoever lost its own is told no old head is fresh, and no floor falls', async () => {
    const { floor } = running.device.state.state;
    own = -network.clock();
    https.play(challengesWithheld);
    // A week back: what was said then would be fresh, and lies below the floor.
    mqtt.publish(
      topic(enrolment.device, 'time'),
      encodePayload({ time: floor - 604_800, synchronised: true }),
    );
    await sleep(50);
    assert.equal(running.device.clock.name(), 'gateway clock');
    const answer = await answerTo(offerOf(releases[2] as TestRelease));
    assert.deepEqual([answer.state, answer.detail], ['postponed', 'DEVICE_CONSENT_NEEDED']);
    assert.deepEqual([runs(), running.device.state.state.floor], ['2.0.0', floor]);
    own = 0;
    https.play(honest);
  });

  test('what it kept is there after a new start, and an honest gateway is followed', async () => {
    const { head: kept, floor, lines } = running.device.state.state;
    await running[Symbol.asyncDispose]();
    running = await open();
    const { state } = running.device.state;
    assert.ok(state.head && kept && state.head.size >= kept.size && state.floor >= floor);
    for (const [line, { lowest, confirmed }] of lines) {
      assert.equal(state.lines.get(line)?.lowest, lowest);
      assert.deepEqual(state.lines.get(line)?.confirmed, confirmed);
    }
    await ready();
    const answer = await answerTo(offerOf(releases[2] as TestRelease));
    assert.equal(answer.state, 'installed');
    assert.equal(runs(), '3.0.0');
  });
});

async function latestOf({ release }: TestRelease): Promise<Uint8Array> {
  const { body } = await network.client().request({
    url: network.url('a/n1', latestPath(release, 0)),
    headers: { 'firmament-transaction': '4', 'firmament-device': 'x' },
    maxBytes: 1 << 20,
  });
  return body;
}
