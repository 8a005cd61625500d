/**
 * Statements of an author's recovery keys (T01): one of them signs the statement, as many others as the threshold
 * asks for sign what it says. The registry and every device check them alike.
 */
import { sign, verify } from '#crypto';
import { equal, hex } from '../bytes.ts';
import { decode } from '../cbor/decode.ts';
import { encode } from '../cbor/encode.ts';
import { asArray, asBytes, asMap, onlyKeys } from '../cbor/read.ts';
import type { Cbor } from '../cbor/value.ts';
import { decodeKey, thumbprint } from '../cose/key.ts';
import type { PrivateKey } from '../crypto/key.ts';
import { check, fail, FirmamentError } from '../errors.ts';
import { authenticate } from './authenticate.ts';
import type { Claims } from './claims.ts';
import { keyIdOf } from './key-id.ts';
import type { Statement } from './statement.ts';

/** An author's recovery keys: COSE_Key bytes, and how many of them must sign. */
export interface RecoveryKeys {
  readonly recovery: readonly Uint8Array[];
  readonly threshold: number;
}

/** Another recovery key's signature over `approvedBytes`. */
export interface Approval {
  readonly keyId: Uint8Array;
  readonly signature: Uint8Array;
}

/** What an approval is bound to, beside the body. */
export type ApprovedClaims = Pick<Claims, 'kind' | 'issuer' | 'subject' | 'network' | 'counter'>;

const MAX_APPROVALS = 8;
const MAX_BODY = 8192;

/** What every recovery key but the statement's own signer signs. */
export function approvedBytes(claims: ApprovedClaims, body: Uint8Array): Uint8Array {
  const { kind, issuer, subject, network, counter } = claims;
  return encode(['firmament/recovery/v1', network ?? '', kind, issuer, subject, counter, body]);
}

/** One recovery key's approval of a statement that another will sign. `body`: its encoded body. */
export function approve(key: PrivateKey, claims: ApprovedClaims, body: Uint8Array): Approval {
  const signature = sign(key, approvedBytes(claims, body));
  return { keyId: thumbprint(key.publicKey), signature };
}

/** The payload of a statement signed by recovery keys: its encoded body, and the approvals of the others. */
export function recoveryPayload(body: Uint8Array, approvals: readonly Approval[]): Cbor {
  return new Map<Cbor, Cbor>([
    [1, body],
    [2, approvals.map(({ keyId, signature }) => [keyId, signature])],
  ]);
}

/**
 * The body of a statement that enough recovery keys signed.
 * Errors: STATEMENT_SIGNER_UNKNOWN, STATEMENT_HIGH_S, COSE_SIGNATURE_INVALID, RECOVERY_THRESHOLD, STATEMENT_MALFORMED.
 */
export function recoveryBody(statement: Statement, keys: RecoveryKeys): ReadonlyMap<Cbor, Cbor> {
  const named = (keyId: Uint8Array): Uint8Array =>
    keys.recovery.find((key) => equal(keyIdOf(key), keyId)) ??
    fail('STATEMENT_SIGNER_UNKNOWN', "not one of the author's recovery keys");
  authenticate(statement, decodeKey(named(statement.keyId)));
  const { body, approvals } = parsed(statement);
  const approved = approvedBytes(statement, body);
  const signers = new Set([hex(statement.keyId)]);
  for (const { keyId, signature } of approvals) {
    check(
      verify(decodeKey(named(keyId)), approved, signature),
      'COSE_SIGNATURE_INVALID',
      'an approval does not verify',
    );
    signers.add(hex(keyId));
  }
  check(signers.size >= keys.threshold, 'RECOVERY_THRESHOLD', undefined, {
    signers: signers.size,
    threshold: keys.threshold,
  });
  return shaped(() => asMap(decode(body, { maxBytes: MAX_BODY }), 'body'));
}

function parsed(statement: Statement): {
  readonly body: Uint8Array;
  readonly approvals: readonly Approval[];
} {
  return shaped(() => {
    const map = asMap(decode(statement.payload, { maxBytes: MAX_BODY + 4096 }), 'payload');
    onlyKeys(map, [1, 2], 'payload');
    const approvals = asArray(map.get(2) ?? null, 'approvals');
    check(approvals.length <= MAX_APPROVALS, 'STATEMENT_MALFORMED', 'too many approvals');
    return {
      body: asBytes(map.get(1) ?? null, 'body', { max: MAX_BODY }),
      approvals: approvals.map((approval) => {
        const [keyId, signature] = asArray(approval, 'approval', 2);
        return {
          keyId: asBytes(keyId ?? null, 'kid', 32),
          signature: asBytes(signature ?? null, 'signature', 64),
        };
      }),
    };
  });
}

/** Gives the errors of a payload's shape one code. */
export function shaped<T>(read: () => T): T {
  try {
    return read();
  } catch (cause) {
    if (cause instanceof FirmamentError && !/^(CBOR|COSE|CRYPTO)_/.test(cause.code)) throw cause;
    return fail(
      'STATEMENT_MALFORMED',
      cause instanceof Error ? cause.message : undefined,
      {},
      cause,
    );
  }
}
