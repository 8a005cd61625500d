// One bootable slot and a staging area: what T19 says holds, the image that ran comes back, and a full storage says so in time.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import { sha256 } from '#crypto';
import { hex } from '../bytes.ts';
import { FirmamentError } from '../errors.ts';
import { diskFiles, type Files } from '../reader/files.ts';
import { startBootloader, type BootStatus } from './bootloader.ts';
import { nodeRunner } from './firmware-process.ts';
import { buildSampleFirmware, type SampleOptions } from './firmware/sample.ts';
import { SimulatedDisk } from './simulated-disk.ts';
import type { SlotImage } from './slot-state.ts';
import { openSlots, type Slots } from './slots.ts';

const LINE = `${'a'.repeat(64)}/${'b'.repeat(32)}/${'c'.repeat(32)}/stable`;

function imageOf(bytes: Uint8Array, sequence: number): SlotImage {
  const sha = hex(sha256(bytes));
  const digest = hex(sha256(bytes.subarray(1)));
  const version = `${sequence}.0.0`;
  return {
    digest,
    line: LINE,
    sequence: BigInt(sequence),
    version,
    sha256: sha,
    size: bytes.length,
  };
}

function opaque(sequence: number): Uint8Array {
  return Uint8Array.from({ length: 1000 + 700 * sequence }, (_, i) => (i * 31 + sequence) % 251);
}

const open = (files: Files, directory = '/device'): Promise<Slots> =>
  openSlots({ directory, files, layout: 'single', swapBlock: 512 });

async function stage(slots: Slots, bytes: Uint8Array, sequence: number): Promise<void> {
  const file = await slots.begin(imageOf(bytes, sequence));
  await slots.files.write(file, 0, bytes);
  await slots.complete();
}

async function boot(slots: Slots, lowest = 0n): Promise<BootStatus> {
  const run = nodeRunner(process.execPath);
  return (await startBootloader({ slots, run, lowestOf: () => lowest })).status;
}

async function installed(...sequences: number[]): Promise<{ disk: SimulatedDisk; slots: Slots }> {
  const disk = new SimulatedDisk();
  const slots = await open(disk);
  for (const sequence of sequences) {
    await stage(slots, opaque(sequence), sequence);
    assert.equal(bootedOf(await boot(slots)), `${sequence}.0.0`);
  }
  return { disk, slots };
}

function bootedOf(status: BootStatus): string {
  return 'image' in status && status.kind !== 'unbootable' ? status.image.version : status.kind;
}

test('the slot is not touched before the new image is whole in the staging area', async () => {
  const { disk, slots } = await installed(1);
  const file = await slots.begin(imageOf(opaque(2), 2));
  assert.equal(file, '/device/staging');
  await disk.write(file, 0, opaque(2).subarray(0, 900));
  assert.equal(bootedOf(await boot(await open(disk))), '1.0.0');
  await assert.rejects(slots.complete(), { code: 'DEVICE_IMAGE_CORRUPT' });
  assert.deepEqual(await disk.read('/device/slot.cjs', 0, 1 << 16), opaque(1));
});

test('what boots lies in the slot, and what it took the place of in the staging area', async () => {
  const { disk, slots } = await installed(1, 3, 2);
  assert.deepEqual(await disk.read('/device/slot.cjs', 0, 1 << 16), opaque(2));
  assert.deepEqual(await disk.read('/device/staging', 0, 1 << 16), opaque(3));
  for (const slot of ['a', 'b'] as const) await slots.verify(slot);
  for (const left of ['scratch', 'journal', 'a.cjs', 'b.cjs'])
    assert.equal(await disk.size(`/device/${left}`), undefined);
});

test('real firmware: a trial that fails brings back the image that ran', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'firmament-single-'));
  try {
    const slots = await open(diskFiles, folder);
    const build = (options: Omit<SampleOptions, 'model'>): Uint8Array =>
      buildSampleFirmware({ model: 'lamp', ...options });
    await stage(slots, build({ version: '1.0.0' }), 1);
    const run = nodeRunner(process.execPath);
    await using bootloader = await startBootloader({ slots, run });
    assert.ok(bootloader.status.kind === 'running');
    assert.equal(bootloader.status.reported, '1.0.0');
    const bad = build({ version: '2.0.0', size: 5000, broken: 'crash' });
    await stage(slots, bad, 2);
    const status = await bootloader.reboot();
    assert.ok(status.kind === 'running' && status.healthy && status.reported === '1.0.0');
    const again = imageOf(bad, 2);
    await assert.rejects(slots.begin(again), { code: 'DEVICE_TRIAL_FAILED_BEFORE' });
    await stage(slots, build({ version: '3.0.0', size: 2500 }), 3);
    const last = await bootloader.reboot();
    assert.ok(last.kind === 'running' && last.reported === '3.0.0');
  } finally {
    rmSync(folder, { recursive: true });
  }
});

