/**
 * What the two slots hold and which one boots: plain data and its transitions, no I/O.
 * Power may go between any two of them: in every state, whatever `bootChoice` names is complete.
 * States and transitions: docs/spec/device.md; rule T19.
 */
import { check } from '../errors.ts';

export type SlotName = 'a' | 'b';

/** An image as a release names it. `digest`: of the manifest; both digests 64 hex digits; `line`: the line's text. */
export interface SlotImage {
  readonly digest: string;
  readonly line: string;
  readonly sequence: bigint;
  readonly version: string;
  readonly sha256: string;
  readonly size: number;
}

export interface Slot extends SlotImage {
  /** It passed its trial. */
  readonly confirmed: boolean;
}

export interface BootState {
  /** The slot that boots when no trial is pending; null on a device that never confirmed an image. */
  readonly active: SlotName | null;
  /** `left`: how many starts without a verdict the trial still has. */
  readonly trial: { readonly slot: SlotName; readonly left: number } | null;
  /** What the slot that is being overwritten will hold. */
  readonly incoming: { readonly slot: SlotName; readonly image: SlotImage } | null;
  readonly slots: Readonly<Record<SlotName, Slot | null>>;
  /** Digests whose trial failed, oldest first. */
  readonly failed: readonly string[];
  /** Of a device with one bootable slot. */
  readonly single?: SingleSlot;
}

/** One slot boots; the other image lies in a staging area. Nothing boots while the two change places. */
export interface SingleSlot {
  /** Whose image lies in the slot that boots. */
  readonly bootable: SlotName;
  readonly swap: Swap | null;
}

/** An exchange of slot and staging area. Bytes: how many of each change places, and how many at once. */
export interface Swap {
  readonly size: number;
  readonly block: number;
}

export type SlotLayout = 'ab' | 'single';

/** A start that ends without a verdict (the power went) is tried again this often. */
export const TRIAL_STARTS = 3;
export const MAX_FAILED = 32;

export const emptyBootState: BootState = {
  active: null,
  trial: null,
  incoming: null,
  slots: { a: null, b: null },
  failed: [],
};

/** A new device's. */
export function newBootState(layout: SlotLayout): BootState {
  return layout === 'ab'
    ? emptyBootState
    : { ...emptyBootState, single: { bootable: 'b', swap: null } };
}

export function otherSlot(slot: SlotName): SlotName {
  return slot === 'a' ? 'b' : 'a';
}

/** The slot that may be overwritten. */
export function inactiveSlot(state: BootState): SlotName {
  return state.active === null ? 'a' : otherSlot(state.active);
}

export function sameImage(a: SlotImage, b: SlotImage): boolean {
  return (
    a.digest === b.digest &&
    a.line === b.line &&
    a.sequence === b.sequence &&
    a.version === b.version &&
    a.sha256 === b.sha256 &&
    a.size === b.size
  );
}

/**
 * May this image be installed now? `retry`: a person asked for a release whose trial failed before (T19).
 * Errors: DEVICE_TRIAL_RUNNING, DEVICE_TRIAL_FAILED_BEFORE.
 */
export function checkInstallable(state: BootState, image: SlotImage, retry: boolean): void {
  check(state.trial === null, 'DEVICE_TRIAL_RUNNING');
  check(retry || !state.failed.includes(image.digest), 'DEVICE_TRIAL_FAILED_BEFORE', undefined, {
    digest: image.digest,
  });
}

/** The inactive slot holds nothing: to be durable before its first byte is overwritten. */
export function clearInactive(state: BootState): BootState {
  check(state.trial === null, 'DEVICE_TRIAL_RUNNING');
  const slot = inactiveSlot(state);
  return {
    ...state,
    incoming: null,
    slots: { ...state.slots, [slot]: null },
    // What comes, comes into the staging area: of two empty areas either has either name.
    ...(state.single && { single: { bootable: otherSlot(slot), swap: null } }),
  };
}

