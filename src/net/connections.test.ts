/** How many connections one client may keep. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { test } from 'node:test';
import { createServer } from './server.ts';
import { createTlsIdentity } from './tls.ts';

const identity = await createTlsIdentity({ name: 'a', hosts: ['127.0.0.1'] });

// Only Linux has more loopback addresses than one without being told.
const skip = process.platform !== 'linux';

test('one address alone keeps nobody else out', { skip, timeout: 20_000 }, async (t) => {
  await using server = createServer({
    tls: identity,
    host: '127.0.0.1',
    port: 0,
    limits: { maxConnections: 6, maxConnectionsPerClient: 3, grace: 10 },
  });
  const port = await server.listen();
  const open: Socket[] = [];
  t.after(() => open.forEach((socket) => socket.destroy()));
  const isKept = async (localAddress: string): Promise<boolean> => {
    const socket = connect({ host: '127.0.0.1', port, localAddress });
    open.push(socket.on('error', () => undefined));
    await once(socket, 'connect');
    return Promise.race([
      once(socket, 'close').then(() => false),
      new Promise<true>((resolve) => setTimeout(resolve, 150, true)),
    ]);
  };
  for (let i = 0; i < 3; i++) assert.equal(await isKept('127.0.0.1'), true);
  for (let i = 0; i < 5; i++) assert.equal(await isKept('127.0.0.1'), false);
  assert.equal(await isKept('127.0.0.2'), true);
  open[0]?.destroy();
  // The server hears of it a moment later.
  while (!(await isKept('127.0.0.1')));
});
