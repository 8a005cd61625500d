/**
 * Every error that Firmament raises carries one of these codes: AREA_PROBLEM.
 * The sentence says what the code means to whoever meets it; docs/spec/errors.md is made from
 * these tables and a test compares the two.
 */
import { FORMAT_CODES } from './error-codes/formats.ts';
import { SERVICE_CODES } from './error-codes/services.ts';

export const CODES = { ...FORMAT_CODES, ...SERVICE_CODES } as const;

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
export function check(
  condition: boolean,
  code: Code,
  message?: string,
  details?: Details,
): asserts condition {
  if (!condition) fail(code, message, details);
}

/** The code of a thrown value, or undefined when it is not one of ours. */
export function codeOf(error: unknown): Code | undefined {
  return error instanceof FirmamentError ? error.code : undefined;
}
