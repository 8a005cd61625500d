/**
 * The key that a PSK author shares with its devices (T07): its name, and the COSE_Mac0 of a release. Nodes handle the
 * name and the MAC; only the author and its devices ever hold the key.
 */
import { sha256 } from '#crypto';
import { concat, equal, utf8 } from '../bytes.ts';
import { KID } from '../cose/claims.ts';
import { createMac0, decodeMac0, type Mac0 } from '../cose/mac0.ts';
import { check, fail } from '../errors.ts';
import type { ReleaseClaims } from './claims.ts';

export interface PreSharedKey {
  /** 16 bytes. */
  readonly keyId: Uint8Array;
  /** 32 bytes: a secret. */
  readonly key: Uint8Array;
}

export const PSK_BYTES = 32;
export const PSK_ID_BYTES = 16;
const MAX_MAC = 256;

/** The key with its name: the first 16 bytes of SHA-256("firmament/psk/v1" || key). Errors: COSE_KEY_INVALID. */
export function preSharedKey(key: Uint8Array): PreSharedKey {
  check(key.length === PSK_BYTES, 'COSE_KEY_INVALID', `a PSK has ${PSK_BYTES} bytes`);
  return { keyId: sha256(concat(utf8('firmament/psk/v1'), key)).slice(0, PSK_ID_BYTES), key };
}

/** A release's claim `mac`: a COSE_Mac0 over its SUIT_Digest, which is detached. */
export function createReleaseMac({ keyId, key }: PreSharedKey, digest: Uint8Array): Uint8Array {
  return createMac0({ header: new Map([[KID, keyId]]), payload: digest, key, detached: true });
}

/**
 * Refuses a claim `mac` that is not of the documented form, or not by the key of this name. Whether the MAC is right
 * only those who hold the key can tell. Errors: RELEASE_CLAIMS.
 */
export function checkReleaseMac(bytes: Uint8Array, keyId: Uint8Array): void {
  const mac = readMac(bytes);
  const { header, unprotected, payload } = mac;
  check(
    header.size === 2 && unprotected.size === 0 && payload === null,
    'RELEASE_CLAIMS',
    'the mac is not of the documented form',
  );
  check(isMacOf(mac, keyId), 'RELEASE_CLAIMS', "the mac is not by the author's PSK");
}

/** The MAC names the key of this name. */
export function isMacOf({ header }: Mac0, keyId: Uint8Array): boolean {
  const kid = header.get(KID);
  return kid instanceof Uint8Array && equal(kid, keyId);
}

/** The authentication blocks of a release's envelope beside its signature. */
export function macBlocks(claims: ReleaseClaims | undefined): readonly Uint8Array[] {
  return claims?.mac ? [claims.mac] : [];
}

function readMac(bytes: Uint8Array): Mac0 {
  try {
    return decodeMac0(bytes, { maxBytes: MAX_MAC });
  } catch (cause) {
    return fail('RELEASE_CLAIMS', 'the mac is no COSE_Mac0', {}, cause);
  }
}
