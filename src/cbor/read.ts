/** Typed reads of decoded CBOR. Each throws CBOR_TYPE and names the place in the format. */
import { utf8 } from '../bytes.ts';
import { check, fail } from '../errors.ts';
import type { Cbor } from './value.ts';

export function asMap(value: Cbor | undefined, what: string): ReadonlyMap<Cbor, Cbor> {
  return value instanceof Map ? value : wrong(what, 'a map');
}

/** `length`: the exact number of items. */
export function asArray(value: Cbor | undefined, what: string, length?: number): readonly Cbor[] {
  if (!Array.isArray(value)) return wrong(what, 'an array');
  if (length !== undefined && value.length !== length) wrong(what, `an array of ${length} items`);
  return value as readonly Cbor[];
}

/** `length`: exact, or `{ max }`, in bytes. */
export function asBytes(
  value: Cbor | undefined,
  what: string,
  length?: number | { readonly max: number },
): Uint8Array {
  if (!(value instanceof Uint8Array)) return wrong(what, 'a byte string');
  if (typeof length === 'number' && value.length !== length) wrong(what, `${length} bytes`);
  if (typeof length === 'object' && value.length > length.max)
    wrong(what, `at most ${length.max} bytes`);
  return value;
}

/** `maxBytes`: of its UTF-8. */
export function asText(value: Cbor | undefined, what: string, maxBytes?: number): string {
  if (typeof value !== 'string') return wrong(what, 'text');
  if (maxBytes !== undefined && utf8(value).length > maxBytes)
    wrong(what, `text of at most ${maxBytes} bytes`);
  return value;
}

/** An integer from 0 to 2^53 - 1. */
export function asUint(value: Cbor | undefined, what: string): number {
  return typeof value === 'number' && value >= 0 ? value : wrong(what, 'an unsigned integer');
}

/** An integer from 0 to 2^64 - 1. */
export function asUint64(value: Cbor | undefined, what: string): bigint {
  if (typeof value === 'number' && value >= 0) return BigInt(value);
  return typeof value === 'bigint' && value >= 0n ? value : wrong(what, 'an unsigned integer');
}

/** An integer within ± (2^53 - 1). */
export function asInt(value: Cbor | undefined, what: string): number {
  const safe = typeof value === 'number' && Number.isSafeInteger(value);
  return safe ? value : wrong(what, 'an integer');
}

export function asBool(value: Cbor | undefined, what: string): boolean {
  return typeof value === 'boolean' ? value : wrong(what, 'true or false');
}

/** Refuses a map with a key that the format does not name. */
export function onlyKeys(
  map: ReadonlyMap<Cbor, Cbor>,
  allowed: readonly Cbor[],
  what: string,
): void {
  for (const key of map.keys())
    check(allowed.includes(key), 'CBOR_TYPE', `${what} has an unknown key`, {
      key: typeof key === 'number' || typeof key === 'string' ? key : typeof key,
    });
}

function wrong(what: string, wanted: string): never {
  return fail('CBOR_TYPE', `${what} must be ${wanted}`);
}
