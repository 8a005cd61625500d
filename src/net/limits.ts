/** Token buckets, one per client. */

export interface RateLimit {
  /** Requests that a client may make per second in the long run. */
  readonly perSecond: number;
  /** Requests that it may make at once. */
  readonly burst: number;
  /** Buckets kept at most; the one unused longest goes first. 10,000 unless said otherwise. */
  readonly maxClients?: number;
}

export interface RateLimiter {
  /** Takes one request's token. Answers 0, or after how many whole seconds the client may try again. */
  take(client: string): number;
}

/** `now` is in milliseconds, monotonic. */
export function createRateLimiter(limit: RateLimit, now: () => number): RateLimiter {
  const maxClients = limit.maxClients ?? 10_000;
  const buckets = new Map<string, { tokens: number; at: number }>();
  return {
    take(client) {
      const at = now();
      const bucket = buckets.get(client) ?? { tokens: limit.burst, at };
      bucket.tokens = Math.min(
        limit.burst,
        bucket.tokens + ((at - bucket.at) / 1000) * limit.perSecond,
      );
      bucket.at = at;
      // a Map keeps the order of insertion: the first key is the one unused longest
      buckets.delete(client);
      buckets.set(client, bucket);
      if (buckets.size > maxClients) buckets.delete(buckets.keys().next().value as string);
      if (bucket.tokens < 1) return Math.max(1, Math.ceil((1 - bucket.tokens) / limit.perSecond));
      bucket.tokens -= 1;
      return 0;
    },
  };
}

/** Counts refusals, not good requests: whoever earned too many is answered nothing for a while. */
export interface FailureLimiter {
  /** 0, or for how many whole seconds the client is not looked at. */
  barred(client: string): number;
  failed(client: string): void;
}

const MAX_BARRED = 10_000;

/** `now` is in milliseconds, monotonic. */
export function createFailureLimiter(limit: RateLimit, now: () => number): FailureLimiter {
  const failures = createRateLimiter(limit, now);
  const until = new Map<string, number>();
  return {
    barred(client) {
      const left = (until.get(client) ?? 0) - now();
      if (left > 0) return Math.ceil(left / 1000);
      until.delete(client);
      return 0;
    },
    failed(client) {
      const wait = failures.take(client);
      if (wait === 0) return;
      if (until.size >= MAX_BARRED) until.clear();
      until.set(client, now() + wait * 1000);
    },
  };
}

/**
 * The address under which a client is counted: an IPv4 address, or the /64 of an IPv6 address, which is
 * what one subscriber commonly has.
 */
export function clientAddress(address: string): string {
  if (address.startsWith('::ffff:') && address.includes('.')) return address.slice(7);
  if (!address.includes(':')) return address;
  const [head = '', tail] = address.split('::');
  const groups = head === '' ? [] : head.split(':');
  if (tail !== undefined) {
    const last = tail === '' ? [] : tail.split(':');
    while (groups.length + last.length < 8) groups.push('0');
    groups.push(...last);
  }
  return `${groups.slice(0, 4).join(':')}::/64`;
}
