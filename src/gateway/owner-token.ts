/** The owner's bearer token: read once, compared without a trace in time, and guessed at slowly. */
import { createHash, timingSafeEqual } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { check, fail } from '../errors.ts';
import { clientAddress, createFailureLimiter, type RateLimit } from '../net/limits.ts';
import { sendProblem, type App, type Request } from '../net/server.ts';

/** Errors: GATEWAY_CONFIG. */
export function readToken(path: string): string {
  let token: string;
  try {
    token = readFileSync(path, 'utf8').trim();
  } catch (cause) {
    return fail('GATEWAY_CONFIG', `${path}: the token can not be read`, {}, cause);
  }
  check(
    token.length >= 16 && token.length <= 512,
    'GATEWAY_CONFIG',
    'the token has 16 to 512 characters',
  );
  return token;
}

/** Wrong tokens that an address may show. */
const FAILURES: RateLimit = { perSecond: 0.2, burst: 10 };

/** No route of the app answers without the token; whoever showed too many wrong ones waits before the next is looked at. */
export function requireToken(app: App, token: string, failures: RateLimit = FAILURES): void {
  const limiter = createFailureLimiter(failures, () => performance.now());
  app.addHook('onRequest', async (request, reply) => {
    const client = clientAddress(request.ip);
    const wait = limiter.barred(client);
    if (wait > 0) return sendProblem(reply.header('retry-after', wait), 429, 'NET_RATE_LIMITED');
    if (isToken(request, token)) return undefined;
    limiter.failed(client);
    return fail('GATEWAY_TOKEN_INVALID');
  });
}

// Compared by hash, so that neither content nor length shows in the time that it takes.
function isToken(request: Request, token: string): boolean {
  const given = /^Bearer (.{1,512})$/.exec(request.headers.authorization ?? '')?.[1] ?? '';
  const hash = (value: string): Uint8Array => createHash('sha256').update(value).digest();
  return timingSafeEqual(hash(given), hash(token));
}
