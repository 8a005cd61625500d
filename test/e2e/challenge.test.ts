/** Devices that have no time of their own update all the same: k operators answer their nonces (T14). */
import assert from 'node:assert/strict';
import { after, before, suite, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { buildSampleFirmware } from '../../src/device/firmware/sample.ts';
import type { AgentEvent, PollResult } from '../../src/device/agent.ts';
import type { DeviceOptions } from '../../src/device/device.ts';
import { openGatewayDevice, type GatewayDevice } from '../../src/device/gateway-device.ts';
import type { Gateway } from '../../src/gateway/gateway.ts';
import { Owner, planGateway, runGateway } from '../../src/testing/gateway.ts';
import { enrolLight } from '../../src/testing/light-device.ts';
import { startTestNetwork, type TestDevice, type TestNetwork } from '../../src/testing/network.ts';
import { testAuthor, type TestAuthor } from '../../src/testing/network-author.ts';

let network: TestNetwork;
let author: TestAuthor;
let gateway: Gateway;
let owner: Owner;
let version = 0;
const LAMP = { type: 'lamp', model: 'lamp', hardware: '1.0' };

before(async () => {
  // One of the four operators has no node for devices; its cosigner answers all the same.
  network = await startTestNetwork({
    replicate: () => 'all',
    roles: (name) =>
      name.startsWith('b') ? ['general', 'registration'] : ['general', 'registration', 'retrieval'],
  });
  author = await testAuthor(network);
  await publish();
  const place = await planGateway(network, {
    lines: [{ line: author.line(), anchor: author.anchor, ...LAMP, hardware: ['1.0'] }],
  });
  gateway = await runGateway(place, network.clock);
  owner = new Owner(place);
  await owner.poll();
});
after(async () => {
  await owner[Symbol.asyncDispose]();
  await gateway[Symbol.asyncDispose]();
  await network[Symbol.asyncDispose]();
});

async function publish(): Promise<void> {
  version += 1;
  const image = buildSampleFirmware({ version: `1.0.${version}`, model: 'lamp', size: 20_000 });
  await author.publish({ version: `1.0.${version}`, image });
}

function made(clock?: 'none'): TestDevice {
  const lines = [{ line: author.line(), anchor: author.anchor }];
  return network.device(lines, 'never', 'ab', clock);
}

async function polled(
  device: TestDevice,
  options: Partial<DeviceOptions> = {},
): Promise<{ readonly result: PollResult; readonly floor: number; readonly events: AgentEvent[] }> {
  const events: AgentEvent[] = [];
  const onAgentEvent = (event: AgentEvent): void => void events.push(event);
  await using opened = await device.open({ onAgentEvent, ...options });
  const result = await opened.agent.poll();
  return { result, floor: opened.state.state.floor, events };
}

/** Behind a gateway, enrolled; its firmware ends with it. */
async function behind(): Promise<{ readonly device: GatewayDevice; readonly said: string[] }> {
  const enrolment = await enrolLight(await owner.bundle(), LAMP);
  const said: string[] = [];
  const device = await openGatewayDevice(made().folder, {
    enrolment,
    sntp: null,
    device: {
      clock: () => 0,
      onAgentEvent: (event) => void (event.type === 'accepted' && said.push(event.freshness)),
    },
    offers: {
      mode: 'force',
      pauses: [20, 100],
      retry: [50, 100],
      onEvent: (event) => void (event.type === 'attempt' && said.push(event.detail)),
    },
  });
  return { device, said };
}

async function until(what: string, holds: () => boolean): Promise<void> {
  const end = performance.now() + 30_000;
  while (!holds()) {
    assert.ok(performance.now() < end, what);
    await sleep(20);
  }
}

suite('a device without the time', { timeout: 120_000 }, () => {
  test('its clock is in 1970: it updates, and learns the time', async () => {
    const { result, floor } = await polled(made(), { clock: () => 0 });
    assert.deepEqual([result.outcome, result.freshness], ['installed', 'fresh(nonce)']);
    assert.ok(Math.abs(floor - network.clock()) < 60);
  });

  test('its clock is a year ahead', async () => {
    const clock = (): number => network.clock() + 31_536_000;
    const { result, floor } = await polled(made(), { clock });
    assert.deepEqual([result.outcome, result.freshness], ['installed', 'fresh(nonce)']);
    assert.ok(floor <= network.clock());
  });

  test('a clock that can be right asks nobody', async () => {
    const { result } = await polled(made());
    assert.equal(result.freshness, 'fresh(own clock)');
  });

  test('made without a clock: the machine under it may have one', async () => {
    const { result } = await polled(made('none'));
    assert.deepEqual([result.outcome, result.freshness], ['installed', 'fresh(nonce)']);
  });

  test('behind a gateway: the nonce goes on to the operators', async () => {
    const { device, said } = await behind();
    await using _ = device;
    await until('installed', () => 'image' in device.device.bootloader.status);
    assert.equal(
      said.findLast((each) => each.startsWith('fresh')),
      'fresh(nonce)',
    );
  });

  test('with k operators it does, with k - 1 it stays stale', async () => {
    const device = made();
    await network.stop('a/n1');
    const enough = await polled(device, { clock: () => 0 });
    assert.equal(enough.result.freshness, 'fresh(nonce)');
    const second = made();
    await network.stop('c/n1');
    const { result, events } = await polled(second, { clock: () => 0 });
    assert.deepEqual([result.outcome, result.code], ['refused', 'TRUST_STALE']);
    assert.ok(
      events.every((event) => event.type !== 'accepted' || !event.freshness.startsWith('fresh')),
    );
    // Nor through the gateway, whose own proof is from when there were k.
    const { device: third, said } = await behind();
    await using _ = third;
    await until('judged', () => said.includes('TRUST_STALE'));
    assert.ok(!said.some((each) => each.startsWith('fresh')));
  });
});
