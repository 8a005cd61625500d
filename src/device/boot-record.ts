/** The boot state as it lies on the storage (docs/spec/device.md). */
import { check } from '../errors.ts';
import { jsonReader, type JsonReader } from './json-fields.ts';
import {
  inactiveSlot,
  MAX_FAILED,
  TRIAL_STARTS,
  type BootState,
  type SingleSlot,
  type Slot,
  type SlotImage,
  type SlotName,
} from './slot-state.ts';

const FORMAT = 'firmament/boot-state/v1';
const HASH = /^[0-9a-f]{64}$/;
const LINE = /^[0-9a-f]{64}\/[0-9a-f]{32}\/[0-9a-f]{32}\/[a-z0-9][a-z0-9.-]{0,31}$/;
const VERSION = /^[^\p{Cc}]{0,64}$/u;
const FIELDS = ['format', 'active', 'trial', 'incoming', 'slots', 'failed'] as const;
const IMAGE = ['digest', 'line', 'sequence', 'version', 'sha256', 'size'] as const;

export function bootStateToJson(state: BootState): unknown {
  return {
    format: FORMAT,
    active: state.active,
    trial: state.trial,
    incoming: state.incoming && {
      slot: state.incoming.slot,
      image: imageToJson(state.incoming.image),
    },
    slots: { a: slotToJson(state.slots.a), b: slotToJson(state.slots.b) },
    failed: state.failed,
    ...(state.single && { single: state.single }),
  };
}

/** Errors: DEVICE_STATE_CORRUPT, also for a combination that no transition leads to. */
export function bootStateFromJson(value: unknown): BootState {
  const json = jsonReader('DEVICE_STATE_CORRUPT');
  const top = json.object(value, 'boot state', FIELDS, ['single']);
  check(top['format'] === FORMAT, 'DEVICE_STATE_CORRUPT', 'a boot state of another format');
  const slots = json.object(top['slots'], 'slots', ['a', 'b']);
  const state: BootState = {
    active: nullable(top['active'], (active) => slotName(json, active)),
    trial: nullable(top['trial'], (trial) => {
      const { slot, left } = json.object(trial, 'trial', ['slot', 'left']);
      return { slot: slotName(json, slot), left: json.uint(left, 'trial starts') };
    }),
    incoming: nullable(top['incoming'], (incoming) => {
      const { slot, image } = json.object(incoming, 'incoming', ['slot', 'image']);
      return {
        slot: slotName(json, slot),
        image: imageFromJson(json, json.object(image, 'image', IMAGE)),
      };
    }),
    slots: {
      a: nullable(slots['a'], (slot) => slotFromJson(json, slot)),
      b: nullable(slots['b'], (slot) => slotFromJson(json, slot)),
    },
    failed: json.list(top['failed'], 'failed', MAX_FAILED).map((d) => json.text(d, 'digest', HASH)),
    ...(top['single'] !== undefined && { single: singleFromJson(json, top['single']) }),
  };
  checkInvariants(state);
  return state;
}

// A trial is of a filled, unconfirmed slot that is not active; the active slot is filled and confirmed;
// an image comes only into an empty inactive slot, and never during a trial. With one bootable slot it comes
// into the staging area, and while the two areas change places none comes.
function checkInvariants(state: BootState): void {
  const { active, trial, incoming, slots, single } = state;
  const whole =
    (active === null || slots[active]?.confirmed === true) &&
    (trial === null ||
      (trial.slot === inactiveSlot(state) &&
        slots[trial.slot]?.confirmed === false &&
        trial.left <= TRIAL_STARTS &&
        incoming === null)) &&
    (incoming === null ||
      (incoming.slot === inactiveSlot(state) && slots[incoming.slot] === null)) &&
    (single === undefined ||
      ((single.swap === null || (incoming === null && single.swap.block > 0)) &&
        single.bootable !== incoming?.slot));
  check(whole, 'DEVICE_STATE_CORRUPT', 'the boot state contradicts itself');
}

function imageToJson(image: SlotImage): Record<string, unknown> {
  const { digest, line, sequence, version, sha256, size } = image;
  return { digest, line, sequence: String(sequence), version, sha256, size };
}

function slotToJson(slot: Slot | null): unknown {
  return slot && { ...imageToJson(slot), confirmed: slot.confirmed };
}

function imageFromJson(json: JsonReader, image: Readonly<Record<string, unknown>>): SlotImage {
  return {
    digest: json.text(image['digest'], 'digest', HASH),
    line: json.text(image['line'], 'line', LINE),
    sequence: json.uint64(image['sequence'], 'sequence'),
    version: json.text(image['version'], 'version', VERSION),
    sha256: json.text(image['sha256'], 'image digest', HASH),
    size: json.uint(image['size'], 'size'),
  };
}

function slotFromJson(json: JsonReader, value: unknown): Slot {
  const slot = json.object(value, 'slot', [...IMAGE, 'confirmed']);
  return { ...imageFromJson(json, slot), confirmed: json.flag(slot['confirmed'], 'confirmed') };
}

function singleFromJson(json: JsonReader, value: unknown): SingleSlot {
  const { bootable, swap } = json.object(value, 'single slot', ['bootable', 'swap']);
  return {
    bootable: slotName(json, bootable),
    swap: nullable(swap, (under) => {
      const { size, block } = json.object(under, 'swap', ['size', 'block']);
      return { size: json.uint(size, 'size'), block: json.uint(block, 'block') };
    }),
  };
}

function slotName(json: JsonReader, value: unknown): SlotName {
  return json.text(value, 'slot name', /^[ab]$/) as SlotName;
}

function nullable<T>(value: unknown, read: (value: unknown) => T): T | null {
  return value === null ? null : read(value);
}
