/** The HTTP interface of a node as one OpenAPI 3.1 document, made from the contracts. */
import { COMMIT } from './commit.ts';
import { CHALLENGE_MEDIA, CHALLENGES } from './challenge.ts';
import { CHANGES, CHANGES_MEDIA } from './changes.ts';
import { PEER_ENGINE } from './engine-call.ts';
import { OWN_BACKUP } from './own.ts';
import {
  PEER_BLOCKS,
  PEER_COSIGNATURES,
  PEER_STATEMENTS,
  PEER_TAKEOVER,
  PEER_TRANSACTIONS,
} from './peer.ts';
import { POLICIES } from './policy.ts';
import { REGISTRATIONS } from './registration.ts';
import { REPORT_BATCHES, REPORT_REQUESTS } from './report-batch.ts';
import { ENVELOPE_MEDIA, REPORT_MEDIA } from './retrieval.ts';

export const OPENAPI = '/openapi.json';

type Role = 'registration' | 'retrieval' | 'general' | 'peer' | 'own';

interface Operation {
  readonly method: 'get' | 'post' | 'put';
  /** With `{name}` for a part that varies. */
  readonly path: string;
  readonly role: Role;
  readonly summary: string;
  /** Media type of the request's body. */
  readonly takes?: string;
  /** By status: what it means, and the media type of the answer's body if there is one. */
  readonly answers: Readonly<Record<number, readonly [what: string, media?: string]>>;
  /** Optional parameters in the query and headers: name and meaning. */
  readonly query?: Readonly<Record<string, string>>;
  readonly headers?: Readonly<Record<string, string>>;
}

const CBOR = 'application/cbor';
const BYTES = 'application/octet-stream';
const JSON_MEDIA = 'application/json';
const CURRENT = 'manifest digest in hex of what runs: answered 204 when that is the newest';

const BATCH_OPERATIONS: readonly Operation[] = [
  {
    method: 'post',
    path: REPORT_BATCHES,
    role: 'retrieval',
    summary: "Hand over a batch's root, with its records sealed to the author (T25)",
    takes: CBOR,
    answers: { 202: ['taken: the root goes on the ledger with others'] },
  },
  {
    method: 'post',
    path: REPORT_REQUESTS,
    role: 'retrieval',
    summary: "Batches sealed to an author, on the author's signed request",
    takes: 'application/cose',
    answers: { 200: ['the next ones', CBOR] },
  },
  {
    method: 'get',
    path: `${REPORT_BATCHES}/{root}`,
    role: 'retrieval',
    summary: "From a batch's root to the ledger",
    answers: {
      200: ['path, statement and receipt', CBOR],
      202: ['not on the ledger with a receipt yet'],
      404: ['not known here'],
    },
  },
];

