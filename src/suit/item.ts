/**
 * CBOR items with the place where they stand, in the one encoding that SUIT accepts: definite
 * lengths, shortest heads, map keys in the order of RFC 8949 4.2.1, none twice, nothing left
 * over. Records and refusals name byte offsets, which a decoder that returns bare values loses.
 */
import { compare, readU64, text as decodeText } from '../bytes.ts';
import { check, fail } from '../errors.ts';
import type { Code } from '../errors.ts';

interface Place {
  /** Offset of the item's first byte, counted from the start of the outermost byte string. */
  readonly start: number;
  /** The item's bytes as received, head included. */
  readonly raw: Uint8Array;
}

export interface IntegerItem extends Place {
  readonly kind: 'integer';
  readonly value: bigint;
}
export interface BytesItem extends Place {
  readonly kind: 'bytes';
  readonly value: Uint8Array;
  /** Offset of the first content byte. */
  readonly contentStart: number;
}
export interface TextItem extends Place {
  readonly kind: 'text';
  readonly value: string;
}
export interface ArrayItem extends Place {
  readonly kind: 'array';
  readonly items: readonly Item[];
}
export interface MapItem extends Place {
  readonly kind: 'map';
  readonly entries: readonly (readonly [key: Item, value: Item])[];
}
export interface TagItem extends Place {
  readonly kind: 'tag';
  readonly tag: bigint;
  readonly content: Item;
}
export interface BooleanItem extends Place {
  readonly kind: 'boolean';
  readonly value: boolean;
}
export interface NullItem extends Place {
  readonly kind: 'null';
}

export type Item =
  | IntegerItem
  | BytesItem
  | TextItem
  | ArrayItem
  | MapItem
  | TagItem
  | BooleanItem
  | NullItem;

export const MAX_DEPTH = 8;
/** Items in one byte string: real manifests have hundreds. */
export const MAX_ITEMS = 16_384;

interface Source {
  readonly bytes: Uint8Array;
  /** Offset of `bytes` in the outermost byte string. */
  readonly base: number;
  /** Name in messages. */
  readonly what: string;
  /** Items that may still be read. */
  left: number;
}

interface Head {
  readonly major: number;
  /** A bigint for arguments of eight bytes only: most are small, and bigints cost. */
  readonly argument: number | bigint;
  readonly next: number;
}

/**
 * The one item that `bytes` hold. `base` is the offset of `bytes` in the outermost byte string
 * and `what` its name in messages. The items share memory with `bytes`.
 * Errors: SUIT_TRUNCATED, SUIT_TRAILING_BYTES, SUIT_LENGTH_INDEFINITE, SUIT_NOT_SHORTEST,
 * SUIT_KEY_DUPLICATE, SUIT_MAP_ORDER, SUIT_WRAPPER_LATE, SUIT_TOO_DEEP, SUIT_TOO_LARGE,
 * SUIT_ENCODING.
 */
export function parseItem(bytes: Uint8Array, what: string, base = 0): Item {
  const [item, end] = read({ bytes, base, what, left: MAX_ITEMS }, 0, 0);
  check(
    end === bytes.length,
    'SUIT_TRAILING_BYTES',
    `${what}: ${bytes.length - end} bytes follow the item that ends at byte ${base + end}`,
    { offset: base + end },
  );
  return item;
}

/** Refuses at a byte of the source, whose offset goes into the message and the details. */
function refuse(source: Source, code: Code, at: number, problem: string): never {
  const offset = source.base + at;
  return fail(code, `${source.what}: ${problem} at byte ${offset}`, { offset });
}

function readHead(source: Source, at: number): Head {
  const { bytes } = source;
  const initial = bytes[at];
  if (initial === undefined) return truncated(source, at);
  const major = initial >> 5;
  const short = initial & 31;
  if (short < 24) return { major, argument: short, next: at + 1 };
  if (short === 31)
    refuse(
      source,
      'SUIT_LENGTH_INDEFINITE',
      at,
      'an indefinite length, where only definite ones are accepted,',
    );
  if (short > 27) refuse(source, 'SUIT_ENCODING', at, 'a reserved CBOR head');
  const width = 1 << (short - 24);
  if (at + 1 + width > bytes.length) return truncated(source, at);
  const argument = width === 8 ? readU64(bytes.subarray(at + 1)) : readUint(bytes, at + 1, width);
  const least = width === 1 ? 24 : 2 ** (4 * width);
  // A simple value's or float's argument is no number; read() refuses those by name.
  if (argument < least && major !== 7)
    refuse(
      source,
      'SUIT_NOT_SHORTEST',
      at,
      'a number that has a shorter encoding (RFC 8949 4.2.1)',
    );
  return { major, argument, next: at + 1 + width };
}

