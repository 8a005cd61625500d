/** A second history of the same size: the head of a true answer, rewritten and cosigned by whoever takes part. */
import type { PrivateKey } from '../crypto/key.ts';
import { sha256 } from '#crypto';
import { lineKey } from '../registry/line.ts';
import { decodeLatest, encodeLatest } from '../api/retrieval.ts';
import { formatCheckpoint, originOf } from '../log/checkpoint.ts';
import { signCosignature } from '../log/cosignature.ts';
import { epochEntry } from '../log/epoch.ts';
import { leafHash, rootFromInclusion } from '../log/merkle.ts';
import { verifyMapProof } from '../log/prefix-map.ts';
import { decodeProof, encodeProof } from '../trust/proof.ts';
import type { Trick } from './attacker.ts';
import { asksLatest } from './tricks.ts';

/** A cosigner's name (OPERATOR/NODE) and key. */
export interface Colluder {
  readonly name: string;
  readonly key: PrivateKey;
}

/**
 * A `latest` answer under another head of the same size: its last leaf says another registry state. All that is in it
 * holds together; `colluders` sign it at `time` (POSIX seconds).
 */
export function forkedLatest(
  answer: Uint8Array,
  networkId: Uint8Array,
  colluders: readonly Colluder[],
  time: number,
): Uint8Array {
  const latest = decodeLatest(answer);
  const proof = decodeProof(latest.proof);
  const { size, path, lineValue, mapProof } = proof;
  const epoch = { ...proof.epoch, stateRoot: sha256(proof.epoch.stateRoot) };
  const mapRoot = verifyMapProof({
    key: lineKey(latest.line),
    value: lineValue,
    proof: mapProof,
  });
  const leaf = leafHash(epochEntry({ ...epoch, mapRoot }));
  const root = rootFromInclusion({ leafHash: leaf, index: size - 1, size, path });
  const checkpoint = formatCheckpoint({ origin: originOf(networkId), size, root });
  const cosignatures = colluders.map(({ name, key }) =>
    signCosignature(key, name, checkpoint, time),
  );
  return encodeLatest({ ...latest, proof: encodeProof({ ...proof, epoch, cosignatures }) });
}

/**
 * This device's first answer is true; every later one is the same head's fork, whatever has become of the log meanwhile. Whoever
 * were shown the fork of a head that it has not seen would believe it: nothing but the quorum stands against that.
 */
export function forkAfterTruth(
  device: string,
  networkId: Uint8Array,
  colluders: readonly Colluder[],
  clock: () => number,
): Trick {
  let first: Uint8Array | undefined;
  return async (asked, forward) => {
    const answer = await forward();
    if (!asksLatest(asked) || asked.headers['firmament-device'] !== device) return answer;
    if (!first) {
      first = answer.body;
      return answer;
    }
    const headers = { 'content-type': 'application/cbor' };
    return { status: 200, headers, body: forkedLatest(first, networkId, colluders, clock()) };
  };
}
