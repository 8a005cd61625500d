/** COSE algorithm numbers that are accepted (RFC 9053, RFC 9864), and the curve of each. */
import type { Curve } from '../crypto/key.ts';
import { fail } from '../errors.ts';

export const ES256 = -7;
export const EDDSA = -8;
export const ESP256 = -9;
export const ED25519 = -19;
export const HMAC_256 = 5;
export const A128KW = -3;
export const ECDH_ES_A128KW = -29;

/** The curve that a signature algorithm is fixed to here. Errors: COSE_ALGORITHM_UNSUPPORTED. */
export function curveOf(algorithm: number): Curve {
  if (algorithm === ES256 || algorithm === ESP256) return 'P-256';
  if (algorithm === EDDSA || algorithm === ED25519) return 'Ed25519';
  return fail('COSE_ALGORITHM_UNSUPPORTED', undefined, { algorithm });
}

/** The fully specified algorithm that we sign with. */
export function algorithmFor(curve: Curve): number {
  return curve === 'P-256' ? ESP256 : ED25519;
}
