/** Content encryption in COSE (RFC 9053 4, RFC 9459): ciphers, their numbers, lengths and streams. */
import { createCtr, createOpener, seal } from '#crypto';
import { concat, utf8 } from '../bytes.ts';
import { encode } from '../cbor/encode.ts';
import type { Stream } from '../crypto/aead.ts';
import { check, fail } from '../errors.ts';

export type ContentCipher = 'A128GCM' | 'A128CTR' | 'ChaCha20-Poly1305';

interface Lengths {
  readonly number: number;
  /** Bytes. */
  readonly key: number;
  readonly iv: number;
  readonly tag: number;
}

export const CIPHERS: Readonly<Record<ContentCipher, Lengths>> = {
  A128GCM: { number: 1, key: 16, iv: 12, tag: 16 },
  'ChaCha20-Poly1305': { number: 24, key: 32, iv: 12, tag: 16 },
  A128CTR: { number: -65534, key: 16, iv: 16, tag: 0 },
};

/** Errors: COSE_ALGORITHM_UNSUPPORTED. */
export function cipherOf(number: unknown): ContentCipher {
  const name = (Object.keys(CIPHERS) as ContentCipher[]).find(
    (each) => CIPHERS[each].number === number,
  );
  return name ?? fail('COSE_ALGORITHM_UNSUPPORTED', 'the content encryption algorithm');
}

/** Whether the cipher itself tells a changed text from the true one. */
export function authenticates(cipher: ContentCipher): boolean {
  return CIPHERS[cipher].tag > 0;
}

export interface Content {
  readonly cipher: ContentCipher;
  /** What an AEAD binds the text to; empty for A128CTR. */
  readonly protectedBytes: Uint8Array;
  readonly iv: Uint8Array;
}

/** RFC 9052 5.3, without external data. */
export function encStructure(
  context: 'Encrypt' | 'Encrypt0',
  protectedBytes: Uint8Array,
): Uint8Array {
  return encode([context, protectedBytes, new Uint8Array(0)]);
}

/**
 * Decrypts in pieces. For an AEAD nothing is authentic before `finish` has returned
 * (CRYPTO_AUTHENTICATION_FAILED); for A128CTR nothing is by itself. Errors: CRYPTO_INPUT_INVALID.
 */
export function contentOpener(content: Content, key: Uint8Array): Stream {
  const { cipher, protectedBytes, iv } = content;
  if (cipher === 'A128CTR') return createCtr(key, iv);
  return createOpener(cipher, key, iv, encStructure('Encrypt', protectedBytes));
}

/** The text encrypted; with its tag at the end for an AEAD. Errors: CRYPTO_INPUT_INVALID. */
export function sealContent(content: Content, key: Uint8Array, plaintext: Uint8Array): Uint8Array {
  const { cipher, protectedBytes, iv } = content;
  if (cipher !== 'A128CTR')
    return seal(cipher, key, iv, encStructure('Encrypt', protectedBytes), plaintext);
  const stream = createCtr(key, iv);
  return concat(stream.update(plaintext), stream.finish());
}

/** Errors: COSE_HEADER_INVALID. */
export function checkIv(cipher: ContentCipher, iv: unknown): Uint8Array {
  const { iv: length } = CIPHERS[cipher];
  check(
    iv instanceof Uint8Array && iv.length === length,
    'COSE_HEADER_INVALID',
    `the IV of ${cipher} has ${length} bytes`,
  );
  return iv;
}

/** The KDF context of ECDH-ES+A128KW in SUIT (firmware-encryption 6.2.4). */
export function kdfContext(recipientProtected: Uint8Array): Uint8Array {
  const nobody = [null, null, null];
  const supplement = [128, recipientProtected, utf8('SUIT Payload Encryption')];
  return encode([-3, nobody, nobody, supplement]);
}
