/** The events that a wait directive waits for (update-management 5.5). */
import type { Cbor } from '../cbor/value.ts';
import { encode } from '../cbor/encode.ts';
import { fail } from '../errors.ts';
import { asArray, asBytes, asInteger, asMap, asUint } from './item-read.ts';
import type { Item } from './item.ts';
import { nameOf, WAIT_EVENT } from './label.ts';
import { readVersionMatch, versionMatchToCbor } from './version.ts';
import type { VersionMatch } from './version.ts';

export type WaitEvent =
  | { readonly kind: 'authorization'; readonly priority: number }
  | { readonly kind: 'power' | 'network'; readonly state: number }
  | {
      readonly kind: 'other-device-version';
      readonly device: Uint8Array;
      readonly versions: readonly VersionMatch[];
    }
  | {
      /** `time`: seconds since 1970; of the day: since midnight; of the week: days since Sunday. */
      readonly kind: 'time' | 'time-of-day' | 'day-of-week' | 'time-of-day-utc' | 'day-of-week-utc';
      readonly value: number;
    };

const MAX_VERSIONS = 8;
const MAX_DEVICE_BYTES = 64;

/** Never empty, in the order of their numbers. Errors: SUIT_TYPE, SUIT_KEY_UNKNOWN. */
export function readWaitInfo(item: Item, what: string): readonly WaitEvent[] {
  const { entries } = asMap(item, what);
  if (entries.length === 0) return fail('SUIT_TYPE', `${what}: no event at byte ${item.start}`);
  return entries.map(([key, value]) => {
    const number = asInteger(key, `${what}: event`);
    const kind = nameOf(WAIT_EVENT, number);
    if (kind === undefined)
      return fail('SUIT_KEY_UNKNOWN', `${what}: unknown event ${number} at byte ${key.start}`, {
        key: number,
        offset: key.start,
      });
    return readEvent(kind, value, `${what}: ${kind}`);
  });
}

function readEvent(kind: WaitEvent['kind'], value: Item, what: string): WaitEvent {
  switch (kind) {
    case 'authorization':
      return { kind, priority: asInteger(value, what) };
    case 'power':
    case 'network':
      return { kind, state: asInteger(value, what) };
    case 'other-device-version': {
      const { items } = asArray(value, what);
      const [device, list] = items;
      const versions = list === undefined ? [] : asArray(list, what).items;
      if (device === undefined || items.length !== 2 || versions.length === 0)
        return fail('SUIT_TYPE', `${what} must be [device, [+ version]]`);
      if (versions.length > MAX_VERSIONS)
        return fail('SUIT_TOO_LARGE', `${what}: more than ${MAX_VERSIONS} versions`);
      return {
        kind,
        device: asBytes(device, what, { max: MAX_DEVICE_BYTES }).value,
        versions: versions.map((each) => readVersionMatch(each, what)),
      };
    }
    case 'time':
    case 'time-of-day':
    case 'day-of-week':
    case 'time-of-day-utc':
    case 'day-of-week-utc':
    default:
      return { kind, value: asUint(value, what) };
  }
}

export function encodeWaitInfo(events: readonly WaitEvent[]): Uint8Array {
  return encode(new Map<Cbor, Cbor>(events.map((each) => [WAIT_EVENT[each.kind], toCbor(each)])));
}

function toCbor(event: WaitEvent): Cbor {
  switch (event.kind) {
    case 'authorization':
      return event.priority;
    case 'power':
    case 'network':
      return event.state;
    case 'other-device-version':
      return [event.device, event.versions.map(versionMatchToCbor)];
    case 'time':
    case 'time-of-day':
    case 'day-of-week':
    case 'time-of-day-utc':
    case 'day-of-week-utc':
    default:
      return event.value;
  }
}
