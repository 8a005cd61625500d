/**
 * The two slots of a device on its storage: `a.cjs` and `b.cjs`, image bytes unchanged, and
 * `boot-state` beside them (docs/spec/device.md). Whatever a durable boot state lets boot has been
 * synced and read back before. With one bootable slot the two images lie in `slot.cjs` and `staging`.
 */
import { join } from 'node:path';
import { createHash } from '#crypto';
import { hex } from '../bytes.ts';
import { check } from '../errors.ts';
import { bootStateFromJson, bootStateToJson } from './boot-record.ts';
import { diskFiles, type Files } from '../reader/files.ts';
import { readRecord, writeRecord } from './record.ts';
import {
  bootChoice,
  beginSwap,
  checkInstallable,
  clearInactive,
  confirmTrial,
  endSwap,
  expectImage,
  fallBack,
  finishInstall,
  inactiveSlot,
  newBootState,
  otherSlot,
  rollbackTrial,
  sameImage,
  startTrial,
  type BootState,
  type SlotImage,
  type SlotLayout,
  type SlotName,
} from './slot-state.ts';
import { BOOTABLE, clearSwap, prepareSwap, runSwap, STAGING, trimAreas } from './swap.ts';

const RECORD = 'boot-state';
const CHUNK = 256 * 1024;
const SWAP_BLOCK = 64 * 1024;
const AREAS = ['a.cjs', 'b.cjs', BOOTABLE, STAGING];

export interface SlotsOptions {
  readonly directory: string;
  readonly files?: Files;
  /** Bytes; what an image may have at most. */
  readonly slotBytes?: number;
  /** As its maker made it; two bootable slots unless said otherwise. */
  readonly layout?: SlotLayout;
  /** Bytes that change places at once on a device with one bootable slot. */
  readonly swapBlock?: number;
}

/**
 * Opens the slots of a device, empty ones in a new directory. One opener at a time.
 * Errors: DEVICE_STATE_CORRUPT.
 */
export async function openSlots(options: SlotsOptions): Promise<Slots> {
  const { directory, files = diskFiles, layout = 'ab' } = options;
  await files.makeFolder(directory);
  const record = await readRecord(files, directory, RECORD);
  if (record === undefined)
    // A boot state is written before the first byte of a slot: slots without one have lost theirs.
    for (const name of AREAS)
      check(
        (await files.size(join(directory, name))) === undefined,
        'DEVICE_STATE_CORRUPT',
        'the boot state is missing',
      );
  const state = record === undefined ? newBootState(layout) : bootStateFromJson(record);
  const fits = (state.single === undefined) === (layout === 'ab');
  check(fits, 'DEVICE_STATE_CORRUPT', 'the slots are not as the device was made');
  return new Slots({ ...options, files }, state);
}

/** Changes are serialised, and durable when their promise resolves. */
export class Slots {
  readonly directory: string;
  readonly files: Files;
  readonly #slotBytes: number;
  readonly #swapBlock: number;
  #state: BootState;
  #last: Promise<unknown> = Promise.resolve();

  constructor(options: SlotsOptions & { readonly files: Files }, state: BootState) {
    this.directory = options.directory;
    this.files = options.files;
    this.#slotBytes = options.slotBytes ?? 64 * 1024 * 1024;
    this.#swapBlock = options.swapBlock ?? SWAP_BLOCK;
    this.#state = state;
  }

  get state(): BootState {
    return this.#state;
  }

  // Firmware that can run is JavaScript: the ending makes Node take it for a script wherever it lies.
  path(slot: SlotName): string {
    const { single } = this.#state;
    const name = single ? (single.bootable === slot ? BOOTABLE : STAGING) : `${slot}.cjs`;
    return join(this.directory, name);
  }

  /**
   * Makes the inactive slot ready for this image and returns the file to write it to. When a part of
   * the same image is there already it stays, to be resumed. `retry`: a person asked for a release that failed here.
   * Errors: DEVICE_TRIAL_RUNNING, DEVICE_TRIAL_FAILED_BEFORE, DEVICE_IMAGE_TOO_LARGE.
   */
  begin(image: SlotImage, { retry = false } = {}): Promise<string> {
    return this.#serial(async () => {
      checkInstallable(this.#state, image, retry);
      check(image.size <= this.#slotBytes, 'DEVICE_IMAGE_TOO_LARGE', undefined, {
        size: image.size,
        slotBytes: this.#slotBytes,
      });
      const { incoming, single, active } = this.#state;
      if (incoming && sameImage(incoming.image, image)) return this.path(incoming.slot);
      const placed = !single || (!single.swap && (active ?? single.bootable) === single.bootable);
      check(placed, 'DEVICE_SLOT_STATE', 'what boots has not been put in its place');
      // The old image is given up before its first byte changes, and the storage emptied before the
      // new one is expected: a part on the storage is always a part of the expected image.
      await this.#save(clearInactive(this.#state));
      const file = this.path(inactiveSlot(this.#state));
      await this.files.remove(file);
      await this.files.write(file, 0, new Uint8Array());
      await this.files.sync(file);
      await this.files.syncFolder(this.directory);
      await this.#save(expectImage(this.#state, image));
      return file;
    });
  }