/** Slot and staging area change places from now on: nothing boots before `endSwap`. */
export function beginSwap(state: BootState, swap: Swap): BootState {
  const { single, incoming } = state;
  check(
    single?.swap === null && incoming === null,
    'DEVICE_SLOT_STATE',
    'there is nothing to exchange',
  );
  return { ...state, single: { ...single, swap } };
}

export function endSwap(state: BootState): BootState {
  const { single } = state;
  check(!!single?.swap, 'DEVICE_SLOT_STATE', 'no exchange has begun');
  return { ...state, single: { bootable: otherSlot(single.bootable), swap: null } };
}

/** The inactive slot is empty on the storage too, and begins to receive this image. */
export function expectImage(state: BootState, image: SlotImage): BootState {
  const slot = inactiveSlot(state);
  check(
    state.trial === null && state.slots[slot] === null,
    'DEVICE_SLOT_STATE',
    'the slot is not empty',
  );
  return { ...state, incoming: { slot, image } };
}

/** The expected image is in its slot, synced and read back: the next boot tries it. */
export function finishInstall(state: BootState): BootState {
  const { incoming } = state;
  check(incoming !== null && state.trial === null, 'DEVICE_SLOT_STATE', 'no install has begun');
  return {
    ...state,
    incoming: null,
    slots: { ...state.slots, [incoming.slot]: { ...incoming.image, confirmed: false } },
    trial: { slot: incoming.slot, left: TRIAL_STARTS },
  };
}

/** Counts a start of the trial; durable before the image starts. */
export function startTrial(state: BootState): BootState {
  const { trial } = state;
  check(trial !== null && trial.left > 0, 'DEVICE_SLOT_STATE', 'the trial has no starts left');
  return { ...state, trial: { slot: trial.slot, left: trial.left - 1 } };
}

/** The image on trial is healthy: from now on it is the one that boots, and there is no way back. */
export function confirmTrial(state: BootState): BootState {
  const { trial } = state;
  const slot = trial && state.slots[trial.slot];
  check(trial !== null && slot !== null, 'DEVICE_SLOT_STATE', 'no trial to confirm');
  return {
    ...state,
    active: trial.slot,
    trial: null,
    slots: { ...state.slots, [trial.slot]: { ...slot, confirmed: true } },
    failed: state.failed.filter((digest) => digest !== slot.digest),
  };
}

/** The trial is over and its slot empty. `failed`: the image was at fault, not the storage. */
export function rollbackTrial(state: BootState, failed: boolean): BootState {
  const { trial } = state;
  const slot = trial && state.slots[trial.slot];
  check(trial !== null && slot !== null, 'DEVICE_SLOT_STATE', 'no trial to end');
  const others = state.failed.filter((digest) => digest !== slot.digest);
  return {
    ...state,
    trial: null,
    slots: { ...state.slots, [trial.slot]: null },
    failed: failed ? [...others, slot.digest].slice(-MAX_FAILED) : state.failed,
  };
}

/**
 * The active image is damaged. The other one boots only if it was confirmed and its sequence is not
 * below the lowest that is still allowed on its line (T19); `lowestOf` answers undefined when nobody knows.
 */
export function fallBack(
  state: BootState,
  lowestOf: (line: string) => bigint | undefined,
): BootState {
  const { active } = state;
  check(active !== null && state.trial === null, 'DEVICE_SLOT_STATE', 'nothing to fall back from');
  const other = state.slots[otherSlot(active)];
  const lowest = other === null ? undefined : lowestOf(other.line);
  const usable = other?.confirmed === true && lowest !== undefined && other.sequence >= lowest;
  check(usable, 'DEVICE_SLOT_STATE', 'the other slot may not boot any more');
  return { ...state, active: otherSlot(active), slots: { ...state.slots, [active]: null } };
}

/** What boots: the pending trial, else the active slot, else nothing. */
export function bootChoice(
  state: BootState,
): { readonly slot: SlotName; readonly image: Slot; readonly trial: boolean } | null {
  const slot = state.trial?.slot ?? state.active;
  const image = slot && state.slots[slot];
  return slot && image ? { slot, image, trial: state.trial !== null } : null;
}
