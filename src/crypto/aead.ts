/** Names and lengths of the symmetric algorithms, checked before a library sees them. */
import { check } from '../errors.ts';

export type Aead = 'A128GCM' | 'A256GCM' | 'ChaCha20-Poly1305';
export type HashAlgorithm = 'SHA-256' | 'SHA-384' | 'SHA-512';

/** A hash fed in pieces; `digest` ends it. */
export interface Hash {
  update(chunk: Uint8Array): void;
  digest(): Uint8Array;
}

/** Bytes of the authentication tag at the end of every sealed text. */
export const TAG_LENGTH = 16;

const KEY_LENGTHS: Readonly<Record<Aead, number>> = {
  A128GCM: 16,
  A256GCM: 32,
  'ChaCha20-Poly1305': 32,
};

/** Errors: CRYPTO_INPUT_INVALID. */
export function checkAead(algorithm: Aead, key: Uint8Array, nonce: Uint8Array): void {
  const length = KEY_LENGTHS[algorithm];
  check(key.length === length, 'CRYPTO_INPUT_INVALID', `a key of ${algorithm} has ${length} bytes`);
  check(nonce.length === 12, 'CRYPTO_INPUT_INVALID', 'a nonce has 12 bytes');
}

function checkKek(kek: Uint8Array): void {
  const ok = kek.length === 16 || kek.length === 24 || kek.length === 32;
  check(ok, 'CRYPTO_INPUT_INVALID', 'a key-encryption key has 16, 24 or 32 bytes');
}

/** RFC 3394: at least two 64-bit blocks, at most 64 bytes here. Errors: CRYPTO_INPUT_INVALID. */
export function checkWrap(kek: Uint8Array, key: Uint8Array): void {
  checkKek(kek);
  const ok = key.length >= 16 && key.length <= 64 && key.length % 8 === 0;
  check(ok, 'CRYPTO_INPUT_INVALID', 'a key to wrap has 16 to 64 bytes, in eights');
}

/** Errors: CRYPTO_INPUT_INVALID, CRYPTO_AUTHENTICATION_FAILED (no wrapped key has this length). */
export function checkUnwrap(kek: Uint8Array, wrapped: Uint8Array): void {
  checkKek(kek);
  const ok = wrapped.length >= 24 && wrapped.length <= 72 && wrapped.length % 8 === 0;
  check(ok, 'CRYPTO_AUTHENTICATION_FAILED', 'a wrapped key has 24 to 72 bytes, in eights');
}

/**
 * RFC 5869 2.3 gives at most 255 blocks; OpenSSL bounds `info` at 1,024 bytes, so both sides do.
 * Errors: CRYPTO_INPUT_INVALID.
 */
export function checkHkdf(info: Uint8Array, length: number): void {
  const ok = Number.isInteger(length) && length > 0 && length <= 255 * 32;
  check(ok, 'CRYPTO_INPUT_INVALID', 'HKDF-SHA-256 gives 1 to 8,160 bytes');
  check(info.length <= 1024, 'CRYPTO_INPUT_INVALID', 'HKDF info has at most 1,024 bytes');
}
