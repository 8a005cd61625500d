/** Contract of `GET /v1/policies`: the policy.change statements from a version on (T08). */
import { decode } from '../cbor/decode.ts';
import { encode } from '../cbor/encode.ts';
import { asArray, asBytes } from '../cbor/read.ts';
import { check } from '../errors.ts';
import { MAX_STATEMENT } from '../registry/statement.ts';
import { MAX_POLICIES } from '../trust/root-chain.ts';

export const POLICIES = '/v1/policies';
/** Of one answer's statements together; the first is given whatever its size. */
export const MAX_POLICIES_BYTES = 1 << 20;
export const MAX_POLICIES_ANSWER = MAX_POLICIES_BYTES + MAX_STATEMENT;

export function policiesPath(from: number): string {
  return `${POLICIES}?from=${from}`;
}

export function encodePolicies(statements: readonly Uint8Array[]): Uint8Array {
  return encode([...statements]);
}

/** Errors: CBOR_*. */
export function decodePolicies(bytes: Uint8Array): readonly Uint8Array[] {
  const list = asArray(decode(bytes, { maxBytes: MAX_POLICIES_ANSWER }), 'policies');
  check(list.length <= MAX_POLICIES, 'CBOR_TYPE', 'too many policies');
  return list.map((statement) => asBytes(statement, 'statement', { max: MAX_STATEMENT }));
}