const OPERATIONS: readonly Operation[] = [
  {
    method: 'post',
    path: REGISTRATIONS,
    role: 'registration',
    summary: 'Register statements, ordered together or not at all (transactions 1 and 2)',
    takes: CBOR,
    answers: {
      200: ['known already, with the first receipts', CBOR],
      201: ['ordered, with receipts', CBOR],
      202: ['ordered, not yet cosigned by k operators', CBOR],
    },
  },
  {
    method: 'get',
    path: '/v1/entries/{digest}',
    role: 'registration',
    summary: 'Place and receipt of a statement by its signing digest',
    answers: { 200: ['with a receipt', CBOR], 202: ['not yet cosigned by k operators', CBOR] },
  },
  {
    method: 'get',
    path: '/v1/images/{sha256}/missing',
    role: 'registration',
    summary: 'Blocks of an anchored image that this node lacks',
    answers: { 200: ['CIDs', CBOR] },
  },
  {
    method: 'put',
    path: '/v1/images/{sha256}/blocks/{cid}',
    role: 'registration',
    summary: 'Give one block of an anchored image (transaction 3)',
    takes: BYTES,
    answers: { 204: ['kept'] },
  },
  {
    method: 'get',
    path: '/v1/lines/{author}/{vendor}/{class}/{track}/latest',
    role: 'retrieval',
    summary: 'The newest release of a line, with its update proof (transactions 4 and 5)',
    query: { links: 'how many links of the line the asker has checked (T02)' },
    headers: {
      'if-none-match': 'the ETag of an answer that is here',
      'firmament-device': 'a name for nobody',
    },
    answers: { 200: ['version and update proof', CBOR], 304: ['as before'] },
  },
  {
    method: 'get',
    path: '/v1/releases/{digest}',
    role: 'retrieval',
    summary: 'The transparent envelope of a release (transactions 6 and 7)',
    query: {
      line: 'which line, when the manifest is on several',
      withdrawn: '"yes": also when it is withdrawn',
    },
    headers: { 'firmament-current': CURRENT },
    answers: {
      200: ['SUIT envelope with a receipt', ENVELOPE_MEDIA],
      204: ['the newest runs already'],
    },
  },
  {
    method: 'get',
    path: '/v1/releases/{digest}/status',
    role: 'retrieval',
    summary: 'What the ledger says of a release: status, holders, description',
    query: { line: 'which line, when the manifest is on several' },
    answers: { 200: ['status', JSON_MEDIA] },
  },
  {
    method: 'get',
    path: '/v1/images/{sha256}',
    role: 'retrieval',
    summary: 'An image, whole or one range (transaction 8)',
    query: { withdrawn: '"yes": also when every release of it is withdrawn' },
    headers: { range: 'one range of bytes' },
    answers: {
      200: ['the image', BYTES],
      206: ['the range', BYTES],
      304: ['as before'],
      416: ['no such range'],
    },
  },
  {
    method: 'get',
    path: CHANGES,
    role: 'retrieval',
    summary: 'New heads with the lines that changed, as server-sent events: a hint, not a proof',
    headers: { 'last-event-id': 'size of a head: only what changed after it' },
    answers: { 200: ['events, until either side ends it', CHANGES_MEDIA] },
  },
  {
    method: 'post',
    path: '/v1/reports',
    role: 'retrieval',
    summary: "Give a device's signed report",
    takes: REPORT_MEDIA,
    answers: { 202: ['taken'] },
  },
  {
    method: 'get',
    path: '/v1/reports/{digest}',
    role: 'retrieval',
    summary: 'The newest reports about a manifest digest',
    answers: { 200: ['reports', JSON_MEDIA] },
  },
  ...BATCH_OPERATIONS,
  {
    method: 'post',
    path: CHALLENGES,
    role: 'general',
    summary: 'Sign the head that was cosigned last for a device without the time (T14)',
    takes: CHALLENGE_MEDIA,
    answers: { 200: ["the cosigner's answer", CBOR] },
  },
  general('/v1/root', 'The root in force', CBOR),
  general('/v1/genesis', 'The genesis', CBOR),
  {
    ...general(POLICIES, 'Policy changes, oldest first (T08)', CBOR),
    query: { from: 'the first policy version' },
  },
  {
    ...general('/healthz', 'State of this node', JSON_MEDIA),
    answers: {
      200: ['ok', JSON_MEDIA],
      503: ['starting, halted, or something is wrong with the engine', JSON_MEDIA],
    },
  },
  {
    ...general(COMMIT, 'Newest commit of the consortium engine, with its head (T31)', CBOR),
    answers: { 200: ['as it is now', CBOR], 404: ['none: one node orders, or none is known yet'] },
  },
  general('/checkpoint', 'Cosigned head of the log (C2SP tlog-checkpoint)', 'text/plain'),
  general('/tile/{tile}', 'Tiles of the log (C2SP tlog-tiles)', BYTES),
  general(
    '/metrics',
    'Metrics for Prometheus; to this machine and the nodes unless configured',
    'text/plain',
  ),
  general(OPENAPI, 'This document', JSON_MEDIA),
  peer('post', PEER_TRANSACTIONS, 'Order statements', { 200: ['places', CBOR] }),
  peer(
    'get',
    PEER_BLOCKS,
    'Blocks from a height on',
    { 200: ['blocks', CBOR] },
    {
      from: 'the first height',
      wait: 'milliseconds to wait for one',
    },
  ),
  peer('post', PEER_STATEMENTS, 'Spread urgent statements (T11)', { 204: ['known'] }),
  peer('post', PEER_TAKEOVER, 'Follow another orderer from now on (T12)', { 204: ['promised'] }),
  peer('post', PEER_ENGINE, "Ask a member's engine what changes nothing (JSON-RPC)", {
    200: ['its answer', JSON_MEDIA],
  }),
  peer('post', PEER_COSIGNATURES, 'Tell a cosignature', { 204: ['known'] }),
  peer('get', PEER_COSIGNATURES, 'The newest cosignature of every node', {
    200: ['cosignatures', CBOR],
  }),
  {
    method: 'post',
    path: OWN_BACKUP,
    role: 'own',
    summary: "Copy this node's data into a folder of its machine; with its own TLS key only",
    takes: CBOR,
    answers: { 200: ['height and size of the copy', CBOR] },
  },
  {
    method: 'get',
    path: '/ipfs/{cid}',
    role: 'peer',
    summary: 'One block (trustless gateway subset)',
    query: { format: '"raw"' },
    answers: { 200: ['the block', 'application/vnd.ipld.raw'] },
  },
];

