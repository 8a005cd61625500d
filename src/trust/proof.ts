/** The update proof: the compact bytes that a device checks (docs/spec/log.md, "Update proof"). */
import { sha256 } from '#crypto';
import { equal } from '../bytes.ts';
import { decode } from '../cbor/decode.ts';
import { encode } from '../cbor/encode.ts';
import { asArray, asBytes, asUint } from '../cbor/read.ts';
import type { Cbor } from '../cbor/value.ts';
import { check, codeOf, fail } from '../errors.ts';
import type { Cosignature } from '../log/cosignature.ts';
import { epochEntry, type Epoch } from '../log/epoch.ts';
import { leafHash, rootFromInclusion } from '../log/merkle.ts';
import {
  decodeMapProof,
  encodeMapProof,
  verifyMapProof,
  type MapProof,
} from '../log/prefix-map.ts';
import { lineKey, type Line } from '../registry/line.ts';
import {
  decodeAuthorValue,
  decodeLineValue,
  type AuthorValue,
  type LineValue,
} from '../registry/map-value.ts';
import type { Root } from '../registry/root.ts';
import { countOperators, type Witness } from './quorum.ts';

export interface UpdateProof {
  readonly size: number;
  readonly cosignatures: readonly Cosignature[];
  /** Inclusion path of the last leaf, leaf to root. */
  readonly path: readonly Uint8Array[];
  readonly epoch: Omit<Epoch, 'mapRoot'>;
  readonly lineValue: Uint8Array | null;
  readonly mapProof: MapProof;
  readonly authorValue: Uint8Array | null;
  readonly links: readonly Uint8Array[];
}

/** What a proof says about one line once everything in it that needs neither clock nor memory was checked. */
export interface ProvenLine {
  readonly networkId: Uint8Array;
  readonly line: Line;
  readonly head: { readonly size: number; readonly root: Uint8Array };
  readonly epoch: Epoch;
  /** The operators that cosigned the head, each with its newest time. */
  readonly witnesses: readonly Witness[];
  /** The epoch names a later policy than the pinned root (T08). */
  readonly policyAhead: boolean;
  readonly value: LineValue;
  readonly author: AuthorValue;
  readonly links: readonly Uint8Array[];
}

export const MAX_PROOF = 16_384;
const MAX_COSIGNATURES = 64;
const MAX_LINKS = 64;

export function encodeProof(proof: UpdateProof): Uint8Array {
  const { height, time, stateRoot, policyVersion, policyHash, previous } = proof.epoch;
  return encode([
    1,
    proof.size,
    proof.cosignatures.map(({ keyId, time: at, signature }) => [keyId, at, signature]),
    joined(proof.path),
    [height, time, stateRoot, policyVersion, policyHash, previous],
    proof.lineValue,
    encodeMapProof(proof.mapProof),
    proof.authorValue,
    [...proof.links],
  ]);
}

function joined(path: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(path.length * 32);
  path.forEach((hash, i) => bytes.set(hash, i * 32));
  return bytes;
}

/** Errors: TRUST_PROOF_MALFORMED. */
export function decodeProof(bytes: Uint8Array): UpdateProof {
  try {
    return parse(asArray(decode(bytes, { maxBytes: MAX_PROOF }), 'proof', 9));
  } catch (cause) {
    const message = cause instanceof Error ? cause.message : undefined;
    return fail('TRUST_PROOF_MALFORMED', message, { cause: codeOf(cause) }, cause);
  }
}

function parse(row: readonly Cbor[]): UpdateProof {
  const [version, size, cosignatures, path, epoch, lineValue, mapProof, authorValue, links] = row;
  check(version === 1, 'TRUST_PROOF_MALFORMED', 'not an update proof of version 1');
  const steps = asBytes(path ?? null, 'path', { max: 64 * 32 });
  check(steps.length % 32 === 0, 'TRUST_PROOF_MALFORMED', 'the path has 32 bytes a step');
  return {
    size: asUint(size ?? null, 'size'),
    cosignatures: parseCosignatures(cosignatures ?? null),
    path: Array.from({ length: steps.length / 32 }, (_, i) => steps.subarray(i * 32, i * 32 + 32)),
    epoch: parseEpoch(epoch ?? null),
    lineValue: optionalBytes(lineValue, 'line value'),
    mapProof: decodeMapProof(mapProof ?? null),
    authorValue: optionalBytes(authorValue, 'author value'),
    links: bounded(links ?? null, MAX_LINKS, 'links').map((link) =>
      asBytes(link, 'link', { max: 8192 }),
    ),
  };
}

