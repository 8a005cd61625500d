// The owner's API answers as its document says: every operation, every answer's shape, every refusal.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import {
  GATEWAY_OPERATIONS,
  gatewayOpenapi,
  SHARED_REFUSALS,
} from '../../src/api/gateway-openapi.ts';
import { GATEWAY_SCHEMAS, type Schema } from '../../src/api/gateway-schemas.ts';
import { text, utf8 } from '../../src/bytes.ts';
import type { FirmamentError } from '../../src/errors.ts';
import { certificateSha256 } from '../../src/net/authority.ts';
import { createClient, type Client } from '../../src/net/client.ts';
import { lineText } from '../../src/registry/line.ts';
import { planGateway, runGateway } from '../../src/testing/gateway.ts';
import { enrolLight, LightDevice } from '../../src/testing/light-device.ts';
import { startTestNetwork } from '../../src/testing/network.ts';
import { testAuthor } from '../../src/testing/network-author.ts';
import { assertRefused } from '../../src/testing/refused.ts';

const LAMP = { type: 'lamp', model: 'lamp', hardware: '1.0' };

interface Call {
  /** As the document names it. */
  readonly operation: string;
  /** With what varies filled in, and the query. */
  readonly path?: string;
  readonly body?: unknown;
}

suite("the owner's API and its document", () => {
  const cleanup = new AsyncDisposableStack();
  let client: Client;
  let url: string;
  let token: string;
  let line: string;
  let device: string;
  let offer: string;

  before(async () => {
    const network = cleanup.use(await startTestNetwork({ operators: 1 }));
    const author = await testAuthor(network);
    await author.declare('lamp');
    const followed = { line: author.line('lamp'), anchor: author.anchor, ...LAMP };
    const place = await planGateway(network, { lines: [{ ...followed, hardware: ['1.0'] }] });
    cleanup.use(await runGateway(place, network.clock));
    token = readFileSync(join(place.folder, 'token'), 'utf8').trim();
    const root = readFileSync(join(place.folder, 'data', 'authority', 'root.pem'), 'utf8');
    client = cleanup.use(createClient({ pins: { root: certificateSha256(root) } }));
    url = `https://127.0.0.1:${place.ports.api}`;
    line = lineText(followed.line);
    await author.publish({ version: '1.0.0' });
    await answer({ operation: 'POST /v1/poll' });
    const { bundle } = (await answer({ operation: 'POST /v1/enrolment-codes' })) as {
      readonly bundle: string;
    };
    const lamp = cleanup.use(new LightDevice(await enrolLight(bundle, LAMP), LAMP));
    device = lamp.id;
    await lamp.runs('1.0.0');
    const offers = (await answer({ operation: 'GET /v1/offers' })) as readonly { offer: string }[];
    offer = offers[0]?.offer ?? '';
  });
  after(() => cleanup.disposeAsync());

  async function answer(
    { operation, path, body }: Call,
    headers: Record<string, string> = { authorization: `Bearer ${token}` },
  ): Promise<unknown> {
    const [method = '', template = ''] = operation.split(' ');
    const sent = body ?? (method === 'GET' ? undefined : {});
    const { headers: given, body: bytes } = await client.request({
      method: method as 'GET',
      url: url + (path ?? template),
      headers: { ...(sent !== undefined && { 'content-type': 'application/json' }), ...headers },
      ...(sent !== undefined && {
        body: sent instanceof Uint8Array ? sent : utf8(JSON.stringify(sent)),
      }),
      maxBytes: 1 << 20,
    });
    const json = (given['content-type'] ?? '').startsWith('application/json');
    return json ? JSON.parse(text(bytes)) : text(bytes);
  }

  test('every operation answers in its shape', async () => {
    const policy = { functional: 'automatic', window: [1, 5], pin: '9' };
    const calls: readonly Call[] = [
      { operation: 'GET /v1/status' },
      { operation: 'POST /v1/poll' },
      { operation: 'GET /v1/devices' },
      {
        operation: 'PUT /v1/devices/{id}/group',
        path: `/v1/devices/${device}/group`,
        body: { group: 'g' },
      },
      { operation: 'GET /v1/releases' },
      { operation: 'GET /v1/offers', path: `/v1/offers?device=${device}` },
      { operation: 'POST /v1/offers/{offer}/cancel', path: `/v1/offers/${offer}/cancel` },
      {
        operation: 'POST /v1/decisions/{word}',
        path: '/v1/decisions/postpone',
        body: { device, until: 5 },
      },
      { operation: 'GET /v1/groups/{group}/policy', path: '/v1/groups/g/policy' },
      { operation: 'PUT /v1/groups/{group}/policy', path: '/v1/groups/g/policy', body: policy },
      { operation: 'POST /v1/lines/agree', body: { line } },
      { operation: 'GET /v1/events', path: '/v1/events?after=1' },
      { operation: 'POST /v1/enrolment-codes', body: { model: 'lamp' } },
      { operation: 'GET /v1/report-batches' },
      { operation: 'POST /v1/report-batches/flush' },
      { operation: 'POST /v1/report-batches/erase', body: { device } },
      { operation: 'POST /v1/snapshot' },
      { operation: 'GET /metrics' },
      { operation: 'GET /openapi.json' },
      { operation: 'POST /v1/devices/{id}/revoke', path: `/v1/devices/${device}/revoke` },
    ];
    assert.deepEqual(
      calls.map(({ operation }) => operation).toSorted(),
      GATEWAY_OPERATIONS.map(({ method, path }) => `${method.toUpperCase()} ${path}`).toSorted(),
    );
    for (const call of calls) {
      const described = GATEWAY_OPERATIONS.find(
        ({ method, path }) => `${method.toUpperCase()} ${path}` === call.operation,
      );
      const given = await answer(call);
      if (described?.gives) fits(given, described.gives, call.operation);
      else assert.equal(typeof given, 'string', call.operation);
      if (call.body !== undefined && described?.takes) fits(call.body, described.takes, 'body');
      if (Array.isArray(given))
        assert.ok(given.length > 0, `${call.operation}: nothing to look at`);
    }
    assert.deepEqual(await answer({ operation: 'GET /openapi.json' }), gatewayOpenapi());
  });

  test('every refusal that it names is one that comes', async () => {
    const nobody = '00'.repeat(16);
    const erase = 'POST /v1/report-batches/erase';
    const refused: readonly (readonly [status: number, code: string, call: Call])[] = [
      [
        404,
        'GATEWAY_DEVICE_UNKNOWN',
        { operation: 'POST /v1/devices/{id}/revoke', path: `/v1/devices/${nobody}/revoke` },
      ],
      [
        404,
        'GATEWAY_DEVICE_UNKNOWN',
        {
          operation: 'PUT /v1/devices/{id}/group',
          path: `/v1/devices/${nobody}/group`,
          body: { group: 'g' },
        },
      ],
      [
        400,
        'API_QUERY_INVALID',
        { operation: 'PUT /v1/devices/{id}/group', path: `/v1/devices/${device}/group` },
      ],
      [
        404,
        'GATEWAY_OFFER_UNKNOWN',
        { operation: 'POST /v1/offers/{offer}/cancel', path: `/v1/offers/${nobody}/cancel` },
      ],
      [
        400,
        'API_QUERY_INVALID',
        { operation: 'POST /v1/decisions/{word}', path: '/v1/decisions/perhaps' },
      ],
      [
        400,
        'API_QUERY_INVALID',
        {
          operation: 'POST /v1/decisions/{word}',
          path: '/v1/decisions/veto',
          body: { device: 'x' },
        },
      ],
      [
        400,
        'API_QUERY_INVALID',
        {
          operation: 'POST /v1/decisions/{word}',
          path: '/v1/decisions/veto',
          body: { until: 'soon' },
        },
      ],
      [
        400,
        'GATEWAY_CONFIG',
        {
          operation: 'PUT /v1/groups/{group}/policy',
          path: '/v1/groups/g/policy',
          body: { colour: 'red' },
        },
      ],
      [400, 'API_QUERY_INVALID', { operation: 'POST /v1/lines/agree' }],
      [404, 'LINE_UNKNOWN', { operation: 'POST /v1/lines/agree', body: { line: 'none' } }],
      [400, 'API_QUERY_INVALID', { operation: 'GET /v1/events', path: '/v1/events?after=x' }],
      [400, 'API_QUERY_INVALID', { operation: 'POST /v1/enrolment-codes', body: { model: 7 } }],
      [400, 'API_QUERY_INVALID', { operation: erase }],
      [400, 'BYTES_MALFORMED', { operation: erase, body: { root: 'x' } }],
      [404, 'BATCH_UNKNOWN', { operation: erase, body: { root: nobody + nobody } }],
      [404, 'GATEWAY_DEVICE_UNKNOWN', { operation: erase, body: { device: nobody } }],
    ];
    for (const [status, code, call] of refused) await assertRefused(answer(call), status, code);
    const twice: readonly PromiseSettledResult<unknown>[] = await Promise.allSettled(
      Array.from({ length: 8 }, () => answer({ operation: 'POST /v1/snapshot' })),
    );
    const codes = twice.map(
      (each) => each.status === 'rejected' && (each.reason as FirmamentError).code,
    );
    assert.ok(codes.includes('GATEWAY_BACKUP_EXISTS') && codes.includes(false));
    const came = [
      ...refused,
      [409, 'GATEWAY_BACKUP_EXISTS', { operation: 'POST /v1/snapshot' }] as const,
    ];
    const named = GATEWAY_OPERATIONS.flatMap(({ method, path, refusals = {} }) =>
      Object.entries(refusals).flatMap(([status, codesOf]) =>
        Object.keys(codesOf).map((code) => `${method.toUpperCase()} ${path} ${status} ${code}`),
      ),
    );
    assert.deepEqual(
      [
        ...new Set(came.map(([status, code, { operation }]) => `${operation} ${status} ${code}`)),
      ].toSorted(),
      named.toSorted(),
    );
  });

  test('what every call may be answered', async () => {
    const decide: Call = { operation: 'POST /v1/decisions/{word}', path: '/v1/decisions/veto' };
    const authorization = `Bearer ${token}`;
    await assertRefused(answer({ ...decide, body: utf8('{') }), 400, 'NET_REQUEST_INVALID');
    const huge = { ...decide, body: { device: 'x'.repeat(70_000) } };
    await assertRefused(answer(huge), 413, 'NET_TOO_LARGE');
    const strange = { authorization, 'content-type': 'text/html' };
    await assertRefused(answer(decide, strange), 415, 'NET_REQUEST_INVALID');
    await assertRefused(answer({ operation: 'GET /nowhere' }), 404, 'NET_NOT_FOUND');
    for (const { method, path } of GATEWAY_OPERATIONS.slice(0, 10)) {
      const operation = `${method.toUpperCase()} ${path}`;
      await assertRefused(answer({ operation }, {}), 401, 'GATEWAY_TOKEN_INVALID');
    }
    await assertRefused(answer({ operation: 'GET /v1/status' }, {}), 401, 'GATEWAY_TOKEN_INVALID');
    await assertRefused(answer({ operation: 'GET /v1/status' }), 429, 'NET_RATE_LIMITED');
    assert.deepEqual(Object.keys(SHARED_REFUSALS), [
      '400',
      '401',
      '413',
      '415',
      '429',
      '500',
      '503',
      '507',
    ]);
  });
});

