/** `#crypto` in plain JavaScript (@noble): for browsers and small runtimes; same rules as native.ts. */
import { aeskw, gcm } from '@noble/ciphers/aes.js';
import { chacha20poly1305 } from '@noble/ciphers/chacha.js';
import { ed25519 } from '@noble/curves/ed25519.js';
import { p256 } from '@noble/curves/nist.js';
import { hkdf } from '@noble/hashes/hkdf.js';
import { hmac } from '@noble/hashes/hmac.js';
import { sha256 as nobleSha256, sha384, sha512 } from '@noble/hashes/sha2.js';
import { concat, equal } from '../bytes.ts';
import { check, codeOf, fail } from '../errors.ts';
import {
  checkAead,
  checkHkdf,
  checkUnwrap,
  checkWrap,
  TAG_LENGTH,
  type Aead,
  type Hash,
  type HashAlgorithm,
  type Stream,
} from './aead.ts';
import { isCanonicalSignature, littleEndian, reduceScalar } from './ed25519.ts';
import {
  checkAgreement,
  checkPublicKey,
  type Curve,
  type PrivateKey,
  type PublicKey,
} from './key.ts';
import { checkP256Scalar, isSignature } from './p256.ts';
import { openingStream } from './portable-stream.ts';

export { checkPublicKey } from './key.ts';
export { isLowS } from './p256.ts';
export { createCtr } from './portable-stream.ts';

const HASHES = { 'SHA-256': nobleSha256, 'SHA-384': sha384, 'SHA-512': sha512 } as const;
const UNCOMPRESSED = Uint8Array.of(4);

export function sha256(data: Uint8Array): Uint8Array {
  return nobleSha256(data);
}

export function hash(algorithm: HashAlgorithm, data: Uint8Array): Uint8Array {
  return HASHES[algorithm](data);
}

export function createHash(algorithm: HashAlgorithm): Hash {
  const state = HASHES[algorithm].create();
  return {
    update: (chunk) => void state.update(chunk),
    digest: () => state.digest(),
  };
}

export function hmacSha256(key: Uint8Array, data: Uint8Array): Uint8Array {
  return hmac(nobleSha256, key, data);
}

/** RFC 5869 with SHA-256. Errors: CRYPTO_INPUT_INVALID. */
export function hkdfSha256(
  secret: Uint8Array,
  salt: Uint8Array,
  info: Uint8Array,
  length: number,
): Uint8Array {
  checkHkdf(info, length);
  return hkdf(nobleSha256, secret, salt, info, length);
}

/** The key pair of a 32-byte scalar or seed. Errors: CRYPTO_KEY_INVALID. */
export function privateKey(curve: Curve, secret: Uint8Array): PrivateKey {
  if (curve === 'P-256') checkP256Scalar(secret);
  else check(secret.length === 32, 'CRYPTO_KEY_INVALID', 'an Ed25519 seed has 32 bytes');
  const bytes =
    curve === 'P-256' ? p256.getPublicKey(secret, false).slice(1) : ed25519.getPublicKey(secret);
  return { curve, secret: secret.slice(), publicKey: { curve, bytes } };
}

/** A signature of 64 bytes: Ed25519 (RFC 8032), or ECDSA with SHA-256 (RFC 6979), r || s, low s. */
export function sign(key: PrivateKey, message: Uint8Array): Uint8Array {
  return key.curve === 'Ed25519'
    ? ed25519.sign(message, key.secret)
    : p256.sign(message, key.secret, { lowS: true });
}

/**
 * Whether the signature is this key's. Never throws on a hostile key or signature: an invalid key
 * has no valid signatures. Ed25519 by T06; an ECDSA signature with a high s verifies here.
 */
