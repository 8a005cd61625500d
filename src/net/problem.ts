/** RFC 9457 problem details: how an error travels. See docs/spec/net.md. */
import { STATUS_CODES } from 'node:http';
import { CODES, FirmamentError } from '../errors.ts';
import type { Code } from '../errors.ts';

export const PROBLEM_TYPE = 'application/problem+json';
/** No problem document that we read is longer. */
export const PROBLEM_MAX_BYTES = 16_384;
const DETAIL_MAX_CHARACTERS = 1024;

/** The JSON text of a problem. `detail` is for people; machines read `code`. */
export function formatProblem(status: number, code: Code, detail: string = CODES[code]): string {
  return JSON.stringify({
    type: 'about:blank',
    title: STATUS_CODES[status] ?? 'Error',
    status,
    code,
    detail: detail.slice(0, DETAIL_MAX_CHARACTERS),
  });
}

/**
 * The error that a refused answer stands for: the remote's code when it is one of ours, else
 * NET_REMOTE_REFUSED; `status` is in the details. Never throws: what the remote wrote is hostile input.
 */
export function problemError(
  status: number,
  contentType: string,
  body: Uint8Array,
): FirmamentError {
  const { code, detail } = readProblem(contentType, body);
  const known = code !== undefined && Object.hasOwn(CODES, code);
  return new FirmamentError(
    known ? (code as Code) : 'NET_REMOTE_REFUSED',
    detail ?? `the server answered ${status}`,
    { status, remote: true },
  );
}

function readProblem(
  contentType: string,
  body: Uint8Array,
): { readonly code?: string; readonly detail?: string } {
  if (!contentType.startsWith(PROBLEM_TYPE) || body.length > PROBLEM_MAX_BYTES) return {};
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body));
  } catch {
    return {};
  }
  if (typeof value !== 'object' || value === null) return {};
  const { code, detail } = value as { readonly code?: unknown; readonly detail?: unknown };
  return {
    ...(typeof code === 'string' && { code }),
    ...(typeof detail === 'string' && { detail: printable(detail) }),
  };
}

/** Control characters would let a remote write into a terminal. */
function printable(text: string): string {
  return text.slice(0, DETAIL_MAX_CHARACTERS).replace(/\p{C}/gu, '?');
}
