/** Transactions 4 to 8 on a retrieval node: what devices and gateways ask. */
import { equal, fromHex, hex } from '../bytes.ts';
import { ENVELOPE_MEDIA, MAX_REPORT } from '../api/retrieval.ts';
import type { Clock } from '../clock.ts';
import { check, fail } from '../errors.ts';
import type { App, Reply } from '../net/server.ts';
import { lineKey, parseLineText } from '../registry/line.ts';
import { macBlocks } from '../registry/psk.ts';
import { getLine, getRelease, type ReleaseRecord } from '../registry/state.ts';
import { parseStatement, type Statement } from '../registry/statement.ts';
import { envelopeFrom } from '../suit/transparent.ts';
import type { Answers } from './answers.ts';
import { imageRoute } from './image-route.ts';
import type { ImageStore } from './image-store.ts';
import type { Images } from './images.ts';
import type { Reports } from './reports.ts';
import { releaseStatus } from './release-status.ts';
import { isReceipted, receiptFor, type SubmissionParts } from './submission.ts';

export interface RetrievalParts extends Pick<SubmissionParts, 'replica' | 'heads' | 'receiptKey'> {
  readonly answers: Answers;
  readonly images: Images;
  readonly imageStore: ImageStore;
  readonly reports: Reports;
  readonly clock: Clock;
}

interface FoundRelease {
  readonly statement: Statement;
  readonly index: number;
  readonly attachment: Uint8Array;
  readonly lineKey: Uint8Array;
  readonly record: ReleaseRecord;
}

export function retrievalRoutes(app: App, parts: RetrievalParts): void {
  app.get<{
    Params: { author: string; vendor: string; class: string; track: string };
    Querystring: { links?: string };
  }>('/v1/lines/:author/:vendor/:class/:track/latest', async (request, reply) => {
    const { author, vendor, class: cls, track } = request.params;
    const { links } = request.query;
    check(links === undefined || /^\d{1,4}$/.test(links), 'API_QUERY_INVALID');
    const line = parseLineText(`${author}/${vendor}/${cls}/${track}`);
    const answer = parts.answers.latest(line, links === undefined ? undefined : Number(links));
    reply.header('etag', answer.etag).header('cache-control', 'no-cache');
    if (request.headers['if-none-match'] === answer.etag) return reply.code(304).send();
    return reply.type('application/cbor').send(answer.body);
  });
  app.get<{ Params: { digest: string }; Querystring: { line?: string; withdrawn?: string } }>(
    '/v1/releases/:digest',
    async (request, reply) => {
      const { line, withdrawn } = request.query;
      const found = findRelease(parts, request.params.digest, line);
      check(found.record.status !== 'withdrawn' || withdrawn === 'yes', 'RELEASE_WITHDRAWN');
      if (isCurrent(parts, found, request.headers['firmament-current']))
        return reply.code(204).send();
      return sendEnvelope(parts, reply, found);
    },
  );
  app.get<{ Params: { digest: string }; Querystring: { line?: string } }>(
    '/v1/releases/:digest/status',
    async (request, reply) => {
      const found = findRelease(parts, request.params.digest, request.query.line);
      return reply
        .header('cache-control', 'no-store')
        .send(releaseStatus(parts.replica.view(), found.statement, found.lineKey, found.record));
    },
  );
  imageRoute(app, parts);
  app.post('/v1/reports', { bodyLimit: MAX_REPORT }, async (request, reply) => {
    parts.reports.add(request.body as Uint8Array, parts.clock());
    return reply.code(202).send();
  });
  app.get<{ Params: { digest: string } }>('/v1/reports/:digest', async (request, reply) =>
    reply
      .header('cache-control', 'no-store')
      .send(parts.reports.of(fromHex(request.params.digest, 32))),
  );
}

/** Errors: BYTES_MALFORMED, RELEASE_UNKNOWN. */
function findRelease(
  { replica }: RetrievalParts,
  digestHex: string,
  line: string | undefined,
): FoundRelease {
  const digest = fromHex(digestHex, 32);
  const attachment = replica.attachment(digest) ?? fail('RELEASE_UNKNOWN');
  for (const { bytes, index } of replica.releases(digest).toReversed()) {
    const statement = parseStatement(bytes);
    if (line !== undefined && statement.subject !== line) continue;
    const key = lineKey(parseLineText(statement.subject));
    const record = getRelease(replica.view(), key, digest) ?? fail('RELEASE_UNKNOWN');
    return { statement, index, attachment, lineKey: key, record };
  }
  return fail('RELEASE_UNKNOWN');
}

// Transaction 6: whoever runs the newest of the line already is told so.
function isCurrent(
  { replica }: RetrievalParts,
  found: FoundRelease,
  current: string | string[] | undefined,
): boolean {
  if (current === undefined) return false;
  check(typeof current === 'string', 'API_QUERY_INVALID');
  const digest = fromHex(current, 32);
  const newest = getLine(replica.view(), found.lineKey)?.newest;
  return newest !== null && newest !== undefined && equal(newest, digest);
}

// The transparent envelope: a receipt beside the signature, for whoever reads RFC 9942 (T13).
function sendEnvelope(parts: RetrievalParts, reply: Reply, found: FoundRelease): Reply {
  const { statement, attachment, index } = found;
  const receipts = isReceipted(parts, index) ? [receiptFor(parts, statement, index)] : [];
  return reply
    .header('etag', `"${hex(found.record.digest)}"`)
    .header('cache-control', 'no-cache')
    .type(ENVELOPE_MEDIA)
    .send(
      envelopeFrom({
        statement: statement.sign1,
        attachment,
        receipts,
        macs: macBlocks(statement.release),
      }),
    );
}
