/** Strict CBOR: one encoding is accepted, everything else ends in a code (docs/spec/cbor.md). */
import { decode as cbor2Decode } from 'cbor2/decoder';
import { equal } from '../bytes.ts';
import { check, codeOf, fail } from '../errors.ts';
import { encode } from './encode.ts';
import { Tagged, type Cbor } from './value.ts';

export { Tagged, type Cbor } from './value.ts';

export interface DecodeOptions {
  /** Largest accepted input, in bytes. */
  readonly maxBytes: number;
  /** Most containers (arrays, maps, tags) inside each other; 16 unless told. */
  readonly maxDepth?: number;
  /** Map keys in deterministic order; true unless told. */
  readonly sorted?: boolean;
  /** Tags that may occur; none unless told. */
  readonly tags?: readonly number[];
}

// cbor2's registered tag decoders (URL, RegExp, Set, JSON, dates, ...) never run on our input:
// ignoreGlobalTags leaves a tag as a Tag, which only the allow-list turns into a Tagged.
const STRICT = {
  ignoreGlobalTags: true,
  preferMap: true,
  requirePreferred: true,
  rejectFloats: true,
  rejectSimple: true,
  rejectStreaming: true,
  rejectUndefined: true,
} as const;

/**
 * The item that the bytes are. Byte strings are views of the input.
 * Errors: CBOR_TOO_LARGE, CBOR_TOO_DEEP, CBOR_MALFORMED.
 */
export function decode(bytes: Uint8Array, options: DecodeOptions): Cbor {
  const { maxBytes, maxDepth = 16, sorted = true, tags = [] } = options;
  check(bytes.length <= maxBytes, 'CBOR_TOO_LARGE', `more than ${maxBytes} bytes of CBOR`);
  // A Buffer's subarrays would be Buffers.
  const input = new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const value = parse(input, maxDepth, tags);
  // The value's own encoding decides: whatever the library let pass (order, duplicates, a longer
  // form, an item that is no Cbor) is refused because these bytes are not the ones it stands for.
  let again: Uint8Array;
  try {
    again = encode(value, { maxDepth, order: sorted ? 'sorted' : 'kept' });
  } catch (cause) {
    if (codeOf(cause) === 'CBOR_TOO_DEEP') throw cause;
    return fail('CBOR_MALFORMED', 'CBOR of a kind that is not accepted', {}, cause);
  }
  check(equal(input, again), 'CBOR_MALFORMED', 'not the one accepted encoding of its content');
  return value;
}

function parse(input: Uint8Array, maxDepth: number, tags: readonly number[]): Cbor {
  const allowed = new Map(
    tags.map((tag) => [
      tag,
      (item: { contents: unknown }) => new Tagged(tag, item.contents as Cbor),
    ]),
  );
  try {
    // cbor2 counts two for an array and one for a map or tag: this bound only protects the stack,
    // the exact one is the encoder's.
    return cbor2Decode(input, { ...STRICT, maxDepth: 2 * maxDepth + 2, tags: allowed }) as Cbor;
  } catch (cause) {
    if (cause instanceof Error && cause.message.startsWith('Maximum depth'))
      return fail('CBOR_TOO_DEEP', `CBOR nested deeper than ${maxDepth}`, {}, cause);
    return fail('CBOR_MALFORMED', undefined, {}, cause);
  }
}
