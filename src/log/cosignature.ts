/** c2sp.org/tlog-cosignature, Ed25519 (type 0x04): "at this time I knew of no larger head of this log". */
import { sha256, sign, verify } from '#crypto';
import { concat, equal, readU64, u64, utf8 } from '../bytes.ts';
import type { PrivateKey, PublicKey } from '../crypto/key.ts';
import { check } from '../errors.ts';
import { formatSignatureLine, parseSignatureLine, type NoteSignature } from './note.ts';

export interface Cosignature {
  /** First 4 bytes of SHA-256(name || 0x0A || 0x04 || key). */
  readonly keyId: Uint8Array;
  /** POSIX seconds, never 0. */
  readonly time: number;
  readonly signature: Uint8Array;
}

/** 0x04 after the newline: an Ed25519 key that makes timestamped cosignatures. */
const KEY_TYPE = Uint8Array.of(0x0a, 0x04);
const TIME = 8;
const SIGNATURE = 64;

/** The 4-byte key id of a cosigner's name (`OPERATOR/NODE`) and key. */
export function keyId(name: string, publicKey: PublicKey): Uint8Array {
  return sha256(concat(utf8(name), KEY_TYPE, publicKey.bytes)).slice(0, 4);
}

/** The bytes that are signed. `checkpoint`: the text of `formatCheckpoint`. */
export function cosignatureMessage(checkpoint: string, time: number): Uint8Array {
  return utf8(`cosignature/v1\ntime ${time}\n${checkpoint}`);
}

/** Errors: LOG_COSIGNATURE_MALFORMED for time 0 or a key that is not Ed25519. */
export function signCosignature(
  key: PrivateKey,
  name: string,
  checkpoint: string,
  time: number,
): Cosignature {
  check(isTime(time), 'LOG_COSIGNATURE_MALFORMED', 'the time of a cosignature is not 0');
  check(key.curve === 'Ed25519', 'LOG_COSIGNATURE_MALFORMED', 'a cosigner key is Ed25519');
  const signature = sign(key, cosignatureMessage(checkpoint, time));
  return { keyId: keyId(name, key.publicKey), time, signature };
}

/**
 * Refuses a cosignature that this key did not make over this checkpoint at this time; given the
 * cosigner's name, the key id too must be that of name and key. Errors: LOG_COSIGNATURE_INVALID.
 */
export function verifyCosignature(
  publicKey: PublicKey,
  name: string | undefined,
  checkpoint: string,
  cosignature: Cosignature,
): void {
  const { time, signature } = cosignature;
  check(publicKey.curve === 'Ed25519', 'LOG_COSIGNATURE_INVALID', 'a cosigner key is Ed25519');
  check(isTime(time), 'LOG_COSIGNATURE_INVALID', 'a cosignature without a time');
  const named = name === undefined || equal(cosignature.keyId, keyId(name, publicKey));
  check(named, 'LOG_COSIGNATURE_INVALID', 'the key id is not that of this cosigner');
  const valid = verify(publicKey, cosignatureMessage(checkpoint, time), signature);
  check(valid, 'LOG_COSIGNATURE_INVALID');
}

/** The line of a signed note that holds the cosignature: u64(time) || signature. */
export function formatCosignatureLine(name: string, cosignature: Cosignature): string {
  const { keyId, time, signature } = cosignature;
  const right = isTime(time) && signature.length === SIGNATURE;
  check(right, 'LOG_COSIGNATURE_MALFORMED');
  return formatSignatureLine({ name, keyId, signature: concat(u64(BigInt(time)), signature) });
}

/** Errors: LOG_NOTE_MALFORMED, LOG_COSIGNATURE_MALFORMED. Nothing is verified. */
export function parseCosignatureLine(line: string): {
  readonly name: string;
  readonly cosignature: Cosignature;
} {
  const signature = parseSignatureLine(line);
  return { name: signature.name, cosignature: cosignatureOf(signature) };
}

/** The cosignature in a note's signature by a cosigner's key. Errors: LOG_COSIGNATURE_MALFORMED. */
export function cosignatureOf({ keyId, signature }: NoteSignature): Cosignature {
  const exact = signature.length === TIME + SIGNATURE;
  check(exact, 'LOG_COSIGNATURE_MALFORMED', 'a cosignature has 72 bytes');
  const time = Number(readU64(signature));
  check(isTime(time), 'LOG_COSIGNATURE_MALFORMED', 'a time that is 0 or too far away');
  return { keyId, time, signature: signature.slice(TIME) };
}

function isTime(time: number): boolean {
  return Number.isSafeInteger(time) && time > 0;
}
