/** Names and lengths of the symmetric algorithms, checked before a library sees them. */
import { concat } from '../bytes.ts';
import { check } from '../errors.ts';

export type Aead = 'A128GCM' | 'A256GCM' | 'ChaCha20-Poly1305';
export type HashAlgorithm = 'SHA-256' | 'SHA-384' | 'SHA-512';

/** A hash fed in pieces; `digest` ends it. */
export interface Hash {
  update(chunk: Uint8Array): void;
  digest(): Uint8Array;
}

/** A transformation fed in pieces. What it gives out may lag behind what it was given. */
export interface Stream {
  update(chunk: Uint8Array): Uint8Array;
  /** The rest; ends the stream. */
  finish(): Uint8Array;
}

/** Bytes of the authentication tag at the end of every sealed text. */
export const TAG_LENGTH = 16;
/** SP 800-38D 5.2.1.1: a longer text would repeat GCM's counter. */
const MAX_STREAM_BYTES = 2 ** 36 - 32;

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

/** AES-CTR with 128 bits of key and of counter. Errors: CRYPTO_INPUT_INVALID. */
export function checkCtr(key: Uint8Array, iv: Uint8Array): void {
  check(key.length === 16, 'CRYPTO_INPUT_INVALID', 'a key of A128CTR has 16 bytes');
  check(iv.length === 16, 'CRYPTO_INPUT_INVALID', 'an initial counter of A128CTR has 16 bytes');
}

/**
 * A stream whose last 16 bytes are its tag: `body` gets what stands before, `end` the tag.
 * Errors: CRYPTO_AUTHENTICATION_FAILED (too short), CRYPTO_INPUT_INVALID (too long).
 */
export function tagged(
  body: (chunk: Uint8Array) => Uint8Array,
  end: (tag: Uint8Array) => Uint8Array,
): Stream {
  let held = new Uint8Array(0);
  let length = 0;
  return {
    update(chunk) {
      length += chunk.length;
      check(length <= MAX_STREAM_BYTES, 'CRYPTO_INPUT_INVALID', 'too long a text for one nonce');
      const whole = concat(held, chunk);
      const cut = Math.max(0, whole.length - TAG_LENGTH);
      held = whole.slice(cut);
      return body(whole.subarray(0, cut));
    },
    finish() {
      check(
        held.length === TAG_LENGTH,
        'CRYPTO_AUTHENTICATION_FAILED',
        'the text is shorter than its tag',
      );
      return end(held);
    },
  };
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
