/** Contract of transactions 4 to 8: what devices and gateways ask. */
import { hex } from '../bytes.ts';
import { decode } from '../cbor/decode.ts';
import { encode } from '../cbor/encode.ts';
import { asBytes, asMap, asText, onlyKeys } from '../cbor/read.ts';
import type { Cbor } from '../cbor/value.ts';
import { check } from '../errors.ts';
import { lineText, parseLineText, type Line } from '../registry/line.ts';
import { MAX_PROOF } from '../trust/proof.ts';

export const LATEST_TYPE = 'firmament/latest/v1';
export const MAX_LATEST = MAX_PROOF + 1024;
/** An envelope with its receipts. */
export const MAX_ENVELOPE = 192 * 1024;
export const ENVELOPE_MEDIA = 'application/suit-envelope+cose';
export const REPORT_MEDIA = 'application/suit-report+cose';
export const MAX_REPORT = 16_384;

/** `version` is a hint: proof and envelope decide. */
export interface LatestAnswer {
  readonly line: Line;
  readonly version: string;
  readonly proof: Uint8Array;
}

/** `linksKnown`: how many links of the line the asker has checked; the answer brings those that follow (T02). */
export function latestPath(line: Line, linksKnown?: number): string {
  const query = linksKnown === undefined ? '' : `?links=${linksKnown}`;
  return `/v1/lines/${lineText(line)}/latest${query}`;
}

export function releasePath(digest: Uint8Array): string {
  return `/v1/releases/${hex(digest)}`;
}

export function imagePath(sha256: Uint8Array): string {
  return `/v1/images/${hex(sha256)}`;
}

export function encodeLatest({ line, version, proof }: LatestAnswer): Uint8Array {
  return encode(
    new Map<Cbor, Cbor>([
      [1, LATEST_TYPE],
      [2, line.author],
      [3, version],
      [4, proof],
      [5, lineText(line)],
    ]),
  );
}

/** Errors: CBOR_*, LINE_MALFORMED. */
export function decodeLatest(bytes: Uint8Array): LatestAnswer {
  const map = asMap(decode(bytes, { maxBytes: MAX_LATEST }), 'latest');
  onlyKeys(map, [1, 2, 3, 4, 5], 'latest');
  check(map.get(1) === LATEST_TYPE, 'CBOR_TYPE', 'not a latest answer');
  return {
    line: parseLineText(asText(map.get(5) ?? null, 'line', 256)),
    version: asText(map.get(3) ?? null, 'version', 64),
    proof: asBytes(map.get(4) ?? null, 'proof', { max: MAX_PROOF }),
  };
}
