/** Signing with whatever holds the key. */
import { sign } from '#crypto';
import type { SigningKey } from '../crypto/key.ts';

/** 64 bytes, as `sign` of #crypto. Errors: those of an outside key. */
export function signWith(key: SigningKey, message: Uint8Array): Uint8Array {
  return 'secret' in key ? sign(key, message) : key.sign(message);
}
