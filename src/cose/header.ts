/** The two header buckets of a COSE message (RFC 9052 section 3) and what is refused in them. */
import { decode, type Cbor } from '../cbor/decode.ts';
import { asMap } from '../cbor/read.ts';
import { check, codeOf, fail } from '../errors.ts';
import { ALG, CRIT } from './claims.ts';

export interface Headers {
  readonly header: ReadonlyMap<Cbor, Cbor>;
  readonly unprotected: ReadonlyMap<Cbor, Cbor>;
  readonly algorithm: number;
}

/**
 * Protected and unprotected parameters: alg in the protected header, no label in both (so alg
 * nowhere else), nothing critical (no critical parameter is known here).
 * Errors: COSE_MALFORMED, COSE_HEADER_INVALID, COSE_ALGORITHM_UNSUPPORTED, CBOR_*.
 */
export function readHeaders(
  protectedBytes: Uint8Array,
  unprotectedItem: Cbor | undefined,
  sorted: boolean,
): Headers {
  check(protectedBytes.length > 0, 'COSE_HEADER_INVALID', 'the protected header is empty');
  const header = shaped('the protected header is not a map', () =>
    asMap(decode(protectedBytes, { maxBytes: protectedBytes.length, sorted }), 'header'),
  );
  const unprotected = shaped('the unprotected header is not a map', () =>
    asMap(unprotectedItem, 'unprotected header'),
  );
  for (const label of [...header.keys(), ...unprotected.keys()])
    check(isLabel(label), 'COSE_MALFORMED', 'a header label is neither an integer nor text');
  for (const label of unprotected.keys())
    check(!header.has(label), 'COSE_HEADER_INVALID', 'a parameter stands in both headers');
  const critical = header.has(CRIT) || unprotected.has(CRIT);
  check(!critical, 'COSE_HEADER_INVALID', 'no critical parameter is known');
  const algorithm = header.get(ALG);
  check(algorithm !== undefined, 'COSE_HEADER_INVALID', 'alg is missing in the protected header');
  check(typeof algorithm === 'number', 'COSE_ALGORITHM_UNSUPPORTED', 'alg is not an integer');
  return { header, unprotected, algorithm };
}

function isLabel(label: Cbor): boolean {
  return typeof label === 'number' || typeof label === 'string';
}

/** A value of the right shape, or COSE_MALFORMED instead of CBOR_TYPE. */
export function shaped<T>(message: string, read: () => T): T {
  try {
    return read();
  } catch (cause) {
    if (codeOf(cause) === 'CBOR_TYPE') return fail('COSE_MALFORMED', message, {}, cause);
    throw cause;
  }
}
