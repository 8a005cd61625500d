/** The owner's API of a gateway as one OpenAPI 3.1 document (docs/spec/gateway.md). */
import type { GatewayOperation } from './gateway-operation.ts';
import { REPORT_OPERATIONS } from './gateway-report-operations.ts';
import { GATEWAY_SCHEMAS, type Schema } from './gateway-schemas.ts';

const ref = (name: keyof typeof GATEWAY_SCHEMAS): Schema => ({
  $ref: `#/components/schemas/${name}`,
});
const listOf = (name: keyof typeof GATEWAY_SCHEMAS): Schema => ({
  type: 'array',
  items: ref(name),
});
const fields = (
  properties: Readonly<Record<string, Schema>>,
  required = Object.keys(properties),
): Schema => ({ type: 'object', properties, required });

const TEXT: Schema = { type: 'string' };
const DEVICE_ID = 'device id, 32 hex digits';
const NO_DEVICE = { GATEWAY_DEVICE_UNKNOWN: 'no such device' };

export const GATEWAY_OPERATIONS: readonly GatewayOperation[] = [
  {
    method: 'get',
    path: '/v1/status',
    summary: 'Lines with their freshness, devices, open offers',
    answer: 'as it is now',
    gives: ref('Status'),
  },
  {
    method: 'post',
    path: '/v1/poll',
    summary: 'Ask the nodes now, and wait up to 20 seconds for images',
    answer: 'the state after the round',
    gives: ref('Status'),
  },
  {
    method: 'get',
    path: '/v1/devices',
    summary: 'Every device, what it runs, what waits for it and why',
    answer: 'by id',
    gives: listOf('Device'),
  },
  {
    method: 'post',
    path: '/v1/devices/{id}/revoke',
    summary: 'The device is a stranger from now on: its session ends, its offer is taken back',
    parts: { id: DEVICE_ID },
    answer: 'done',
    gives: fields({ revoked: TEXT }),
    refusals: { 404: NO_DEVICE },
  },
  {
    method: 'put',
    path: '/v1/devices/{id}/group',
    summary: "Moves the device into another group, whose policy is the device's",
    parts: { id: DEVICE_ID },
    takes: fields({ group: { type: 'string', minLength: 1, maxLength: 256 } }),
    answer: 'done',
    gives: fields({ device: TEXT, group: TEXT }),
    refusals: { 400: { API_QUERY_INVALID: '"group" is missing' }, 404: NO_DEVICE },
  },
  {
    method: 'get',
    path: '/v1/releases',
    summary: 'What was verified here, the newest first, 1000 at most',
    answer: 'without envelopes: devices get these',
    gives: listOf('Release'),
  },
  {
    method: 'get',
    path: '/v1/offers',
    summary: 'Every attempt and its result, the newest first, 1000 at most',
    query: { device: 'only those of this device' },
    answer: 'an empty list for a device that nobody knows',
    gives: listOf('Offer'),
  },
  {
    method: 'post',
    path: '/v1/offers/{offer}/cancel',
    summary: 'Takes an offer back, and vetoes that release for that device',
    parts: { offer: 'id of the offer, 32 hex digits' },
    answer: 'the state of the offer: one that ended before stays as it ended',
    gives: fields({ offer: TEXT, state: TEXT }),
    refusals: { 404: { GATEWAY_OFFER_UNKNOWN: 'no such offer' } },
  },
  {
    method: 'post',
    path: '/v1/decisions/{word}',
    summary: "The owner's word about one device or all, one release or all",
    parts: { word: 'consent, veto, postpone or opt-out' },
    takes: fields(
      {
        device: { type: 'string', pattern: '^([0-9a-f]{32}|\\*)$', description: 'all without it' },
        digest: { type: 'string', pattern: '^([0-9a-f]{64}|\\*)$', description: 'all without it' },
        until: { type: 'integer', description: 'POSIX seconds, of a postponement' },
        takeBack: { type: 'boolean', description: 'the word stands no more' },
      },
      [],
    ),
    optional: true,
    answer: 'what stands now; "*" for all',
    gives: fields({ word: TEXT, device: TEXT, digest: TEXT }),
    refusals: { 400: { API_QUERY_INVALID: 'another word, or a field of another form' } },
  },
  {
    method: 'get',
    path: '/v1/groups/{group}/policy',
    summary: "A group's policy: as set here, else as configured, else the defaults",
    parts: { group: 'name of the group' },
    answer: 'in force',
    gives: ref('Policy'),
  },
  {
    method: 'put',
    path: '/v1/groups/{group}/policy',
    summary: "Sets a group's policy; fields that are left out are the defaults",
    parts: { group: 'name of the group' },
    takes: ref('PolicyChange'),
    answer: 'in force',
    gives: ref('Policy'),
    refusals: { 400: { GATEWAY_CONFIG: 'an unknown field, or one of another form' } },
  },
  {
    method: 'post',
    path: '/v1/lines/agree',
    summary: 'The owner agrees to the new owner of a line that changed hands',
    takes: fields({ line: { type: 'string', minLength: 1, maxLength: 256 } }),
    answer: 'done',
    gives: fields({ agreed: { type: 'boolean' } }),
    refusals: {
      400: { API_QUERY_INVALID: '"line" is missing' },
      404: { LINE_UNKNOWN: 'a line that is not followed, or not proven yet' },
    },
  },
  ...REPORT_OPERATIONS,
  {
    method: 'get',
    path: '/v1/events',
    summary: 'The event log, oldest first, 500 at a time',
    query: { after: 'id of the last event that is known; 0 without it' },
    answer: 'those that follow; an empty list at the end',
    gives: listOf('Event'),
    refusals: { 400: { API_QUERY_INVALID: '"after" is no number' } },
  },
  {
    method: 'post',
    path: '/v1/enrolment-codes',
    summary: 'A one-time code for one device, as a bundle (docs/spec/enrolment.md)',
    takes: fields({ model: { type: 'string', maxLength: 64, description: 'any without it' } }, []),
    optional: true,
    answer: 'it is shown once; the gateway keeps its hash',
    gives: fields({ bundle: TEXT }),
    refusals: { 400: { API_QUERY_INVALID: '"model" is no text of 1 to 64 characters' } },
  },
  {
    method: 'post',
    path: '/v1/snapshot',
    summary: 'Copies the database into the data folder, for `firmament gateway backup` to take',
    answer: 'name of the file; nothing of it is in the answer',
    gives: fields({ snapshot: TEXT }),
    refusals: { 409: { GATEWAY_BACKUP_EXISTS: 'another copy is being made' } },
  },
  {
    method: 'get',
    path: '/metrics',
    summary: 'Metrics for Prometheus',
    answer: 'as they are now',
  },
  {
    method: 'get',
    path: '/openapi.json',
    summary: 'This document',
    answer: 'OpenAPI 3.1',
    gives: { type: 'object' },
  },
];

