/** Contract of report batches: a gateway hands over roots and sealed records, whoever has a root asks for its proof (T25). */
import { hex } from '../bytes.ts';
import { decode } from '../cbor/decode.ts';
import { encode } from '../cbor/encode.ts';
import { asArray, asBytes, asMap, asUint, onlyKeys } from '../cbor/read.ts';
import type { Cbor } from '../cbor/value.ts';
import { check } from '../errors.ts';

export const REPORT_BATCHES = '/v1/report-batches';
export const REPORT_REQUESTS = '/v1/report-batches/sealed';
/** Of an author's sealed records: 512 KiB, the encapsulated key and the tag. */
export const MAX_SEALED = (1 << 19) + 65 + 16;
export const MAX_BATCH_BODY = MAX_SEALED + 256;
export const MAX_BATCH_PROOF = 16_384;
/** Sealed batches in one answer. */
export const SEALED_AT_ONCE = 8;
export const MAX_SEALED_ANSWER = SEALED_AT_ONCE * MAX_BATCH_BODY + 1024;
const MAX_PATH = 16;

export interface HandedBatch {
  readonly root: Uint8Array;
  /** Author id. */
  readonly author: Uint8Array;
  readonly sealed: Uint8Array;
}

/** From a batch's root to the ledger. */
export interface BatchProof {
  readonly index: number;
  readonly size: number;
  readonly path: readonly Uint8Array[];
  /** The report.batch statement. */
  readonly statement: Uint8Array;
  readonly logIndex: number;
  readonly receipt: Uint8Array;
}

export interface SealedBatch {
  /** Grows with every batch that the node took. */
  readonly number: number;
  readonly root: Uint8Array;
  readonly sealed: Uint8Array;
}

export function batchPath(root: Uint8Array): string {
  return `${REPORT_BATCHES}/${hex(root)}`;
}

export function encodeHandedBatch({ root, author, sealed }: HandedBatch): Uint8Array {
  return encode(
    new Map([
      [1, root],
      [2, author],
      [3, sealed],
    ]),
  );
}

/** Errors: CBOR_*. */
export function decodeHandedBatch(bytes: Uint8Array): HandedBatch {
  const map = asMap(decode(bytes, { maxBytes: MAX_BATCH_BODY }), 'batch');
  onlyKeys(map, [1, 2, 3], 'batch');
  return {
    root: asBytes(map.get(1) ?? null, 'root', 32),
    author: asBytes(map.get(2) ?? null, 'author', 32),
    sealed: asBytes(map.get(3) ?? null, 'sealed records', { max: MAX_SEALED }),
  };
}

export function encodeBatchProof(proof: BatchProof): Uint8Array {
  const { index, size, path, statement, logIndex, receipt } = proof;
  return encode(
    new Map<Cbor, Cbor>([
      [1, index],
      [2, size],
      [3, [...path]],
      [4, statement],
      [5, logIndex],
      [6, receipt],
    ]),
  );
}

/** Errors: CBOR_*. */
export function decodeBatchProof(bytes: Uint8Array): BatchProof {
  const map = asMap(decode(bytes, { maxBytes: MAX_BATCH_PROOF }), 'batch proof');
  onlyKeys(map, [1, 2, 3, 4, 5, 6], 'batch proof');
  const path = asArray(map.get(3) ?? null, 'path');
  check(path.length <= MAX_PATH, 'CBOR_TYPE', 'a path too long');
  return {
    index: asUint(map.get(1) ?? null, 'index'),
    size: asUint(map.get(2) ?? null, 'size'),
    path: path.map((hash) => asBytes(hash, 'hash', 32)),
    statement: asBytes(map.get(4) ?? null, 'statement', { max: 4096 }),
    logIndex: asUint(map.get(5) ?? null, 'log index'),
    receipt: asBytes(map.get(6) ?? null, 'receipt', { max: 8192 }),
  };
}

export function encodeSealedBatches(batches: readonly SealedBatch[]): Uint8Array {
  return encode(batches.map(({ number, root, sealed }) => [number, root, sealed]));
}

/** Errors: CBOR_*. */
export function decodeSealedBatches(bytes: Uint8Array): readonly SealedBatch[] {
  const rows = asArray(decode(bytes, { maxBytes: MAX_SEALED_ANSWER }), 'sealed batches');
  check(rows.length <= SEALED_AT_ONCE, 'CBOR_TYPE', 'too many batches');
  return rows.map((row) => {
    const [number, root, sealed] = asArray(row, 'sealed batch', 3);
    return {
      number: asUint(number ?? null, 'number'),
      root: asBytes(root ?? null, 'root', 32),
      sealed: asBytes(sealed ?? null, 'sealed records', { max: MAX_SEALED }),
    };
  });
}
