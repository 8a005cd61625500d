/** Strict reads of the author's small JSON files. */
import { text } from '../bytes.ts';
import { fail } from '../errors.ts';

export type JsonObject = Readonly<Record<string, unknown>>;

/** The object in the bytes, of the given `type` field. Errors: AUTHOR_FILE_INVALID. */
export function parseJson(bytes: Uint8Array, type: string): JsonObject {
  let value: unknown;
  try {
    value = JSON.parse(text(bytes));
  } catch (cause) {
    return fail('AUTHOR_FILE_INVALID', 'not JSON', {}, cause);
  }
  if (!isObject(value)) return fail('AUTHOR_FILE_INVALID', 'not a JSON object');
  if (value['type'] !== type) fail('AUTHOR_FILE_INVALID', `not a file of type ${type}`);
  return value;
}

export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Errors: AUTHOR_FILE_INVALID. */
export function textField(object: JsonObject, name: string): string {
  const value = object[name];
  return typeof value === 'string' ? value : fail('AUTHOR_FILE_INVALID', `${name} is not text`);
}

/** A whole number from `min` to `max`. Errors: AUTHOR_FILE_INVALID. */
export function numberField(object: JsonObject, name: string, min: number, max: number): number {
  const value = object[name];
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= min && value <= max)
    return value;
  return fail('AUTHOR_FILE_INVALID', `${name} is not a whole number from ${min} to ${max}`);
}

/** Errors: AUTHOR_FILE_INVALID. */
export function listField(object: JsonObject, name: string): readonly unknown[] {
  const value = object[name];
  return Array.isArray(value) ? value : fail('AUTHOR_FILE_INVALID', `${name} is not a list`);
}
