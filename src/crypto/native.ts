/** `#crypto` over node:crypto (OpenSSL): the same functions as portable.ts, checked by one suite. */
import {
  createCipheriv,
  createDecipheriv,
  createHash as nodeHash,
  createHmac,
  createPrivateKey,
  createPublicKey,
  diffieHellman,
  hash as nodeHashOnce,
  hkdfSync,
  sign as nodeSign,
  verify as nodeVerify,
  type KeyObject,
} from 'node:crypto';
import { concat, fromHex } from '../bytes.ts';
import { check, codeOf, fail } from '../errors.ts';
import {
  checkAead,
  checkCtr,
  checkHkdf,
  checkUnwrap,
  checkWrap,
  tagged,
  TAG_LENGTH,
  type Aead,
  type Hash,
  type HashAlgorithm,
  type Stream,
} from './aead.ts';
import { isCanonicalSignature } from './ed25519.ts';
import {
  checkAgreement,
  checkPublicKey,
  type Curve,
  type PrivateKey,
  type PublicKey,
} from './key.ts';
import { checkP256Scalar, isSignature, lowS } from './p256.ts';

export { checkPublicKey } from './key.ts';
export { isLowS } from './p256.ts';

const HASHES = { 'SHA-256': 'sha256', 'SHA-384': 'sha384', 'SHA-512': 'sha512' } as const;

/** A plain Uint8Array over a Buffer's bytes: nothing above this file sees a Buffer. */
function plain(buffer: Uint8Array): Uint8Array {
  return new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.byteLength);
}

export function sha256(data: Uint8Array): Uint8Array {
  return plain(nodeHashOnce('sha256', data, 'buffer'));
}

export function hash(algorithm: HashAlgorithm, data: Uint8Array): Uint8Array {
  return plain(nodeHashOnce(HASHES[algorithm], data, 'buffer'));
}

export function createHash(algorithm: HashAlgorithm): Hash {
  const state = nodeHash(HASHES[algorithm]);
  return {
    update: (chunk) => void state.update(chunk),
    digest: () => plain(state.digest()),
  };
}

export function hmacSha256(key: Uint8Array, data: Uint8Array): Uint8Array {
  return plain(createHmac('sha256', key).update(data).digest());
}

/** RFC 5869 with SHA-256. Errors: CRYPTO_INPUT_INVALID. */
export function hkdfSha256(
  secret: Uint8Array,
  salt: Uint8Array,
  info: Uint8Array,
  length: number,
): Uint8Array {
  checkHkdf(info, length);
  return new Uint8Array(hkdfSync('sha256', secret, salt, info, length));
}

// DER before the key's own bytes: SubjectPublicKeyInfo (RFC 5480, 8410), PKCS #8 and SEC 1.
const SPKI_P256 = fromHex('3059301306072a8648ce3d020106082a8648ce3d03010703420004');
const SPKI_ED25519 = fromHex('302a300506032b6570032100');
const PKCS8_ED25519 = fromHex('302e020100300506032b657004220420');
const SEC1_P256 = fromHex('30310201010420');
const SEC1_P256_CURVE = fromHex('a00a06082a8648ce3d030107');

function der(...parts: readonly Uint8Array[]): Buffer {
  return Buffer.from(concat(...parts));
}

const publicKeys = new WeakMap<PublicKey, KeyObject>();
const privateKeys = new WeakMap<PrivateKey, KeyObject>();

/** OpenSSL's form of a key that passed T06's check; kept as long as the key object lives. */
function publicObject(key: PublicKey): KeyObject {
  let object = publicKeys.get(key);
  if (object === undefined) {
    checkPublicKey(key);
    const prefix = key.curve === 'P-256' ? SPKI_P256 : SPKI_ED25519;
    object = createPublicKey({ key: der(prefix, key.bytes), format: 'der', type: 'spki' });
    publicKeys.set(key, object);
  }
  return object;
}

function privateObject(curve: Curve, secret: Uint8Array): KeyObject {
  return curve === 'P-256'
    ? createPrivateKey({
        key: der(SEC1_P256, secret, SEC1_P256_CURVE),
        format: 'der',
        type: 'sec1',
      })
    : createPrivateKey({ key: der(PKCS8_ED25519, secret), format: 'der', type: 'pkcs8' });
}

/** The key pair of a 32-byte scalar or seed. Errors: CRYPTO_KEY_INVALID. */
export function privateKey(curve: Curve, secret: Uint8Array): PrivateKey {
  if (curve === 'P-256') checkP256Scalar(secret);
  else check(secret.length === 32, 'CRYPTO_KEY_INVALID', 'an Ed25519 seed has 32 bytes');
  const object = privateObject(curve, secret);
  const spki = createPublicKey(object).export({ format: 'der', type: 'spki' });
  const bytes = Uint8Array.from(spki.subarray(curve === 'P-256' ? -64 : -32));
  const key = { curve, secret: secret.slice(), publicKey: { curve, bytes } };
  privateKeys.set(key, object);
  return key;
}

/**
 * A signature of 64 bytes: Ed25519 (RFC 8032), or ECDSA with SHA-256 as r || s with a low s. ECDSA
 * here draws its nonce at random; portable.ts derives it (RFC 6979): two signatures may differ.
 */
