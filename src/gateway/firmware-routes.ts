/**
 * What devices fetch: the paths and answers of a node (docs/spec/transactions.md), from what the gateway verified and
 * keeps. Everything here is public on the ledger, so nobody is asked who they are.
 */
import { Readable } from 'node:stream';
import { sha256 } from '#crypto';
import { encodePayload, type GatewayTime } from '../api/downlink.ts';
import { encodePolicies, POLICIES } from '../api/policy.ts';
import { ENVELOPE_MEDIA } from '../api/retrieval.ts';
import { equal, fromHex, hex } from '../bytes.ts';
import { check, fail } from '../errors.ts';
import { byteRange } from '../net/byte-range.ts';
import { sendProblem, type App, type Reply, type Request } from '../net/server.ts';
import { parseLineText } from '../registry/line.ts';
import { decodeLineValue } from '../registry/map-value.ts';
import { decodeProof } from '../trust/proof.ts';
import type { PolicyChanges } from './policy-changes.ts';
import type { Releases, StoredRelease } from './releases.ts';
import { Transfers, type TransferLimits } from './transfers.ts';

/** The images of the local repository. */
export interface FirmwareImages {
  open(sha256: string): Promise<FirmwareImage | undefined>;
}

export interface FirmwareImage {
  readonly size: number;
  /** `end` is exclusive. */
  read(start: number, end: number): AsyncIterable<Uint8Array>;
}

export interface FirmwareRouteParts {
  readonly releases: Releases;
  readonly repository: FirmwareImages;
  /** Told of an image that should be there and is not as it should be. */
  readonly missing: (release: StoredRelease) => void;
  readonly time: () => GatewayTime;
  readonly policyChanges: Pick<PolicyChanges, 'from'>;
  /** Id of the network that is meant when none is named, hex. */
  readonly network: string;
  readonly transfers?: TransferLimits;
}

/** Seconds: by then an image that was lost may have come again. */
const RETRY_AFTER = 30;

export function firmwareRoutes(app: App, parts: FirmwareRouteParts): void {
  const transfers = new Transfers(parts.transfers);
  app.get<{
    Params: { author: string; vendor: string; class: string; track: string };
    Querystring: { links?: string };
  }>('/v1/lines/:author/:vendor/:class/:track/latest', async (request, reply) => {
    const { author, vendor, class: cls, track } = request.params;
    const { links } = request.query;
    check(links === undefined || /^\d{1,4}$/.test(links), 'API_QUERY_INVALID');
    const line = parseLineText(`${author}/${vendor}/${cls}/${track}`);
    const body =
      parts.releases.latest(line, links === undefined ? undefined : Number(links)) ??
      fail('LINE_UNKNOWN');
    const etag = `"${hex(sha256(body)).slice(0, 32)}"`;
    reply.header('etag', etag).header('cache-control', 'no-cache');
    if (request.headers['if-none-match'] === etag) return reply.code(304).send();
    return reply.type('application/cbor').send(body);
  });
  app.get<{ Params: { digest: string } }>('/v1/releases/:digest', async (request, reply) => {
    const digest = hex(fromHex(request.params.digest, 32));
    const release = parts.releases.release(digest) ?? fail('RELEASE_UNKNOWN');
    if (isCurrent(parts.releases, release, request.headers['firmament-current']))
      return reply.code(204).send();
    return reply
      .header('etag', `"${digest}"`)
      .header('cache-control', 'no-cache')
      .type(ENVELOPE_MEDIA)
      .send(release.envelope);
  });
  app.route<{ Params: { sha256: string } }>({
    method: ['GET', 'HEAD'],
    url: '/v1/images/:sha256',
    onRequest: transfers.enter,
    handler: async (request, reply) => {
      const name = hex(fromHex(request.params.sha256, 32));
      const release = parts.releases.withImage(name) ?? fail('ANCHOR_UNKNOWN');
      const image = await parts.repository.open(name);
      if (image?.size === release.size) return sendImage(request, reply, name, image);
      // Somebody was at the folder: it is fetched again.
      if (release.stored) parts.missing(release);
      return sendProblem(reply.header('retry-after', RETRY_AFTER), 503, 'GATEWAY_IMAGE_MISSING');
    },
  });
  app.get<{ Querystring: { from?: string; network?: string } }>(
    POLICIES,
    async (request, reply) => {
      const { from = '2', network = parts.network } = request.query;
      check(/^\d{1,15}$/.test(from) && /^[0-9a-f]{64}$/.test(network), 'API_QUERY_INVALID');
      const body = encodePolicies(parts.policyChanges.from(network, Number(from)));
      return reply.header('cache-control', 'no-cache').type('application/cbor').send(body);
    },
  );
  app.get('/v1/time', async (_request, reply) =>
    reply
      .header('cache-control', 'no-store')
      .type('application/json')
      .send(encodePayload(parts.time())),
  );
}

function sendImage(request: Request, reply: Reply, name: string, image: FirmwareImage): Reply {
  const etag = `"${name}"`;
  reply.headers({
    etag,
    'accept-ranges': 'bytes',
    'cache-control': 'public, max-age=31536000, immutable',
  });
  if (request.headers['if-none-match'] === etag) return reply.code(304).send();
  const range = byteRange(request.headers, image.size, etag);
  if (range === 'unsatisfiable')
    return sendProblem(
      reply.header('content-range', `bytes */${image.size}`),
      416,
      'API_QUERY_INVALID',
    );
  const { start, end } = range ?? { start: 0, end: image.size };
  reply.header('content-length', end - start).type('application/octet-stream');
  if (range) reply.code(206).header('content-range', `bytes ${start}-${end - 1}/${image.size}`);
  if (request.method === 'HEAD') return reply.send();
  return reply.send(Readable.from(image.read(start, end)));
}

// Transaction 6: whoever runs the newest of the line already is told so.
function isCurrent(
  releases: Releases,
  release: StoredRelease,
  current: string | string[] | undefined,
): boolean {
  if (current === undefined) return false;
  check(typeof current === 'string', 'API_QUERY_INVALID');
  const digest = fromHex(current, 32);
  const { lineValue } = decodeProof((releases.line(release.line) ?? fail('LINE_UNKNOWN')).proof);
  const newest = lineValue && decodeLineValue(lineValue).newest;
  return !!newest && equal(newest.digest, digest);
}
