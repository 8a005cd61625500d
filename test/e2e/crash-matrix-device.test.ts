/**
 * A device as a process that ends itself (SIGKILL) before and after every change of its storage during an
 * update. It boots the old or the new image, whole; what it has accepted never goes back; the update is done in the end.
 */
import assert from 'node:assert/strict';
import { cp } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { buildSampleFirmware } from '../../src/device/firmware/sample.ts';
import { openSlots } from '../../src/device/slots.ts';
import { openDeviceState, type DeviceState } from '../../src/device/state.ts';
import { FaultFile } from '../../src/testing/faults.ts';
import { startTestNetwork, type TestNetwork } from '../../src/testing/network.ts';
import { testAuthor } from '../../src/testing/network-author.ts';
import { runCommand, type Finished } from '../../src/testing/processes.ts';

const PROGRAM = join(import.meta.dirname, '../../src/testing/faulty-device.child.ts');

// What an update changes, each before and after; docs/spec/device.md.
const RECORD = ['remove', 'write', 'sync', 'rename'];
const CHANGES: Readonly<Record<string, readonly string[]>> = {
  'boot-state': RECORD,
  'device-state': RECORD,
  image: ['remove', 'write', 'sync'],
  slots: ['make-folder', 'sync-folder'],
  state: ['make-folder', 'sync-folder'],
};
const POINTS = Object.entries(CHANGES).flatMap(([what, changes]) =>
  changes.flatMap((change) =>
    ['before', 'after'].map((when) => `device.${what}.${change}.${when}`),
  ),
);

let network: TestNetwork;
/** A device that runs 1.0.0 while 2.0.0 is the newest. */
let folder: string;
let accepted: DeviceState;
let copies = 0;

before(async () => {
  network = await startTestNetwork({ operators: 1 });
  const author = await testAuthor(network);
  const device = network.device([{ line: author.line(), anchor: author.anchor }]);
  ({ folder } = device);
  for (const version of ['1.0.0', '2.0.0']) {
    const image = buildSampleFirmware({ version, model: 'lamp', size: 20_000 });
    await author.publish({ version, image });
    if (version === '1.0.0')
      assert.equal(resultOf(await runDevice(folder))['outcome'], 'installed');
  }
  accepted = await stateOf(folder);
});
after(() => network[Symbol.asyncDispose]());

let reached: readonly string[] = [];

test('an update comes to every point of the list, and to no other', async () => {
  const copy = await copied();
  const fault = new FaultFile(`${copy}-fault`);
  fault.record();
  const done = await runDevice(copy, fault);
  assert.equal(resultOf(done)['outcome'], 'installed', done.stderr.join('\n'));
  reached = fault.reached();
  assert.deepEqual([...new Set(reached)].toSorted(), POINTS.toSorted());
});

suite('crash matrix of a device', { timeout: 300_000, concurrency: 2 }, () => {
  for (const point of POINTS)
    test(point, async () => {
      // Each rename is another state of the device, the other steps are told apart by their first time.
      const times = reached.filter((name) => name === point).length;
      const hits = point.includes('.rename.') ? times : 1;
      assert.ok(hits > 0);
      for (let hit = 1; hit <= hits; hit++) await crashAt(point, hit);
    });
});

async function crashAt(point: string, hit: number): Promise<void> {
  const what = `${point} ${hit}`;
  const copy = await copied();
  const fault = new FaultFile(`${copy}-fault`);
  fault.arm(point, hit);
  const crashed = await runDevice(copy, fault);
  assert.equal(crashed.signal, 'SIGKILL', `${what}: ${crashed.stderr.join('\n')}`);
  assert.ok(!fault.armed, what);

  const slots = await openSlots({ directory: join(copy, 'slots') });
  for (const slot of ['a', 'b'] as const) if (slots.state.slots[slot]) await slots.verify(slot);
  const left = await stateOf(copy);
  assertNotBehind(left, accepted, what);

  const again = await runDevice(copy);
  const booted = again.events.find(({ type }) => type === 'ready')?.['version'];
  assert.ok(booted === '1.0.0' || booted === '2.0.0', `${what}: booted ${String(booted)}`);
  const result = resultOf(again);
  assert.equal(result['version'], '2.0.0', `${what}: ${JSON.stringify(result)}`);
  const end = await stateOf(copy);
  assertNotBehind(end, left, what);
  assert.equal([...end.lines.values()][0]?.confirmed?.sequence, 2n, what);
}

async function copied(): Promise<string> {
  const copy = join(network.folder, `copy-${++copies}`);
  await cp(folder, copy, { recursive: true });
  return copy;
}

function runDevice(directory: string, fault?: FaultFile): Promise<Finished> {
  return runCommand([directory], { program: PROGRAM, ...(fault && { env: fault.env }) });
}

function resultOf({ events, stderr }: Finished): Readonly<Record<string, unknown>> {
  const result = events.find(({ type }) => type === 'result');
  assert.ok(result, stderr.join('\n'));
  return result;
}

async function stateOf(directory: string): Promise<DeviceState> {
  return (await openDeviceState({ directory: join(directory, 'state'), floor: 0 })).state;
}

function assertNotBehind(state: DeviceState, before: DeviceState, what: string): void {
  assert.ok((state.head?.size ?? 0) >= (before.head?.size ?? 0), `${what}: head`);
  assert.ok(state.floor >= before.floor, `${what}: floor`);
  assert.ok(state.counter >= before.counter, `${what}: counter`);
  for (const [line, { lowest, confirmed, chain }] of before.lines) {
    const now = state.lines.get(line);
    assert.ok(now && now.lowest >= lowest, `${what}: lowest`);
    assert.ok(
      (now.confirmed?.sequence ?? -1n) >= (confirmed?.sequence ?? -1n),
      `${what}: confirmed`,
    );
    assert.ok((now.chain?.count ?? 0) >= (chain?.count ?? 0), `${what}: links`);
  }
}
