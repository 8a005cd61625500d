/** A group of statements that are ordered together: what is registered, and one transaction of the consortium engine. */
import { decode } from '../cbor/decode.ts';
import { encode } from '../cbor/encode.ts';
import { asArray, asBytes } from '../cbor/read.ts';
import type { Cbor } from '../cbor/value.ts';
import { check } from '../errors.ts';
import { MAX_ATTACHMENT, MAX_STATEMENT } from './statement.ts';

/** A statement's bytes and its attachment, as they stand in a block. */
export interface RawTransaction {
  readonly statement: Uint8Array;
  readonly attachment: Uint8Array | null;
}

/** Bytes of an encoded group. */
export const MAX_GROUP = 2 << 20;
export const MAX_STATEMENTS = 16;

/** The one encoding of a group. */
export function encodeGroup(group: readonly RawTransaction[]): Uint8Array {
  return encode(group.map(({ statement, attachment }) => [statement, attachment]));
}

/** Errors: CBOR_*, API_GROUP_SIZE. */
export function decodeGroup(bytes: Uint8Array): readonly RawTransaction[] {
  const rows = asArray(decode(bytes, { maxBytes: MAX_GROUP }), 'registration');
  check(rows.length >= 1 && rows.length <= MAX_STATEMENTS, 'API_GROUP_SIZE');
  return rows.map(rawTransaction);
}

/** Errors: CBOR_TYPE. */
export function rawTransaction(value: Cbor): RawTransaction {
  const [statement = null, attachment = null] = asArray(value, 'transaction', 2);
  return {
    statement: asBytes(statement, 'statement', { max: MAX_STATEMENT }),
    attachment:
      attachment === null ? null : asBytes(attachment, 'attachment', { max: MAX_ATTACHMENT }),
  };
}
