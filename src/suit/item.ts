/**
 * CBOR items with the place where they stand, in the one encoding that SUIT accepts: definite
 * lengths, shortest heads, map keys in the order of RFC 8949 4.2.1, none twice, nothing left
 * over. Records and refusals name byte offsets, which a decoder that returns bare values loses.
 */
import { compare, text as decodeText } from '../bytes.ts';
import { check, fail } from '../errors.ts';

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

interface Head {
  readonly major: number;
  readonly argument: bigint;
  readonly next: number;
}

/**
 * The one item that `bytes` hold. `base` is the offset of `bytes` in the outermost byte string
 * and `what` its name in messages. The items share memory with `bytes`.
 * Errors: SUIT_TRUNCATED, SUIT_TRAILING_BYTES, SUIT_LENGTH_INDEFINITE, SUIT_NOT_SHORTEST,
 * SUIT_KEY_DUPLICATE, SUIT_MAP_ORDER, SUIT_TOO_DEEP, SUIT_ENCODING.
 */
export function parseItem(bytes: Uint8Array, what: string, base = 0): Item {
  const [item, end] = read(bytes, 0, base, what, 0);
  check(
    end === bytes.length,
    'SUIT_TRAILING_BYTES',
    `${what}: ${bytes.length - end} bytes follow the item that ends at byte ${base + end}`,
    { offset: base + end },
  );
  return item;
}

function readHead(bytes: Uint8Array, at: number, base: number, what: string): Head {
  const initial = bytes[at];
  if (initial === undefined) return truncated(what, base + at);
  const major = initial >> 5;
  const short = initial & 31;
  if (short < 24) return { major, argument: BigInt(short), next: at + 1 };
  if (short === 31)
    fail(
      'SUIT_LENGTH_INDEFINITE',
      `${what}: indefinite length at byte ${base + at}; only definite lengths are accepted`,
      { offset: base + at },
    );
  if (short > 27)
    fail('SUIT_ENCODING', `${what}: reserved CBOR head at byte ${base + at}`, {
      offset: base + at,
    });
  const width = 1 << (short - 24);
  if (at + 1 + width > bytes.length) return truncated(what, base + at);
  let argument = 0n;
  for (let i = 0; i < width; i++) argument = (argument << 8n) | BigInt(bytes[at + 1 + i] as number);
  // A simple value's or float's argument is no number; read() refuses those by name.
  const least = width === 1 ? 24n : 1n << BigInt(4 * width);
  if (argument < least && major !== 7)
    fail(
      'SUIT_NOT_SHORTEST',
      `${what}: the number at byte ${base + at} has a shorter encoding (RFC 8949 4.2.1)`,
      { offset: base + at },
    );
  return { major, argument, next: at + 1 + width };
}

function read(
  bytes: Uint8Array,
  at: number,
  base: number,
  what: string,
  depth: number,
): [Item, number] {
  if (depth > MAX_DEPTH)
    fail('SUIT_TOO_DEEP', `${what}: nested deeper than ${MAX_DEPTH} at byte ${base + at}`, {
      offset: base + at,
    });
  const { major, argument, next } = readHead(bytes, at, base, what);
  const start = base + at;
  const place = (end: number): Place => ({ start, raw: bytes.subarray(at, end) });
  switch (major) {
    case 0:
      return [{ kind: 'integer', value: argument, ...place(next) }, next];
    case 1:
      return [{ kind: 'integer', value: -1n - argument, ...place(next) }, next];
    case 2:
    case 3: {
      if (argument > BigInt(bytes.length - next)) return truncated(what, start);
      const end = next + Number(argument);
      const content = bytes.subarray(next, end);
      if (major === 2) {
        const value: Item = {
          kind: 'bytes',
          value: content,
          contentStart: base + next,
          ...place(end),
        };
        return [value, end];
      }
      return [{ kind: 'text', value: textOf(content, what, start), ...place(end) }, end];
    }
    case 4:
    case 5:
      return readCollection(bytes, at, base, what, depth);
    case 6: {
      const [content, end] = read(bytes, next, base, what, depth + 1);
      return [{ kind: 'tag', tag: argument, content, ...place(end) }, end];
    }
    default: {
      if (next === at + 1 && (argument === 20n || argument === 21n))
        return [{ kind: 'boolean', value: argument === 21n, ...place(next) }, next];
      if (next === at + 1 && argument === 22n) return [{ kind: 'null', ...place(next) }, next];
      return fail(
        'SUIT_ENCODING',
        `${what}: a float, undefined or simple value at byte ${start}; SUIT has none`,
        { offset: start },
      );
    }
  }
}

function readCollection(
  bytes: Uint8Array,
  at: number,
  base: number,
  what: string,
  depth: number,
): [Item, number] {
  const { major, argument, next } = readHead(bytes, at, base, what);
  const isMap = major === 5;
  // Every item takes a byte or more, so a larger count is refused before anything is allocated.
  if (argument * (isMap ? 2n : 1n) > BigInt(bytes.length - next)) return truncated(what, base + at);
  const count = Number(argument);
  let end = next;
  const one = (): Item => {
    const [item, after] = read(bytes, end, base, what, depth + 1);
    end = after;
    return item;
  };
  if (!isMap) {
    const items: Item[] = [];
    for (let i = 0; i < count; i++) items.push(one());
    return [{ kind: 'array', items, start: base + at, raw: bytes.subarray(at, end) }, end];
  }
  const entries: (readonly [Item, Item])[] = [];
  for (let i = 0; i < count; i++) {
    const key = one();
    const before = entries.at(-1)?.[0];
    if (before !== undefined) checkOrder(before, key, what);
    entries.push([key, one()]);
  }
  return [{ kind: 'map', entries, start: base + at, raw: bytes.subarray(at, end) }, end];
}

/** RFC 8949 4.2.1: keys in the bytewise order of their encodings; none twice. */
function checkOrder(before: Item, key: Item, what: string): void {
  const order = compare(before.raw, key.raw);
  if (order === 0)
    fail('SUIT_KEY_DUPLICATE', `${what}: the map key at byte ${key.start} stands there twice`, {
      offset: key.start,
    });
  if (order > 0) {
    const wrapperLate =
      what === 'envelope' &&
      before.kind === 'integer' &&
      before.value === 3n &&
      key.kind === 'integer' &&
      key.value === 2n;
    if (wrapperLate)
      fail(
        'SUIT_WRAPPER_LATE',
        `envelope: the manifest at byte ${before.start} comes before the authentication wrapper at byte ${key.start} (draft 8.3)`,
        { offset: key.start },
      );
    fail(
      'SUIT_MAP_ORDER',
      `${what}: the map key at byte ${key.start} is out of order (RFC 8949 4.2.1)`,
      { offset: key.start },
    );
  }
}

function textOf(content: Uint8Array, what: string, start: number): string {
  try {
    return decodeText(content);
  } catch (cause) {
    return fail(
      'SUIT_ENCODING',
      `${what}: text at byte ${start} is not UTF-8`,
      { offset: start },
      cause,
    );
  }
}

function truncated(what: string, offset: number): never {
  return fail('SUIT_TRUNCATED', `${what}: the bytes end inside the item at byte ${offset}`, {
    offset,
  });
}
