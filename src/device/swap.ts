/**
 * The exchange of a device with one bootable slot: slot and staging area change places block by block over a scratch
 * block, and the power may go at any instruction (docs/spec/device.md, "One bootable slot").
 */
import { join } from 'node:path';
import type { Files } from '../reader/files.ts';
import type { Swap } from './slot-state.ts';

/** The one slot that boots. Firmware that runs is JavaScript: the ending makes Node take it for a script. */
export const BOOTABLE = 'slot.cjs';
export const STAGING = 'staging';
const SCRATCH = 'scratch';
const JOURNAL = 'journal';
const STEPS = 3;
/** Set aside for the records that follow the exchange. */
const RECORD_ROOM = 8192;

/**
 * All the room that the exchange needs is taken, and its journal says that nothing has been done: durable when it
 * returns, and nothing else has changed. Errors: DEVICE_STORAGE_*.
 */
export async function prepareSwap(files: Files, folder: string, swap: Swap): Promise<void> {
  const sizes = await Promise.all(
    [BOOTABLE, STAGING].map((name) => files.size(join(folder, name))),
  );
  const growth = sizes.reduce<number>((sum, size) => sum + swap.size - (size ?? 0), 0);
  const fresh = [
    [SCRATCH, swap.block + growth + RECORD_ROOM],
    [JOURNAL, stepsOf(swap)],
  ] as const;
  for (const [name, size] of fresh) {
    const path = join(folder, name);
    await files.remove(path);
    for (let at = 0; at < size; at += swap.block)
      await files.write(path, at, new Uint8Array(Math.min(swap.block, size - at)));
    await files.sync(path);
  }
  // A new device's slot gets its name before it gets its content.
  const slot = join(folder, BOOTABLE);
  if ((await files.size(slot)) === undefined) await files.write(slot, 0, new Uint8Array());
  await files.syncFolder(folder);
}

/**
 * Goes on where the journal ends. A step that is not marked is made again: what it reads is not changed by itself, nor
 * by a later one before it is marked. Errors: DEVICE_STORAGE_*.
 */
export async function runSwap(files: Files, folder: string, swap: Swap): Promise<void> {
  const [slot, staging, scratch, journal] = [BOOTABLE, STAGING, SCRATCH, JOURNAL].map((name) =>
    join(folder, name),
  ) as [string, string, string, string];
  if (((await files.size(scratch)) ?? 0) > swap.block) await files.truncate(scratch, swap.block);
  const steps = stepsOf(swap);
  const marks = await files.read(journal, 0, steps);
  const done = marks.findIndex((mark) => mark !== 1);
  for (let step = done === -1 ? steps : done; step < steps; step++) {
    const at = Math.floor(step / STEPS) * swap.block;
    const length = Math.min(swap.block, swap.size - at);
    const [from, fromAt, to, toAt] = (
      [
        [slot, at, scratch, 0],
        [staging, at, slot, at],
        [scratch, 0, staging, at],
      ] as const
    )[step % STEPS] as readonly [string, number, string, number];
    // Beyond the end of the shorter image there are zeros.
    const block = new Uint8Array(length);
    block.set(await files.read(from, fromAt, length));
    await files.write(to, toAt, block);
    await files.sync(to);
    await files.write(journal, step, Uint8Array.of(1));
    await files.sync(journal);
  }
}

/** Both areas have their images' sizes again; undefined: it holds none. Durable when it returns. */
export async function trimAreas(
  files: Files,
  folder: string,
  sizes: { readonly slot: number | undefined; readonly staging: number | undefined },
): Promise<void> {
  for (const [name, size] of [
    [BOOTABLE, sizes.slot],
    [STAGING, sizes.staging],
  ] as const) {
    if (size === undefined) continue;
    await files.truncate(join(folder, name), size);
    await files.sync(join(folder, name));
  }
}

/** What an ended exchange leaves behind goes. Needs no sync: the next one begins with its own. */
export async function clearSwap(files: Files, folder: string): Promise<void> {
  for (const name of [SCRATCH, JOURNAL]) await files.remove(join(folder, name));
}

function stepsOf({ size, block }: Swap): number {
  return Math.ceil(size / block) * STEPS;
}
