/** Keys as plain data, and the check that every public key passes before it is believed (T06). */
import { check, fail } from '../errors.ts';
import { checkEd25519Key } from './ed25519.ts';
import { checkP256Key } from './p256.ts';

export type Curve = 'P-256' | 'Ed25519';

/** `bytes`: x || y, 64 bytes, for P-256; the 32 bytes of RFC 8032 for Ed25519. */
export interface PublicKey {
  readonly curve: Curve;
  readonly bytes: Uint8Array;
}

/** `secret`: the 32-byte scalar (P-256, big-endian) or seed (Ed25519). */
export interface PrivateKey {
  readonly curve: Curve;
  readonly secret: Uint8Array;
  readonly publicKey: PublicKey;
}

/**
 * Refuses a public key that is off its curve, not canonically encoded or of small order.
 * The same arithmetic whatever the library beneath (T06). Errors: CRYPTO_KEY_INVALID.
 */
export function checkPublicKey(key: PublicKey): void {
  check(key.bytes instanceof Uint8Array, 'CRYPTO_KEY_INVALID', 'a public key is bytes');
  if (key.curve === 'P-256') checkP256Key(key.bytes);
  else if (key.curve === 'Ed25519') checkEd25519Key(key.bytes);
  else fail('CRYPTO_KEY_INVALID', 'unknown curve');
}

/** Refuses keys that ECDH over P-256 may not be done with. Errors: CRYPTO_KEY_INVALID. */
export function checkAgreement(key: PrivateKey, peer: PublicKey): void {
  const both = key.curve === 'P-256' && peer.curve === 'P-256';
  check(both, 'CRYPTO_KEY_INVALID', 'ECDH is done with two P-256 keys');
  checkPublicKey(peer);
}

/** A key that this process does not hold: a program outside signs with it. */
export interface OutsideKey {
  readonly curve: Curve;
  readonly publicKey: PublicKey;
  /** 64 bytes, verified; ECDSA with a low s. Errors: coded, when the program fails. */
  readonly sign: (message: Uint8Array) => Uint8Array;
}

/** Whatever statements can be signed with. */
export type SigningKey = PrivateKey | OutsideKey;
