/** Reading a statement's payload: a deterministic CBOR map with the given uint keys. */
import { decode } from '../../cbor/decode.ts';
import { asMap, onlyKeys } from '../../cbor/read.ts';
import type { Cbor } from '../../cbor/value.ts';
import { fail, FirmamentError } from '../../errors.ts';
import { MAX_STATEMENT, type Statement } from '../statement.ts';

/** Errors: STATEMENT_MALFORMED, or what `parse` throws of its own area. */
export function parsePayload<T>(
  statement: Statement,
  keys: readonly number[],
  parse: (get: (key: number) => Cbor) => T,
): T {
  try {
    const map = asMap(decode(statement.payload, { maxBytes: MAX_STATEMENT }), 'payload');
    onlyKeys(map, keys, 'payload');
    return parse((key) => map.get(key) ?? null);
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
