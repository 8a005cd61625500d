/** Contract of transactions 1 to 3: registering, and uploading what was registered. */
import { asArray, asBytes, asMap, asText, asUint, onlyKeys } from '../cbor/read.ts';
import { decode } from '../cbor/decode.ts';
import { encode } from '../cbor/encode.ts';
import type { Cbor } from '../cbor/value.ts';
import { hex } from '../bytes.ts';
import { MAX_GROUP } from '../registry/group.ts';

// The body of a registration is a group.
export { decodeGroup, encodeGroup } from '../registry/group.ts';

export const REGISTRATIONS = '/v1/registrations';
export const MAX_REGISTRATION = MAX_GROUP;
const MAX_MISSING = 4096;

export interface RegisteredEntry {
  readonly entry: Uint8Array;
  readonly index: number;
  /** Empty until k operators cosigned. */
  readonly receipt: Uint8Array;
}

export interface Registered {
  readonly entries: readonly RegisteredEntry[];
  readonly upload: string | null;
}

export function entryPath(signingDigest: Uint8Array): string {
  return `/v1/entries/${hex(signingDigest)}`;
}

export function uploadPath(image: Uint8Array): string {
  return `/v1/images/${hex(image)}`;
}

export function encodeRegistered({ entries, upload }: Registered): Uint8Array {
  return encode(
    new Map<Cbor, Cbor>([
      [1, entries.map(({ entry, index, receipt }) => [entry, index, receipt])],
      [2, upload],
    ]),
  );
}

/** Errors: CBOR_*. */
export function decodeRegistered(bytes: Uint8Array): Registered {
  const map = asMap(decode(bytes, { maxBytes: MAX_REGISTRATION }), 'registered');
  onlyKeys(map, [1, 2], 'registered');
  const upload = map.get(2) ?? null;
  return {
    entries: asArray(map.get(1) ?? null, 'entries').map((row) => {
      const [entry, index, receipt] = asArray(row, 'entry', 3);
      return {
        entry: asBytes(entry ?? null, 'entry', 32),
        index: asUint(index ?? null, 'index'),
        receipt: asBytes(receipt ?? null, 'receipt', { max: 8192 }),
      };
    }),
    upload: upload === null ? null : asText(upload, 'upload', 256),
  };
}

export function encodeMissing(cids: readonly string[]): Uint8Array {
  return encode(cids.slice(0, MAX_MISSING));
}

/** Errors: CBOR_*. */
export function decodeMissing(bytes: Uint8Array): readonly string[] {
  return asArray(decode(bytes, { maxBytes: 1 << 20 }), 'missing blocks').map((cid) =>
    asText(cid, 'CID', 128),
  );
}
