/** What a node does for whoever holds its own TLS key: the operator's commands on the same machine. */
import { decode } from '../cbor/decode.ts';
import { encode } from '../cbor/encode.ts';
import { asArray, asText, asUint } from '../cbor/read.ts';

export const OWN_BACKUP = '/v1/own/backup';

/** The ledger as a backup has it. */
export interface BackedUp {
  readonly height: number;
  readonly size: number;
}

/** `directory`: absolute, on the node's machine. */
export function encodeBackupRequest(directory: string): Uint8Array {
  return encode([directory]);
}

/** Errors: CBOR_*. */
export function decodeBackupRequest(bytes: Uint8Array): string {
  const [directory] = asArray(decode(bytes, { maxBytes: 8192 }), 'backup', 1);
  return asText(directory ?? null, 'directory', 4096);
}

export function encodeBackedUp({ height, size }: BackedUp): Uint8Array {
  return encode([height, size]);
}

/** Errors: CBOR_*. */
export function decodeBackedUp(bytes: Uint8Array): BackedUp {
  const [height, size] = asArray(decode(bytes, { maxBytes: 64 }), 'backed up', 2);
  return { height: asUint(height ?? null, 'height'), size: asUint(size ?? null, 'size') };
}
