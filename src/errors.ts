/**
 * Every error that Firmament raises carries one of these codes: AREA_PROBLEM.
 * The sentence says what the code means to whoever meets it; docs/spec/errors.md is made from
 * this table and a test compares the two.
 */
export const CODES = {
  // bytes
  BYTES_MALFORMED: 'text is not the hex, base64 or UTF-8 that it should be',
  // cbor
  CBOR_MALFORMED: 'the bytes are not well-formed CBOR, or not in the one encoding that is accepted',
  CBOR_TOO_DEEP: 'CBOR nested deeper than the bound',
  CBOR_TOO_LARGE: 'more CBOR bytes than the bound',
  CBOR_TYPE: 'a CBOR item has another type than the format asks for',
  // crypto
  CRYPTO_KEY_INVALID: 'a key is not valid for its algorithm',
  CRYPTO_AUTHENTICATION_FAILED: 'an authenticated ciphertext does not open with this key',
  // cose
  COSE_MALFORMED: 'not a COSE message of the shape that is accepted',
  COSE_ALGORITHM_UNSUPPORTED: 'the COSE algorithm is not one of those accepted',
  COSE_HEADER_INVALID: 'a COSE header parameter is missing, unknown and critical, or in the wrong bucket',
  COSE_KEY_INVALID: 'not a COSE_Key of a supported kind, or its values are not valid',
  COSE_SIGNATURE_INVALID: 'the signature does not verify with this key',
} as const satisfies Record<string, string>;

export type Code = keyof typeof CODES;

export type Details = Readonly<Record<string, string | number | bigint | boolean | undefined>>;

/** The one error type: a stable code for machines, a sentence for people, details for both. */
export class FirmamentError extends Error {
  override readonly name = 'FirmamentError';
  readonly code: Code;
  readonly details: Details;

  constructor(code: Code, message?: string, details: Details = {}, options?: ErrorOptions) {
    super(message ?? CODES[code], options);
    this.code = code;
    this.details = details;
  }
}

/** Throws a coded error; an expression, so that it can stand after `??`. */
export function fail(code: Code, message?: string, details?: Details, cause?: unknown): never {
  throw new FirmamentError(code, message, details, cause === undefined ? undefined : { cause });
}

/** Throws a coded error unless the condition holds. */
export function check(condition: boolean, code: Code, message?: string, details?: Details): asserts condition {
  if (!condition) fail(code, message, details);
}

/** The code of a thrown value, or undefined when it is not one of ours. */
export function codeOf(error: unknown): Code | undefined {
  return error instanceof FirmamentError ? error.code : undefined;
}
