/**
 * COSE_Encrypt with its text detached (RFC 9052 5.1; SUIT_Encryption_Info), and COSE_Encrypt0 with
 * its text inside. Header maps may be in any order: what was signed is the byte string around them.
 */
import { open, seal } from '#crypto';
import { decode, Tagged, type Cbor } from '../cbor/decode.ts';
import { encode } from '../cbor/encode.ts';
import { asArray, asBytes, asMap, onlyKeys } from '../cbor/read.ts';
import { check, codeOf, fail } from '../errors.ts';
import { authenticates, checkIv, cipherOf, CIPHERS, encStructure } from './cipher.ts';
import type { Content, ContentCipher } from './cipher.ts';
import { ALG, IV } from './claims.ts';
import { createRecipient, readRecipient } from './recipient.ts';
import type { Recipient, RecipientInput } from './recipient.ts';

const ENCRYPT_TAG = 96;
const ENCRYPT0_TAG = 16;
const MAX_RECIPIENTS = 16;
const NOTHING = new Uint8Array(0);

export interface Encrypt extends Content {
  /** 1 to 16. */
  readonly recipients: readonly Recipient[];
}

/**
 * A COSE_Encrypt with tag 96 and a detached text, parsed; nothing is decrypted.
 * Errors: CBOR_*, COSE_MALFORMED, COSE_HEADER_INVALID, COSE_ALGORITHM_UNSUPPORTED,
 * COSE_KEY_INVALID, CRYPTO_KEY_INVALID.
 */
export function decodeEncrypt(bytes: Uint8Array, options: { readonly maxBytes: number }): Encrypt {
  const item = decode(bytes, { ...options, sorted: false, tags: [ENCRYPT_TAG] });
  const tagged = item instanceof Tagged;
  check(tagged, 'COSE_MALFORMED', 'a COSE_Encrypt needs tag 96');
  return shaped(() => {
    const [first, second, text, third] = asArray(item.value, 'COSE_Encrypt', 4);
    check(text === null, 'COSE_MALFORMED', 'the text of a COSE_Encrypt is detached here');
    const recipients = asArray(third, 'recipients');
    const count = recipients.length > 0 && recipients.length <= MAX_RECIPIENTS;
    check(count, 'COSE_MALFORMED', `a COSE_Encrypt has 1 to ${MAX_RECIPIENTS} recipients`);
    return { ...readContent(first, second), recipients: recipients.map(readRecipient) };
  });
}

/** `contentKey`, `iv`: new and random for each text. Errors: CRYPTO_INPUT_INVALID, CRYPTO_KEY_INVALID. */
export function createEncrypt(input: {
  readonly cipher: ContentCipher;
  readonly contentKey: Uint8Array;
  readonly iv: Uint8Array;
  readonly recipients: readonly RecipientInput[];
}): { readonly bytes: Uint8Array; readonly content: Content } {
  const { cipher, contentKey, iv } = input;
  check(
    contentKey.length === CIPHERS[cipher].key,
    'CRYPTO_INPUT_INVALID',
    `a key of ${cipher} has ${CIPHERS[cipher].key} bytes`,
  );
  const number = CIPHERS[cipher].number;
  const protectedBytes = authenticates(cipher) ? encode(new Map([[ALG, number]])) : NOTHING;
  const unprotected = new Map<Cbor, Cbor>([[IV, checkIv(cipher, iv)]]);
  if (!authenticates(cipher)) unprotected.set(ALG, number);
  const recipients = input.recipients.map((each) => createRecipient(each, contentKey));
  const bytes = encode(new Tagged(ENCRYPT_TAG, [protectedBytes, unprotected, null, recipients]));
  return { bytes, content: { cipher, protectedBytes, iv } };
}

/** Draft firmware-encryption 7: alg is protected for an AEAD; for A128CTR nothing is. */
function readContent(first: Cbor | undefined, second: Cbor | undefined): Content {
  const protectedBytes = asBytes(first, 'protected header', { max: 256 });
  const unprotected = asMap(second, 'unprotected header');
  if (protectedBytes.length === 0) {
    const cipher = cipherOf(unprotected.get(ALG));
    check(!authenticates(cipher), 'COSE_HEADER_INVALID', 'alg is missing in the protected header');
    onlyKeys(unprotected, [ALG, IV], 'unprotected header');
    return { cipher, protectedBytes, iv: checkIv(cipher, unprotected.get(IV)) };
  }
  const header = asMap(
    decode(protectedBytes, { maxBytes: 256, sorted: false }),
    'protected header',
  );
  const cipher = cipherOf(header.get(ALG));
  check(
    authenticates(cipher),
    'COSE_HEADER_INVALID',
    'a cipher that authenticates nothing has no protected header (RFC 9459 4)',
  );
  onlyKeys(header, [ALG, IV], 'protected header');
  onlyKeys(unprotected, header.has(IV) ? [] : [IV], 'unprotected header');
  const iv = checkIv(cipher, header.get(IV) ?? unprotected.get(IV));
  return { cipher, protectedBytes, iv };
}

export interface SealInput {
  readonly cipher: Exclude<ContentCipher, 'A128CTR'>;
  readonly key: Uint8Array;
  readonly iv: Uint8Array;
  readonly plaintext: Uint8Array;
}

/** A COSE_Encrypt0 with tag 16. `iv`: used once with the key. Errors: CRYPTO_INPUT_INVALID. */
export function sealEncrypt0(input: SealInput): Uint8Array {
  const { cipher, key, iv, plaintext } = input;
  const protectedBytes = encode(new Map([[ALG, CIPHERS[cipher].number]]));
  const sealed = seal(cipher, key, iv, encStructure('Encrypt0', protectedBytes), plaintext);
  const unprotected = new Map<Cbor, Cbor>([[IV, iv]]);
  return encode(new Tagged(ENCRYPT0_TAG, [protectedBytes, unprotected, sealed]));
}

/** Its text. Errors: as decodeEncrypt, CRYPTO_INPUT_INVALID, CRYPTO_AUTHENTICATION_FAILED. */
export function openEncrypt0(
  bytes: Uint8Array,
  key: Uint8Array,
  options: { readonly maxBytes: number },
): Uint8Array {
  const item = decode(bytes, { ...options, sorted: false, tags: [ENCRYPT0_TAG] });
  const tagged = item instanceof Tagged;
  check(tagged, 'COSE_MALFORMED', 'a COSE_Encrypt0 needs tag 16');
  return shaped(() => {
    const [first, second, third] = asArray(item.value, 'COSE_Encrypt0', 3);
    const { cipher, protectedBytes, iv } = readContent(first, second);
    if (cipher === 'A128CTR')
      return fail('COSE_ALGORITHM_UNSUPPORTED', 'a COSE_Encrypt0 is authenticated here');
    const sealed = asBytes(third, 'ciphertext');
    return open(cipher, key, iv, encStructure('Encrypt0', protectedBytes), sealed);
  });
}

/** The wrong kind of an item is a malformed message. */
function shaped<T>(read: () => T): T {
  try {
    return read();
  } catch (cause) {
    if (codeOf(cause) !== 'CBOR_TYPE') throw cause;
    return fail('COSE_MALFORMED', cause instanceof Error ? cause.message : undefined, {}, cause);
  }
}
