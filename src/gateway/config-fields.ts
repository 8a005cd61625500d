/** Fields of a configuration file, each read into what it must be. Errors of all: GATEWAY_CONFIG. */
import { readFileSync } from 'node:fs';
import { fromHex } from '../bytes.ts';
import { check, fail, FirmamentError } from '../errors.ts';

export interface Listener {
  readonly host: string;
  readonly port: number;
}

const MAX_FILE = 1 << 20;

export type Json = Readonly<Record<string, unknown>>;

export function readBytes(path: string): Uint8Array {
  return shaped(path, () => {
    const bytes = new Uint8Array(readFileSync(path));
    check(bytes.length <= MAX_FILE, 'GATEWAY_CONFIG', `${path} is too large`);
    return bytes;
  });
}

export function readBounded(path: string): string {
  const content = shaped(path, () => readFileSync(path, 'utf8'));
  check(content.length <= MAX_FILE, 'GATEWAY_CONFIG', `${path} is too large`);
  return content;
}

export function parsed(content: string): unknown {
  return shaped('configuration', () => JSON.parse(content) as unknown);
}

export function shaped<T>(what: string, read: () => T): T {
  try {
    return read();
  } catch (cause) {
    if (cause instanceof FirmamentError && cause.code === 'GATEWAY_CONFIG') throw cause;
    return fail(
      'GATEWAY_CONFIG',
      `${what}: ${cause instanceof Error ? cause.message : 'not readable'}`,
      {},
      cause,
    );
  }
}

export function record(value: unknown, what: string): Json {
  check(
    typeof value === 'object' && value !== null && !Array.isArray(value),
    'GATEWAY_CONFIG',
    `"${what}" is no object`,
  );
  return value as Json;
}

export function object(value: unknown, what: string, fields: readonly string[]): Json {
  const json = record(value, what);
  const unknown = Object.keys(json).find((field) => !fields.includes(field));
  check(
    unknown === undefined,
    'GATEWAY_CONFIG',
    `"${what}" has an unknown field "${unknown}"; known: ${fields.join(', ')}`,
  );
  return json;
}

export function list(value: unknown, what: string): readonly unknown[] {
  return Array.isArray(value) && value.length > 0
    ? (value as readonly unknown[])
    : fail('GATEWAY_CONFIG', `"${what}" is a list of at least one`);
}

export function optionalList(value: unknown, what: string): readonly unknown[] {
  return value === undefined ? [] : list(value, what);
}

export function text(value: unknown, what: string): string {
  return typeof value === 'string' && value.length > 0
    ? value
    : fail('GATEWAY_CONFIG', `"${what}" is missing or no text`);
}

export function uuid(value: unknown, what: string): Uint8Array {
  const hex = text(value, what).replaceAll('-', '').toLowerCase();
  check(/^[0-9a-f]{32}$/.test(hex), 'GATEWAY_CONFIG', `"${what}" is a UUID`);
  return fromHex(hex);
}

export function whole(value: unknown, what: string, least: number): number {
  check(
    typeof value === 'number' && Number.isSafeInteger(value) && value >= least,
    'GATEWAY_CONFIG',
    `"${what}" is a whole number of at least ${least}`,
  );
  return value;
}

export function flag(value: unknown, what: string): boolean {
  return typeof value === 'boolean' ? value : fail('GATEWAY_CONFIG', `"${what}" is true or false`);
}

export function choice<const T extends string>(
  value: unknown,
  options: readonly T[],
  what: string,
): T {
  return (
    options.find((option) => option === value) ??
    fail('GATEWAY_CONFIG', `"${what}" is one of ${options.join(', ')}`)
  );
}

export function listener(value: unknown, what: string): Listener {
  const at = object(value, what, ['host', 'port']);
  const port = whole(at['port'], `${what}.port`, 0);
  check(port < 65_536, 'GATEWAY_CONFIG', `"${what}.port" is at most 65535`);
  return { host: text(at['host'], `${what}.host`), port };
}
