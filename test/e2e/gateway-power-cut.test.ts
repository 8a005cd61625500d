/**
 * A device behind a real gateway, offer by MQTT and firmware by HTTPS, whose power goes at every change of its storage
 * during an update: it boots the old or the new image, whole, and the offer that stands is then carried out.
 */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { cp } from 'node:fs/promises';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { enrolLight } from '../../src/testing/light-device.ts';
import type { Enrolment } from '../../src/device/enrolment.ts';
import { openGatewayDevice, type GatewayDevice } from '../../src/device/gateway-device.ts';
import { CUTS, PowerGone, SimulatedDisk } from '../../src/device/simulated-disk.ts';
import { openDeviceState, type DeviceState } from '../../src/device/state.ts';
import { FirmamentError } from '../../src/errors.ts';
import type { Gateway } from '../../src/gateway/gateway.ts';
import type { Files } from '../../src/reader/files.ts';
import { Owner, planGateway, runGateway } from '../../src/testing/gateway.ts';
import { startTestNetwork, type TestNetwork } from '../../src/testing/network.ts';
import { testAuthor, type TestAuthor } from '../../src/testing/network-author.ts';

const LAMP = { type: 'lamp', model: 'lamp', hardware: '1.0' };
const WORKERS = ['w', 'x', 'y', 'z'];

let network: TestNetwork;
let author: TestAuthor;
let gateway: Gateway;
let owner: Owner;

before(async () => {
  network = await startTestNetwork({ operators: 1 });
  author = await testAuthor(network);
  await author.declare('lamp');
  const place = await planGateway(network, {
    lines: [{ line: author.line('lamp'), anchor: author.anchor, ...LAMP, hardware: ['1.0'] }],
  });
  gateway = await runGateway(place, network.clock);
  owner = new Owner(place);
});

after(async () => {
  await owner[Symbol.asyncDispose]();
  await gateway[Symbol.asyncDispose]();
  await network[Symbol.asyncDispose]();
});

/** A device as its maker made it, on a storage that a test can cut. */
interface Made {
  readonly folder: string;
  readonly layout: 'ab' | 'single';
}

/** What a device without power gets of its storage, in a process that goes on. */
function powered(disk: SimulatedDisk, folder: string): Files {
  const dead = (error: unknown): never => {
    if (error instanceof PowerGone) throw new FirmamentError('DEVICE_STORAGE_IO');
    throw error;
  };
  // Copies of one storage are opened from several folders: only one at a time has a folder.
  const at = (path: string): string => path.slice(folder.length);
  return {
    size: (path) => disk.size(at(path)).catch(dead),
    read: (path, offset, length) => disk.read(at(path), offset, length).catch(dead),
    write: (path, offset, bytes) => disk.write(at(path), offset, bytes).catch(dead),
    truncate: (path, size) => disk.truncate(at(path), size).catch(dead),
    sync: (path) => disk.sync(at(path)).catch(dead),
    rename: (from, to) => disk.rename(at(from), at(to)).catch(dead),
    remove: (path) => disk.remove(at(path)).catch(dead),
    makeFolder: (path) => disk.makeFolder(at(path)).catch(dead),
    syncFolder: (path) => disk.syncFolder(at(path)).catch(dead),
  };
}

function open(
  folder: string,
  disk: SimulatedDisk,
  enrolment: Enrolment,
  onInstalled: () => void = () => undefined,
): Promise<GatewayDevice> {
  return openGatewayDevice(folder, {
    enrolment,
    sntp: null,
    device: { clock: network.clock, files: powered(disk, folder) },
    offers: {
      mode: 'force',
      pauses: [20, 100],
      retry: [20, 100],
      onEvent: (event) =>
        event.type === 'attempt' && event.state === 'installed' ? onInstalled() : undefined,
    },
  });
}

function runs({ device }: GatewayDevice): string {
  const { status } = device.bootloader;
  return status.kind === 'opaque' ? status.image.version : status.kind;
}

async function until(what: string, holds: () => boolean): Promise<void> {
  const end = performance.now() + 20_000;
  while (!holds()) {
    assert.ok(performance.now() < end, what);
    await sleep(5);
  }
}

