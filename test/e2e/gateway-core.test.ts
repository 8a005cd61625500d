// The core of a gateway: lines of two authors, nodes that lie or are gone, the owner's rules, restarts.
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { hex, text } from '../../src/bytes.ts';
import { openDatabase } from '../../src/database.ts';

import type { Gateway } from '../../src/gateway/gateway.ts';
import type { GroupPolicy } from '../../src/gateway/policy.ts';
import { createClient } from '../../src/net/client.ts';
import { certificateSha256 } from '../../src/net/authority.ts';
import { lineText } from '../../src/registry/line.ts';
import { startAttacker } from '../../src/testing/attacker.ts';
import { Owner, planGateway, runGateway, type GatewayPlace } from '../../src/testing/gateway.ts';
import { enrolLight, LightDevice } from '../../src/testing/light-device.ts';
import { startTestNetwork, type TestNetwork } from '../../src/testing/network.ts';
import { testAuthor, type TestAuthor } from '../../src/testing/network-author.ts';
import { latestInstead } from '../../src/testing/tricks.ts';

interface Row {
  readonly id: string;
  readonly current: { readonly version: string } | null;
  readonly next?: { readonly waits: string | null; readonly digest: string };
}

interface OfferRow {
  readonly offer: string;
  readonly device: string;
  readonly digest: string;
  readonly state: string;
  readonly detail: string;
}

interface EventRow {
  readonly step: string;
  readonly line?: string;
  readonly detail: string;
}

const LAMP = { type: 'lamp', model: 'lamp', hardware: '1.0' };
const LOCK = { type: 'lock', model: 'lock', hardware: '2.0' };

async function eventually(what: string, holds: () => Promise<boolean> | boolean): Promise<void> {
  const end = performance.now() + 20_000;
  while (!(await holds())) {
    assert.ok(performance.now() < end, what);
    await sleep(50);
  }
}

