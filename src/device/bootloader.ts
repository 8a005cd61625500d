/**
 * The bootloader: picks a slot, checks the image again before every start, starts it, and decides a
 * trial by its health. Health of an opaque image is that it lies there unchanged; it is not run.
 */
import { codeOf } from '../errors.ts';
import {
  FIRST_LINE_BYTES,
  isRunnable,
  type FirmwareRunner,
  type RunningFirmware,
} from './firmware-process.ts';
import { isStorageError } from '../reader/files.ts';
import type { Slot, SlotName } from './slot-state.ts';
import type { Slots } from './slots.ts';

export type BootEvent =
  | { readonly type: 'empty' }
  | { readonly type: 'unbootable' | 'corrupt' | 'opaque' | 'confirmed'; readonly slot: SlotName }
  | { readonly type: 'started'; readonly slot: SlotName; readonly pid: number }
  | { readonly type: 'healthy'; readonly slot: SlotName; readonly version: string }
  | { readonly type: 'unhealthy' | 'exited'; readonly slot: SlotName; readonly reason: string }
  | { readonly type: 'rolled-back'; readonly digest: string; readonly reason: string }
  | { readonly type: 'output'; readonly slot: SlotName; readonly line: string };

/** What boots now. `reported`: the version that the firmware itself says. */
export type BootStatus =
  | { readonly kind: 'stopped' | 'empty' }
  | { readonly kind: 'unbootable'; readonly slot: SlotName; readonly image: Slot }
  | { readonly kind: 'opaque'; readonly slot: SlotName; readonly image: Slot }
  | {
      readonly kind: 'running';
      readonly slot: SlotName;
      readonly image: Slot;
      readonly pid: number;
      readonly healthy: boolean;
      readonly reported: string | undefined;
    };

export interface BootloaderOptions {
  readonly slots: Slots;
  readonly run: FirmwareRunner;
  /** The lowest sequence still allowed on a line. Without it a damaged image has nothing to fall back to (T19). */
  readonly lowestOf?: (line: string) => bigint | undefined;
  /** Milliseconds in which firmware has to say that it is healthy. */
  readonly healthMs?: number;
  readonly onEvent?: (event: BootEvent) => void;
}

const POLL_MS = 50;
const RESTART_MS = 500;
const MAX_RESTART_MS = 30_000;

/** Boots at once; returns when the outcome of that boot, a trial included, is known. */
export async function startBootloader(options: BootloaderOptions): Promise<Bootloader> {
  const bootloader = new Bootloader(options);
  await bootloader.reboot();
  return bootloader;
}

/** Owns the firmware's process. Boots are serialised. */
export class Bootloader implements AsyncDisposable {
  readonly #options: BootloaderOptions;
  #running: RunningFirmware | undefined;
  #status: BootStatus = { kind: 'stopped' };
  #last: Promise<unknown> = Promise.resolve();
  #restart: NodeJS.Timeout | undefined;
  #restarts = 0;
  #stopped = false;
  #postponed: unknown;

  constructor(options: BootloaderOptions) {
    this.#options = options;
  }

  get status(): BootStatus {
    return this.#status;
  }

  /** Why the trial that is pending was not begun at the last boot, if it was not. */
  get postponed(): unknown {
    return this.#postponed;
  }

