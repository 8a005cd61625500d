/** Which HTTP status a refusal's code travels under. */
import type { Code } from '../errors.ts';

const STATUS: Partial<Record<Code, number>> = {
  AUTHOR_APPROVAL_REQUIRED: 403,
  AUTHOR_EXISTS: 409,
  ANCHOR_EXISTS: 409,
  LINE_EXISTS: 409,
  LINE_FOREIGN: 403,
  LINE_LIMIT: 403,
  LINE_VENDOR_UNPROVEN: 403,
  RELEASE_EXISTS: 409,
  RELEASE_SEQUENCE: 409,
  RELEASE_LOWEST: 409,
  RELEASE_WITHDRAWN: 410,
  STATEMENT_COUNTER: 409,
  STATEMENT_SIGNER_UNKNOWN: 403,
  AUTHOR_UNKNOWN: 404,
  LINE_UNKNOWN: 404,
  RELEASE_UNKNOWN: 404,
  ANCHOR_UNKNOWN: 404,
  NODE_PEER_UNKNOWN: 403,
  NODE_ROLE: 404,
  NODE_NO_QUORUM: 503,
  NODE_HALTED: 503,
  NODE_ORDERER_UNREACHABLE: 503,
  NODE_IMAGE_INCOMPLETE: 503,
  LEDGER_BUSY: 503,
  LEDGER_CLOSED: 503,
  LEDGER_HALTED: 503,
};

// What a caller sent, judged by its form or by the ledger's rules.
const CALLERS_FAULT =
  /^(API|BYTES|CBOR|COSE|CRYPTO|SUIT|STATEMENT|AUTHOR|LINE|RELEASE|ATTACHMENT|ANCHOR|HOLD|LOG|STORE)_/;

/** Undefined for what is not the caller's business. */
export function httpStatus(code: Code): number | undefined {
  return STATUS[code] ?? (CALLERS_FAULT.test(code) ? 400 : undefined);
}