  /**
   * The image has been written: syncs it, reads it back and arms its trial, which the next boot starts.
   * Errors: DEVICE_SLOT_STATE, DEVICE_IMAGE_CORRUPT (the slot is emptied).
   */
  complete(): Promise<void> {
    return this.#serial(async () => {
      const { incoming } = this.#state;
      check(incoming !== null, 'DEVICE_SLOT_STATE', 'no install has begun');
      const file = this.path(incoming.slot);
      await this.files.sync(file);
      if (!(await this.#holds(file, incoming.image))) {
        await this.files.truncate(file, 0);
        check(false, 'DEVICE_IMAGE_CORRUPT', undefined, { slot: incoming.slot });
      }
      await this.#save(finishInstall(this.#state));
    });
  }

  /** Errors: DEVICE_IMAGE_CORRUPT when the file of a filled slot is not the image it should be. */
  async verify(slot: SlotName): Promise<void> {
    const image = this.#state.slots[slot];
    check(image !== null, 'DEVICE_SLOT_STATE', 'the slot is empty');
    check(await this.#holds(this.path(slot), image), 'DEVICE_IMAGE_CORRUPT', undefined, { slot });
  }

  /**
   * Puts the image of this slot where it boots, or goes on with doing so; with two bootable slots it is there. Durable
   * when it returns. Errors: DEVICE_STORAGE_*; once the exchange has begun nothing boots before it has ended.
   */
  place(slot: SlotName): Promise<void> {
    return this.#serial(async () => {
      await this.#finishSwap();
      if (!this.#state.single || this.#state.single.bootable === slot) return;
      const areas = await Promise.all(
        [BOOTABLE, STAGING].map((name) => this.files.size(join(this.directory, name))),
      );
      const swap = { size: Math.max(...areas.map((size) => size ?? 0)), block: this.#swapBlock };
      await prepareSwap(this.files, this.directory, swap);
      await this.#save(beginSwap(this.#state, swap));
      await this.#finishSwap();
    });
  }

  async #finishSwap(): Promise<void> {
    const { single, slots } = this.#state;
    if (!single?.swap) return;
    const { files, directory } = this;
    await runSwap(files, directory, single.swap);
    await trimAreas(files, directory, {
      slot: slots[otherSlot(single.bootable)]?.size,
      staging: slots[single.bootable]?.size,
    });
    await this.#save(endSwap(this.#state));
    await clearSwap(files, directory);
  }

  startTrial(): Promise<void> {
    return this.#change(startTrial);
  }

  confirm(): Promise<void> {
    return this.#change(confirmTrial);
  }

  /** Ends the trial. `failed`: the image was at fault, and is not installed again by itself. */
  rollback(failed: boolean): Promise<void> {
    return this.#change((state) => rollbackTrial(state, failed));
  }

  /** From a damaged active image to the other one. Errors: DEVICE_SLOT_STATE when T19 forbids it. */
  fallBack(lowestOf: (line: string) => bigint | undefined): Promise<void> {
    return this.#change((state) => fallBack(state, lowestOf));
  }

  /** What boots next. */
  choice(): ReturnType<typeof bootChoice> {
    return bootChoice(this.#state);
  }

  #change(transition: (state: BootState) => BootState): Promise<void> {
    return this.#serial(() => this.#save(transition(this.#state)));
  }

  async #save(state: BootState): Promise<void> {
    const json = bootStateToJson(state);
    bootStateFromJson(JSON.parse(JSON.stringify(json))); // what can't be read back is never written
    await writeRecord(this.files, this.directory, RECORD, json);
    this.#state = state;
  }

  async #holds(file: string, image: SlotImage): Promise<boolean> {
    if ((await this.files.size(file)) !== image.size) return false;
    const hash = createHash('SHA-256');
    for (let at = 0; at < image.size; at += CHUNK)
      hash.update(await this.files.read(file, at, Math.min(CHUNK, image.size - at)));
    return hex(hash.digest()) === image.sha256;
  }

  #serial<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#last.then(work);
    this.#last = result.catch(() => undefined);
    return result;
  }
}
