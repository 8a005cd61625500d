/** COSE_Sign1 (RFC 9052 section 4.2): one signature, payload attached or detached. */
import { verify } from '#crypto';
import { concat, utf8 } from '../bytes.ts';
import { decode, Tagged, type Cbor } from '../cbor/decode.ts';
import { encode, encodeBytesHeader } from '../cbor/encode.ts';
import { asArray, asBytes } from '../cbor/read.ts';
import type { PublicKey, SigningKey } from '../crypto/key.ts';
import { signWith } from './signing-key.ts';
import { check } from '../errors.ts';
import { algorithmFor, curveOf } from './algorithm.ts';
import { ALG } from './claims.ts';
import { readHeaders, shaped } from './header.ts';

const SIGN1_TAG = 18;
/** r || s, or R || S: so a DER signature is refused by its length. */
const SIGNATURE_LENGTH = 64;

/** `protectedBytes`: the header as received, which the signature covers; `payload` null: detached. */
export interface Sign1 {
  readonly protectedBytes: Uint8Array;
  readonly header: ReadonlyMap<Cbor, Cbor>;
  readonly unprotected: ReadonlyMap<Cbor, Cbor>;
  readonly payload: Uint8Array | null;
  readonly signature: Uint8Array;
  readonly algorithm: number;
}

/** The bytes that a signature signs (RFC 9052 section 4.4), without external data. */
export function sigStructure(protectedBytes: Uint8Array, payload: Uint8Array): Uint8Array {
  return concat(
    SIG_CONTEXT,
    encodeBytesHeader(protectedBytes.length),
    protectedBytes,
    EMPTY_BYTES,
    encodeBytesHeader(payload.length),
    payload,
  );
}

const SIG_CONTEXT = concat(Uint8Array.of(0x84, 0x6a), utf8('Signature1'));
const EMPTY_BYTES = Uint8Array.of(0x40);

/**
 * A COSE_Sign1, parsed but not verified. `tagged` (true): tag 18 must stand before it, else must
 * not; `sorted` (true): deterministic map order.
 * Errors: CBOR_*, COSE_MALFORMED, COSE_HEADER_INVALID, COSE_ALGORITHM_UNSUPPORTED.
 */
export function decodeSign1(
  bytes: Uint8Array,
  options: { readonly maxBytes: number; readonly tagged?: boolean; readonly sorted?: boolean },
): Sign1 {
  const { maxBytes, tagged = true, sorted = true } = options;
  const item = decode(bytes, { maxBytes, sorted, tags: tagged ? [SIGN1_TAG] : [] });
  const isTagged = item instanceof Tagged;
  check(
    isTagged === tagged,
    'COSE_MALFORMED',
    `a COSE_Sign1 ${tagged ? 'needs' : 'without'} tag 18`,
  );
  const fields = shaped('a COSE_Sign1 is an array of four items', () =>
    asArray(isTagged ? item.value : item, 'COSE_Sign1', 4),
  );
  const protectedBytes = bytesField(fields[0], 'protected header');
  const headers = readHeaders(protectedBytes, fields[1], sorted);
  curveOf(headers.algorithm);
  const payload = fields[2] === null ? null : bytesField(fields[2], 'payload');
  const signature = bytesField(fields[3], 'signature');
  check(signature.length === SIGNATURE_LENGTH, 'COSE_MALFORMED', 'a signature has 64 bytes');
  return { protectedBytes, ...headers, payload, signature };
}

function bytesField(field: Cbor | undefined, what: string): Uint8Array {
  return shaped(`the ${what} of a COSE_Sign1 is not a byte string`, () => asBytes(field, what));
}

/** Tag 18 and the four items, by concatenation: what was signed is never encoded again. */
export function encodeSign1(message: {
  readonly protectedBytes: Uint8Array;
  readonly unprotected?: ReadonlyMap<Cbor, Cbor>;
  readonly payload: Uint8Array | null;
  readonly signature: Uint8Array;
}): Uint8Array {
  const { protectedBytes, unprotected = new Map<Cbor, Cbor>(), payload, signature } = message;
  return concat(
    TAGGED_ARRAY,
    encodeBytesHeader(protectedBytes.length),
    protectedBytes,
    encode(unprotected),
    payload === null ? NIL : concat(encodeBytesHeader(payload.length), payload),
    encodeBytesHeader(signature.length),
    signature,
  );
}

const TAGGED_ARRAY = Uint8Array.of(0xc0 | SIGN1_TAG, 0x84);
const NIL = Uint8Array.of(0xf6);

/**
 * A signed COSE_Sign1 with tag 18. alg is set from the key when `header` has none.
 * Errors: COSE_ALGORITHM_UNSUPPORTED (alg does not fit the key), COSE_HEADER_INVALID.
 */
export function createSign1(input: {
  readonly header: ReadonlyMap<Cbor, Cbor>;
  readonly payload: Uint8Array;
  readonly key: SigningKey;
  readonly detached?: boolean;
  readonly unprotected?: ReadonlyMap<Cbor, Cbor>;
}): Uint8Array {
  const { payload, key, detached = false, unprotected = new Map<Cbor, Cbor>() } = input;
  const header = new Map(input.header);
  if (!header.has(ALG)) header.set(ALG, algorithmFor(key.curve));
  const protectedBytes = encode(header);
  const { algorithm } = readHeaders(protectedBytes, unprotected, true);
  checkFits(algorithm, key);
  const signature = signWith(key, sigStructure(protectedBytes, payload));
  return encodeSign1({
    protectedBytes,
    unprotected,
    payload: detached ? null : payload,
    signature,
  });
}

function checkFits(algorithm: number, key: PublicKey | SigningKey): void {
  const fits = curveOf(algorithm) === key.curve;
  check(fits, 'COSE_ALGORITHM_UNSUPPORTED', `alg ${algorithm} does not fit a ${key.curve} key`);
}

/**
 * Refuses a message that this key did not sign. `detachedPayload` is given exactly when the message
 * has none. Errors: COSE_SIGNATURE_INVALID, COSE_ALGORITHM_UNSUPPORTED, COSE_MALFORMED.
 */
export function verifySign1(message: Sign1, key: PublicKey, detachedPayload?: Uint8Array): void {
  checkFits(message.algorithm, key);
  const payload = message.payload ?? detachedPayload;
  check(payload !== undefined, 'COSE_MALFORMED', 'the payload is detached and was not given');
  const one = message.payload === null || detachedPayload === undefined;
  check(one, 'COSE_MALFORMED', 'the payload is attached, and another was given');
  const valid = verify(key, sigStructure(message.protectedBytes, payload), message.signature);
  check(valid, 'COSE_SIGNATURE_INVALID');
}
