/** Recipients of a COSE_Encrypt: the content key under A128KW, or under ECDH-ES+A128KW (RFC 9053 6). */
import { ecdhP256, hkdfSha256, unwrapKey, wrapKey } from '#crypto';
import { equal } from '../bytes.ts';
import { decode, type Cbor } from '../cbor/decode.ts';
import { encode } from '../cbor/encode.ts';
import { asArray, asBytes, asMap, onlyKeys } from '../cbor/read.ts';
import type { PrivateKey, PublicKey } from '../crypto/key.ts';
import { check, codeOf, fail } from '../errors.ts';
import { A128KW, ECDH_ES_A128KW } from './algorithm.ts';
import { kdfContext } from './cipher.ts';
import { ALG, KID } from './claims.ts';
import { ephemeralKeyToCbor, readEphemeralKey } from './key.ts';

const EPHEMERAL_KEY = -1;
const SALT = -20;
const MAX_KID_BYTES = 64;
const NOTHING = new Uint8Array(0);

export interface Recipient {
  readonly kid: Uint8Array | undefined;
  /** The content key under AES-KW. */
  readonly wrapped: Uint8Array;
  /** Of ECDH-ES+A128KW; undefined for A128KW. */
  readonly agreement:
    | {
        readonly protectedBytes: Uint8Array;
        readonly ephemeral: PublicKey;
        readonly salt: Uint8Array;
      }
    | undefined;
}

/** A key that opens recipients. `kid`: the one it goes by, a hint. */
export type DecryptionKey =
  | { readonly kind: 'wrap'; readonly key: Uint8Array; readonly kid?: Uint8Array }
  | { readonly kind: 'agreement'; readonly key: PrivateKey; readonly kid?: Uint8Array };

/** Errors: CBOR_TYPE, COSE_HEADER_INVALID, COSE_ALGORITHM_UNSUPPORTED, COSE_KEY_INVALID. */
export function readRecipient(item: Cbor): Recipient {
  const [first, second, third] = asArray(item, 'recipient', 3);
  const protectedBytes = asBytes(first, 'recipient: protected header', { max: 256 });
  const unprotected = asMap(second, 'recipient: unprotected header');
  const wrapped = asBytes(third, 'recipient: wrapped key', { max: 72 });
  const id = unprotected.get(KID);
  const kid = id === undefined ? undefined : asBytes(id, 'recipient: kid', { max: MAX_KID_BYTES });
  if (unprotected.has(ALG)) {
    // RFC 9053 6.2.1: AES-KW has no protected header.
    const bare = protectedBytes.length === 0 || equal(protectedBytes, Uint8Array.of(0xa0));
    check(bare, 'COSE_HEADER_INVALID', 'a recipient of A128KW has an empty protected header');
    check(unprotected.get(ALG) === A128KW, 'COSE_ALGORITHM_UNSUPPORTED', 'of a recipient');
    onlyKeys(unprotected, [ALG, KID], 'recipient');
    return { kid, wrapped, agreement: undefined };
  }
  const header = asMap(
    decode(protectedBytes, { maxBytes: 256, sorted: false }),
    'recipient: protected header',
  );
  check(header.get(ALG) === ECDH_ES_A128KW, 'COSE_ALGORITHM_UNSUPPORTED', 'of a recipient');
  onlyKeys(header, [ALG, SALT], 'recipient: protected header');
  onlyKeys(unprotected, [KID, EPHEMERAL_KEY, SALT], 'recipient: unprotected header');
  const twice = header.has(SALT) && unprotected.has(SALT);
  check(!twice, 'COSE_HEADER_INVALID', 'a parameter stands in both headers');
  const salt = header.get(SALT) ?? unprotected.get(SALT) ?? NOTHING;
  return {
    kid,
    wrapped,
    agreement: {
      protectedBytes,
      ephemeral: readEphemeralKey(unprotected.get(EPHEMERAL_KEY)),
      salt: asBytes(salt, 'recipient: salt', { max: 64 }),
    },
  };
}

/**
 * The content key of `length` bytes that one of the recipients has for one of the keys.
 * Errors: COSE_KEY_NOT_RECIPIENT.
 */
export function unwrapContentKey(
  recipients: readonly Recipient[],
  keys: readonly DecryptionKey[],
  length: number,
): Uint8Array {
  for (const recipient of recipients)
    for (const key of candidates(recipient, keys)) {
      const found = tryUnwrap(recipient, key);
      if (found?.length === length) return found;
    }
  return fail('COSE_KEY_NOT_RECIPIENT');
}

/** A kid that a key goes by selects that key; any other kid says nothing. */
function candidates(
  { kid, agreement }: Recipient,
  keys: readonly DecryptionKey[],
): readonly DecryptionKey[] {
  const kind = agreement === undefined ? 'wrap' : 'agreement';
  const fitting = keys.filter((key) => key.kind === kind);
  const named = fitting.filter(
    (key) => kid !== undefined && key.kid !== undefined && equal(key.kid, kid),
  );
  return named.length > 0 ? named : fitting;
}

function tryUnwrap(recipient: Recipient, key: DecryptionKey): Uint8Array | undefined {
  try {
    return unwrapKey(keyEncryptionKey(recipient, key), recipient.wrapped);
  } catch (error) {
    if (codeOf(error) === 'CRYPTO_AUTHENTICATION_FAILED') return undefined;
    throw error;
  }
}

function keyEncryptionKey({ agreement }: Recipient, key: DecryptionKey): Uint8Array {
  if (key.kind === 'wrap' || agreement === undefined) return key.key as Uint8Array;
  const { protectedBytes, ephemeral, salt } = agreement;
  return deriveKey(key.key, ephemeral, protectedBytes, salt);
}

function deriveKey(
  key: PrivateKey,
  peer: PublicKey,
  protectedBytes: Uint8Array,
  salt: Uint8Array,
): Uint8Array {
  return hkdfSha256(ecdhP256(key, peer), salt, kdfContext(protectedBytes), 16);
}

/** Whom a content key is for: a shared key of 16 bytes, or a P-256 key and a new key pair for it. */
export type RecipientInput =
  | { readonly key: Uint8Array; readonly kid?: Uint8Array }
  | {
      readonly publicKey: PublicKey;
      /** Used for this recipient of this message and then forgotten. */
      readonly ephemeral: PrivateKey;
      readonly kid?: Uint8Array;
    };

/** The COSE_recipient, as CBOR. Errors: CRYPTO_INPUT_INVALID, CRYPTO_KEY_INVALID. */
export function createRecipient(input: RecipientInput, contentKey: Uint8Array): Cbor {
  const unprotected = new Map<Cbor, Cbor>();
  if (input.kid !== undefined) unprotected.set(KID, input.kid);
  if ('key' in input) {
    check(input.key.length === 16, 'CRYPTO_INPUT_INVALID', 'a key of A128KW has 16 bytes');
    unprotected.set(ALG, A128KW);
    return [NOTHING, unprotected, wrapKey(input.key, contentKey)];
  }
  const { ephemeral, publicKey } = input;
  const protectedBytes = encode(new Map([[ALG, ECDH_ES_A128KW]]));
  unprotected.set(EPHEMERAL_KEY, ephemeralKeyToCbor(ephemeral.publicKey));
  const kek = deriveKey(ephemeral, publicKey, protectedBytes, NOTHING);
  return [protectedBytes, unprotected, wrapKey(kek, contentKey)];
}
