/**
 * Contract of `POST /v1/peer/engine`: a member's engine answers other members what its light client asks before state sync.
 * JSON-RPC 2.0 as CometBFT speaks it, one call a request (docs/spec/cometbft-engine.md).
 */
import { text } from '../bytes.ts';
import { check, fail } from '../errors.ts';

export const PEER_ENGINE = '/v1/peer/engine';
export const MAX_ENGINE_CALL = 4096;
export const MAX_ENGINE_ANSWER = 4 << 20;

export interface EngineCall {
  readonly id: string | number;
  readonly method: string;
  readonly params: Readonly<Record<string, string>>;
}

/** Errors: API_QUERY_INVALID. */
export function decodeEngineCall(bytes: Uint8Array): EngineCall {
  check(bytes.length <= MAX_ENGINE_CALL, 'API_QUERY_INVALID');
  const { id, method, params } = objectOf(parsed(bytes));
  check(typeof id === 'string' || typeof id === 'number', 'API_QUERY_INVALID', 'a call has an id');
  check(typeof method === 'string', 'API_QUERY_INVALID', 'a call has a method');
  return { id, method, params: textsOf(objectOf(params ?? {})) };
}

export function encodeEngineAnswer(
  id: EngineCall['id'],
  answer: { readonly result: unknown } | { readonly error: string },
): string {
  const body = 'error' in answer ? { error: { code: -1, message: answer.error } } : answer;
  return JSON.stringify({ jsonrpc: '2.0', id, ...body });
}

function parsed(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(text(bytes));
  } catch (cause) {
    return fail('API_QUERY_INVALID', 'a call is JSON', {}, cause);
  }
}

function objectOf(value: unknown): Readonly<Record<string, unknown>> {
  check(
    typeof value === 'object' && value !== null && !Array.isArray(value),
    'API_QUERY_INVALID',
    'a call, and its parameters, are objects',
  );
  return value as Readonly<Record<string, unknown>>;
}

// A height that is left out is null.
function textsOf(params: Readonly<Record<string, unknown>>): Readonly<Record<string, string>> {
  const given = Object.entries(params).filter(([, value]) => value !== null);
  for (const [, value] of given)
    check(['string', 'number', 'boolean'].includes(typeof value), 'API_QUERY_INVALID');
  return Object.fromEntries(given.map(([name, value]) => [name, String(value)]));
}
