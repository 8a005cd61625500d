/**
 * Ed25519 as ZIP-215 verifies it: with the cofactor, non-canonical encodings allowed. Only for votes of
 * CometBFT, which verifies so; everything of ours is T06's (ed25519.ts).
 */
import { ed25519 } from '@noble/curves/ed25519.js';

/** Never throws on hostile input. Slower than `verify` of `#crypto`, which is asked first. */
export function isZip215Signature(
  key: Uint8Array,
  message: Uint8Array,
  signature: Uint8Array,
): boolean {
  if (key.length !== 32 || signature.length !== 64) return false;
  try {
    return ed25519.verify(signature, message, key, { zip215: true });
  } catch {
    return false;
  }
}
