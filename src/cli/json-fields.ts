/** JSON files that operators hand each other, read field by field. */
import { readFileSync } from 'node:fs';
import { fromHex } from '../bytes.ts';
import { check, codeOf, fail } from '../errors.ts';

export type Json = Readonly<Record<string, unknown>>;

const MAX_FILE = 4 << 20;

/** Errors: NODE_CONFIG. */
export function readJson(path: string): Json {
  const text = readFileSync(path, 'utf8');
  check(text.length <= MAX_FILE, 'NODE_CONFIG', `${path} is too large`);
  try {
    return objectOf(JSON.parse(text), path);
  } catch (cause) {
    if (codeOf(cause)) throw cause;
    return fail('NODE_CONFIG', `${path} is not JSON`, {}, cause);
  }
}

export function objectOf(value: unknown, what: string): Json {
  check(
    typeof value === 'object' && value !== null && !Array.isArray(value),
    'NODE_CONFIG',
    `${what} is no object`,
  );
  return value as Json;
}

export function textOf(json: Json, field: string): string {
  const value = json[field];
  return typeof value === 'string'
    ? value
    : fail('NODE_CONFIG', `"${field}" is missing or no text`);
}

export function bytesOf(json: Json, field: string): Uint8Array {
  try {
    return fromHex(textOf(json, field));
  } catch (cause) {
    return fail('NODE_CONFIG', `"${field}" is not hex`, {}, cause);
  }
}

export function wholeOf(json: Json, field: string): number {
  const value = json[field];
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0
    ? value
    : fail('NODE_CONFIG', `"${field}" is no whole number`);
}
