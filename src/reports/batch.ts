/** A batch: records under one root, with a first leaf that says how many there are (T25, docs/spec/report-batch.md). */
import { compare, concat, equal, hex } from '../bytes.ts';
import { decode } from '../cbor/decode.ts';
import { encode } from '../cbor/encode.ts';
import { asArray, asBytes, asMap, asUint, onlyKeys } from '../cbor/read.ts';
import type { Cbor } from '../cbor/value.ts';
import { check, codeOf, fail } from '../errors.ts';
import { checkLeaves, paddedLeaves, pathOfLeaf, rootOfLeaves } from '../log/padded-tree.ts';
import { HASH_LENGTH, type InclusionPath } from '../log/merkle.ts';
import type { Random } from '../random.ts';
import { MAX_RECORD, recordLeaf, SALT_BYTES } from './record.ts';

const TYPE = 'firmament/report-batch/v1';
const LENGTH_BYTES = 4;
const MIN_PLAIN = 1 << 13;
const MAX_PLAIN = 1 << 19;
/** More records make more batches. */
export const MAX_RECORDS = 255;
/** Bytes of records in one batch. */
export const MAX_RECORD_BYTES = MAX_PLAIN - (1 << 14);

export interface BatchHeader {
  readonly networkId: Uint8Array;
  /** Id of the author that the records are for. */
  readonly author: Uint8Array;
  /** The period that it is about, POSIX seconds. */
  readonly from: number;
  readonly until: number;
  /** How many records it had. */
  readonly count: number;
}

export interface Batch extends BatchHeader {
  readonly root: Uint8Array;
  readonly leaves: readonly Uint8Array[];
  readonly header: Uint8Array;
  /** Those that are there. */
  readonly records: readonly Uint8Array[];
}

/** A new batch over encoded records. Errors: BATCH_MALFORMED. */
export function makeBatch(
  about: Omit<BatchHeader, 'count'>,
  records: readonly Uint8Array[],
  random: Random,
): Batch {
  const { networkId, author, from, until } = about;
  const count = records.length;
  const header = encode([random(SALT_BYTES), TYPE, networkId, author, from, until, count]);
  const sorted = records.toSorted((a, b) => compare(recordLeaf(a), recordLeaf(b)));
  const leaves = paddedLeaves([header, ...sorted].map(recordLeaf), random);
  return { ...about, count, root: rootOfLeaves(leaves), leaves, header, records: sorted };
}

/** The bytes that are sealed: their length shows no more than a power of two. Errors: BATCH_MALFORMED. */
export function encodeBatch({ leaves, header, records }: Batch): Uint8Array {
  const body = encode(
    new Map<Cbor, Cbor>([
      [1, concat(...leaves)],
      [2, header],
      [3, [...records]],
    ]),
  );
  let size = MIN_PLAIN;
  while (size < body.length + LENGTH_BYTES) size *= 2;
  check(size <= MAX_PLAIN, 'BATCH_MALFORMED', 'too many records for one batch');
  const plain = new Uint8Array(size);
  new DataView(plain.buffer).setUint32(0, body.length);
  plain.set(body, LENGTH_BYTES);
  return plain;
}

/**
 * Reads a batch, every part of which is under `root`. What the records say is not checked here.
 * Errors: BATCH_MALFORMED; BATCH_ROOT_MISMATCH for leaves, a header or records that are not under it.
 */
export function readBatch(networkId: Uint8Array, root: Uint8Array, plain: Uint8Array): Batch {
  const { leaves, header, records } = malformed(() => parts(plain));
  checkLeaves(leaves);
  check(equal(rootOfLeaves(leaves), root), 'BATCH_ROOT_MISMATCH', 'the leaves have another root');
  const known = new Set(leaves.map(hex));
  for (const bytes of [header, ...records])
    // Each stands for a leaf of its own.
    check(known.delete(hex(recordLeaf(bytes))), 'BATCH_ROOT_MISMATCH', 'a record under no leaf');
  const said = malformed(() => readHeader(header));
  check(equal(said.networkId, networkId), 'BATCH_ROOT_MISMATCH', 'a batch of another network');
  check(records.length <= said.count, 'BATCH_ROOT_MISMATCH', 'more records than there were');
  return { ...said, root, leaves, header, records };
}

/** From one record to the batch's root: enough for whoever is shown this record alone. Errors: BATCH_ROOT_MISMATCH. */
export function recordPath({ leaves }: Batch, record: Uint8Array): InclusionPath {
  const leaf = recordLeaf(record);
  const index = leaves.findIndex((each) => equal(each, leaf));
  check(index >= 0, 'BATCH_ROOT_MISMATCH', 'a record under no leaf');
  return { leafHash: leaf, index, size: leaves.length, path: pathOfLeaf(leaves, index) };
}

/** The batch without some of its records: their leaves stay, so that everything else is proven as before. */
export function withoutRecords(batch: Batch, erased: (record: Uint8Array) => boolean): Batch {
  return { ...batch, records: batch.records.filter((record) => !erased(record)) };
}

function parts(plain: Uint8Array): Pick<Batch, 'leaves' | 'header' | 'records'> {
  check(plain.length > LENGTH_BYTES && plain.length <= MAX_PLAIN, 'BATCH_MALFORMED');
  const length = new DataView(plain.buffer, plain.byteOffset).getUint32(0);
  check(length <= plain.length - LENGTH_BYTES, 'BATCH_MALFORMED');
  const body = plain.subarray(LENGTH_BYTES, LENGTH_BYTES + length);
  const map = asMap(decode(body, { maxBytes: MAX_PLAIN }), 'batch');
  onlyKeys(map, [1, 2, 3], 'batch');
  const joined = asBytes(map.get(1) ?? null, 'leaves', { max: 512 * HASH_LENGTH });
  check(joined.length % HASH_LENGTH === 0, 'BATCH_MALFORMED', 'not whole hashes');
  const records = asArray(map.get(3) ?? null, 'records');
  check(records.length <= MAX_RECORDS, 'BATCH_MALFORMED', 'too many records');
  return {
    leaves: Array.from({ length: joined.length / HASH_LENGTH }, (_, i) =>
      joined.subarray(i * HASH_LENGTH, (i + 1) * HASH_LENGTH),
    ),
    header: asBytes(map.get(2) ?? null, 'header', { max: 256 }),
    records: records.map((record) => asBytes(record, 'record', { max: MAX_RECORD })),
  };
}

function readHeader(bytes: Uint8Array): BatchHeader {
  const row = asArray(decode(bytes, { maxBytes: 256 }), 'header', 7);
  asBytes(row[0] ?? null, 'salt', SALT_BYTES);
  check(row[1] === TYPE, 'BATCH_MALFORMED', 'not a batch of reports');
  return {
    networkId: asBytes(row[2] ?? null, 'network', 32),
    author: asBytes(row[3] ?? null, 'author', 32),
    from: asUint(row[4] ?? null, 'from'),
    until: asUint(row[5] ?? null, 'until'),
    count: asUint(row[6] ?? null, 'count'),
  };
}

function malformed<T>(read: () => T): T {
  try {
    return read();
  } catch (cause) {
    if (!codeOf(cause)?.startsWith('CBOR_')) throw cause;
    return fail('BATCH_MALFORMED', (cause as Error).message, {}, cause);
  }
}
