import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createServer } from '../net/server.ts';
import { createTlsIdentity } from '../net/tls.ts';
import type { Fields } from '../logger.ts';
import { SILENT } from '../testing/ledger-fixture.ts';
import type { Health } from './general-routes.ts';
import { METRICS, observe, type ObservationParts } from './observation.ts';

const HEALTH: Health = {
  status: 'ok',
  mode: 'trial',
  node: 'a/n1',
  roles: [],
  height: 3,
  size: 9,
  quorum: null,
};

async function observed(
  parts: Partial<ObservationParts>,
): Promise<ReturnType<typeof createServer>['app'] & Disposable> {
  const tls = await createTlsIdentity({ name: 'a/n1', hosts: ['127.0.0.1'] });
  const { app } = createServer({ tls, host: '127.0.0.1', port: 0 });
  const observation = observe(app, {
    health: () => HEALTH,
    orders: () => true,
    heardAt: () => 5,
    registrations: () => 0,
    logger: SILENT,
    requestLog: 'none',
    mayRead: () => false,
    ...parts,
  });
  app.get('/fine', async () => ({}));
  return Object.assign(app, { [Symbol.dispose]: () => observation[Symbol.dispose]() });
}

test('metrics are for this machine and whoever is let in', async () => {
  using closed = await observed({});
  using open = await observed({ mayRead: () => true });
  const ask = (app: typeof closed, remoteAddress: string): Promise<number> =>
    app.inject({ url: METRICS, remoteAddress }).then(({ statusCode }) => statusCode);
  assert.equal(await ask(closed, '127.0.0.1'), 200);
  assert.equal(await ask(closed, '::1'), 200);
  assert.equal(await ask(closed, '::ffff:127.0.0.1'), 200);
  assert.equal(await ask(closed, '203.0.113.7'), 404);
  assert.equal(await ask(closed, '2001:db8::1'), 404);
  assert.equal(await ask(closed, '::ffff:203.0.113.7'), 404);
  assert.equal(await ask(open, '203.0.113.7'), 200);
});

test('the request log is bounded, and says so', async (t) => {
  const lines: (readonly [string, Fields | undefined])[] = [];
  const logger = {
    ...SILENT,
    info: (message: string, fields?: Fields) => lines.push([message, fields]),
  };
  let now = 1000;
  t.mock.method(performance, 'now', () => now);
  using app = await observed({ logger, requestLog: 'refused' });
  for (let i = 0; i < 60; i++) await app.inject({ url: `/nothing-${i}` });
  await app.inject({ url: '/fine' });
  assert.equal(lines.length, 50);
  const [[message, fields] = []] = lines;
  assert.equal(message, 'request');
  assert.deepEqual([fields?.['route'], fields?.['code']], ['none', 'NET_NOT_FOUND']);
  now += 1000;
  await app.inject({ url: '/nothing' });
  assert.deepEqual(lines[50], ['requests not logged', { count: 10 }]);
  using all = await observed({ logger, requestLog: 'all' });
  lines.length = 0;
  await all.inject({ url: '/fine?device=secret' });
  assert.deepEqual([lines.length, lines[0]?.[1]?.['route']], [1, '/fine']);
});