function parseCosignatures(value: Cbor): readonly Cosignature[] {
  const list = bounded(value, MAX_COSIGNATURES, 'cosignatures').map((entry) => {
    const [keyId, time, signature] = asArray(entry, 'cosignature', 3);
    return {
      keyId: asBytes(keyId ?? null, 'key id', 4),
      time: asUint(time ?? null, 'time'),
      signature: asBytes(signature ?? null, 'signature', 64),
    };
  });
  return list;
}

function parseEpoch(value: Cbor): Omit<Epoch, 'mapRoot'> {
  const [height, time, stateRoot, policyVersion, policyHash, previous] = asArray(value, 'epoch', 6);
  return {
    height: asUint(height ?? null, 'height'),
    time: asUint(time ?? null, 'time'),
    stateRoot: asBytes(stateRoot ?? null, 'state root', 32),
    policyVersion: asUint(policyVersion ?? null, 'policy version'),
    policyHash: asBytes(policyHash ?? null, 'policy hash', 32),
    previous:
      previous === null || previous === undefined ? null : asUint(previous, 'previous epoch'),
  };
}

function optionalBytes(value: Cbor | undefined, what: string): Uint8Array | null {
  return value === null || value === undefined ? null : asBytes(value, what, { max: 8192 });
}

function bounded(value: Cbor, max: number, what: string): readonly Cbor[] {
  const list = asArray(value, what);
  check(list.length <= max, 'TRUST_PROOF_MALFORMED', `more than ${max} ${what}`);
  return list;
}

/**
 * Checks everything in a proof that needs neither clock nor memory: map proof, epoch as the last leaf (T15),
 * quorum (T09), policy (T08), author entry (T02).
 * Errors: TRUST_PROOF_MALFORMED, TRUST_MAP_INVALID, TRUST_EPOCH_NOT_LAST, TRUST_QUORUM,
 * TRUST_POLICY_MISMATCH, TRUST_LINE_ABSENT, TRUST_AUTHOR_MISMATCH, LOG_COSIGNATURE_INVALID.
 */
export function verifyProof(root: Root, line: Line, bytes: Uint8Array): ProvenLine {
  const proof = decodeProof(bytes);
  const epoch: Epoch = { ...proof.epoch, mapRoot: mapRoot(line, proof) };
  const head = { size: proof.size, root: headRoot(proof, epoch) };
  const witnesses = countOperators(root, head, proof.cosignatures);
  const policyAhead = checkPolicy(root, epoch);
  const value = proof.lineValue ?? fail('TRUST_LINE_ABSENT');
  const { line: lineValue, author } = checkEntries(value, proof.authorValue);
  return {
    networkId: root.networkId,
    line,
    head,
    epoch,
    witnesses,
    policyAhead,
    value: lineValue,
    author,
    links: proof.links,
  };
}

function mapRoot(line: Line, proof: UpdateProof): Uint8Array {
  try {
    return verifyMapProof({ key: lineKey(line), value: proof.lineValue, proof: proof.mapProof });
  } catch (cause) {
    return fail('TRUST_MAP_INVALID', undefined, {}, cause);
  }
}

// T15: the epoch is the leaf at size - 1, so nothing newer can be hidden behind it.
function headRoot(proof: UpdateProof, epoch: Epoch): Uint8Array {
  check(proof.size >= 1, 'TRUST_EPOCH_NOT_LAST', 'an empty log has no epoch');
  try {
    return rootFromInclusion({
      leafHash: leafHash(epochEntry(epoch)),
      index: proof.size - 1,
      size: proof.size,
      path: proof.path,
    });
  } catch (cause) {
    return fail('TRUST_EPOCH_NOT_LAST', undefined, {}, cause);
  }
}

function checkPolicy(root: Root, epoch: Epoch): boolean {
  const pinned = root.policy.version;
  check(epoch.policyVersion >= pinned, 'TRUST_POLICY_MISMATCH');
  check(
    epoch.policyVersion > pinned || equal(epoch.policyHash, root.hash),
    'TRUST_POLICY_MISMATCH',
  );
  return epoch.policyVersion > pinned;
}

function checkEntries(
  value: Uint8Array,
  authorValue: Uint8Array | null,
): { readonly line: LineValue; readonly author: AuthorValue } {
  const bytes = authorValue ?? fail('TRUST_AUTHOR_MISMATCH', 'the proof lacks the author entry');
  const line = entry(value, decodeLineValue);
  check(equal(sha256(bytes), line.authorHash), 'TRUST_AUTHOR_MISMATCH');
  const author = entry(bytes, decodeAuthorValue);
  check(author.status === 0, 'TRUST_AUTHOR_MISMATCH', 'the author is revoked');
  return { line, author };
}

function entry<T>(bytes: Uint8Array, read: (bytes: Uint8Array) => T): T {
  try {
    return read(bytes);
  } catch (cause) {
    return fail('TRUST_PROOF_MALFORMED', 'a map entry is not of the documented shape', {}, cause);
  }
}
