/** `POST /v1/challenges?line=TEXT&links=N` for devices (docs/spec/challenge.md): a gateway answers in the place of all nodes. */
import { CHALLENGES, encodeChallengeReply, type ChallengeReply } from '../api/challenge.ts';
import { check, fail } from '../errors.ts';
import { CHALLENGE_HASH_BYTES } from '../log/challenge.ts';
import { clientAddress, createRateLimiter, type RateLimit } from '../net/limits.ts';
import { sendProblem, type App } from '../net/server.ts';
import { parseLineText } from '../registry/line.ts';
import type { ChallengeAbout } from '../reader/nodes.ts';

export interface ChallengeRouteParts {
  /** Carries a challenge to the nodes of the line's network; undefined for a line that is not followed. */
  readonly relay: (hash: Uint8Array, about: ChallengeAbout) => Promise<ChallengeReply> | undefined;
  /** Of one address. */
  readonly rate?: RateLimit;
}

const RATE: RateLimit = { perSecond: 1, burst: 32 };
// Each asks every operator: a house full of devices without the time may not become a flood.
const MAX_UNDER_WAY = 8;
const RETRY_AFTER = 2;

export function challengeRoute(app: App, { relay, rate = RATE }: ChallengeRouteParts): void {
  const limiter = createRateLimiter(rate, () => performance.now());
  let underWay = 0;
  app.post<{ Querystring: { line?: string; links?: string } }>(
    CHALLENGES,
    { bodyLimit: CHALLENGE_HASH_BYTES },
    async (request, reply) => {
      const { line, links = '0' } = request.query;
      check(typeof line === 'string' && /^\d{1,4}$/.test(links), 'API_QUERY_INVALID');
      const hash = request.body;
      const right = hash instanceof Uint8Array && hash.length === CHALLENGE_HASH_BYTES;
      check(right, 'LOG_CHALLENGE_MALFORMED');
      const about = { line: parseLineText(line), linksKnown: Number(links) };
      const wait = limiter.take(clientAddress(request.ip));
      if (wait > 0 || underWay >= MAX_UNDER_WAY)
        return sendProblem(
          reply.header('retry-after', wait || RETRY_AFTER),
          429,
          'NET_RATE_LIMITED',
        );
      underWay += 1;
      try {
        const answer = await (relay(hash, about) ?? fail('LINE_UNKNOWN'));
        return reply
          .header('cache-control', 'no-store')
          .type('application/cbor')
          .send(encodeChallengeReply(answer));
      } finally {
        underWay -= 1;
      }
    },
  );
}