suite('T19 with one bootable slot: a damaged image', () => {
  test('gives way to the one before it, put back in its place', async () => {
    const { disk } = await installed(1, 2);
    disk.damage('/device/slot.cjs', 5);
    const slots = await open(disk);
    assert.equal(bootedOf(await boot(slots)), '1.0.0');
    assert.deepEqual(await disk.read('/device/slot.cjs', 0, 1 << 16), opaque(1));
    await stage(slots, opaque(2), 2);
    assert.equal(bootedOf(await boot(slots)), '2.0.0');
  });

  test('not to one below the lowest: nothing boots, and an install is waited for', async () => {
    const { disk } = await installed(1, 2);
    disk.damage('/device/slot.cjs', 5);
    const slots = await open(disk);
    assert.equal((await boot(slots, 2n)).kind, 'unbootable');
    await stage(slots, opaque(3), 3);
    assert.equal(bootedOf(await boot(slots, 2n)), '3.0.0');
  });

  test('the first image fails its trial: there is none to come back, and the next is taken', async () => {
    const disk = new SimulatedDisk();
    const slots = await open(disk);
    await stage(slots, opaque(1), 1);
    disk.damage('/device/staging', 5);
    assert.equal((await boot(slots)).kind, 'empty');
    await stage(slots, opaque(2), 2);
    assert.equal(bootedOf(await boot(slots)), '2.0.0');
  });
});

/** A storage of so many bytes. */
function bounded(disk: SimulatedDisk, names: readonly string[], room: { bytes: number }): Files {
  const used = async (): Promise<number> =>
    (await Promise.all(names.map((name) => disk.size(`/device/${name}`)))).reduce<number>(
      (sum, size) => sum + (size ?? 0),
      0,
    );
  return {
    size: (path) => disk.size(path),
    read: (path, offset, length) => disk.read(path, offset, length),
    truncate: (path, size) => disk.truncate(path, size),
    sync: (path) => disk.sync(path),
    rename: (from, to) => disk.rename(from, to),
    remove: (path) => disk.remove(path),
    makeFolder: (path) => disk.makeFolder(path),
    syncFolder: (path) => disk.syncFolder(path),
    async write(path, offset, bytes) {
      const size = (await disk.size(path)) ?? 0;
      const growth = Math.max(0, offset + bytes.length - size);
      if ((await used()) + growth > room.bytes) throw new FirmamentError('DEVICE_STORAGE_FULL');
      await disk.write(path, offset, bytes);
    },
  };
}

test('too little room is said before the slot is touched: the old image boots, and with room the new', async () => {
  const names = ['slot.cjs', 'staging', 'scratch', 'journal', 'boot-state', 'boot-state.new'];
  const { disk: before } = await installed(1);
  const seen = new Set<string>();
  for (let bytes = 3000; bytes < 20_000; bytes += 250) {
    const disk = before.copy();
    const room = { bytes };
    const files = bounded(disk, names, room);
    let booted: string;
    try {
      const slots = await open(files);
      await stage(slots, opaque(4), 4);
      booted = bootedOf(await boot(slots));
    } catch (error) {
      assert.equal((error as FirmamentError).code, 'DEVICE_STORAGE_FULL', `${bytes}`);
      booted = bootedOf(await boot(await open(files)));
    }
    assert.ok(['1.0.0', '4.0.0'].includes(booted), `${bytes}: ${booted}`);
    seen.add(booted);
    room.bytes = 1 << 20;
    const slots = await open(files);
    if (bootedOf(await boot(slots)) === '1.0.0') {
      await stage(slots, opaque(4), 4);
      assert.equal(bootedOf(await boot(slots)), '4.0.0', `${bytes}`);
    }
  }
  assert.equal(seen.size, 2);
});

test('slots of the other layout, or a record of neither, are corrupt', async () => {
  const { disk } = await installed(1);
  const corrupt = { code: 'DEVICE_STATE_CORRUPT' };
  await assert.rejects(openSlots({ directory: '/device', files: disk }), corrupt);
  await disk.remove('/device/boot-state');
  await assert.rejects(open(disk), corrupt);
  const both = new SimulatedDisk();
  await openSlots({ directory: '/device', files: both }).then((slots) =>
    stage(slots, opaque(1), 1),
  );
  await assert.rejects(open(both), corrupt);
});
