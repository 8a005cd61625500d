/**
 * Content identifiers: CIDv1 of raw and dag-pb blocks under SHA-256, as 36 bytes or as lowercase base32.
 * No other codec, hash or base is read: one block has one name. See docs/spec/store.md.
 */
import { base32 } from 'multiformats/bases/base32';
import { sha256 } from '#crypto';
import { concat, equal } from '../bytes.ts';
import { check, fail } from '../errors.ts';

export const CID_BYTES = 36;
/** A block has at most so many bytes: the bound that IPFS implementations keep to. */
export const BLOCK_MAX_BYTES = 2_097_152;

// version 1, codec, multihash sha2-256, 32 bytes
const RAW = Uint8Array.of(0x01, 0x55, 0x12, 0x20);
const DAG_PB = Uint8Array.of(0x01, 0x70, 0x12, 0x20);
const TEXT_CHARACTERS = 59;

/** The CID (36 bytes) of a raw block with this SHA-256. Errors: STORE_CID_INVALID. */
export function rawCid(digest: Uint8Array): Uint8Array {
  check(digest.length === 32, 'STORE_CID_INVALID', 'a digest has 32 bytes');
  return concat(RAW, digest);
}

/** The CID (36 bytes) of a dag-pb node with this SHA-256. Errors: STORE_CID_INVALID. */
export function nodeCid(digest: Uint8Array): Uint8Array {
  check(digest.length === 32, 'STORE_CID_INVALID', 'a digest has 32 bytes');
  return concat(DAG_PB, digest);
}

/** Errors: STORE_CID_INVALID unless these are the 36 bytes of a CID that we use. */
export function checkCid(cid: Uint8Array): void {
  const prefix = cid.subarray(0, 4);
  check(
    cid.length === CID_BYTES && (equal(prefix, RAW) || equal(prefix, DAG_PB)),
    'STORE_CID_INVALID',
  );
}

/** The SHA-256 in a CID. Errors: STORE_CID_INVALID. */
export function cidDigest(cid: Uint8Array): Uint8Array {
  checkCid(cid);
  return cid.subarray(4);
}

/** `bafkrei…` or `bafybei…`. Errors: STORE_CID_INVALID. */
export function cidText(cid: Uint8Array): string {
  checkCid(cid);
  return base32.encode(cid);
}

/** The 36 bytes of a CID's text; only the text that `cidText` writes. Errors: STORE_CID_INVALID. */
export function parseCid(text: string): Uint8Array {
  check(text.length === TEXT_CHARACTERS && text.startsWith('b'), 'STORE_CID_INVALID');
  let cid: Uint8Array;
  try {
    cid = base32.decode(text);
  } catch (cause) {
    return fail('STORE_CID_INVALID', undefined, {}, cause);
  }
  // the last character's spare bits have one value
  check(cidText(cid) === text, 'STORE_CID_INVALID');
  return cid;
}

/** Errors: STORE_CID_INVALID, STORE_BLOCK_TOO_LARGE, STORE_DIGEST_MISMATCH unless the bytes are the block of this CID. */
export function verifyBlock(cid: Uint8Array, bytes: Uint8Array): void {
  const digest = cidDigest(cid);
  check(bytes.length <= BLOCK_MAX_BYTES, 'STORE_BLOCK_TOO_LARGE');
  if (!equal(sha256(bytes), digest))
    fail('STORE_DIGEST_MISMATCH', undefined, { cid: cidText(cid) });
}