export function sign(key: PrivateKey, message: Uint8Array): Uint8Array {
  let object = privateKeys.get(key);
  if (object === undefined) {
    object = privateObject(key.curve, key.secret);
    privateKeys.set(key, object);
  }
  if (key.curve === 'Ed25519') return plain(nodeSign(null, message, object));
  return lowS(plain(nodeSign('sha256', message, { key: object, dsaEncoding: 'ieee-p1363' })));
}

/**
 * Whether the signature is this key's. Never throws on a hostile key or signature: an invalid key
 * has no valid signatures. Ed25519 by T06; an ECDSA signature with a high s verifies here.
 */
export function verify(key: PublicKey, message: Uint8Array, signature: Uint8Array): boolean {
  const canonical = key.curve === 'Ed25519' ? isCanonicalSignature : isSignature;
  if (!canonical(signature)) return false;
  let object: KeyObject;
  try {
    object = publicObject(key);
  } catch (error) {
    if (codeOf(error) === 'CRYPTO_KEY_INVALID') return false;
    throw error;
  }
  // OpenSSL recomputes R without the cofactor and compares bytes, as T06 asks.
  if (key.curve === 'Ed25519') return nodeVerify(null, message, object, signature);
  return nodeVerify('sha256', message, { key: object, dsaEncoding: 'ieee-p1363' }, signature);
}

const CIPHERS = {
  A128GCM: 'aes-128-gcm',
  A256GCM: 'aes-256-gcm',
  'ChaCha20-Poly1305': 'chacha20-poly1305',
} as const;

/** Ciphertext || 16-byte tag. A nonce is used once with a key. Errors: CRYPTO_INPUT_INVALID. */
export function seal(
  algorithm: Aead,
  key: Uint8Array,
  nonce: Uint8Array,
  aad: Uint8Array,
  plaintext: Uint8Array,
): Uint8Array {
  checkAead(algorithm, key, nonce);
  const options = { authTagLength: TAG_LENGTH };
  const cipher = createCipheriv(CIPHERS[algorithm] as 'aes-128-gcm', key, nonce, options);
  cipher.setAAD(aad);
  return concat(cipher.update(plaintext), cipher.final(), cipher.getAuthTag());
}

/** The plaintext of `seal`. Errors: CRYPTO_INPUT_INVALID, CRYPTO_AUTHENTICATION_FAILED. */
export function open(
  algorithm: Aead,
  key: Uint8Array,
  nonce: Uint8Array,
  aad: Uint8Array,
  sealed: Uint8Array,
): Uint8Array {
  checkAead(algorithm, key, nonce);
  check(sealed.length >= TAG_LENGTH, 'CRYPTO_AUTHENTICATION_FAILED', 'shorter than its tag');
  const options = { authTagLength: TAG_LENGTH };
  const decipher = createDecipheriv(CIPHERS[algorithm] as 'aes-128-gcm', key, nonce, options);
  decipher.setAAD(aad);
  decipher.setAuthTag(sealed.subarray(-TAG_LENGTH));
  const plaintext = decipher.update(sealed.subarray(0, -TAG_LENGTH));
  try {
    return concat(plaintext, decipher.final());
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
  const options = { authTagLength: TAG_LENGTH };
  const decipher = createDecipheriv(CIPHERS[algorithm] as 'aes-128-gcm', key, nonce, options);
  decipher.setAAD(aad);
  return tagged(
    (chunk) => plain(decipher.update(chunk)),
    (tag) => {
      decipher.setAuthTag(tag);
      try {
        return plain(decipher.final());
      } catch (cause) {
        return fail('CRYPTO_AUTHENTICATION_FAILED', undefined, {}, cause);
      }
    },
  );
}

/** AES-128 in counter mode, either way. It authenticates nothing. Errors: CRYPTO_INPUT_INVALID. */
export function createCtr(key: Uint8Array, iv: Uint8Array): Stream {
  checkCtr(key, iv);
  const cipher = createCipheriv('aes-128-ctr', key, iv);
  return {
    update: (chunk) => plain(cipher.update(chunk)),
    finish: () => plain(cipher.final()),
  };
}

/** The x coordinate of the shared point, 32 bytes (RFC 9053 6.3). Errors: CRYPTO_KEY_INVALID. */
export function ecdhP256(key: PrivateKey, peer: PublicKey): Uint8Array {
  checkAgreement(key, peer);
  const mine = privateObject(key.curve, key.secret);
  return plain(diffieHellman({ privateKey: mine, publicKey: publicObject(peer) }));
}

const WRAP_IV = new Uint8Array(8).fill(0xa6);

/** AES key wrap (RFC 3394). Errors: CRYPTO_INPUT_INVALID. */
export function wrapKey(kek: Uint8Array, key: Uint8Array): Uint8Array {
  checkWrap(kek, key);
  const cipher = createCipheriv(`aes${kek.length * 8}-wrap`, kek, WRAP_IV);
  return concat(cipher.update(key), cipher.final());
}

/** Errors: CRYPTO_INPUT_INVALID, CRYPTO_AUTHENTICATION_FAILED. */
export function unwrapKey(kek: Uint8Array, wrapped: Uint8Array): Uint8Array {
  checkUnwrap(kek, wrapped);
  const decipher = createDecipheriv(`aes${kek.length * 8}-wrap`, kek, WRAP_IV);
  try {
    return concat(decipher.update(wrapped), decipher.final());
  } catch (cause) {
    return fail('CRYPTO_AUTHENTICATION_FAILED', undefined, {}, cause);
  }
}