async function stateOn(disk: SimulatedDisk): Promise<DeviceState> {
  return (await openDeviceState({ directory: '/state', floor: 0, files: disk })).state;
}

const enrol = async (): Promise<Enrolment> => enrolLight(await owner.bundle(), LAMP);

/** One update with the power cut at the `n`th change; then the next boot, and the way on. */
async function cutAt(
  { folder, layout }: Made,
  old: SimulatedDisk,
  n: number,
  booted: Set<string>,
): Promise<string> {
  const when = n % 2 === 0 ? 'before' : 'after';
  const cut = CUTS[n % CUTS.length] as (typeof CUTS)[number];
  const what = `${layout}, ${when} change ${n}, names ${cut.names}, bytes ${cut.bytes}`;
  const disk = old.copy();
  const accepted = await stateOn(disk);
  const enrolment = await enrol();
  disk.failAt(n, when);
  {
    await using cutDevice = await open(folder, disk, enrolment);
    assert.equal(runs(cutDevice), '1.0.0', what);
    await until(`${what}: no cut`, () => disk.off);
  }
  disk.cut(cut);
  const left = await stateOn(disk);
  assert.ok((left.head?.size ?? 0) >= (accepted.head?.size ?? 0), what);
  assert.ok(left.floor >= accepted.floor && left.counter >= accepted.counter, what);
  let told = false;
  await using device = await open(folder, disk, enrolment, () => (told = true));
  booted.add(runs(device));
  assert.match(runs(device), /^[12]\.0\.0$/, what);
  const { slots } = device.device;
  assert.ok(slots.state.active, what);
  await slots.verify(slots.state.active);
  await until(`${what}: not updated`, () => told && runs(device) === '2.0.0');
  const confirmed = (): bigint | undefined =>
    [...device.device.state.state.lines.values()][0]?.confirmed?.sequence;
  assert.equal(confirmed(), 2n, what);
  return enrolment.device;
}

async function installWhole(version: string, { folder }: Made, disk: SimulatedDisk): Promise<void> {
  let installed = false;
  await using device = await open(folder, disk, await enrol(), () => (installed = true));
  await until(version, () => installed);
  assert.equal(runs(device), version);
}

test('the power goes at every change of an update by offer', { timeout: 240_000 }, async (t) => {
  await author.publish({ version: '1.0.0', image: new Uint8Array(randomBytes(3000)) });
  await owner.poll();
  const old: { readonly made: Made; readonly disk: SimulatedDisk }[] = [];
  for (const layout of ['ab', 'single'] as const) {
    const { folder } = network.device(
      [{ line: author.line('lamp'), anchor: author.anchor }],
      'consent',
      layout,
    );
    const disk = new SimulatedDisk();
    await installWhole('1.0.0', { folder, layout }, disk);
    old.push({ made: { folder, layout }, disk });
  }
  await author.publish({ version: '2.0.0', image: new Uint8Array(randomBytes(4000)) });
  await owner.poll();
  for (const { made, disk } of old) {
    const whole = disk.copy();
    await installWhole('2.0.0', made, whole);
    const { operations } = whole;
    assert.ok(operations > 40, String(operations));
    const booted = new Set<string>();
    const devices: string[] = [];
    let next = 0;
    const worker = async (name: string): Promise<void> => {
      const folder = `${made.folder}-${name}`;
      await cp(made.folder, folder, { recursive: true });
      while (next < operations)
        devices.push(await cutAt({ ...made, folder }, disk, next++, booted));
    };
    const ended = await Promise.allSettled(
      WORKERS.map((name) => worker(name).finally(() => (next = operations))),
    );
    for (const end of ended) if (end.status === 'rejected') throw end.reason;
    assert.deepEqual(booted, new Set(['1.0.0', '2.0.0']));
    t.diagnostic(`${made.layout}: ${operations} cuts`);
    const offers = await owner.list<{ readonly device: string; readonly state: string }>('offers');
    for (const id of devices)
      assert.ok(
        offers.some(({ device, state }) => device === id && state === 'installed'),
        id,
      );
  }
});
