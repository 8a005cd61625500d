import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { ClientRequest, IncomingMessage } from 'node:http';
import { Agent, get as httpsGet } from 'node:https';
import { test } from 'node:test';
import { createServer } from '../net/server.ts';
import { createTlsIdentity } from '../net/tls.ts';
import { MAX_TRANSFERS_PER_CLIENT, Transfers } from './transfers.ts';

// Only Linux has more loopback addresses than one without being told.
const skip = process.platform !== 'linux';

test('nobody alone takes all transfers', { skip, timeout: 30_000 }, async (t) => {
  const tls = await createTlsIdentity({ name: 'a', hosts: ['127.0.0.1'] });
  await using server = createServer({ tls, host: '127.0.0.1', port: 0, limits: { grace: 10 } });
  const transfers = new Transfers();
  server.app.get('/slow', { onRequest: transfers.enter }, (_request, reply) => {
    reply.hijack();
    reply.raw.write('a');
  });
  const port = await server.listen();
  const agent = new Agent({ keepAlive: false, rejectUnauthorized: false });
  const open: ClientRequest[] = [];
  t.after(() => open.forEach((each) => each.destroy()));
  const statusFor = async (localAddress: string): Promise<number | undefined> => {
    const asked = httpsGet({ host: '127.0.0.1', port, path: '/slow', localAddress, agent });
    open.push(asked.on('error', () => undefined));
    const [answer] = (await once(asked, 'response')) as [IncomingMessage];
    return answer.on('error', () => undefined).statusCode;
  };
  for (let i = 0; i < MAX_TRANSFERS_PER_CLIENT; i++)
    assert.equal(await statusFor('127.0.0.1'), 200);
  assert.equal(await statusFor('127.0.0.1'), 503);
  assert.equal(await statusFor('127.0.0.2'), 200);
  open[0]?.destroy();
  // The node hears of it a moment later.
  while ((await statusFor('127.0.0.1')) !== 200);
});
