/** Statements: the signed things on the ledger, in their one encoding (docs/spec/statement.md, T04, T05). */
import { sha256 } from '#crypto';
import { encode } from '../cbor/encode.ts';
import type { Cbor } from '../cbor/value.ts';
import { createSign1, decodeSign1, sigStructure, type Sign1 } from '../cose/sign1.ts';
import type { SigningKey } from '../crypto/key.ts';
import { check, codeOf, fail } from '../errors.ts';
import { claimsHeader, parseClaims, type Claims } from './claims.ts';

export interface Statement extends Claims {
  readonly bytes: Uint8Array;
  /** SHA-256 of the bytes: the log entry. */
  readonly entry: Uint8Array;
  /** SHA-256 of the Sig_structure: equal for two statements that say the same. */
  readonly signingDigest: Uint8Array;
  readonly payload: Uint8Array;
  readonly sign1: Sign1;
}

/** A statement and, for a release, its manifest as it stands in the envelope (T20). */
export interface Transaction {
  readonly statement: Statement;
  readonly attachment: Uint8Array | null;
}

export const MAX_STATEMENT = 1 << 20;
export const MAX_ATTACHMENT = 1 << 16;
const MAX_PROTECTED = 4096;

/**
 * Parses a statement; its signature is not checked here.
 * Errors: STATEMENT_MALFORMED, STATEMENT_KIND_UNKNOWN.
 */
export function parseStatement(bytes: Uint8Array): Statement {
  const sign1 = decoded(bytes);
  check(
    sign1.unprotected.size === 0,
    'STATEMENT_MALFORMED',
    'the unprotected header of a statement is empty (T05)',
  );
  check(
    sign1.protectedBytes.length <= MAX_PROTECTED,
    'STATEMENT_MALFORMED',
    'protected header too large',
  );
  const payload = sign1.payload ?? fail('STATEMENT_MALFORMED', 'a statement carries its payload');
  return {
    ...parseClaims(sign1.header),
    bytes,
    entry: sha256(bytes),
    signingDigest: sha256(sigStructure(sign1.protectedBytes, payload)),
    payload,
    sign1,
  };
}

function decoded(bytes: Uint8Array): Sign1 {
  try {
    return decodeSign1(bytes, { maxBytes: MAX_STATEMENT });
  } catch (cause) {
    const what =
      cause instanceof Error ? `${codeOf(cause) ?? ''} ${cause.message}`.trim() : undefined;
    return fail('STATEMENT_MALFORMED', what, {}, cause);
  }
}

/** Signs a statement. The payload is CBOR to encode, or a release's SUIT_Digest as bytes. */
export function createStatement(
  key: SigningKey,
  claims: Omit<Claims, 'keyId'>,
  payload: Cbor,
): Statement {
  const bytes = payload instanceof Uint8Array ? payload : encode(payload);
  return parseStatement(createSign1({ header: claimsHeader(key, claims), payload: bytes, key }));
}