suite('the core of a gateway', () => {
  let network: TestNetwork;
  let lamps: TestAuthor;
  let locks: TestAuthor;
  let place: GatewayPlace;
  let gateway: Gateway;
  let owner: Owner;
  let ahead = 0;
  const clock = (): number => network.clock() + ahead;

  before(async () => {
    network = await startTestNetwork({ operators: 4 });
    lamps = await testAuthor(network);
    locks = await testAuthor(network);
    await lamps.declare('lamp');
    await locks.declare('lock');
    place = await planGateway(network, {
      lines: [
        { line: lamps.line('lamp'), anchor: lamps.anchor, ...LAMP, hardware: ['1.0'] },
        { line: locks.line('lock'), anchor: locks.anchor, ...LOCK, hardware: ['2.0'] },
      ],
      groups: { asked: { functional: 'consent' } },
    });
    gateway = await runGateway(place, clock);
    owner = new Owner(place);
  });

  after(async () => {
    await owner[Symbol.asyncDispose]();
    await gateway[Symbol.asyncDispose]();
    await network[Symbol.asyncDispose]();
  });

  const device = async (
    options: Partial<ConstructorParameters<typeof LightDevice>[1]> = {},
    group?: string,
  ): Promise<LightDevice> => {
    const hardware = { ...LAMP, ...options };
    const enrolment = await enrolLight(await owner.bundle(), hardware);
    const move = { group: group ?? 'default' };
    await owner.call('PUT', `/v1/devices/${enrolment.device}/group`, move);
    return new LightDevice(enrolment, { ...hardware, pauses: [50, 200] });
  };
  const waits = async (id: string): Promise<string | null | undefined> => {
    const found = (await owner.list<Row>('devices')).find((row) => row.id === id);
    return found?.next?.waits;
  };
  const offersTo = (id: string): Promise<readonly OfferRow[]> =>
    owner.list<OfferRow>(`offers?device=${id}`);
  const events = async (): Promise<readonly EventRow[]> => {
    const all: (EventRow & { id: number })[] = [];
    for (;;) {
      const more = await owner.list<EventRow & { id: number }>(
        `events?after=${all.at(-1)?.id ?? 0}`,
      );
      if (more.length === 0) return all;
      all.push(...more);
    }
  };
  const setPolicy = (group: string, policy: Partial<GroupPolicy>): Promise<unknown> =>
    owner.call('PUT', `/v1/groups/${group}/policy`, { functional: 'automatic', ...policy });
  const say = (word: string, body: object): Promise<unknown> =>
    owner.call('POST', `/v1/decisions/${word}`, body);
  const restart = async (between: () => unknown = () => undefined): Promise<void> => {
    await gateway[Symbol.asyncDispose]();
    await between();
    gateway = await runGateway(place, clock);
  };

  test('lines of two authors, each to its own hardware', async () => {
    await lamps.publish({ version: '1.0.0', line: lamps.line('lamp') });
    await locks.publish({ version: '7.0.0', line: locks.line('lock') });
    await using lamp = await device();
    await using lock = await device(LOCK);
    await using other = await device({ hardware: '9.9' });
    await owner.poll();
    await lamp.runs('1.0.0');
    await lock.runs('7.0.0');
    assert.deepEqual(await offersTo(other.id), []);
    const steps = (await events())
      .filter(({ line }) => line === lineText(lamps.line('lamp')))
      .map(({ step }) => step);
    const order = ['announcement', 'verified', 'download', 'stored', 'compatible', 'offer'];
    assert.deepEqual(
      order.map((step) => steps.indexOf(step)).toSorted((a, b) => a - b),
      order.map((step) => steps.indexOf(step)),
    );
    assert.ok(steps.includes('offer'));
  });

  test('many looks at once make one offer', async () => {
    await using one = await device({}, 'asked');
    await eventually('it waits', async () => (await waits(one.id)) === 'consent');
    await say('consent', { device: one.id });
    await Promise.all(Array.from({ length: 8 }, () => owner.poll()));
    await one.runs('1.0.0');
    assert.equal((await offersTo(one.id)).length, 1);
  });

  test('a node that lies is noticed, and asked last', async () => {
    const name = 'a/n1';
    const keys = network.keys(name);
    const upstream = { url: network.url('b/n1'), spki: network.named('b/n1').node.spki };
    const { port } = new URL(network.url(name));
    await lamps.publish({ version: '1.1.0', line: lamps.line('lamp'), size: 2000 });
    await network.stop(name);
    {
      await using attacker = await startAttacker({
        tls: keys.tls,
        host: '127.0.0.1',
        port: Number(port),
        upstream,
      });
      attacker.play(latestInstead(new Uint8Array([0x83, 1, 2, 3])));
      const named = async (): Promise<number> =>
        (await events()).filter(
          ({ step, detail }) => step === 'refused' && detail.startsWith(`${name}: `),
        ).length;
      await using lamp = await device();
      for (let round = 0; round < 5; round++) await owner.poll();
      await lamp.runs('1.1.0');
      const times = await named();
      assert.ok(times >= 1 && times <= 2, `refused ${times} times`);
    }
    await network.start(name);
  });

  test('the owner is asked, forbids, pins, postpones and takes back', async () => {
    await using careful = await device({}, 'asked');
    await eventually('consent', async () => (await waits(careful.id)) === 'consent');
    const [{ digest } = { digest: '' }] = (await owner.list<Row>('devices'))
      .filter(({ id }) => id === careful.id)
      .map(({ next }) => ({ digest: next?.digest ?? '' }));
    await say('veto', { digest });
    await say('consent', { digest });
    assert.equal(await waits(careful.id), 'vetoed');
    await say('consent', { digest, takeBack: true });
    await say('veto', { digest, takeBack: true });
    await setPolicy('asked', { pin: '0' });
    assert.equal(await waits(careful.id), 'pinned');
    await setPolicy('asked', { window: [0, 0] });
    assert.equal(await waits(careful.id), 'maintenance window');
    await say('postpone', { device: careful.id, until: clock() + 1000 });
    assert.equal(await waits(careful.id), 'postponed');
    await say('opt-out', { device: careful.id });
    assert.equal(await waits(careful.id), 'opted out');
    assert.deepEqual(await offersTo(careful.id), []);
    await say('opt-out', { device: careful.id, takeBack: true });
    await say('postpone', { device: careful.id, takeBack: true });
    await setPolicy('asked', {});
    await careful.runs('1.1.0');
    await setPolicy('asked', { functional: 'consent' });
  });

  test('an offer to a device that is away is taken back, and does not come again', async () => {
    const away = await device();
    await away.runs('1.1.0');
    await away[Symbol.asyncDispose]();
    const { digest } = await lamps.publish({ version: '1.2.0', line: lamps.line('lamp') });
    await owner.poll();
    const [open] = await offersTo(away.id);
    assert.equal(open?.state, 'offered');
    await owner.call('POST', `/v1/offers/${open?.offer}/cancel`);
    await owner.poll();
    assert.deepEqual(
      (await offersTo(away.id)).map(({ state }) => state),
      ['cancelled', 'installed'],
    );
    assert.equal(await waits(away.id), 'vetoed');
    await say('veto', { device: away.id, digest: hex(digest), takeBack: true });
    assert.equal((await offersTo(away.id))[0]?.state, 'offered');
    await using back = new LightDevice(away.enrolment, LAMP, away.running);
    await back.runs('1.2.0');
  });

  test('a phase waits for successes, failures stop a release, and a failed attempt is tried again', async () => {
    await setPolicy('phased', { phase: { count: 1, percent: false, successes: 1 } });
    let good = false;
    const outcome = (): { state: 'installed' | 'rolled-back'; detail: string } => ({
      state: good ? 'installed' : 'rolled-back',
      detail: '',
    });
    await using first = await device({ outcome }, 'phased');
    await eventually('tried', async () => (await offersTo(first.id))[0]?.state === 'rolled-back');
    await using second = await device({ outcome }, 'phased');
    await eventually('waits', async () => (await waits(second.id)) === 'phase');
    assert.equal(await waits(first.id), 'retry later');
    good = true;
    ahead += 61;
    await owner.poll();
    await first.runs('1.2.0');
    await second.runs('1.2.0');

    await setPolicy('bad', { stopAtFailurePercent: 50 });
    good = false;
    const bad = await Promise.all(Array.from({ length: 4 }, () => device({ outcome }, 'bad')));
    for (const { id } of bad)
      await eventually('failed', async () => (await offersTo(id))[0]?.state === 'rolled-back');
    await using late = await device({}, 'bad');
    await eventually('stop', async () => (await waits(late.id)) === 'stopped after failures');
    for (const each of bad) await each[Symbol.asyncDispose]();
  });

  test('a device without the way there gets the waypoint first', async () => {
    await setPolicy('way', {});
    await using old = await device({}, 'way');
    await old.runs('1.2.0');
    const line = lamps.line('lamp');
    const waypoint = await lamps.publish({ version: '2.0.0', line });
    const { sequence } = (
      (await (async () => {
        await owner.poll();
        return owner.list<{ digest: string; sequence: string }>('releases');
      })()) as readonly { digest: string; sequence: string }[]
    ).find(({ digest }) => digest === hex(waypoint.digest)) ?? { sequence: '0' };
    await old.runs('2.0.0');
    await old[Symbol.asyncDispose]();
    await lamps.publish({
      version: '3.0.0',
      line,
      claims: { applies: [BigInt(sequence), BigInt(sequence) + 10n], via: waypoint.digest },
    });
    await owner.poll();
    await using behind = new LightDevice(old.enrolment, LAMP, {
      digest: 'ab'.repeat(32),
      sequence: '1',
      version: '0.9',
      sha256: 'cd'.repeat(32),
    });
    await behind.runs('3.0.0');
    const taken = (await offersTo(behind.id)).slice(0, 2).map(({ digest }) => digest);
    assert.equal(taken[1], hex(waypoint.digest));
  });

  test('what was withdrawn is offered to nobody any more', async () => {
    const away = await device();
    await away.runs('3.0.0');
    await away[Symbol.asyncDispose]();
    const line = lamps.line('lamp');
    const release = await lamps.publish({ version: '3.1.0', line });
    await owner.poll();
    assert.equal((await offersTo(away.id))[0]?.digest, hex(release.digest));
    await lamps.withdraw(release);
    await eventually('gone', async () => {
      await owner.poll();
      return (await offersTo(away.id))[0]?.state === 'cancelled';
    });
  });

  test('it starts and serves with every node out of reach, and offers again what was offered', async () => {
    const away = await device();
    await away.runs('3.0.0');
    await away[Symbol.asyncDispose]();
    await lamps.publish({ version: '4.0.0', line: lamps.line('lamp') });
    await owner.poll();
    const [offer] = await offersTo(away.id);
    assert.equal(offer?.state, 'offered');
    const names = network.running().length;
    await restart(async () => {
      for (const name of network.names) await network.stop(name);
    });
    assert.equal(names, 4);
    await using back = new LightDevice(away.enrolment, LAMP, away.running);
    await back.runs('4.0.0');
    assert.equal((await offersTo(away.id))[0]?.offer, offer?.offer);
    // A factory-new one too: proofs, envelopes and images are here.
    await using fresh = await device();
    await fresh.runs('4.0.0');
    await Promise.all(network.names.map((name) => network.start(name)));
  });

  test('a line that changed hands waits, whatever was allowed for all releases', async () => {
    const line = lineText(lamps.line('lamp'));
    await restart(() => {
      const database = openDatabase(join(place.folder, 'data', 'gateway.db'));
      database
        .prepare('UPDATE line SET agreed_owner = ? WHERE line = ?')
        .run('00'.repeat(32), line);
      database.close();
    });
    await say('consent', {});
    await using lamp = await device();
    await eventually('waits', async () => (await waits(lamp.id)) === 'the line changed hands');
    await assert.rejects(owner.call('POST', '/v1/lines/agree', { line: 'no line' }), {
      code: 'LINE_UNKNOWN',
    });
    await owner.call('POST', '/v1/lines/agree', { line });
    await lamp.runs('4.0.0');
    await say('consent', { takeBack: true });
  });

  test('lines may come, go and change places in the configuration', async () => {
    const before = readFileSync(place.config, 'utf8');
    await restart(() => {
      const config = JSON.parse(before);
      config.networks[0].lines.reverse();
      writeFileSync(place.config, JSON.stringify(config));
    });
    await lamps.publish({ version: '5.0.0', line: lamps.line('lamp') });
    await using lamp = await device();
    await owner.poll();
    await lamp.runs('5.0.0');
    await restart(() => writeFileSync(place.config, before));
    await owner.poll();
    const { lines } = (await owner.call('GET', '/v1/status')) as {
      readonly lines: readonly { readonly freshness: string }[];
    };
    assert.deepEqual(
      lines.map(({ freshness }) => freshness),
      ['fresh(own clock)', 'fresh(own clock)'],
    );
  });

  test('a revoked device has no offer, and nobody else calls without the token', async () => {
    const gone = await device();
    await gone.runs('5.0.0');
    await gone[Symbol.asyncDispose]();
    await lamps.publish({ version: '6.1.0', line: lamps.line('lamp') });
    await owner.poll();
    assert.equal((await offersTo(gone.id))[0]?.state, 'offered');
    await owner.call('POST', `/v1/devices/${gone.id}/revoke`);
    assert.equal((await offersTo(gone.id))[0]?.state, 'cancelled');
    const root = readFileSync(join(place.folder, 'data', 'authority', 'root.pem'), 'utf8');
    await using stranger = createClient({ pins: { root: certificateSha256(root) } });
    for (const authorization of ['', 'Bearer', 'Bearer wrong', 'Basic YTpi'])
      await assert.rejects(
        stranger.request({
          url: `https://127.0.0.1:${place.ports.api}/v1/status`,
          headers: { authorization },
          maxBytes: 1 << 16,
        }),
        { code: 'GATEWAY_TOKEN_INVALID' },
      );
    const token = readFileSync(join(place.folder, 'token'), 'utf8').trim();
    const { body } = await stranger.request({
      url: `https://127.0.0.1:${place.ports.api}/metrics`,
      headers: { authorization: `Bearer ${token}` },
      maxBytes: 1 << 16,
    });
    const metrics = text(body);
    assert.match(metrics, /^firmament_gateway_lines_fresh 2$/m);
    assert.match(metrics, /^firmament_gateway_attempts_installed [1-9]/m);
  });
});
