// A power cut at every change of the storage, before and after it, with every way of losing what was
// not synced: the device then boots the old or the new image, whole, and can still be updated.
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { sha256 } from '#crypto';
import { hex, text } from '../bytes.ts';
import { codeOf } from '../errors.ts';
import { startBootloader, type BootStatus } from './bootloader.ts';
import { downloadImage } from '../reader/download.ts';
import { buildSampleFirmware } from './firmware/sample.ts';
import type { FirmwareRunner } from './firmware-process.ts';
import { CUTS, PowerGone, SimulatedDisk } from './simulated-disk.ts';
import type { SlotImage, SlotLayout } from './slot-state.ts';
import { openSlots, type Slots } from './slots.ts';

const FOLDER = '/device';
const LINE = `${'a'.repeat(64)}/${'b'.repeat(32)}/${'c'.repeat(32)}/stable`;

interface Firmware {
  readonly bytes: Uint8Array;
  readonly image: SlotImage;
}

function firmware(version: string, sequence: bigint, broken = false): Firmware {
  const bytes = buildSampleFirmware({ version, model: 'lamp', size: 3000, broken });
  const sha = hex(sha256(bytes));
  const digest = hex(sha256(bytes.subarray(1)));
  const image = { digest, line: LINE, sequence, version, sha256: sha, size: bytes.length };
  return { bytes, image };
}

const zeroth = firmware('0.9.0', 0n);
const first = firmware('1.0.0', 1n);
const good = firmware('2.0.0', 2n);
const bad = firmware('2.0.0', 2n, true);

// Runs nothing: the image's own bytes say whether it would be healthy.
function runner(disk: SimulatedDisk): FirmwareRunner {
  return async (file) => {
    const bytes = await disk.read(file, 0, 1 << 20);
    const version = [zeroth, first, good, bad].find(
      (known) => known.image.sha256 === hex(sha256(bytes)),
    );
    assert.ok(version, 'started an image that is not whole');
    const healthy = !text(bytes).includes('"unhealthy";');
    return {
      pid: 1,
      exited: new Promise(() => undefined),
      health: async () => ({ version: version.image.version, healthy }),
      stop: async () => undefined,
    };
  };
}

// An image is three blocks of an exchange of slot and staging area.
function slotsOn(disk: SimulatedDisk, layout: SlotLayout): Promise<Slots> {
  return openSlots({ directory: FOLDER, files: disk, layout, swapBlock: 1024 });
}

async function boot(disk: SimulatedDisk, layout: SlotLayout): Promise<BootStatus> {
  const slots = await slotsOn(disk, layout);
  return (await startBootloader({ slots, run: runner(disk), healthMs: 0 })).status;
}

async function update(
  disk: SimulatedDisk,
  { bytes, image }: Firmware,
  layout: SlotLayout,
): Promise<BootStatus> {
  const slots = await slotsOn(disk, layout);
  const file = await slots.begin(image);
  const source = {
    name: 'node',
    async *read(offset: number) {
      for (let at = offset; at < bytes.length; at += 700) yield bytes.slice(at, at + 700);
    },
  };
  await downloadImage({ files: disk, file, ...image, sources: [source] });
  await slots.complete();
  return (await startBootloader({ slots, run: runner(disk), healthMs: 0 })).status;
}

async function device(installed: readonly Firmware[], layout: SlotLayout): Promise<SimulatedDisk> {
  const disk = new SimulatedDisk();
  for (const one of installed) await update(disk, one, layout);
  disk.cut({ names: 'kept', bytes: 'kept' });
  return disk;
}

// Whatever the boot state calls filled is whole; what it calls incoming is a part of what shall come.
async function wholeSlots(
  disk: SimulatedDisk,
  to: Firmware,
  kept: boolean,
  layout: SlotLayout,
): Promise<void> {
  const slots = await slotsOn(disk, layout);
  // Half of each: what counts is that the next boot ends the exchange.
  if (slots.state.single?.swap) return;
  for (const slot of ['a', 'b'] as const) if (slots.state.slots[slot]) await slots.verify(slot);
  const { incoming } = slots.state;
  if (!incoming || !kept) return;
  const part = await disk.read(slots.path(incoming.slot), 0, 1 << 20);
  assert.deepEqual(part, to.bytes.slice(0, part.length));
}