function general(path: string, summary: string, media: string): Operation {
  return {
    method: 'get',
    path,
    role: 'general',
    summary,
    answers: { 200: ['as it is now', media] },
  };
}

function peer(
  method: 'get' | 'post',
  path: string,
  summary: string,
  answers: Operation['answers'],
  query?: Operation['query'],
): Operation {
  const body = method === 'post' ? { takes: CBOR } : {};
  return { method, path, role: 'peer', summary, answers, ...body, ...(query && { query }) };
}

/** The document, as JSON to be. */
export function openapi(): Readonly<Record<string, unknown>> {
  const paths: Record<string, Record<string, unknown>> = {};
  for (const operation of OPERATIONS)
    (paths[operation.path] ??= {})[operation.method] = described(operation);
  return {
    openapi: '3.1.0',
    info: {
      title: 'Firmament node',
      version: '1',
      description:
        'Byte formats: docs/spec. Answers in CBOR and COSE are proofs: believe what they prove, whoever sent them.',
    },
    paths,
    components: {
      responses: {
        problem: {
          description: 'Refused, with a code of docs/spec/errors.md (RFC 9457)',
          content: { 'application/problem+json': { schema: PROBLEM } },
        },
      },
      securitySchemes: {
        node: { type: 'mutualTLS', description: "The TLS key of one of the policy's nodes" },
      },
    },
  };
}

const PROBLEM = {
  type: 'object',
  required: ['type', 'title', 'status', 'code'],
  properties: {
    type: { type: 'string' },
    title: { type: 'string' },
    status: { type: 'integer' },
    code: { type: 'string' },
    detail: { type: 'string' },
  },
} as const;

function described(operation: Operation): Readonly<Record<string, unknown>> {
  const { path, role, summary, takes, answers, query = {}, headers = {} } = operation;
  const parameter =
    (where: string, required: boolean) =>
    ([name, description]: readonly [string, string]) => ({
      name,
      in: where,
      required,
      ...(description !== '' && { description }),
      schema: { type: 'string' },
    });
  const inPath = [...path.matchAll(/\{(\w+)\}/g)].map(([, name = '']) => [name, ''] as const);
  const responses = Object.entries(answers).map(([status, [description, media]]) => [
    status,
    { description, ...(media !== undefined && { content: { [media]: {} } }) },
  ]);
  return {
    summary,
    tags: [role],
    ...((role === 'peer' || role === 'own') && { security: [{ node: [] }] }),
    parameters: [
      ...inPath.map(parameter('path', true)),
      ...Object.entries(query).map(parameter('query', false)),
      ...Object.entries(headers).map(parameter('header', false)),
    ],
    ...(takes !== undefined && { requestBody: { required: true, content: { [takes]: {} } } }),
    responses: {
      ...Object.fromEntries(responses),
      default: { $ref: '#/components/responses/problem' },
    },
  };
}
