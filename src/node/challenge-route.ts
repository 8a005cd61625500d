/**
 * `POST /v1/challenges` (T14, docs/spec/challenge.md): the head that this node's cosigner signed last, signed once more
 * for whoever asks. Every node answers, whatever its roles: k operators are needed, and not all of them answer devices.
 */
import { CHALLENGES, encodeChallengeReply } from '../api/challenge.ts';
import { equal } from '../bytes.ts';
import type { Clock } from '../clock.ts';
import { check, fail } from '../errors.ts';
import type { CosignerRecord } from '../ledger/cosigner-record.ts';
import { CHALLENGE_HASH_BYTES } from '../log/challenge.ts';
import type { App } from '../net/server.ts';
import { nodesOf, type Policy } from '../registry/policy.ts';
import type { Frozen } from './freeze.ts';

export interface ChallengeParts {
  /** OPERATOR/NODE. */
  readonly name: string;
  /** Its cosigner's public key. */
  readonly cosigner: Uint8Array;
  readonly record: Pick<CosignerRecord, 'answer'>;
  readonly policy: () => Policy;
  /** Why nothing may be signed just now (T11). */
  readonly frozen: () => Frozen | undefined;
  readonly clock: Clock;
}

export function challengeRoute(app: App, parts: ChallengeParts): void {
  app.post(CHALLENGES, { bodyLimit: CHALLENGE_HASH_BYTES }, async (request, reply) => {
    const hash = request.body as Uint8Array;
    const freeze = parts.frozen();
    // T11: a ledger that is frozen is not fresh, whoever asks.
    if (freeze) fail(freeze.code);
    check(isListed(parts), 'COSIGNER_UNLISTED');
    const answer = parts.record.answer(hash, parts.clock());
    return reply
      .header('cache-control', 'no-store')
      .type('application/cbor')
      .send(encodeChallengeReply({ answers: [answer], proof: null }));
  });
}

// T08: a member that was removed answers nobody, though some still pin it.
function isListed({ name, cosigner, policy }: ChallengeParts): boolean {
  const own = nodesOf(policy()).find((node) => node.name === name);
  return own !== undefined && equal(own.node.cosigner.bytes, cosigner);
}
