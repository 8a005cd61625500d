/** Contract of `GET /v1/changes`: which lines changed with which head, as server-sent events (docs/spec/transactions.md). */
import { check, codeOf, fail } from '../errors.ts';
import { concat, text } from '../bytes.ts';
import { lineText, parseLineText } from '../registry/line.ts';

export const CHANGES = '/v1/changes';
export const CHANGES_MEDIA = 'text/event-stream';
export const HEARTBEAT = ':\n\n';
/** Milliseconds between two signs of life at most. */
export const HEARTBEAT_MS = 10_000;
/** More of them are told as "any line". */
export const MAX_CHANGED_LINES = 64;
const MAX_EVENT = 32_768;
const MAX_SIZE = /^\d{1,15}$/;

/** A hint and nothing more: what it names is asked for, and proven. */
export interface Change {
  /** Of the newest head that k operators cosigned. */
  readonly size: number;
  /** Texts of lines; null: any may have changed. */
  readonly lines: readonly string[] | null;
}

/** One event, with its empty line. */
export function encodeChange({ size, lines }: Change): string {
  return `id: ${size}\ndata: ${JSON.stringify({ size, lines })}\n\n`;
}

/** The header `Last-Event-ID`. Errors: API_QUERY_INVALID. */
export function decodeLastSize(header: string | readonly string[] | undefined): number | undefined {
  if (header === undefined) return undefined;
  check(typeof header === 'string' && MAX_SIZE.test(header), 'API_QUERY_INVALID');
  return Number(header);
}

/** Reads a stream piece by piece: each call answers with the events that are whole now. Errors: API_STREAM_MALFORMED. */
export function changeReader(): (part: Uint8Array) => readonly Change[] {
  let kept: Uint8Array = new Uint8Array(0);
  return (part) => {
    kept = kept.length === 0 ? part.slice() : concat(kept, part);
    const changes: Change[] = [];
    let from = 0;
    for (let at = kept.indexOf(10); at !== -1; at = kept.indexOf(10, at + 1)) {
      if (kept[at + 1] !== 10) continue;
      const change = decodeEvent(kept.subarray(from, at));
      if (change) changes.push(change);
      from = at + 2;
      at += 1;
    }
    kept = kept.slice(from);
    check(kept.length <= MAX_EVENT, 'API_STREAM_MALFORMED', 'an event without end');
    return changes;
  };
}

/** Undefined for a heartbeat. */
function decodeEvent(event: Uint8Array): Change | undefined {
  check(event.length <= MAX_EVENT, 'API_STREAM_MALFORMED', 'a large event');
  try {
    const data = text(event)
      .split('\n')
      .filter((line) => line.startsWith('data:'))
      .map((line) => line.slice(5).trimStart());
    return data.length === 0 ? undefined : decodeChange(JSON.parse(data.join('\n')));
  } catch (cause) {
    if (!codeOf(cause) && !(cause instanceof SyntaxError)) throw cause;
    return fail('API_STREAM_MALFORMED', undefined, {}, cause);
  }
}

function decodeChange(value: unknown): Change {
  const { size, lines } = (value ?? {}) as { readonly size?: unknown; readonly lines?: unknown };
  check(Number.isSafeInteger(size) && (size as number) >= 0, 'API_STREAM_MALFORMED', 'size');
  if (lines === null) return { size: size as number, lines };
  check(Array.isArray(lines) && lines.length <= MAX_CHANGED_LINES, 'API_STREAM_MALFORMED', 'lines');
  const texts = lines.map((line: unknown) => {
    check(typeof line === 'string' && line.length <= 256, 'API_STREAM_MALFORMED', 'a line');
    return lineText(parseLineText(line));
  });
  return { size: size as number, lines: texts };
}