  /** Ends the firmware and boots what the slots say; a pending trial is decided when it returns. */
  reboot(): Promise<BootStatus> {
    const boot = this.#last.then(async () => {
      await this.#halt();
      if (!this.#stopped) this.#status = await this.#boot();
      return this.#status;
    });
    this.#last = boot.catch(() => undefined);
    return boot;
  }

  /** Ends the firmware for good. A trial that runs is left undecided, as a power cut would leave it. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#running?.stop();
    await this.#last;
    await this.#halt();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  async #halt(): Promise<void> {
    clearTimeout(this.#restart);
    const running = this.#running;
    this.#running = undefined;
    this.#status = { kind: 'stopped' };
    await running?.stop();
  }

  async #boot(): Promise<BootStatus> {
    this.#postponed = undefined;
    // Ends: each pass either returns, or takes a start from a trial, ends it, or empties a slot.
    for (;;) {
      const choice = this.#options.slots.choice();
      if (choice === null) {
        this.#emit({ type: 'empty' });
        return { kind: 'empty' };
      }
      const status = choice.trial
        ? await this.#tryIfRecorded(choice.slot, choice.image)
        : await this.#bootConfirmed(choice.slot, choice.image);
      if (status !== undefined) return status;
    }
  }

  // A trial that the storage takes no record of, because it is full, waits: what is confirmed boots instead.
  async #tryIfRecorded(slot: SlotName, image: Slot): Promise<BootStatus | undefined> {
    try {
      return await this.#try(slot, image);
    } catch (error) {
      const { active, slots } = this.#options.slots.state;
      const confirmed = active && slots[active];
      if (!active || !confirmed || !isStorageError(error)) throw error;
      await this.#halt();
      this.#postponed = error;
      return this.#bootConfirmed(active, confirmed);
    }
  }

  async #try(slot: SlotName, image: Slot): Promise<BootStatus | undefined> {
    const { slots } = this.#options;
    if (slots.state.trial?.left === 0) return this.#rollback(image, 'no start of it ended well');
    await slots.place(slot);
    if (!(await this.#intact(slot))) return this.#rollback(image, 'DEVICE_IMAGE_CORRUPT', false);
    await slots.startTrial();
    if (!(await this.#runnable(slot))) {
      await slots.confirm();
      this.#emit({ type: 'opaque', slot });
      this.#emit({ type: 'confirmed', slot });
      return { kind: 'opaque', slot, image: { ...image, confirmed: true } };
    }
    const status = await this.#start(slot, { ...image, confirmed: true });
    if (this.#stopped)
      // told to stop: that is no verdict
      return { kind: 'stopped' };
    if (status.kind === 'running' && status.healthy) {
      await slots.confirm();
      this.#emit({ type: 'confirmed', slot });
      return status;
    }
    await this.#halt();
    // What can't even be started (no process, no runtime) says nothing about the image.
    return this.#rollback(image, 'not healthy in time', status.kind === 'running');
  }

  async #rollback(image: Slot, reason: string, failed = true): Promise<undefined> {
    await this.#options.slots.rollback(failed);
    this.#emit({ type: 'rolled-back', digest: image.digest, reason });
  }

  async #bootConfirmed(slot: SlotName, image: Slot): Promise<BootStatus | undefined> {
    const { slots, lowestOf = () => undefined } = this.#options;
    await slots.place(slot);
    if (!(await this.#intact(slot))) {
      try {
        await slots.fallBack(lowestOf);
        return undefined;
      } catch (error) {
        if (codeOf(error) !== 'DEVICE_SLOT_STATE') throw error;
        this.#emit({ type: 'unbootable', slot });
        return { kind: 'unbootable', slot, image };
      }
    }
    if (await this.#runnable(slot)) return this.#start(slot, image);
    this.#emit({ type: 'opaque', slot });
    return { kind: 'opaque', slot, image };
  }

  async #intact(slot: SlotName): Promise<boolean> {
    try {
      await this.#options.slots.verify(slot);
      return true;
    } catch (error) {
      if (codeOf(error) !== 'DEVICE_IMAGE_CORRUPT') throw error;
      this.#emit({ type: 'corrupt', slot });
      return false;
    }
  }

  async #runnable(slot: SlotName): Promise<boolean> {
    const { slots } = this.#options;
    return isRunnable(await slots.files.read(slots.path(slot), 0, FIRST_LINE_BYTES));
  }

  /** Starts the firmware and waits until it is healthy, ends, or its time is over. */
  async #start(slot: SlotName, image: Slot): Promise<BootStatus> {
    const { run, slots, healthMs = 5000 } = this.#options;
    let running: RunningFirmware;
    try {
      running = await run(slots.path(slot), (line) => this.#emit({ type: 'output', slot, line }));
    } catch (error) {
      if (codeOf(error) !== 'DEVICE_FIRMWARE_SILENT') throw error;
      this.#emit({ type: 'unbootable', slot });
      return { kind: 'unbootable', slot, image };
    }
    this.#running = running;
    if (this.#stopped) await running.stop();
    this.#emit({ type: 'started', slot, pid: running.pid });
    const end: { how?: string } = {};
    const exited = running.exited.then((how) => {
      end.how = how;
      return this.#ended(running, slot, how);
    });
    const status = { kind: 'running', slot, image, pid: running.pid } as const;
    const deadline = performance.now() + healthMs;
    let reason = 'it said nothing';
    do {
      try {
        const { healthy, version } = await running.health();
        if (healthy && end.how === undefined) {
          this.#emit({ type: 'healthy', slot, version });
          this.#restarts = 0;
          return { ...status, healthy: true, reported: version };
        }
        reason = 'it says that it is not healthy';
      } catch (error) {
        if (codeOf(error) !== 'DEVICE_FIRMWARE_SILENT') throw error;
      }
      await Promise.race([exited, pause(Math.min(POLL_MS, healthMs))]);
    } while (end.how === undefined && performance.now() < deadline);
    this.#emit({ type: 'unhealthy', slot, reason: end.how ?? reason });
    return { ...status, healthy: false, reported: undefined };
  }

  // The watchdog: confirmed firmware that ends is started again, more and more slowly.
  #ended(running: RunningFirmware, slot: SlotName, reason: string): void {
    if (this.#running !== running || this.#stopped) return;
    this.#emit({ type: 'exited', slot, reason });
    if (this.#status.kind === 'running') this.#status = { ...this.#status, healthy: false };
    if (this.#options.slots.state.trial !== null) return;
    const wait = Math.min(RESTART_MS * 2 ** this.#restarts++, MAX_RESTART_MS);
    this.#restart = setTimeout(() => void this.reboot().catch(() => undefined), wait);
    this.#restart.unref();
  }

  #emit(event: BootEvent): void {
    this.#options.onEvent?.(event);
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}