export function verify(key: PublicKey, message: Uint8Array, signature: Uint8Array): boolean {
  const canonical = key.curve === 'Ed25519' ? isCanonicalSignature : isSignature;
  if (!canonical(signature)) return false;
  try {
    checkPublicKey(key);
  } catch (error) {
    if (codeOf(error) === 'CRYPTO_KEY_INVALID') return false;
    throw error;
  }
  if (key.curve === 'Ed25519') return verifyEd25519(key.bytes, message, signature);
  return p256.verify(signature, message, concat(UNCOMPRESSED, key.bytes), { lowS: false });
}

/**
 * RFC 8032 5.1.7 without the cofactor: R' = S B - k A, compared byte by byte (T06). noble's own
 * verify multiplies by the cofactor and so accepts what OpenSSL refuses.
 */
function verifyEd25519(key: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean {
  const r = signature.subarray(0, 32);
  const s = littleEndian(signature.subarray(32));
  const k = reduceScalar(sha512(concat(r, key, message)));
  const a = ed25519.Point.fromBytes(key);
  const expected = ed25519.Point.BASE.multiplyUnsafe(s).subtract(a.multiplyUnsafe(k));
  return equal(expected.toBytes(), r);
}

function cipher(algorithm: Aead, key: Uint8Array, nonce: Uint8Array, aad: Uint8Array) {
  checkAead(algorithm, key, nonce);
  return algorithm === 'ChaCha20-Poly1305'
    ? chacha20poly1305(key, nonce, aad)
    : gcm(key, nonce, aad);
}

/** Ciphertext || 16-byte tag. A nonce is used once with a key. Errors: CRYPTO_INPUT_INVALID. */
export function seal(
  algorithm: Aead,
  key: Uint8Array,
  nonce: Uint8Array,
  aad: Uint8Array,
  plaintext: Uint8Array,
): Uint8Array {
  return cipher(algorithm, key, nonce, aad).encrypt(plaintext);
}

/** The plaintext of `seal`. Errors: CRYPTO_INPUT_INVALID, CRYPTO_AUTHENTICATION_FAILED. */
export function open(
  algorithm: Aead,
  key: Uint8Array,
  nonce: Uint8Array,
  aad: Uint8Array,
  sealed: Uint8Array,
): Uint8Array {
  const opener = cipher(algorithm, key, nonce, aad);
  check(sealed.length >= TAG_LENGTH, 'CRYPTO_AUTHENTICATION_FAILED', 'shorter than its tag');
  try {
    return opener.decrypt(sealed);
  } catch (cause) {
    return fail('CRYPTO_AUTHENTICATION_FAILED', undefined, {}, cause);
  }
}

/**
 * `open` in pieces: what `update` gives out is not authenticated before `finish` has returned.
 * Errors: CRYPTO_INPUT_INVALID, CRYPTO_AUTHENTICATION_FAILED (of `finish`).
 */
export function createOpener(
  algorithm: Aead,
  key: Uint8Array,
  nonce: Uint8Array,
  aad: Uint8Array,
): Stream {
  checkAead(algorithm, key, nonce);
  return openingStream(algorithm, key, nonce, aad);
}

/** The x coordinate of the shared point, 32 bytes (RFC 9053 6.3). Errors: CRYPTO_KEY_INVALID. */
export function ecdhP256(key: PrivateKey, peer: PublicKey): Uint8Array {
  checkAgreement(key, peer);
  return p256.getSharedSecret(key.secret, concat(UNCOMPRESSED, peer.bytes)).slice(1);
}

/** AES key wrap (RFC 3394). Errors: CRYPTO_INPUT_INVALID. */
export function wrapKey(kek: Uint8Array, key: Uint8Array): Uint8Array {
  checkWrap(kek, key);
  return aeskw(kek).encrypt(key);
}

/** Errors: CRYPTO_INPUT_INVALID, CRYPTO_AUTHENTICATION_FAILED. */
export function unwrapKey(kek: Uint8Array, wrapped: Uint8Array): Uint8Array {
  checkUnwrap(kek, wrapped);
  try {
    return aeskw(kek).decrypt(wrapped);
  } catch (cause) {
    return fail('CRYPTO_AUTHENTICATION_FAILED', undefined, {}, cause);
  }
}
