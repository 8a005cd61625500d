/**
 * A snapshot as a stream of rows (docs/spec/snapshot.md): what it is of, then each block with its epoch and
 * certificate, then the registry's records and the map's values, each kind in one order. Every row stands behind its
 * length; the stream is cut into chunks anywhere.
 */
import { concat } from '../bytes.ts';
import { decode } from '../cbor/decode.ts';
import { encode } from '../cbor/encode.ts';
import { asArray, asBytes, asText, asUint } from '../cbor/read.ts';
import type { Cbor } from '../cbor/value.ts';
import { check, codeOf, fail } from '../errors.ts';
import { MAX_SERVED } from './consensus-block.ts';

const TAG = 'firmament/snapshot/v1';
/** Bytes of every chunk but the last. */
export const CHUNK = 1 << 20;
const LENGTH = 4;
const MAX_ROW = MAX_SERVED + 1024;
const MAX_RECORD = 1 << 21;
const MAX_MAP_VALUE = 8192;
const RECORD_NAME = /^[a-z][a-z0-9/-]{0,511}$/;

/** The first row. */
export interface SnapshotTitle {
  readonly networkId: Uint8Array;
  readonly height: number;
  readonly size: number;
  readonly root: Uint8Array;
  readonly stateRoot: Uint8Array;
  readonly records: number;
  readonly mapValues: number;
}

export interface BlockRow {
  readonly epoch: Uint8Array;
  readonly block: Uint8Array;
  readonly certificate: Uint8Array | null;
}

export interface RecordRow {
  readonly name: string;
  readonly value: Uint8Array;
}

export interface MapRow {
  readonly key: Uint8Array;
  readonly value: Uint8Array;
}

export function encodeTitle(title: SnapshotTitle): Uint8Array {
  const { networkId, height, size, root, stateRoot, records, mapValues } = title;
  return encode([TAG, networkId, height, size, root, stateRoot, records, mapValues]);
}

/** Errors of all readers here: SNAPSHOT_MALFORMED. */
export function decodeTitle(bytes: Uint8Array): SnapshotTitle {
  return read(bytes, 8, (row) => {
    check(row[0] === TAG, 'SNAPSHOT_MALFORMED', 'not a snapshot');
    return {
      networkId: asBytes(row[1] ?? null, 'network id', 32),
      height: asUint(row[2] ?? null, 'height'),
      size: asUint(row[3] ?? null, 'size'),
      root: asBytes(row[4] ?? null, 'root', 32),
      stateRoot: asBytes(row[5] ?? null, 'state root', 32),
      records: asUint(row[6] ?? null, 'records'),
      mapValues: asUint(row[7] ?? null, 'map values'),
    };
  });
}

export function encodeBlockRow({ epoch, block, certificate }: BlockRow): Uint8Array {
  return encode([epoch, block, certificate]);
}

export function decodeBlockRow(bytes: Uint8Array): BlockRow {
  return read(bytes, 3, ([epoch = null, block = null, certificate = null]) => ({
    epoch: asBytes(epoch, 'epoch', { max: 256 }),
    block: asBytes(block, 'block', { max: MAX_SERVED }),
    certificate:
      certificate === null ? null : asBytes(certificate, 'certificate', { max: 1 << 16 }),
  }));
}

export function encodeRecordRow({ name, value }: RecordRow): Uint8Array {
  return encode([name, value]);
}

export function decodeRecordRow(bytes: Uint8Array): RecordRow {
  return read(bytes, 2, ([name = null, value = null]) => {
    const text = asText(name, 'record name', 512);
    check(RECORD_NAME.test(text), 'SNAPSHOT_MALFORMED', 'no name of a record');
    return { name: text, value: asBytes(value, 'record', { max: MAX_RECORD }) };
  });
}

export function encodeMapRow({ key, value }: MapRow): Uint8Array {
  return encode([key, value]);
}

export function decodeMapRow(bytes: Uint8Array): MapRow {
  return read(bytes, 2, ([key = null, value = null]) => ({
    key: asBytes(key, 'map key', 32),
    value: asBytes(value, 'map value', { max: MAX_MAP_VALUE }),
  }));
}

function read<T>(bytes: Uint8Array, length: number, parse: (row: readonly Cbor[]) => T): T {
  try {
    return parse(asArray(decode(bytes, { maxBytes: MAX_ROW }), 'row', length));
  } catch (cause) {
    if (codeOf(cause) === undefined || codeOf(cause) === 'SNAPSHOT_MALFORMED') throw cause;
    return fail('SNAPSHOT_MALFORMED', (cause as Error).message, {}, cause);
  }
}

/** Rows as a stream, cut into chunks of CHUNK bytes and a last one that is not empty. */
export function* chunked(rows: Iterable<Uint8Array>): Generator<Uint8Array> {
  let parts: Uint8Array[] = [];
  let total = 0;
  for (const row of rows) {
    const length = new Uint8Array(LENGTH);
    new DataView(length.buffer).setUint32(0, row.length);
    parts.push(length, row);
    total += LENGTH + row.length;
    if (total < CHUNK) continue;
    let rest = concat(...parts);
    for (; rest.length >= CHUNK; rest = rest.subarray(CHUNK)) yield rest.slice(0, CHUNK);
    parts = [rest.slice()];
    total = rest.length;
  }
  if (total > 0) yield concat(...parts);
}

/** The rows of chunks as they come. Holds at most one row and one chunk. */
export class RowReader {
  #rest: Uint8Array = new Uint8Array();

  /** Errors: SNAPSHOT_MALFORMED. */
  *rows(chunk: Uint8Array): Generator<Uint8Array> {
    check(chunk.length > 0 && chunk.length <= CHUNK, 'SNAPSHOT_MALFORMED', 'a chunk’s length');
    this.#rest = concat(this.#rest, chunk);
    while (this.#rest.length >= LENGTH) {
      const length = new DataView(this.#rest.buffer, this.#rest.byteOffset).getUint32(0);
      check(length > 0 && length <= MAX_ROW, 'SNAPSHOT_MALFORMED', 'a row’s length', { length });
      if (this.#rest.length < LENGTH + length) break;
      const row = this.#rest.slice(LENGTH, LENGTH + length);
      this.#rest = this.#rest.subarray(LENGTH + length);
      yield row;
    }
    this.#rest = this.#rest.slice();
  }

  /** Whether the stream ends between two rows. */
  get complete(): boolean {
    return this.#rest.length === 0;
  }
}