/** Big-endian, of at most four bytes. */
function readUint(bytes: Uint8Array, at: number, width: number): number {
  let value = 0;
  for (let i = 0; i < width; i++) value = value * 256 + (bytes[at + i] as number);
  return value;
}

function read(source: Source, at: number, depth: number): [Item, number] {
  const { bytes, base } = source;
  if (depth > MAX_DEPTH) refuse(source, 'SUIT_TOO_DEEP', at, `nested deeper than ${MAX_DEPTH}`);
  if (--source.left < 0) refuse(source, 'SUIT_TOO_LARGE', at, `more than ${MAX_ITEMS} items`);
  const head = readHead(source, at);
  const { major, argument, next } = head;
  const start = base + at;
  const raw = (end: number): Uint8Array => bytes.subarray(at, end);
  switch (major) {
    case 0:
      return [{ kind: 'integer', value: BigInt(argument), start, raw: raw(next) }, next];
    case 1:
      return [{ kind: 'integer', value: -1n - BigInt(argument), start, raw: raw(next) }, next];
    case 2:
    case 3: {
      if (argument > bytes.length - next) return truncated(source, at);
      const end = next + Number(argument);
      const content = bytes.subarray(next, end);
      const item: Item =
        major === 2
          ? { kind: 'bytes', value: content, contentStart: base + next, start, raw: raw(end) }
          : { kind: 'text', value: textOf(source, content, at), start, raw: raw(end) };
      return [item, end];
    }
    case 4: {
      const [items, end] = readItems(source, head, at, depth, 1);
      return [{ kind: 'array', items, start, raw: raw(end) }, end];
    }
    case 5: {
      const [items, end] = readItems(source, head, at, depth, 2);
      return [{ kind: 'map', entries: pair(source, items), start, raw: raw(end) }, end];
    }
    case 6: {
      const [content, end] = read(source, next, depth + 1);
      return [{ kind: 'tag', tag: BigInt(argument), content, start, raw: raw(end) }, end];
    }
    default: {
      const simple = next === at + 1 ? argument : undefined;
      if (simple === 22) return [{ kind: 'null', start, raw: raw(next) }, next];
      if (simple !== 20 && simple !== 21)
        refuse(
          source,
          'SUIT_ENCODING',
          at,
          'a float, undefined or simple value, which SUIT has not,',
        );
      return [{ kind: 'boolean', value: simple === 21, start, raw: raw(next) }, next];
    }
  }
}

/** The items of an array, or keys and values of a map in turn. */
function readItems(
  source: Source,
  { argument, next }: Head,
  at: number,
  depth: number,
  each: 1 | 2,
): [readonly Item[], number] {
  // Every item takes a byte or more, so a larger count is refused before anything is allocated.
  if (Number(argument) * each > source.bytes.length - next) return truncated(source, at);
  const count = Number(argument) * each;
  const items: Item[] = [];
  let end = next;
  for (let i = 0; i < count; i++) {
    const [item, after] = read(source, end, depth + 1);
    items.push(item);
    end = after;
  }
  return [items, end];
}

function pair(source: Source, items: readonly Item[]): (readonly [Item, Item])[] {
  const entries: (readonly [Item, Item])[] = [];
  for (let i = 0; i < items.length; i += 2) {
    const key = items[i] as Item;
    const before = items[i - 2];
    if (before !== undefined) checkOrder(source, before, key);
    entries.push([key, items[i + 1] as Item]);
  }
  return entries;
}

/** RFC 8949 4.2.1: keys in the bytewise order of their encodings; none twice. */
function checkOrder(source: Source, before: Item, key: Item): void {
  const order = compare(before.raw, key.raw);
  if (order < 0) return;
  const at = key.start - source.base;
  if (order === 0) refuse(source, 'SUIT_KEY_DUPLICATE', at, 'a map key that stands there twice');
  if (source.what === 'envelope' && isInteger(before, 3n) && isInteger(key, 2n))
    refuse(
      source,
      'SUIT_WRAPPER_LATE',
      at,
      'the manifest comes before the authentication wrapper (draft 8.3)',
    );
  refuse(source, 'SUIT_MAP_ORDER', at, 'a map key out of order (RFC 8949 4.2.1)');
}

function isInteger(item: Item, value: bigint): boolean {
  return item.kind === 'integer' && item.value === value;
}

function textOf(source: Source, content: Uint8Array, at: number): string {
  try {
    return decodeText(content);
  } catch {
    return refuse(source, 'SUIT_ENCODING', at, 'text that is not UTF-8');
  }
}

function truncated(source: Source, at: number): never {
  return refuse(source, 'SUIT_TRUNCATED', at, 'the bytes end inside the item');
}
