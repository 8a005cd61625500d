import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { GATEWAY_OPERATIONS, gatewayOpenapi } from '../api/gateway-openapi.ts';
import { httpStatus } from '../api/status.ts';
import { createServer } from '../net/server.ts';
import { openEdge, silent, type Edge } from '../testing/gateway-edge.ts';
import { apiRoutes, type ApiParts } from './api-routes.ts';
import { metricRoutes, type MetricParts } from './metric-routes.ts';
import { reportRoutes, type ReportRouteParts } from './report-routes.ts';

let edge: Edge;
before(async () => (edge = await openEdge()));
after(() => edge[Symbol.asyncDispose]());

test('the document describes every route of the owner, its parameters, and no other', async () => {
  const { server: tls } = edge.authority;
  const listen = { host: '127.0.0.1', port: 0, status: httpStatus, logger: silent };
  const server = createServer({ tls, ...listen });
  const served: string[] = [];
  server.app.addHook('onRoute', ({ method, url }) => {
    for (const each of [method].flat()) if (each !== 'HEAD') served.push(`${each} ${url}`);
  });
  // Routes are only made here, and none is asked.
  apiRoutes(server.app, { token: 'no token of anybody' } as ApiParts);
  metricRoutes(server.app, {} as MetricParts);
  reportRoutes(server.app, {} as ReportRouteParts);
  const { paths } = gatewayOpenapi() as {
    readonly paths: Record<string, Record<string, { readonly parameters: readonly Parameter[] }>>;
  };
  const described = Object.entries(paths).flatMap(([path, methods]) =>
    Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
  );
  assert.deepEqual(
    described.toSorted(),
    served.map((route) => route.replaceAll(/:(\w+)/g, '{$1}')).toSorted(),
  );
  for (const { path, method } of GATEWAY_OPERATIONS) {
    const named = paths[path]?.[method]?.parameters.filter((each) => each.in === 'path');
    const parts = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name);
    assert.deepEqual(
      named?.map(({ name }) => name),
      parts,
      path,
    );
  }
});

interface Parameter {
  readonly name: string;
  readonly in: string;
}
