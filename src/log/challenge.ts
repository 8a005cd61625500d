/** Challenges (T14, docs/spec/challenge.md): "asked just now, this is the newest head that I have signed". */
import { sha256, sign, verify } from '#crypto';
import { concat, equal, hex, utf8 } from '../bytes.ts';
import type { PrivateKey, PublicKey } from '../crypto/key.ts';
import { check } from '../errors.ts';
import { keyId } from './cosignature.ts';

/** What a cosigner answers to one challenge. */
export interface ChallengeAnswer {
  /** Of its cosignatures too. */
  readonly keyId: Uint8Array;
  /** POSIX seconds by the node's own clock. */
  readonly time: number;
  /** Of the head that it signed last. */
  readonly size: number;
  readonly root: Uint8Array;
  readonly signature: Uint8Array;
}

/** A log's head, and the challenge that it is named for. */
export interface Challenged {
  readonly origin: string;
  readonly size: number;
  readonly root: Uint8Array;
  /** `challengeHash` of who asks. */
  readonly hash: Uint8Array;
}

export const NONCE_BYTES = 16;
export const CHALLENGE_HASH_BYTES = 32;
const ROOT_BYTES = 32;
const ORIGIN = /^[\x21-\x7e]{1,256}$/;

/** What nodes see of a device and its nonce. `nonce`: 16 random bytes, used once. Errors: LOG_CHALLENGE_MALFORMED. */
export function challengeHash(deviceId: Uint8Array, nonce: Uint8Array): Uint8Array {
  check(nonce.length === NONCE_BYTES, 'LOG_CHALLENGE_MALFORMED', 'a nonce has 16 bytes');
  return sha256(concat(deviceId, nonce));
}

/**
 * The bytes that are signed: one line of text without its line feed. What else a cosigner key could be brought to sign, a
 * note or a cosignature of one, ends with a line feed. Errors: LOG_CHALLENGE_MALFORMED.
 */
export function challengeMessage(challenged: Challenged, time: number): Uint8Array {
  const { origin, size, root, hash } = challenged;
  const right =
    ORIGIN.test(origin) &&
    isCount(time) &&
    isCount(size) &&
    root.length === ROOT_BYTES &&
    hash.length === CHALLENGE_HASH_BYTES;
  check(right, 'LOG_CHALLENGE_MALFORMED');
  return utf8(`firmament/challenge/v1 ${time} ${origin} ${size} ${hex(root)} ${hex(hash)}`);
}

/** `name`: OPERATOR/NODE. Errors: LOG_CHALLENGE_MALFORMED. */
export function signChallenge(
  key: PrivateKey,
  name: string,
  challenged: Challenged,
  time: number,
): ChallengeAnswer {
  check(key.curve === 'Ed25519', 'LOG_CHALLENGE_MALFORMED', 'a cosigner key is Ed25519');
  const { size, root } = challenged;
  const signature = sign(key, challengeMessage(challenged, time));
  return { keyId: keyId(name, key.publicKey), time, size, root: root.slice(), signature };
}

/**
 * Refuses an answer that this cosigner did not make to this challenge about this head.
 * Errors: LOG_CHALLENGE_MALFORMED, LOG_CHALLENGE_INVALID.
 */
export function verifyChallenge(
  publicKey: PublicKey,
  name: string,
  challenged: Challenged,
  answer: ChallengeAnswer,
): void {
  const { size, root } = challenged;
  const about = answer.size === size && equal(answer.root, root);
  check(about, 'LOG_CHALLENGE_INVALID', 'an answer about another head');
  const named = equal(answer.keyId, keyId(name, publicKey));
  check(named, 'LOG_CHALLENGE_INVALID', 'the key id is not that of this cosigner');
  const message = challengeMessage(challenged, answer.time);
  const valid = publicKey.curve === 'Ed25519' && verify(publicKey, message, answer.signature);
  check(valid, 'LOG_CHALLENGE_INVALID');
}

function isCount(value: number): boolean {
  return Number.isSafeInteger(value) && value > 0;
}
