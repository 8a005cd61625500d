/** Contract of challenges (docs/spec/challenge.md): a device's question, and what nodes or a gateway answer. */
import { decode } from '../cbor/decode.ts';
import { encode } from '../cbor/encode.ts';
import { asArray, asBytes, asMap, asUint, onlyKeys } from '../cbor/read.ts';
import type { Cbor } from '../cbor/value.ts';
import { check } from '../errors.ts';
import type { ChallengeAnswer } from '../log/challenge.ts';
import { MAX_PROOF } from '../trust/proof.ts';

export const CHALLENGES = '/v1/challenges';
export const CHALLENGE_TYPE = 'firmament/challenges/v1';
export const CHALLENGE_MEDIA = 'application/octet-stream';
/** Operators whose answers one reply may hold. */
export const MAX_ANSWERS = 64;
export const MAX_CHALLENGES = MAX_PROOF + MAX_ANSWERS * 192 + 1024;

/** Of a node: its own answer. Of a gateway: several nodes', and a proof of the line that was asked about. */
export interface ChallengeReply {
  readonly answers: readonly ChallengeAnswer[];
  /** A `latest` answer's update proof. */
  readonly proof: Uint8Array | null;
}

export function encodeChallengeReply({ answers, proof }: ChallengeReply): Uint8Array {
  return encode(
    new Map<Cbor, Cbor>([
      [1, CHALLENGE_TYPE],
      [
        2,
        answers.map(({ keyId, time, size, root, signature }) => [
          keyId,
          time,
          size,
          root,
          signature,
        ]),
      ],
      [3, proof],
    ]),
  );
}

/** Nothing is verified. Errors: CBOR_*. */
export function decodeChallengeReply(bytes: Uint8Array): ChallengeReply {
  const map = asMap(decode(bytes, { maxBytes: MAX_CHALLENGES }), 'challenges');
  onlyKeys(map, [1, 2, 3], 'challenges');
  check(map.get(1) === CHALLENGE_TYPE, 'CBOR_TYPE', 'not answers to a challenge');
  const rows = asArray(map.get(2) ?? null, 'answers');
  check(rows.length <= MAX_ANSWERS, 'CBOR_TYPE', 'more answers than the bound');
  const proof = map.get(3) ?? null;
  return {
    answers: rows.map(answerOf),
    proof: proof === null ? null : asBytes(proof, 'proof', { max: MAX_PROOF }),
  };
}

function answerOf(row: Cbor): ChallengeAnswer {
  const [keyId, time, size, root, signature] = asArray(row, 'answer', 5);
  return {
    keyId: asBytes(keyId ?? null, 'key id', 4),
    time: asUint(time ?? null, 'time'),
    size: asUint(size ?? null, 'size'),
    root: asBytes(root ?? null, 'root', 32),
    signature: asBytes(signature ?? null, 'signature', 64),
  };
}
