/** Vendor and class ids from names, as SUIT makes them: UUIDs of version 5 (RFC 9562 section 5.5). */
import { createHash } from 'node:crypto';
import { concat, fromHex, utf8 } from '../bytes.ts';

const DNS_NAMESPACE = fromHex('6ba7b8109dad11d180b400c04fd430c8');
const UUID = /^[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}$/i;

/** 16 bytes. SHA-1 here names things and protects nothing. */
export function uuid5(namespace: Uint8Array, name: string): Uint8Array {
  const hash = createHash('sha1')
    .update(concat(namespace, utf8(name)))
    .digest();
  const uuid = new Uint8Array(hash.subarray(0, 16));
  uuid[6] = ((uuid[6] as number) & 0x0f) | 0x50;
  uuid[8] = ((uuid[8] as number) & 0x3f) | 0x80;
  return uuid;
}

/** Of a vendor's domain, or of a UUID's text as it is. */
export function vendorIdOf(text: string): Uint8Array {
  return uuidBytes(text) ?? uuid5(DNS_NAMESPACE, text.toLowerCase());
}

/** Of a class's name under its vendor, or of a UUID's text as it is. */
export function classIdOf(vendorId: Uint8Array, text: string): Uint8Array {
  return uuidBytes(text) ?? uuid5(vendorId, text);
}

/** 16 bytes of a UUID's text, with or without dashes; undefined for any other text. */
export function uuidBytes(text: string): Uint8Array | undefined {
  return UUID.test(text) ? fromHex(text.replaceAll('-', '')) : undefined;
}
