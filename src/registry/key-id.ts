/** Stored keys: COSE_Keys in their one encoding, which passed every check before they were stored. */
import { sha256 } from '#crypto';
import { hex } from '../bytes.ts';
import { decodeKey } from '../cose/key.ts';
import type { PublicKey } from '../crypto/key.ts';

/** RFC 9679 thumbprint of a COSE_Key in its one encoding, which is the encoding that a thumbprint hashes. */
export function keyIdOf(coseKey: Uint8Array): Uint8Array {
  return sha256(coseKey);
}

// The same key object each time: what OpenSSL made of it stays with it.
const known = new Map<string, PublicKey>();
const MAX_KNOWN = 1024;

/** The key that a stored COSE_Key is. Errors: COSE_KEY_INVALID, CRYPTO_KEY_INVALID. */
export function storedKey(coseKey: Uint8Array): PublicKey {
  const name = hex(coseKey);
  let key = known.get(name);
  if (key === undefined) {
    key = decodeKey(coseKey);
    if (known.size >= MAX_KNOWN) known.clear();
    known.set(name, key);
  }
  return key;
}
