/** Typed reads of a JSON description. Each refusal names the place: `sections.install[2].policy`. */
import { fromHex, utf8 } from '../bytes.ts';
import { codeOf, fail } from '../errors.ts';

/** A value and where it stands in the description. */
export interface Place {
  readonly value: unknown;
  readonly path: string;
}

export function wrongAt({ path }: Place, wanted: string): never {
  return fail('SUIT_DESCRIPTION_INVALID', `${path} must be ${wanted}`, { path });
}

/** The members of an object with no key but those of `known`, when it is given. */
export function asObject(place: Place, known?: readonly string[]): ReadonlyMap<string, Place> {
  const { value, path } = place;
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    return wrongAt(place, 'an object');
  const found = new Map<string, Place>();
  for (const [key, each] of Object.entries(value)) {
    const inner = { value: each as unknown, path: path === '' ? key : `${path}.${key}` };
    if (known !== undefined && !known.includes(key))
      return wrongAt(inner, `left out: the keys here are ${known.join(', ')}`);
    found.set(key, inner);
  }
  return found;
}

export function asList(place: Place): readonly Place[] {
  const { value, path } = place;
  if (!Array.isArray(value)) return wrongAt(place, 'a list');
  return (value as readonly unknown[]).map((each, i) => ({ value: each, path: `${path}[${i}]` }));
}

export function asString(place: Place): string {
  return typeof place.value === 'string' ? place.value : wrongAt(place, 'text');
}

export function asFlag(place: Place): boolean {
  return typeof place.value === 'boolean' ? place.value : wrongAt(place, 'true or false');
}

/** A whole number that JSON and a number hold exactly. */
export function asWhole(place: Place, least = Number.MIN_SAFE_INTEGER): number {
  const { value } = place;
  const fits = typeof value === 'number' && Number.isSafeInteger(value) && value >= least;
  return fits ? value : wrongAt(place, `a whole number${least === 0 ? ' of 0 or more' : ''}`);
}

/** Up to 64 bits: a number, or its decimal digits as text when JSON would round it. */
export function asWide(place: Place): bigint {
  const { value } = place;
  if (typeof value === 'string' && /^\d{1,20}$/.test(value)) {
    const wide = BigInt(value);
    return wide < 2n ** 64n ? wide : wrongAt(place, 'below 2^64');
  }
  return BigInt(asWhole(place, 0));
}

export function asOneOf<T extends string>(place: Place, names: readonly T[]): T {
  const found = names.find((name) => name === place.value);
  return found ?? wrongAt(place, `one of ${names.join(', ')}`);
}

/** Bytes: hex (dashes as in a UUID are left out), `text:...`, or `file:...` if files may be read. */
export function asByteString(place: Place, readFile?: (name: string) => Uint8Array): Uint8Array {
  const value = asString(place);
  if (value.startsWith('text:')) return utf8(value.slice('text:'.length));
  if (value.startsWith('file:') && readFile !== undefined)
    return readFile(value.slice('file:'.length));
  try {
    return fromHex(value.replaceAll('-', ''));
  } catch (error) {
    if (codeOf(error) === undefined) throw error;
    return wrongAt(place, `hex or "text:..."${readFile === undefined ? '' : ' or "file:..."'}`);
  }
}

/** A member that must be there. */
export function member(members: ReadonlyMap<string, Place>, key: string, of: Place): Place {
  return members.get(key) ?? wrongAt(of, `an object with "${key}"`);
}
