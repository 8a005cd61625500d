/** Typed reads of CBOR items. Each throws SUIT_TYPE and names the place and its byte offset. */
import { check, fail } from '../errors.ts';
import { parseItem } from './item.ts';
import type { ArrayItem, BytesItem, Item, MapItem } from './item.ts';

function wrong(item: Item, what: string, wanted: string): never {
  return fail('SUIT_TYPE', `${what} at byte ${item.start} must be ${wanted}, not ${item.kind}`, {
    offset: item.start,
  });
}

export function asMap(item: Item, what: string): MapItem {
  return item.kind === 'map' ? item : wrong(item, what, 'a map');
}

export function asArray(item: Item, what: string): ArrayItem {
  return item.kind === 'array' ? item : wrong(item, what, 'an array');
}

/** A byte string; of `length` bytes, or of at most `max`, where they are given. */
export function asBytes(
  item: Item,
  what: string,
  { length, max }: { readonly length?: number; readonly max?: number } = {},
): BytesItem {
  if (item.kind !== 'bytes') return wrong(item, what, 'a byte string');
  if (length !== undefined && item.value.length !== length)
    return wrong(item, what, `a byte string of ${length} bytes`);
  if (max !== undefined && item.value.length > max) tooLarge(item, what, max);
  return item;
}

/** Text of at most `max` UTF-8 bytes. */
export function asText(item: Item, what: string, max: number): string {
  if (item.kind !== 'text') return wrong(item, what, 'text');
  if (item.raw.length > max + 5) tooLarge(item, what, max);
  return item.value;
}

export function asBoolean(item: Item, what: string): boolean {
  return item.kind === 'boolean' ? item.value : wrong(item, what, 'true or false');
}

/** Any integer that a number holds exactly. */
export function asInteger(item: Item, what: string): number {
  if (item.kind !== 'integer') return wrong(item, what, 'an integer');
  const value = Number(item.value);
  return Number.isSafeInteger(value) ? value : wrong(item, what, 'an integer below 2^53');
}

/** An unsigned integer that a number holds exactly. */
export function asUint(item: Item, what: string): number {
  const value = asInteger(item, what);
  return value >= 0 ? value : wrong(item, what, 'an unsigned integer');
}

/** An unsigned integer of up to 64 bits. */
export function asUint64(item: Item, what: string): bigint {
  if (item.kind !== 'integer' || item.value < 0n) return wrong(item, what, 'an unsigned integer');
  return item.value;
}

/** The item inside a byte string (`bstr .cbor`), with its offsets kept. */
export function asWrapped(item: Item, what: string, max?: number): Item {
  const bytes = asBytes(item, what, max === undefined ? {} : { max });
  return parseItem(bytes.value, what, bytes.contentStart);
}

/**
 * The entries of a map whose keys are integers, by key. A key outside `known` is refused: with
 * SUIT_MEMBER_UNSUPPORTED and its name when `foreign` has it, else with SUIT_KEY_UNKNOWN.
 */
export function fields(
  map: MapItem,
  what: string,
  known: ReadonlySet<number>,
  foreign: ReadonlyMap<number, string>,
): ReadonlyMap<number, Item> {
  const found = new Map<number, Item>();
  for (const [key, value] of map.entries) {
    const number = asInteger(key, `a key of ${what}`);
    const name = foreign.get(number);
    check(
      name === undefined,
      'SUIT_MEMBER_UNSUPPORTED',
      `${what}: ${name ?? ''} is not supported (key ${number} at byte ${key.start})`,
      { key: number, offset: key.start },
    );
    check(
      known.has(number),
      'SUIT_KEY_UNKNOWN',
      `${what}: unknown key ${number} at byte ${key.start}`,
      { key: number, offset: key.start },
    );
    found.set(number, value);
  }
  return found;
}

/** A member that must be there. Errors: SUIT_MEMBER_MISSING. */
export function required(items: ReadonlyMap<number, Item>, key: number, what: string): Item {
  return items.get(key) ?? fail('SUIT_MEMBER_MISSING', `${what} (key ${key}) is missing`, { key });
}

function tooLarge(item: Item, what: string, max: number): never {
  return fail('SUIT_TOO_LARGE', `${what} at byte ${item.start} has more than ${max} bytes`, {
    offset: item.start,
  });
}
