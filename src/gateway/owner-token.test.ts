import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { httpStatus } from '../api/status.ts';
import { fromHex } from '../bytes.ts';
import { createClient, type Client } from '../net/client.ts';
import { createServer, type Server } from '../net/server.ts';
import { openEdge, silent, type Edge } from '../testing/gateway-edge.ts';
import { assertRefused } from '../testing/refused.ts';
import { requireToken } from './owner-token.ts';

const TOKEN = 'the token of one owner';
let edge: Edge;
let server: Server;
let client: Client;
let origin: string;

before(async () => {
  edge = await openEdge();
  server = createServer({
    tls: edge.authority.server,
    host: '127.0.0.1',
    port: 0,
    status: httpStatus,
    logger: silent,
    limits: { grace: 50 },
  });
  requireToken(server.app, TOKEN, { perSecond: 0.01, burst: 3 });
  server.app.get('/', async () => ({ secret: true }));
  origin = `https://127.0.0.1:${await server.listen()}`;
  client = createClient({ pins: { root: fromHex(edge.authority.rootHash) } });
});

after(async () => {
  await client[Symbol.asyncDispose]();
  await server.close();
  await edge[Symbol.asyncDispose]();
});

test('the token, nothing else, and not many guesses', async () => {
  const get = (authorization: string): Promise<{ readonly status: number }> =>
    client.request({ url: origin, headers: { authorization }, maxBytes: 1024 });
  const right = `Bearer ${TOKEN}`;
  for (let i = 0; i < 20; i++) assert.equal((await get(right)).status, 200);
  for (const wrong of ['Bearer the token of one owne', `Basic ${TOKEN}`, `${right}s`])
    await assertRefused(get(wrong), 401, 'GATEWAY_TOKEN_INVALID');
  assert.equal((await get(right)).status, 200);
  await assertRefused(get('Bearer another guess at it'), 401, 'GATEWAY_TOKEN_INVALID');
  await assertRefused(get('Bearer another guess at it'), 429, 'NET_RATE_LIMITED');
  // The right one too: whoever guesses learns nothing meanwhile.
  await assertRefused(get(right), 429, 'NET_RATE_LIMITED');
});
