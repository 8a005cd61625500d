/** A statement's signature: by the key that its kid names, and in the one form that the registry takes. */
import { isLowS } from '#crypto';
import { equal, hex } from '../bytes.ts';
import { curveOf } from '../cose/algorithm.ts';
import { thumbprint } from '../cose/key.ts';
import { verifySign1 } from '../cose/sign1.ts';
import type { PublicKey } from '../crypto/key.ts';
import { check } from '../errors.ts';
import type { Statement } from './statement.ts';

// A signature is checked once for a parsed statement and key, however often it is applied (dry run, proposal).
const authenticated = new WeakMap<Statement, string>();

/** Errors: COSE_SIGNATURE_INVALID, STATEMENT_SIGNER_UNKNOWN, STATEMENT_HIGH_S. */
export function authenticate(statement: Statement, key: PublicKey): void {
  const keyId = thumbprint(key);
  if (authenticated.get(statement) === hex(keyId)) return;
  check(
    equal(statement.keyId, keyId),
    'STATEMENT_SIGNER_UNKNOWN',
    'the kid is not that of the signer',
  );
  verifySign1(statement.sign1, key);
  // T05: one signature a statement; anybody could turn a low s into a high one.
  check(
    curveOf(statement.sign1.algorithm) !== 'P-256' || isLowS(statement.sign1.signature),
    'STATEMENT_HIGH_S',
  );
  authenticated.set(statement, hex(keyId));
}
