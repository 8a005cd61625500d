/** `POST /v1/enrolments` and `POST /v1/renewals` (docs/spec/enrolment.md). */
import {
  ENROLMENTS,
  MAX_ENROLMENT,
  readEnrolmentRequest,
  readRenewalRequest,
  RENEWALS,
} from '../api/enrolment.ts';
import { codeOf } from '../errors.ts';
import { isIssuedBy } from '../net/authority.ts';
import { clientAddress, createFailureLimiter, type RateLimit } from '../net/limits.ts';
import { peerCertificate, peerSpki, sendProblem, type App, type Request } from '../net/server.ts';
import { enrol, renew, type EnrolmentParts } from './enrolment.ts';

export interface VendorAuthority {
  readonly name: string;
  readonly certificatePem: string;
}

export interface EnrolmentRouteParts extends EnrolmentParts {
  /** Vendors' device CAs that the owner registered: what they signed is recorded as a claim. */
  readonly vendors?: readonly VendorAuthority[];
  /** Refusals that an address may earn. */
  readonly failures?: RateLimit;
}

const FAILURES: RateLimit = { perSecond: 0.1, burst: 10 };
// Certificates made at once: each is some milliseconds of this process.
const MAX_UNDER_WAY = 16;

export function enrolmentRoutes(app: App, parts: EnrolmentRouteParts): void {
  const failures = createFailureLimiter(parts.failures ?? FAILURES, () => performance.now());
  let underWay = 0;

  // Refused attempts are counted, not good ones: a house may enrol many devices in a row.
  const guarded = async (request: Request, work: () => Promise<unknown>): Promise<unknown> => {
    const address = clientAddress(request.ip);
    if (failures.barred(address) > 0 || underWay >= MAX_UNDER_WAY) return undefined;
    underWay += 1;
    try {
      return await work();
    } catch (error) {
      if (codeOf(error) !== undefined) failures.failed(address);
      throw error;
    } finally {
      underWay -= 1;
    }
  };

  app.post(ENROLMENTS, { bodyLimit: MAX_ENROLMENT }, async (request, reply) => {
    const answer = await guarded(request, async () =>
      enrol(parts, readEnrolmentRequest(request.body), vendorOf(request, parts)),
    );
    if (!answer) return sendProblem(reply.header('retry-after', '10'), 429, 'NET_RATE_LIMITED');
    return reply.code(201).header('cache-control', 'no-store').send(answer);
  });
  app.post(RENEWALS, { bodyLimit: MAX_ENROLMENT }, async (request, reply) => {
    const answer = await guarded(request, async () =>
      renew(parts, peerSpki(request), readRenewalRequest(request.body)),
    );
    if (!answer) return sendProblem(reply.header('retry-after', '10'), 429, 'NET_RATE_LIMITED');
    return reply.code(201).header('cache-control', 'no-store').send(answer);
  });
}

function vendorOf(request: Request, { vendors = [], clock }: EnrolmentRouteParts): string | null {
  const certificate = peerCertificate(request);
  const vendor =
    certificate &&
    vendors.find(({ certificatePem }) => isIssuedBy(certificate, certificatePem, clock()));
  return vendor?.name ?? null;
}
