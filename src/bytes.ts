/** Byte strings: concatenation, comparison, text forms. Pure; no Buffer. */
import { fail } from './errors.ts';

export function concat(...parts: readonly Uint8Array[]): Uint8Array {
  let length = 0;
  for (const part of parts) length += part.length;
  const joined = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    joined.set(part, at);
    at += part.length;
  }
  return joined;
}

/** Lexicographic order, shorter first when one is a prefix of the other. */
export function compare(a: Uint8Array, b: Uint8Array): number {
  const shared = Math.min(a.length, b.length);
  for (let i = 0; i < shared; i++) {
    const difference = (a[i] as number) - (b[i] as number);
    if (difference !== 0) return difference;
  }
  return a.length - b.length;
}

export function equal(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && compare(a, b) === 0;
}

const encoder = new TextEncoder();
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

export function utf8(text: string): Uint8Array {
  return encoder.encode(text);
}

/** Text of UTF-8 bytes. Errors: BYTES_MALFORMED. */
export function text(bytes: Uint8Array): string {
  try {
    return decoder.decode(bytes);
  } catch (cause) {
    return fail('BYTES_MALFORMED', 'not valid UTF-8', {}, cause);
  }
}

export function hex(bytes: Uint8Array): string {
  return bytes.toHex();
}

/** Bytes of lowercase or uppercase hex, `length` bytes if it is given. Errors: BYTES_MALFORMED. */
export function fromHex(value: string, length?: number): Uint8Array {
  let bytes: Uint8Array;
  try {
    bytes = Uint8Array.fromHex(value);
  } catch (cause) {
    return fail('BYTES_MALFORMED', 'not hexadecimal', {}, cause);
  }
  if (length !== undefined && bytes.length !== length)
    fail('BYTES_MALFORMED', `expected ${length} bytes in hex, got ${bytes.length}`);
  return bytes;
}

export function base64(bytes: Uint8Array): string {
  return bytes.toBase64();
}

/** Bytes of padded standard base64. Errors: BYTES_MALFORMED. */
export function fromBase64(value: string): Uint8Array {
  try {
    return Uint8Array.fromBase64(value, { lastChunkHandling: 'strict' });
  } catch (cause) {
    return fail('BYTES_MALFORMED', 'not base64', {}, cause);
  }
}

/** Eight bytes, big-endian. */
export function u64(value: bigint): Uint8Array {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, value);
  return bytes;
}

/** The big-endian number in the first eight bytes. */
export function readU64(bytes: Uint8Array): bigint {
  return new DataView(bytes.buffer, bytes.byteOffset, 8).getBigUint64(0);
}
