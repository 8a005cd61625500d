/**
 * What recovery keys can sign (docs/spec/statement.md, T01): the bodies of such statements, and a request that
 * goes from one holder of a recovery key to the next until enough of them have approved it. Pure.
 */
import { equal, hex } from '../bytes.ts';
import { encode } from '../cbor/encode.ts';
import type { Cbor } from '../cbor/value.ts';
import { encodeKey, thumbprint } from '../cose/key.ts';
import { signWith } from '../cose/signing-key.ts';
import type { PrivateKey, PublicKey, SigningKey } from '../crypto/key.ts';
import { check, fail } from '../errors.ts';
import { lineText, type Line } from '../registry/line.ts';
import { approve, recoveryPayload, type Approval } from '../registry/recovery.ts';
import { transferAcceptance } from '../registry/rules/line-transfer.ts';
import { createStatement } from '../registry/statement.ts';

export type KeyChangeKind = 'key.rotate' | 'key.revoke' | 'line.delegate' | 'line.transfer';

/** What is to be signed: the kind, what it is about (an author id in hex, or a line's text), its encoded body. */
export interface KeyChange {
  readonly kind: KeyChangeKind;
  readonly subject: string;
  readonly body: Uint8Array;
}

/** Recovery keys and how many of them must sign. */
export interface RecoverySet {
  readonly keys: readonly PublicKey[];
  readonly threshold: number;
}

/** One change on its way to a statement. */
export interface RequestedChange extends KeyChange {
  readonly counter: bigint;
  readonly approvals: readonly Approval[];
  /** Statement bytes, once enough recovery keys signed. */
  readonly statement: Uint8Array | null;
}

/** Changes that are ordered together, and whose recovery keys may sign them. */
export interface KeyRequest {
  /** Author id in hex. */
  readonly author: string;
  /** Network id in hex. */
  readonly network: string;
  readonly threshold: number;
  /** Thumbprints of the recovery keys. */
  readonly recovery: readonly Uint8Array[];
  readonly changes: readonly RequestedChange[];
}

export function rotation(
  author: Uint8Array,
  keys: readonly PublicKey[],
  recovery?: RecoverySet,
): KeyChange {
  const body = new Map<Cbor, Cbor>([[1, keys.map(encodeKey)]]);
  if (recovery) body.set(2, recovery.keys.map(encodeKey)).set(3, recovery.threshold);
  return { kind: 'key.rotate', subject: hex(author), body: encode(body) };
}

/** `from`: the log index from which the key counts as stolen. */
export function revocation(author: Uint8Array, keyId: Uint8Array, from: number): KeyChange {
  return { kind: 'key.revoke', subject: hex(author), body: pairs([1, keyId], [2, from]) };
}

export function delegation(line: Line, key: PublicKey, granted: boolean): KeyChange {
  const body = pairs([1, encodeKey(key)], [2, granted]);
  return { kind: 'line.delegate', subject: lineText(line), body };
}

/** `acceptance`: of the new owner, by `acceptTransfer`. */
export function transfer(line: Line, to: Uint8Array, acceptance: Uint8Array): KeyChange {
  return { kind: 'line.transfer', subject: lineText(line), body: pairs([1, to], [2, acceptance]) };
}

function pairs(...entries: readonly (readonly [number, Cbor])[]): Uint8Array {
  return encode(new Map<Cbor, Cbor>(entries));
}

/** The new owner's word, by one of its release keys, that it takes the line from its owner. */
export function acceptTransfer(
  key: SigningKey,
  networkId: Uint8Array,
  line: Line,
  from: Uint8Array,
  to: Uint8Array,
): Uint8Array {
  return signWith(key, transferAcceptance(networkId, lineText(line), from, to));
}

/** A request that nobody has approved yet. `counters`: one a change, growing. */
export function newRequest(
  author: Uint8Array,
  networkId: Uint8Array,
  recovery: RecoverySet,
  changes: readonly KeyChange[],
  counters: readonly bigint[],
): KeyRequest {
  return {
    author: hex(author),
    network: hex(networkId),
    threshold: recovery.threshold,
    recovery: recovery.keys.map(thumbprint),
    changes: changes.map((change, i) => ({
      ...change,
      counter: counters[i] ?? fail('STATEMENT_COUNTER'),
      approvals: [],
      statement: null,
    })),
  };
}

/**
 * The request with one more recovery key's approval. The last one that is needed signs the statements
 * themselves; a key that has approved already changes nothing. Errors: STATEMENT_SIGNER_UNKNOWN.
 */
export function approveRequest(request: KeyRequest, key: PrivateKey): KeyRequest {
  const keyId = thumbprint(key.publicKey);
  const known = request.recovery.some((each) => equal(each, keyId));
  check(known, 'STATEMENT_SIGNER_UNKNOWN', "not one of the author's recovery keys");
  const { author: issuer, network, threshold } = request;
  const changes = request.changes.map((change): RequestedChange => {
    const { approvals, body } = change;
    if (change.statement || approvals.some((each) => equal(each.keyId, keyId))) return change;
    const { kind, subject, counter } = change;
    const claims = { kind, issuer, subject, network, counter };
    if (approvals.length + 1 < threshold)
      return { ...change, approvals: [...approvals, approve(key, claims, body)] };
    const { bytes } = createStatement(key, claims, recoveryPayload(body, approvals));
    return { ...change, statement: bytes };
  });
  return { ...request, changes };
}

/** The statements of a request that enough recovery keys approved. Errors: RECOVERY_THRESHOLD. */
export function signedStatements(request: KeyRequest): readonly Uint8Array[] {
  return request.changes.map(
    ({ statement, approvals }) =>
      statement ??
      fail('RECOVERY_THRESHOLD', undefined, {
        signers: approvals.length,
        threshold: request.threshold,
      }),
  );
}