/** What every call may be answered. */
export const SHARED_REFUSALS: Readonly<Record<number, Readonly<Record<string, string>>>> = {
  400: { NET_REQUEST_INVALID: 'a body that is no JSON' },
  401: { GATEWAY_TOKEN_INVALID: 'without the token' },
  413: { NET_TOO_LARGE: 'a body of more than 64 KiB' },
  415: { NET_REQUEST_INVALID: 'a body of another type than application/json' },
  429: { NET_RATE_LIMITED: 'after wrong tokens from this address: see Retry-After' },
  500: { INTERNAL: "the gateway's fault; its log has the cause" },
  503: { DATABASE_IO: 'the disk failed' },
  507: { DATABASE_FULL: 'the disk is full' },
};

/** The document, as JSON to be. */
export function gatewayOpenapi(): Readonly<Record<string, unknown>> {
  const paths: Record<string, Record<string, unknown>> = {};
  for (const operation of GATEWAY_OPERATIONS)
    (paths[operation.path] ??= {})[operation.method] = described(operation);
  return {
    openapi: '3.1.0',
    info: {
      title: 'Firmament gateway',
      version: '1',
      description: "The owner's side of a gateway. Times are POSIX seconds, sequences are texts.",
    },
    security: [{ token: [] }],
    paths,
    components: {
      schemas: GATEWAY_SCHEMAS,
      securitySchemes: {
        token: { type: 'http', scheme: 'bearer', description: 'What is in the tokenFile' },
      },
    },
  };
}

function described(operation: GatewayOperation): Readonly<Record<string, unknown>> {
  const { summary, parts = {}, query = {}, takes, optional, answer, gives } = operation;
  const parameter =
    (where: 'path' | 'query') =>
    ([name, description]: readonly [string, string]) => ({
      name,
      in: where,
      required: where === 'path',
      description,
      schema: TEXT,
    });
  const content = gives ? { 'application/json': { schema: gives } } : { 'text/plain': {} };
  return {
    summary,
    parameters: [
      ...Object.entries(parts).map(parameter('path')),
      ...Object.entries(query).map(parameter('query')),
    ],
    ...(takes && {
      requestBody: {
        required: optional !== true,
        content: { 'application/json': { schema: takes } },
      },
    }),
    responses: { 200: { description: answer, content }, ...refusalsOf(operation) },
  };
}

function refusalsOf({ refusals = {} }: GatewayOperation): Readonly<Record<string, unknown>> {
  const statuses = [...new Set([...Object.keys(SHARED_REFUSALS), ...Object.keys(refusals)])];
  return Object.fromEntries(
    statuses.map((status) => {
      const codes = { ...SHARED_REFUSALS[Number(status)], ...refusals[Number(status)] };
      const description = Object.entries(codes).map(([code, when]) => `${code}: ${when}`);
      const problem = { 'application/problem+json': { schema: ref('Problem') } };
      return [status, { description: description.join('; '), content: problem }];
    }),
  );
}
