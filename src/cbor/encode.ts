/** Deterministic CBOR (RFC 8949 section 4.2.1). docs/decisions/cbor.md says why it is not cbor2's. */
import { compare, concat, utf8 } from '../bytes.ts';
import { check, fail } from '../errors.ts';
import { Tagged, type Cbor } from './value.ts';

const MAX_UINT64 = 2n ** 64n - 1n;

/** `order`: sort map keys, or leave them as they stand in the Map; `maxDepth`: nested containers. */
export interface EncodeOptions {
  readonly order?: 'sorted' | 'kept';
  readonly maxDepth?: number;
}

/**
 * The one encoding of an item. Errors: CBOR_TYPE (not a Cbor, out of range, two equal keys),
 * CBOR_TOO_DEEP.
 */
export function encode(value: Cbor, options: EncodeOptions = {}): Uint8Array {
  const sink = new Sink();
  write(sink, value, options.maxDepth ?? 64, options.order !== 'kept');
  return sink.taken();
}

/** The header of a byte string of this length: for structures built by concatenation. */
export function encodeBytesHeader(length: number): Uint8Array {
  const sink = new Sink();
  writeHead(sink, 2, length);
  return sink.taken();
}

/** Bytes that grow; owned by one `encode` at a time. */
class Sink {
  #bytes = new Uint8Array(256);
  #length = 0;

  push(byte: number): void {
    this.#reserve(1);
    this.#bytes[this.#length++] = byte;
  }

  append(bytes: Uint8Array): void {
    this.#reserve(bytes.length);
    this.#bytes.set(bytes, this.#length);
    this.#length += bytes.length;
  }

  taken(): Uint8Array {
    return this.#bytes.slice(0, this.#length);
  }

  get length(): number {
    return this.#length;
  }

  view(from: number, to: number): Uint8Array {
    return this.#bytes.subarray(from, to);
  }

  /** Overwrites what stands from `at` on with as many other bytes. */
  replace(at: number, bytes: Uint8Array): void {
    this.#bytes.set(bytes, at);
  }

  #reserve(more: number): void {
    const needed = this.#length + more;
    if (needed <= this.#bytes.length) return;
    const larger = new Uint8Array(Math.max(needed, 2 * this.#bytes.length));
    larger.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = larger;
  }
}

function write(sink: Sink, value: Cbor, depth: number, sorted: boolean): void {
  if (typeof value === 'number') {
    check(isInteger(value), 'CBOR_TYPE', 'not an integer');
    if (value < 0) writeHead(sink, 1, -1 - value);
    else writeHead(sink, 0, value);
    return;
  }
  if (typeof value === 'bigint') {
    if (value < 0n) writeHead(sink, 1, -1n - value);
    else writeHead(sink, 0, value);
    return;
  }
  if (typeof value === 'string') {
    // A lone surrogate has no UTF-8; the encoder would quietly replace it.
    check(value.isWellFormed(), 'CBOR_TYPE', 'text with a lone surrogate');
    writeString(sink, 3, utf8(value));
    return;
  }
  if (typeof value === 'boolean') {
    sink.push(value ? 0xf5 : 0xf4);
    return;
  }
  if (value === null) {
    sink.push(0xf6);
    return;
  }
  if (value instanceof Uint8Array) {
    writeString(sink, 2, value);
    return;
  }
  check(depth > 0, 'CBOR_TOO_DEEP');
  if (Array.isArray(value)) {
    writeHead(sink, 4, value.length);
    for (const item of value) write(sink, item as Cbor, depth - 1, sorted);
  } else if (value instanceof Map) writeMap(sink, value, depth - 1, sorted);
  else if (value instanceof Tagged) {
    check(Number.isSafeInteger(value.tag) && value.tag >= 0, 'CBOR_TYPE', 'not a tag number');
    writeHead(sink, 6, value.tag);
    write(sink, value.value, depth - 1, sorted);
  } else fail('CBOR_TYPE', 'not an item that is encoded');
}

/** Safe integers, and -2^53: exact, and what cbor2 makes of its encoding. -0 is a float. */
function isInteger(value: number): boolean {
  return (Number.isSafeInteger(value) || value === -(2 ** 53)) && !Object.is(value, -0);
}

function writeString(sink: Sink, major: number, bytes: Uint8Array): void {
  writeHead(sink, major, bytes.length);
  sink.append(bytes);
}

/** Entries are written as they come, and put in order afterwards if they did not come so. */
function writeMap(sink: Sink, map: ReadonlyMap<Cbor, Cbor>, depth: number, sorted: boolean): void {
  writeHead(sink, 5, map.size);
  const start = sink.length;
  const entries: Entry[] = [];
  for (const [key, value] of map) {
    const at = sink.length;
    write(sink, key, depth, sorted);
    const keyEnd = sink.length;
    write(sink, value, depth, sorted);
    entries.push({ at, keyEnd, end: sink.length });
  }
  const keyOf = (entry: Entry): Uint8Array => sink.view(entry.at, entry.keyEnd);
  const byKey = (a: Entry, b: Entry): number => compare(keyOf(a), keyOf(b));
  if (pairs(entries).every(([a, b]) => byKey(a, b) < 0)) return;
  const ordered = entries.toSorted(byKey);
  // Keys that are objects (byte strings, arrays) can be equal and still be two keys of a Map.
  const distinct = pairs(ordered).every(([a, b]) => byKey(a, b) !== 0);
  check(distinct, 'CBOR_TYPE', 'two equal keys in a map');
  if (sorted) sink.replace(start, concat(...ordered.map(({ at, end }) => sink.view(at, end))));
}

/** Where an entry of a map lies in the sink. */
interface Entry {
  readonly at: number;
  readonly keyEnd: number;
  readonly end: number;
}

function pairs<T>(items: readonly T[]): (readonly [T, T])[] {
  return items.slice(1).map((item, i) => [items[i] as T, item]);
}

/** Major type and argument in the shortest form (RFC 8949 sections 3 and 4.2.1). */
function writeHead(sink: Sink, major: number, argument: number | bigint): void {
  const top = major << 5;
  if (argument < 24) sink.push(top | Number(argument));
  else if (argument <= 0xff) writeArgument(sink, top | 24, argument, 1);
  else if (argument <= 0xffff) writeArgument(sink, top | 25, argument, 2);
  else if (argument <= 0xffffffff) writeArgument(sink, top | 26, argument, 4);
  else {
    check(argument <= MAX_UINT64, 'CBOR_TYPE', 'an integer beyond 64 bits');
    const wide = BigInt(argument);
    writeArgument(sink, top | 27, Number(wide >> 32n), 4);
    writeDigits(sink, Number(wide & 0xffffffffn), 4);
  }
}

function writeArgument(sink: Sink, head: number, value: number | bigint, width: number): void {
  sink.push(head);
  writeDigits(sink, Number(value), width);
}

function writeDigits(sink: Sink, value: number, width: number): void {
  for (let shift = 8 * (width - 1); shift >= 0; shift -= 8) sink.push((value >>> shift) & 0xff);
}
