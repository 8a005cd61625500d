/** Clocks of nodes that jump: block times never go back, publishing goes on, and devices judge by their own clock. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { openDatabase } from '../../src/database.ts';
import { buildSampleFirmware } from '../../src/device/firmware/sample.ts';
import type { PollResult } from '../../src/device/agent.ts';
import { Promises } from '../../src/testing/crash-network.ts';
import { startTestNetwork, type TestDevice, type TestNetwork } from '../../src/testing/network.ts';
import { testAuthor, type TestAuthor } from '../../src/testing/network-author.ts';

const HOUR = 3600;
const DAY = 86_400;
const now = (): number => Math.floor(Date.now() / 1000);
/** Seconds by which each node's clock is ahead. */
const ahead = new Map<string, number>();

let network: TestNetwork;
let author: TestAuthor;
let device: TestDevice;
let promises: Promises;
let version = 0;

before(async () => {
  network = await startTestNetwork({ start: [], replicate: () => 'all' });
  await Promise.all(
    network.names.map((name) =>
      network.start(name, { clock: () => now() + (ahead.get(name) ?? 0) }),
    ),
  );
  author = await testAuthor(network);
  promises = new Promises(network, 'a/n1');
  device = network.device([{ line: author.line(), anchor: author.anchor }]);
});
after(() => network[Symbol.asyncDispose]());

function jump(seconds: number, names: readonly string[] = network.names): void {
  ahead.clear();
  for (const name of names) ahead.set(name, seconds);
}

/** Publishes another version, and lets the device ask once. */
async function updated(): Promise<PollResult> {
  version += 1;
  const image = buildSampleFirmware({ version: `1.0.${version}`, model: 'lamp', size: 20_000 });
  promises.acknowledge((await author.publish({ version: `1.0.${version}`, image })).entries);
  return polled();
}

async function polled(): Promise<PollResult> {
  await using opened = await device.open({ clock: now });
  const result = await opened.agent.poll();
  // A quorum may have been there a moment before the signature of an operator whose clock is right.
  const soon =
    result.code === 'DEVICE_CONSENT_NEEDED' && !network.names.every((name) => ahead.get(name));
  if (!soon) return result;
  await sleep(1_000);
  return await opened.agent.poll();
}

suite('clock jumps', { timeout: 120_000 }, () => {
  test('all clocks are right', async () => {
    assert.deepEqual(freshness(await updated()), ['installed', 'fresh(own clock)']);
  });

  test('one operator is a day ahead: its time is not among those that count', async () => {
    jump(DAY, ['a/n1']);
    assert.deepEqual(freshness(await updated()), ['installed', 'fresh(own clock)']);
  });

  test('that clock is right again', async () => {
    jump(0);
    assert.deepEqual(freshness(await updated()), ['installed', 'fresh(own clock)']);
  });

  test('all nodes are an hour behind: older, and fresh enough', async () => {
    jump(-HOUR);
    assert.deepEqual(freshness(await updated()), ['installed', 'fresh(own clock)']);
  });

  test('all nodes are a day ahead: a device whose clock is right makes sure with a nonce', async () => {
    jump(DAY);
    assert.deepEqual(freshness(await updated()), ['installed', 'fresh(nonce)']);
  });

  test('and right again: k operators have said a later time, so the nonce has to do', async () => {
    jump(0);
    assert.deepEqual(freshness(await updated()), ['installed', 'fresh(nonce)']);
  });

  test('nothing acknowledged is lost, no record is behind, no block is older than the one before', async () => {
    await promises.checkServed(network.names);
    for (const name of network.names) {
      await promises.observe(name);
      await network.stop(name);
    }
    for (const name of network.names) await promises.checkDisk(name);
    const database = openDatabase(join(network.config('a/n1').data, 'ledger.db'));
    const rows = database.prepare('SELECT time FROM head ORDER BY height').all();
    database.close();
    const times = rows.map((row) => Number(row['time']));
    assert.deepEqual(
      times,
      times.toSorted((a, b) => a - b),
    );
    assert.ok((times.at(-1) ?? 0) > now() + HOUR, 'the time that was reached stays');
  });
});

function freshness({ outcome, freshness: how, code }: PollResult): unknown[] {
  return [outcome, how ?? code];
}
