/** Strict reads of JSON that was written by us or by the maker of the device. */
import { check, type Code } from '../errors.ts';

export type JsonObject = Readonly<Record<string, unknown>>;

export interface JsonReader {
  /** An object with exactly these keys, and of the optional ones those that are there. */
  object(
    value: unknown,
    what: string,
    keys: readonly string[],
    optional?: readonly string[],
  ): JsonObject;
  /** An object with any keys, at most `max` of them. */
  entries(value: unknown, what: string, max: number): readonly (readonly [string, unknown])[];
  list(value: unknown, what: string, max: number): readonly unknown[];
  text(value: unknown, what: string, pattern: RegExp): string;
  /** A safe integer, 0 or more. */
  uint(value: unknown, what: string): number;
  /** A uint of 64 bits, as decimal text. */
  uint64(value: unknown, what: string): bigint;
  flag(value: unknown, what: string): boolean;
}

const DECIMAL = /^(?:0|[1-9]\d{0,19})$/;

/** Reads that refuse with `code`. */
export function jsonReader(code: Code): JsonReader {
  const plain = (value: unknown, what: string): JsonObject => {
    check(
      typeof value === 'object' && value !== null && !Array.isArray(value),
      code,
      `${what} is not an object`,
    );
    return value as JsonObject;
  };
  const text = (value: unknown, what: string, pattern: RegExp): string => {
    check(typeof value === 'string' && pattern.test(value), code, `${what} is not valid`);
    return value;
  };
  return {
    object(value, what, keys, optional = []) {
      const object = plain(value, what);
      const own = Object.keys(object);
      for (const key of keys) check(own.includes(key), code, `${what} lacks "${key}"`);
      const known = own.every((key) => keys.includes(key) || optional.includes(key));
      check(known, code, `${what} has unknown fields`);
      return object;
    },
    entries(value, what, max) {
      const entries = Object.entries(plain(value, what));
      check(entries.length <= max, code, `${what} has more than ${max} entries`);
      return entries;
    },
    list(value, what, max) {
      check(Array.isArray(value) && value.length <= max, code, `${what} is not a list in bounds`);
      return value;
    },
    text,
    uint(value, what) {
      check(Number.isSafeInteger(value) && (value as number) >= 0, code, `${what} is not a uint`);
      return value as number;
    },
    uint64(value, what) {
      const number = BigInt(text(value, what, DECIMAL));
      check(number < 1n << 64n, code, `${what} has more than 64 bits`);
      return number;
    },
    flag(value, what) {
      check(typeof value === 'boolean', code, `${what} is not true or false`);
      return value;
    },
  };
}
