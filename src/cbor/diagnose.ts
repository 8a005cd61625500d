/** CBOR diagnostic notation (RFC 8949 section 8) of any bytes, for people: strict or not. */
import { diagnose as cbor2Diagnose } from 'cbor2/diagnostic';
import { check, fail } from '../errors.ts';

export interface DiagnoseOptions {
  readonly maxBytes: number;
  readonly maxDepth?: number;
  /** One item a line, indented. */
  readonly pretty?: boolean;
}

/**
 * The item in diagnostic notation, on one line unless `pretty`. Shows what `decode` refuses (floats,
 * other tags, longer forms as `_0` to `_3`), runs none of it, and escapes every character that a
 * terminal would obey or hide. Errors: CBOR_TOO_LARGE, CBOR_MALFORMED (also: too deep).
 */
export function diagnose(bytes: Uint8Array, options: DiagnoseOptions): string {
  const { maxBytes, maxDepth = 32, pretty = false } = options;
  check(bytes.length <= maxBytes, 'CBOR_TOO_LARGE', `more than ${maxBytes} bytes of CBOR`);
  let notation: string;
  try {
    notation = cbor2Diagnose(bytes, { maxDepth, pretty });
  } catch (cause) {
    return fail('CBOR_MALFORMED', 'not well-formed CBOR, or nested too deep', {}, cause);
  }
  return notation.replaceAll(HIDDEN, escaped);
}

// Control, format (bidirectional overrides, tags), separators; \n comes from `pretty` only, since
// text in quotes has it escaped already.
const HIDDEN = /[^\P{C}\n]|[\p{Zl}\p{Zp}]/gu;

function escaped(character: string): string {
  return character
    .split('')
    .map((unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
    .join('');
}