function running(status: BootStatus): string {
  return status.kind === 'running' && status.healthy ? status.image.sha256 : status.kind;
}

const CASES = [
  { what: 'an update', from: [zeroth, first], to: good, allowed: [first, good], last: good },
  { what: 'the first install', from: [], to: good, allowed: [good], last: good },
  {
    what: 'an update that fails its trial',
    from: [zeroth, first],
    to: bad,
    allowed: [first],
    last: first,
  },
] as const;

const LAYOUTS = ['ab', 'single'] as const;

for (const { layout, what, from, to, allowed, last } of LAYOUTS.flatMap((layout) =>
  CASES.map((one) => ({ layout, ...one })),
))
  suite(`the power goes during ${what}, slots ${layout}`, async () => {
    const before = await device(from, layout);
    const whole = before.copy();
    await update(whole, to, layout);
    const operations = whole.operations;
    const boots: readonly string[] = [
      ...allowed.map(({ image }) => image.sha256),
      ...(from.length > 0 ? [] : ['empty']),
    ];

    const cutAt = async (n: number, when: 'before' | 'after', cut: (typeof CUTS)[number]) => {
      const disk = before.copy();
      disk.failAt(n, when);
      await assert.rejects(update(disk, to, layout), PowerGone);
      disk.cut(cut);
      return disk;
    };

    for (const when of ['before', 'after'] as const)
      for (const cut of CUTS)
        test(`${when} a change, names ${cut.names}, bytes ${cut.bytes}`, async () => {
          assert.ok(operations > 30);
          // Three kinds of loss at each change are enough where there are so many.
          const [first, step] = layout === 'ab' ? [0, 1] : [CUTS.indexOf(cut) % 3, 3];
          for (let n = first; n < operations; n += step) {
            const disk = await cutAt(n, when, cut);
            await wholeSlots(disk, to, cut.bytes === 'kept', layout);
            assert.ok(boots.includes(running(await boot(disk, layout))), `after change ${n}`);
            // and the way on is open
            try {
              await update(disk, to, layout);
            } catch (error) {
              assert.equal(codeOf(error), 'DEVICE_TRIAL_FAILED_BEFORE', `after change ${n}`);
            }
            assert.equal(running(await boot(disk, layout)), last.image.sha256, `after change ${n}`);
          }
        });

    test('and once more during the boot that follows', async () => {
      for (let n = 0; n < operations; n += layout === 'ab' ? 3 : 7)
        for (const cut of CUTS)
          for (let again = 0; again < 12; again += 3) {
            const disk = await cutAt(n, 'after', cut);
            disk.failAt(again, 'after');
            await boot(disk, layout).catch((error: unknown) =>
              assert.ok(error instanceof PowerGone),
            );
            disk.cut(cut);
            assert.ok(boots.includes(running(await boot(disk, layout))), `after ${n} and ${again}`);
          }
    });
  });

for (const layout of LAYOUTS)
  test(`a trial whose every start loses power ends after three, slots ${layout}`, async () => {
    const disk = await device([first], layout);
    const slots = await slotsOn(disk, layout);
    const file = await slots.begin(good.image);
    await disk.write(file, 0, good.bytes);
    await slots.complete();
    let starts = 0;
    for (let i = 0; i < 5; i++) {
      const reopened = await slotsOn(disk, layout);
      const run: FirmwareRunner = async (path, onLine) => {
        if (hex(sha256(await disk.read(path, 0, 5000))) === good.image.sha256) {
          starts++;
          throw new PowerGone();
        }
        return runner(disk)(path, onLine);
      };
      await startBootloader({ slots: reopened, run }).catch(() => undefined);
      disk.cut({ names: 'lost', bytes: 'lost' });
    }
    assert.equal(starts, 3);
    assert.equal(running(await boot(disk, layout)), first.image.sha256);
  });