/** As far as the document's schemas go. */
function fits(value: unknown, schema: Schema, at: string): void {
  const { $ref, anyOf, type, properties, required, items, pattern } = schema as {
    readonly $ref?: string;
    readonly anyOf?: readonly Schema[];
    readonly type?: string;
    readonly properties?: Readonly<Record<string, Schema>>;
    readonly required?: readonly string[];
    readonly items?: Schema;
    readonly pattern?: string;
  };
  if ($ref !== undefined) {
    const name = $ref.split('/').at(-1) as keyof typeof GATEWAY_SCHEMAS;
    return fits(value, GATEWAY_SCHEMAS[name], `${at} (${name})`);
  }
  if (anyOf) {
    const errors = anyOf.map((each) => thrown(() => fits(value, each, at)));
    return assert.ok(errors.includes(undefined), `${at}: ${errors.join('; ')}`);
  }
  if (Array.isArray(schema['enum']))
    assert.ok(schema['enum'].includes(value), `${at}: ${String(value)}`);
  if (type === 'null') assert.equal(value, null, at);
  else if (type === 'integer') assert.ok(Number.isSafeInteger(value), `${at}: ${String(value)}`);
  else if (type === 'array') {
    assert.ok(Array.isArray(value), at);
    for (const [i, each] of value.entries()) fits(each, items ?? {}, `${at}[${i}]`);
  } else if (type !== undefined) assert.equal(typeof value, type, at);
  if (pattern !== undefined) assert.match(value as string, new RegExp(pattern), at);
  if (!properties) return undefined;
  const record = value as Readonly<Record<string, unknown>>;
  for (const name of required ?? [])
    assert.ok(Object.hasOwn(record, name), `${at}.${name} is missing`);
  for (const [name, each] of Object.entries(record)) {
    const described: Schema | undefined = properties[name];
    assert.ok(described, `${at}.${name} is not described`);
    fits(each, described, `${at}.${name}`);
  }
  return undefined;
}

function thrown(work: () => void): string | undefined {
  try {
    work();
    return undefined;
  } catch (error) {
    return (error as Error).message;
  }
}
