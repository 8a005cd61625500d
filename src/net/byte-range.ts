/** RFC 9110 section 14: which bytes of a representation a request asks for. */

export interface ByteRange {
  readonly start: number;
  /** Exclusive. */
  readonly end: number;
}

interface RangeHeaders {
  readonly range?: string | undefined;
  readonly 'if-range'?: string | string[] | undefined;
}

/**
 * The one range of a `Range` header over `size` bytes. Undefined: the whole, as for anything that is not one range of
 * bytes, or whose `If-Range` is another than `etag`.
 */
export function byteRange(
  headers: RangeHeaders,
  size: number,
  etag: string,
): ByteRange | 'unsatisfiable' | undefined {
  const { range, 'if-range': condition } = headers;
  if (range === undefined || (condition !== undefined && condition !== etag)) return undefined;
  const match = /^bytes=(\d{0,15})-(\d{0,15})$/.exec(range);
  if (!match || (match[1] === '' && match[2] === '')) return undefined;
  const [, first = '', last = ''] = match;
  const start = first === '' ? Math.max(0, size - Number(last)) : Number(first);
  const end = first === '' || last === '' ? size : Math.min(size, Number(last) + 1);
  return start < end ? { start, end } : 'unsatisfiable';
}
