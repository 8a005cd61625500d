// A gateway listens to a node's stream: releases reach it without waiting for its next round, and the node may go.
import assert from 'node:assert/strict';
import { after, before, suite, test } from 'node:test';
import { Owner, planGateway, runGateway } from '../../src/testing/gateway.ts';
import { enrolLight, LightDevice } from '../../src/testing/light-device.ts';
import { startTestNetwork, type TestNetwork } from '../../src/testing/network.ts';
import { testAuthor, type TestAuthor } from '../../src/testing/network-author.ts';

const LAMP = { type: 'lamp', model: 'lamp', hardware: '1.0' };

suite('a gateway that listens', () => {
  let network: TestNetwork;
  let author: TestAuthor;
  let lamp: LightDevice;
  const cleanup = new AsyncDisposableStack();

  before(async () => {
    network = cleanup.use(await startTestNetwork({ operators: 4 }));
    author = await testAuthor(network);
    await author.declare('lamp');
    const place = await planGateway(network, {
      lines: [{ line: author.line('lamp'), anchor: author.anchor, ...LAMP, hardware: ['1.0'] }],
      listen: true,
    });
    cleanup.use(await runGateway(place, network.clock));
    const owner = cleanup.use(new Owner(place));
    lamp = cleanup.use(new LightDevice(await enrolLight(await owner.bundle(), LAMP), LAMP));
    await lamp.event(({ type }) => type === 'gateway-connected');
  });
  after(() => cleanup.disposeAsync());

  /** Milliseconds from the release's availability until the device has its offer. */
  async function arrival(version: string): Promise<number> {
    const from = lamp.events.length;
    const offered = lamp
      .event(({ type }) => type === 'offer', 20_000, from)
      .then(() => performance.now());
    await author.publish({ version, line: author.line('lamp'), size: 30_000 });
    const available = performance.now();
    const ms = (await offered) - available;
    await lamp.runs(version);
    return ms;
  }

  test('a release is with the device long before the next round', async (t) => {
    const ms = await arrival('1.0.0');
    t.diagnostic(`${Math.round(ms)} ms`);
    // Loose: machines that run tests are busy. About one second, as a rule.
    assert.ok(ms < 10_000, `${ms} ms`);
  });

  test('whichever node goes away, another is listened to', async () => {
    let patch = 0;
    for (const name of network.names) {
      await network.stop(name);
      await network.start(name);
      await arrival(`1.1.${patch++}`);
    }
  });
});
