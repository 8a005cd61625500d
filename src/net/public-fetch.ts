/**
 * Fetches from URLs that somebody else wrote (T30): https only, and only from public addresses unless the owner said
 * otherwise. The address that was checked is the one that is connected to, on every redirect anew.
 */
import { lookup } from 'node:dns/promises';
import { request, type RequestOptions } from 'node:https';
import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import { BlockList, isIP } from 'node:net';
import { check, fail, FirmamentError } from '../errors.ts';

export interface PublicClientOptions {
  /** Private, link-local and other special addresses may be connected to. */
  readonly allowPrivate: boolean;
  /** Certificate authorities (PEM) instead of the system's. */
  readonly ca?: string;
  /** Every address of a name; the system's resolver unless said otherwise. */
  readonly resolve?: (host: string) => Promise<readonly string[]>;
  /** `isPublicAddress` unless a test says otherwise. */
  readonly isPublic?: (address: string) => boolean;
  /** Milliseconds until the headers of an answer are there. */
  readonly answer?: number;
}

export interface PublicStream extends AsyncDisposable {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  /** At most `maxBytes`; more is NET_TOO_LARGE. */
  readonly body: AsyncIterable<Uint8Array>;
}

export interface PublicClient {
  /**
   * Errors: NET_REQUEST_INVALID (not https), NET_ADDRESS_PRIVATE, NET_REMOTE_REFUSED, NET_TOO_LARGE, NET_UNREACHABLE,
   * NET_TIMEOUT.
   */
  stream(request: {
    readonly method: 'GET';
    readonly url: string;
    readonly headers: Readonly<Record<string, string>>;
    readonly maxBytes: number;
    readonly signal: AbortSignal;
  }): Promise<PublicStream>;
}

const MAX_REDIRECTS = 5;
const ANSWER_MS = 15_000;

// IANA special-purpose registries; of IPv6 only 2000::/3 is looked at, all else is not public.
const SPECIAL_V4: readonly (readonly [string, number])[] = [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.0.2.0', 24],
  ['192.88.99.0', 24],
  ['192.168.0.0', 16],
  ['198.18.0.0', 15],
  ['198.51.100.0', 24],
  ['203.0.113.0', 24],
  ['224.0.0.0', 3],
];
// Teredo, ORCHID, 6to4 and documentation: each can hide an IPv4 address, or none at all.
const SPECIAL_V6: readonly (readonly [string, number])[] = [
  ['2001::', 23],
  ['2001:db8::', 32],
  ['2002::', 16],
  ['3fff::', 20],
];
const special = new BlockList();
for (const [address, bits] of SPECIAL_V4) special.addSubnet(address, bits, 'ipv4');
for (const [address, bits] of SPECIAL_V6) special.addSubnet(address, bits, 'ipv6');
const unicast = new BlockList();
unicast.addSubnet('2000::', 3, 'ipv6');

/** Whether an IP address is one of the public Internet. */
export function isPublicAddress(address: string): boolean {
  const family = isIP(address);
  if (family === 4) return !special.check(address, 'ipv4');
  // An IPv4 address in IPv6 clothes (::ffff:127.0.0.1) lies outside of 2000::/3, and a zone is never public.
  return (
    family === 6 &&
    !address.includes('%') &&
    unicast.check(address, 'ipv6') &&
    !special.check(address, 'ipv6')
  );
}

export function createPublicClient(options: PublicClientOptions): PublicClient {
  return {
    async stream({ url, headers, maxBytes, signal }) {
      let at = parsed(url);
      for (let redirects = 0; ; redirects++) {
        const response = await get(at, headers, signal, options);
        const status = response.statusCode ?? 0;
        const { location } = response.headers;
        if (status >= 300 && status < 400 && status !== 304 && location !== undefined) {
          response.destroy();
          check(redirects < MAX_REDIRECTS, 'NET_REMOTE_REFUSED', 'too many redirects');
          at = parsed(location, at);
          continue;
        }
        if (status !== 200 && status !== 206) {
          response.destroy();
          fail('NET_REMOTE_REFUSED', undefined, { status, origin: at.origin });
        }
        return {
          status,
          headers: response.headers,
          body: bounded(response, maxBytes),
          [Symbol.asyncDispose]: async () => void response.destroy(),
        };
      }
    },
  };
}

function parsed(text: string, base?: URL): URL {
  const url = URL.parse(text, base);
  if (url?.protocol !== 'https:' || url.username !== '' || url.password !== '')
    return fail('NET_REQUEST_INVALID', 'not an https URL without user and password');
  return url;
}

async function get(
  url: URL,
  headers: Readonly<Record<string, string>>,
  signal: AbortSignal,
  { allowPrivate, ca, resolve = addressesOf, ...options }: PublicClientOptions,
): Promise<IncomingMessage> {
  const host = url.hostname.replace(/^\[|\]$/g, '');
  const { answer = ANSWER_MS, isPublic = isPublicAddress } = options;
  const late = AbortSignal.timeout(answer);
  const addresses = isIP(host) ? [host] : await until(late, resolve(host));
  const [address] = addresses;
  check(address !== undefined, 'NET_UNREACHABLE', undefined, { host });
  // One private address among them is a name that its owner may turn at any time.
  check(allowPrivate || addresses.every(isPublic), 'NET_ADDRESS_PRIVATE', undefined, {
    host,
  });
  const settings: RequestOptions = {
    method: 'GET',
    // The checked address; the name is for the certificate and the server only.
    host: address,
    port: url.port === '' ? 443 : Number(url.port),
    path: url.pathname + url.search,
    headers: { ...headers, host: url.host, 'accept-encoding': 'identity' },
    agent: false,
    minVersion: 'TLSv1.2',
    rejectUnauthorized: true,
    ...(isIP(host) === 0 && { servername: host }),
    ...(ca !== undefined && { ca }),
    signal,
  };
  const { promise, resolve: answered, reject } = Promise.withResolvers<IncomingMessage>();
  const sent = request(settings, answered).on('error', reject);
  sent.end();
  try {
    const response = await until(late, promise);
    response.on('error', () => undefined);
    return response;
  } catch (cause) {
    sent.destroy();
    if (cause instanceof FirmamentError) throw cause;
    const { code } = cause as { readonly code?: unknown };
    return fail(
      'NET_UNREACHABLE',
      undefined,
      { origin: url.origin, reason: typeof code === 'string' ? code : undefined },
      cause,
    );
  }
}

async function addressesOf(host: string): Promise<readonly string[]> {
  try {
    const found = await lookup(host, { all: true });
    return found.map(({ address }) => address);
  } catch (cause) {
    return fail('NET_UNREACHABLE', undefined, { host }, cause);
  }
}

async function until<T>(late: AbortSignal, work: Promise<T>): Promise<T> {
  const ended = Promise.withResolvers<never>();
  const onAbort = (): void => ended.reject(new FirmamentError('NET_TIMEOUT'));
  late.addEventListener('abort', onAbort);
  work.catch(() => undefined);
  try {
    return await Promise.race([work, ended.promise]);
  } finally {
    late.removeEventListener('abort', onAbort);
  }
}

async function* bounded(
  response: IncomingMessage,
  maxBytes: number,
): AsyncGenerator<Uint8Array, void, undefined> {
  const announced = Number(response.headers['content-length'] ?? 0);
  check(!(announced > maxBytes), 'NET_TOO_LARGE', undefined, { announced, maxBytes });
  let received = 0;
  for await (const part of response as AsyncIterable<Uint8Array>) {
    received += part.length;
    check(received <= maxBytes, 'NET_TOO_LARGE', undefined, { maxBytes });
    yield part;
  }
}
