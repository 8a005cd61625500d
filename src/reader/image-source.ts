/** An image source over HTTP: `GET` with a Range (transaction #8). */
import { check, fail } from '../errors.ts';
import type { ImageSource } from './download.ts';

/** What it needs of a client; the one of `net/client.ts` fits. */
export interface RangeClient {
  stream(request: {
    readonly method: 'GET';
    readonly url: string;
    readonly headers: Readonly<Record<string, string>>;
    readonly maxBytes: number;
    readonly signal: AbortSignal;
  }): Promise<
    AsyncDisposable & {
      readonly status: number;
      readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
      readonly body: AsyncIterable<Uint8Array>;
    }
  >;
}

/** Its `read` throws DEVICE_SOURCE_INVALID when the answer is not the part that was asked for. */
export function httpImageSource(options: {
  readonly name: string;
  readonly url: string;
  readonly client: RangeClient;
  readonly headers?: Readonly<Record<string, string>>;
}): ImageSource {
  const { name, url, client, headers = {} } = options;
  return {
    name,
    async *read(offset, length, signal) {
      if (length === 0) return;
      const last = offset + length - 1;
      await using answer = await client.stream({
        method: 'GET',
        url,
        headers: { ...headers, range: `bytes=${offset}-${last}` },
        maxBytes: length,
        signal,
      });
      // RFC 9110 15.3.7: a server may ignore the Range; that helps only when nothing is there yet.
      if (answer.status === 206) {
        const range = answer.headers['content-range'];
        const fits = typeof range === 'string' && range.startsWith(`bytes ${offset}-${last}/`);
        check(fits, 'DEVICE_SOURCE_INVALID', 'another part than asked for');
      } else if (answer.status !== 200 || offset !== 0) {
        fail('DEVICE_SOURCE_INVALID', 'not the part of the image that was asked for', {
          status: answer.status,
        });
      }
      yield* answer.body;
    },
  };
}
