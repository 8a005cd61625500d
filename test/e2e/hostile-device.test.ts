/**
 * Devices that turned against the gateway they are enrolled at, keys and all, while the others update: foreign topics, floods, replayed
 * reports, frozen subscribers, packets too large, other devices' firmware. Nobody but they themselves is harmed.
 */
import assert from 'node:assert/strict';
import { after, before, suite, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { TLSSocket } from 'node:tls';
import { connect, type MqttClient } from 'mqtt';
import { sha256 } from '#crypto';
import { encodePayload, topic, type Offer } from '../../src/api/downlink.ts';
import { hex } from '../../src/bytes.ts';
import type { Enrolment } from '../../src/device/enrolment.ts';
import { signReport } from '../../src/device/report.ts';
import type { Gateway } from '../../src/gateway/gateway.ts';
import { certificateSha256 } from '../../src/net/authority.ts';
import { p256PrivatePem } from '../../src/net/certificate-request.ts';
import { createClient } from '../../src/net/client.ts';
import { parseEnvelope } from '../../src/suit/envelope.ts';
import { ended } from '../../src/testing/gateway-edge.ts';
import { Owner, planGateway, runGateway, type GatewayPlace } from '../../src/testing/gateway.ts';
import { enrolLight, LightDevice } from '../../src/testing/light-device.ts';
import { startTestNetwork, type TestNetwork } from '../../src/testing/network.ts';
import { testAuthor, type TestAuthor, type TestRelease } from '../../src/testing/network-author.ts';

interface DeviceRow {
  readonly id: string;
  readonly online: boolean;
  readonly current: { readonly version: string } | null;
}

interface OfferRow {
  readonly offer: string;
  readonly device: string;
  readonly state: string;
  readonly reported: boolean;
}

const LAMP = { type: 'lamp', model: 'lamp', hardware: '1.0' };

let network: TestNetwork;
let author: TestAuthor;
let place: GatewayPlace;
let gateway: Gateway;
let owner: Owner;
let release: TestRelease;
const honest: LightDevice[] = [];
const hostile: MqttClient[] = [];
/** Of the first honest device: what it was offered, and the report that it signed. */
let offered: Offer;
let report: Uint8Array;

const offers = (id: string): Promise<readonly OfferRow[]> =>
  owner.list<OfferRow>(`offers?device=${id}`);

async function row(id: string): Promise<DeviceRow> {
  const found = (await owner.list<DeviceRow>('devices')).find((device) => device.id === id);
  assert.ok(found);
  return found;
}

async function until(what: string, holds: () => Promise<boolean> | boolean): Promise<void> {
  const end = performance.now() + 20_000;
  while (!(await holds())) {
    assert.ok(performance.now() < end, what);
    await sleep(20);
  }
}

/** A session of an enrolled key in the hands of whoever runs this test. */
async function session(enrolment: Enrolment): Promise<MqttClient> {
  const { credential, mqtt, rootPem } = enrolment;
  assert.equal(credential.tier, 'certificate');
  if (credential.tier !== 'certificate') throw new Error('unreachable');
  const [host = '', port] = mqtt.split(':');
  const client = connect({
    protocol: 'mqtts',
    host,
    port: Number(port),
    protocolVersion: 4,
    reconnectPeriod: 0,
    ca: rootPem,
    cert: credential.certificatePem,
    key: p256PrivatePem(credential.key),
  });
  client.on('error', () => undefined);
  hostile.push(client);
  await new Promise<void>((resolve, reject) => {
    client.once('connect', () => resolve());
    client.once('close', () => reject(new Error('not let in')));
  });
  return client;
}

/** Until it is acknowledged, or the session ended for it. */
async function say(client: MqttClient, name: string, payload: string | Uint8Array): Promise<void> {
  const bytes = typeof payload === 'string' ? payload : Buffer.from(payload);
  const acknowledged = new Promise<void>((resolve) => {
    if (client.connected) client.publish(name, bytes, { qos: 1 }, () => resolve());
  });
  await Promise.race([acknowledged, ended(client)]);
}

const enrol = async (): Promise<Enrolment> => enrolLight(await owner.bundle(), LAMP);

before(async () => {
  network = await startTestNetwork({ operators: 1 });
  author = await testAuthor(network);
  await author.declare('lamp');
  place = await planGateway(network, {
    lines: [{ line: author.line('lamp'), anchor: author.anchor, ...LAMP, hardware: ['1.0'] }],
  });
  gateway = await runGateway(place, network.clock);
  owner = new Owner(place);
  release = await author.publish({ version: '1.0.0', size: 20_000 });
  await owner.poll();
  for (let i = 0; i < 4; i++) {
    const tier = i === 3 ? 'psk' : 'certificate';
    const enrolment = await enrolLight(await owner.bundle(), { ...LAMP, tier });
    const outcome = (offer: Offer): ReturnType<typeof reporting> => reporting(enrolment, offer, i);
    honest.push(new LightDevice(enrolment, { ...LAMP, pauses: [50, 200], outcome }));
  }
  for (const device of honest) await device.runs('1.0.0');
  const settled = async ({ id, enrolment }: LightDevice): Promise<boolean> => {
    const [offer] = await offers(id);
    return offer?.state === 'installed' && offer.reported === (enrolment.credential.tier !== 'psk');
  };
  for (const device of honest) await until('settled', () => settled(device));
});

after(async () => {
  for (const client of hostile) client.end(true);
  await Promise.all(honest.map((device) => device[Symbol.asyncDispose]()));
  await owner[Symbol.asyncDispose]();
  await gateway[Symbol.asyncDispose]();
  await network[Symbol.asyncDispose]();
});

function reporting(
  { credential }: Enrolment,
  offer: Offer,
  index: number,
): { readonly state: 'installed'; readonly detail: string; readonly report?: Uint8Array } {
  if (credential.tier !== 'certificate' || offer.version !== '1.0.0')
    return { state: 'installed', detail: '' };
  const bytes = signReport(credential.key, network.root, {
    digest: parseEnvelope(release.envelope).digest,
    referenceUri: '',
    records: [],
    result: true,
    counter: 1,
    headSize: 1,
    freshness: 'fresh(own clock)',
    opaque: true,
    nonce: Uint8Array.fromHex(offer.nonce),
  });
  if (index === 0) [offered, report] = [offer, bytes];
  return { state: 'installed', detail: '', report: bytes };
}

suite('a hostile device', () => {
  test('reaches no topic of another: not to hear, not to speak', async () => {
    const victim = honest[0] as LightDevice;
    const mean = await enrol();
    const before = await offers(victim.id);
    const listening = await session(mean);
    for (const filter of ['#', '+/+/+/+', topic(victim.id, 'offer'), `firmament/v1/${victim.id}/#`])
      await assert.rejects(listening.subscribeAsync(filter, { qos: 1 }), filter);
    for (const channel of ['hello', 'status', 'report', 'offer', 'time'] as const) {
      const client = await session(mean);
      client.publish(topic(victim.id, channel), '{}', { qos: 0 });
      await ended(client);
    }
    assert.deepEqual(await offers(victim.id), before);
    assert.equal((await row(victim.id)).online, true);
  });

  test("answers another's offer from its own topic: that offer stays as it is", async () => {
    const [victim] = honest as [LightDevice];
    const before = await offers(victim.id);
    const mean = await enrol();
    const speaking = await session(mean);
    const said = { offer: offered.offer, detail: 'x', done: 0, total: 0 };
    for (const state of ['refused', 'rolled-back'] as const)
      await say(speaking, topic(mean.device, 'status'), encodePayload({ ...said, state }));
    assert.deepEqual(await offers(victim.id), before);
  });

  test('replays a report: of another it counts for nobody, its own once', async () => {
    const [victim] = honest as [LightDevice];
    const before = await offers(victim.id);
    const mean = await enrol();
    const replaying = await session(mean);
    const hello = { ...LAMP, digest: '', sequence: '0', version: '', sha256: '' };
    await say(replaying, topic(mean.device, 'hello'), encodePayload(hello));
    await until('it has an offer', async () => (await offers(mean.device)).length > 0);
    for (let i = 0; i < 5; i++) await say(replaying, topic(mean.device, 'report'), report);
    assert.ok((await offers(mean.device)).every(({ reported }) => !reported));
    const own = await session(victim.enrolment);
    for (let i = 0; i < 5; i++) await say(own, topic(victim.id, 'report'), report);
    own.end(true);
    assert.deepEqual(await offers(victim.id), before);
  });

  test('fetches what another was offered: it is public, and no more of the gateway is', async () => {
    const mean = await enrol();
    await using client = createClient({ pins: { root: certificateSha256(mean.rootPem) } });
    const url = (path: string): string => `https://${mean.https}${path}`;
    const { body } = await client.request({ url: url(offered.image), maxBytes: 1 << 20 });
    assert.equal(hex(sha256(body)), offered.sha256);
    for (const path of [
      '/v1/devices',
      '/v1/offers',
      '/v1/images/../../../authority/authority.pem',
      '/v1/images/..%2f..%2fauthority%2fauthority.pem',
      `/v1/images/${'0'.repeat(64)}`,
    ])
      await assert.rejects(client.request({ url: url(path), maxBytes: 1 << 20 }), path);
    const api = `https://127.0.0.1:${place.ports.api}/v1/devices`;
    await assert.rejects(client.request({ url: api, maxBytes: 1 << 20 }));
  });

  test('all at once, while the others update', async () => {
    const stop = new AbortController();
    const attacks: Promise<void>[] = [];
    const attack = async (what: (client: MqttClient, device: string) => void): Promise<void> => {
      const mean = await enrol();
      const repeat = async (): Promise<void> => {
        while (!stop.signal.aborted) {
          const client = await session(mean).catch(() => undefined);
          if (client) what(client, mean.device);
          await sleep(50);
        }
      };
      attacks.push(repeat());
    };
    await attack((client, device) => {
      for (let i = 0; i < 500; i++) client.publish(topic(device, 'ask'), 'x', { qos: 0 });
    });
    await attack((client, device) => {
      client.publish(topic(device, 'report'), Buffer.alloc(70_000), { qos: 0 });
    });
    await attack((client, device) => {
      client.publish(topic(device, 'report'), Buffer.alloc(60_000), { qos: 2 });
      client.subscribe(topic(device, 'offer'));
      (client.stream as TLSSocket).pause();
    });
    await attack((client, device) => {
      const nothing = { digest: '', sequence: '0', version: '', sha256: '' };
      const hello = encodePayload({ ...LAMP, ...nothing });
      for (let i = 0; i < 150; i++) client.publish(topic(device, 'hello'), hello, { qos: 1 });
    });
    try {
      await sleep(300);
      await author.publish({ version: '1.1.0', size: 20_000 });
      const from = performance.now();
      await owner.poll();
      for (const device of honest) await device.runs('1.1.0');
      const took = performance.now() - from;
      assert.ok(took < 10_000, `${Math.round(took)} ms`);
    } finally {
      stop.abort();
      await Promise.all(attacks);
    }
    for (const { id } of honest)
      await until('told', async () => (await row(id)).current?.version === '1.1.0');
  });
});
