/** SUIT_Digest (draft 10): [algorithm, bytes]. SHA-256, SHA-384 and SHA-512 are accepted. */
import { hash } from '#crypto';
import { equal } from '../bytes.ts';
import { encode } from '../cbor/encode.ts';
import type { Cbor } from '../cbor/value.ts';
import { check, fail } from '../errors.ts';
import { asArray, asBytes, asInteger } from './item-read.ts';
import type { Item } from './item.ts';

export type DigestAlgorithm = 'SHA-256' | 'SHA-384' | 'SHA-512';

export interface SuitDigest {
  readonly algorithm: DigestAlgorithm;
  readonly bytes: Uint8Array;
}

/** COSE algorithm numbers (RFC 9054) and digest lengths in bytes. */
const ALGORITHMS: ReadonlyMap<number, readonly [DigestAlgorithm, number]> = new Map([
  [-16, ['SHA-256', 32]],
  [-43, ['SHA-384', 48]],
  [-44, ['SHA-512', 64]],
]);

export const DIGEST_NUMBERS: readonly number[] = [...ALGORITHMS.keys()];

const KNOWN_UNSUPPORTED: ReadonlyMap<number, string> = new Map([
  [-18, 'SHAKE128'],
  [-45, 'SHAKE256'],
]);

/** Errors: SUIT_DIGEST_ALGORITHM_UNSUPPORTED, SUIT_DRAFT_OLD, SUIT_TYPE. */
export function readDigest(item: Item, what: string): SuitDigest {
  const { items } = asArray(item, what);
  const [id, value] = items;
  if (items.length !== 2 || id === undefined || value === undefined)
    return fail('SUIT_TYPE', `${what} at byte ${item.start} must be [algorithm, bytes]`, {
      offset: item.start,
    });
  const number = asInteger(id, `${what}: algorithm`);
  check(
    number !== 2,
    'SUIT_DRAFT_OLD',
    `${what}: digest algorithm 2 is the SHA-256 of drafts 09 to 12; draft 37 has -16`,
    { offset: id.start },
  );
  const algorithm = ALGORITHMS.get(number);
  if (algorithm === undefined)
    return fail(
      'SUIT_DIGEST_ALGORITHM_UNSUPPORTED',
      `${what}: digest algorithm ${KNOWN_UNSUPPORTED.get(number) ?? number} is not supported`,
      { offset: id.start },
    );
  const bytes = asBytes(value, `${what}: ${algorithm[0]} value`, { length: algorithm[1] }).value;
  return { algorithm: algorithm[0], bytes };
}

/** The [algorithm, bytes] array, to be encoded inside something. */
export function digestToCbor(digest: SuitDigest): Cbor {
  for (const [number, [name]] of ALGORITHMS)
    if (name === digest.algorithm) return [number, digest.bytes];
  return fail('SUIT_DIGEST_ALGORITHM_UNSUPPORTED');
}

export function encodeDigest(digest: SuitDigest): Uint8Array {
  return encode(digestToCbor(digest));
}

/** Whether `data` has this digest. A question, not a check: callers refuse with their own code. */
export function digestMatches(digest: SuitDigest, data: Uint8Array): boolean {
  return equal(hash(digest.algorithm, data), digest.bytes);
}

/** The SUIT_Digest, encoded, of a manifest as it stands in the envelope (bstr head included). */
export function suitDigest(
  manifestBstr: Uint8Array,
  algorithm: DigestAlgorithm = 'SHA-256',
): Uint8Array {
  return encodeDigest({ algorithm, bytes: hash(algorithm, manifestBstr) });
}
