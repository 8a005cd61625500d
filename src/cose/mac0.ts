/** COSE_Mac0 (RFC 9052 section 6.2) with HMAC-SHA-256, 32-byte tags (alg 5). */
import { hmacSha256 } from '#crypto';
import { concat, equal, utf8 } from '../bytes.ts';
import { decode, Tagged, type Cbor } from '../cbor/decode.ts';
import { encode, encodeBytesHeader } from '../cbor/encode.ts';
import { asArray, asBytes } from '../cbor/read.ts';
import { check } from '../errors.ts';
import { HMAC_256 } from './algorithm.ts';
import { ALG } from './claims.ts';
import { readHeaders, shaped } from './header.ts';

const MAC0_TAG = 17;

/** `payload` null: detached. */
export interface Mac0 {
  readonly protectedBytes: Uint8Array;
  readonly header: ReadonlyMap<Cbor, Cbor>;
  readonly unprotected: ReadonlyMap<Cbor, Cbor>;
  readonly payload: Uint8Array | null;
  readonly tag: Uint8Array;
  readonly algorithm: number;
}

/** The bytes that a tag covers (RFC 9052 section 6.3), without external data. */
export function macStructure(protectedBytes: Uint8Array, payload: Uint8Array): Uint8Array {
  return concat(
    Uint8Array.of(0x84, 0x64),
    utf8('MAC0'),
    encodeBytesHeader(protectedBytes.length),
    protectedBytes,
    Uint8Array.of(0x40),
    encodeBytesHeader(payload.length),
    payload,
  );
}

/**
 * A COSE_Mac0, parsed but not verified; tag 17 must stand before it unless `tagged` is false.
 * Errors: CBOR_*, COSE_MALFORMED, COSE_HEADER_INVALID, COSE_ALGORITHM_UNSUPPORTED.
 */
export function decodeMac0(
  bytes: Uint8Array,
  options: { readonly maxBytes: number; readonly tagged?: boolean; readonly sorted?: boolean },
): Mac0 {
  const { maxBytes, tagged = true, sorted = true } = options;
  const item = decode(bytes, { maxBytes, sorted, tags: tagged ? [MAC0_TAG] : [] });
  const isTagged = item instanceof Tagged;
  check(
    isTagged === tagged,
    'COSE_MALFORMED',
    `a COSE_Mac0 ${tagged ? 'needs' : 'without'} tag 17`,
  );
  const field = (at: number, what: string): Uint8Array =>
    shaped(`the ${what} is not a byte string`, () => asBytes(fields[at], what));
  const fields = shaped('a COSE_Mac0 is an array of four items', () =>
    asArray(isTagged ? item.value : item, 'COSE_Mac0', 4),
  );
  const protectedBytes = field(0, 'protected header');
  const headers = readHeaders(protectedBytes, fields[1], sorted);
  check(headers.algorithm === HMAC_256, 'COSE_ALGORITHM_UNSUPPORTED', undefined, {
    algorithm: headers.algorithm,
  });
  const payload = fields[2] === null ? null : field(2, 'payload');
  const tag = field(3, 'tag');
  check(tag.length === 32, 'COSE_MALFORMED', 'an HMAC-SHA-256 tag has 32 bytes');
  return { protectedBytes, ...headers, payload, tag };
}

/** A COSE_Mac0 with CBOR tag 17 and an empty unprotected header. Errors: COSE_KEY_INVALID. */
export function createMac0(input: {
  readonly header: ReadonlyMap<Cbor, Cbor>;
  readonly payload: Uint8Array;
  readonly key: Uint8Array;
  readonly detached?: boolean;
}): Uint8Array {
  checkMacKey(input.key);
  const protectedBytes = encode(new Map([...input.header, [ALG, HMAC_256]]));
  const tag = hmacSha256(input.key, macStructure(protectedBytes, input.payload));
  const payload = input.detached === true ? null : input.payload;
  return encode(new Tagged(MAC0_TAG, [protectedBytes, new Map(), payload, tag]));
}

/**
 * Refuses a message that was not made with this key.
 * Errors: COSE_SIGNATURE_INVALID, COSE_KEY_INVALID, COSE_MALFORMED.
 */
export function verifyMac0(message: Mac0, key: Uint8Array, detachedPayload?: Uint8Array): void {
  checkMacKey(key);
  const payload = message.payload ?? detachedPayload;
  check(payload !== undefined, 'COSE_MALFORMED', 'the payload is detached and was not given');
  const one = message.payload === null || detachedPayload === undefined;
  check(one, 'COSE_MALFORMED', 'the payload is attached, and another was given');
  const tag = hmacSha256(key, macStructure(message.protectedBytes, payload));
  // Tags are compared by a keyed hash of each, so that time tells nothing about the true tag.
  const same = equal(hmacSha256(key, tag), hmacSha256(key, message.tag));
  check(same, 'COSE_SIGNATURE_INVALID', 'the MAC does not verify with this key');
}

function checkMacKey(key: Uint8Array): void {
  const ok = key.length >= 16 && key.length <= 64;
  check(ok, 'COSE_KEY_INVALID', 'a MAC key has 16 to 64 bytes');
}
