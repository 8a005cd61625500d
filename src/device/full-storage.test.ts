// A storage that is full from any change on: the device boots whole what it has, refuses with a code, and
// finishes the update once there is room.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sha256 } from '#crypto';
import { hex } from '../bytes.ts';
import { FirmamentError } from '../errors.ts';
import { startBootloader, type BootStatus } from './bootloader.ts';
import { downloadImage } from '../reader/download.ts';
import { diskFiles, type Files } from '../reader/files.ts';
import { buildSampleFirmware } from './firmware/sample.ts';
import type { FirmwareRunner } from './firmware-process.ts';
import { SimulatedDisk } from './simulated-disk.ts';
import type { SlotImage } from './slot-state.ts';
import { openSlots } from './slots.ts';

const FOLDER = '/device';
const LINE = `${'a'.repeat(64)}/${'b'.repeat(32)}/${'c'.repeat(32)}/stable`;

interface Firmware {
  readonly bytes: Uint8Array;
  readonly image: SlotImage;
}

function firmware(version: string, sequence: bigint): Firmware {
  const bytes = buildSampleFirmware({ version, model: 'lamp', size: 3000 });
  const digest = hex(sha256(bytes.subarray(1)));
  const image = { digest, line: LINE, sequence, version, sha256: hex(sha256(bytes)), size: 3000 };
  return { bytes, image };
}

const first = firmware('1.0.0', 1n);
const second = firmware('2.0.0', 2n);

/** Full from the `from`th write on until it is given room. */
class FullDisk {
  readonly disk = new SimulatedDisk();
  writes = 0;
  from = Infinity;

  get files(): Files {
    const { disk } = this;
    return {
      size: (path) => disk.size(path),
      read: (path, offset, length) => disk.read(path, offset, length),
      write: async (path, offset, bytes) => {
        if (this.writes++ >= this.from) throw new FirmamentError('DEVICE_STORAGE_FULL');
        await disk.write(path, offset, bytes);
      },
      truncate: (path, size) => disk.truncate(path, size),
      sync: (path) => disk.sync(path),
      rename: (from, to) => disk.rename(from, to),
      remove: (path) => disk.remove(path),
      makeFolder: (path) => disk.makeFolder(path),
      syncFolder: (path) => disk.syncFolder(path),
    };
  }
}

function runner(files: Files): FirmwareRunner {
  return async (file) => {
    const digest = hex(sha256(await files.read(file, 0, 1 << 16)));
    const known = [first, second].find(({ image }) => image.sha256 === digest);
    assert.ok(known, 'started an image that is not whole');
    return {
      pid: 1,
      exited: new Promise(() => undefined),
      health: async () => ({ version: known.image.version, healthy: true }),
      stop: async () => undefined,
    };
  };
}

async function boot(files: Files): Promise<BootStatus> {
  const slots = await openSlots({ directory: FOLDER, files });
  return (await startBootloader({ slots, run: runner(files), healthMs: 0 })).status;
}

async function update(files: Files, { bytes, image }: Firmware): Promise<BootStatus> {
  const slots = await openSlots({ directory: FOLDER, files });
  const file = await slots.begin(image);
  const source = {
    name: 'node',
    async *read(offset: number) {
      for (let at = offset; at < bytes.length; at += 700) yield bytes.slice(at, at + 700);
    },
  };
  await downloadImage({ files, file, ...image, sources: [source] });
  await slots.complete();
  return (await startBootloader({ slots, run: runner(files), healthMs: 0 })).status;
}

function version(status: BootStatus): string {
  return status.kind === 'running' && status.healthy ? status.image.version : status.kind;
}

test('the storage is full from any write of an update on', async () => {
  const whole = new FullDisk();
  await update(whole.files, first);
  const before = whole.writes;
  assert.equal(version(await update(whole.files, second)), '2.0.0');
  const { writes } = whole;
  for (let from = before; from < writes; from++) {
    const full = new FullDisk();
    await update(full.files, first);
    full.from = from;
    let updated = 'refused';
    try {
      updated = version(await update(full.files, second));
    } catch (error) {
      assert.ok(error instanceof FirmamentError && error.code === 'DEVICE_STORAGE_FULL');
    }
    // A trial that can not be recorded is none: what is confirmed runs.
    assert.ok(['refused', '1.0.0'].includes(updated), `from ${from}: ${updated}`);
    assert.equal(version(await boot(full.files)), '1.0.0', `from ${from}`);
    full.from = Infinity;
    const status = await boot(full.files);
    if (version(status) === '1.0.0') await update(full.files, second);
    assert.equal(version(await boot(full.files)), '2.0.0', `from ${from}`);
  }
});

test('what the storage refuses with has a code', async () => {
  await assert.rejects(diskFiles.write('/dev/full', 0, new Uint8Array(1)), {
    code: 'DEVICE_STORAGE_FULL',
  });
  await assert.rejects(diskFiles.read('/no such file', 0, 1), { code: 'DEVICE_STORAGE_IO' });
});
