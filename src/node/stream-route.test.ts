import assert from 'node:assert/strict';
import { connect } from 'node:tls';
import { after, before, suite, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { encodeChange, type Change } from '../api/changes.ts';
import { httpStatus } from '../api/status.ts';
import type { Client } from '../net/client.ts';
import { createServer } from '../net/server.ts';
import { createTlsIdentity, type TlsIdentity } from '../net/tls.ts';
import { createStreamClient, listenTo } from '../reader/changes.ts';
import { STREAM_LIMITS, streamRoute, type StreamLimits } from './stream-route.ts';

/** Heads that grow when a test says so. */
class FakeChanges {
  size = 5;
  readonly listeners = new Set<() => void>();

  since(told: number | undefined): Change | undefined {
    if (told !== undefined && told >= this.size) return undefined;
    return { size: this.size, lines: told === undefined ? null : [] };
  }

  onChange(listener: () => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  grow(): void {
    this.size += 1;
    for (const wake of this.listeners) wake();
  }
}

suite("a node's stream of changes", () => {
  let identity: TlsIdentity;
  let client: Client;
  const cleanup = new AsyncDisposableStack();
  before(async () => {
    identity = await createTlsIdentity();
    client = cleanup.use(createStreamClient(identity.spkiSha256, 1_000));
  });
  after(() => cleanup.disposeAsync());

  async function open(limits: Partial<StreamLimits> = {}): Promise<{
    readonly changes: FakeChanges;
    readonly url: string;
    readonly port: number;
    readonly stop: AbortController;
  }> {
    const changes = new FakeChanges();
    const stop = new AbortController();
    const server = cleanup.use(
      createServer({ tls: identity, host: '127.0.0.1', port: 0, status: httpStatus }),
    );
    streamRoute(server.app, { changes, stop: stop.signal }, { ...STREAM_LIMITS, ...limits });
    const port = await server.listen();
    cleanup.defer(() => stop.abort());
    return { changes, stop, port, url: `https://127.0.0.1:${port}` };
  }

  const listen = (url: string, since?: number): AsyncGenerator<Change, void, undefined> =>
    listenTo(client, url, { since, signal: AbortSignal.timeout(5_000) });

  test('what is now, what comes, and no more than was not told yet', async () => {
    const { changes, url, stop } = await open({ pause: 50 });
    const fresh = listen(url);
    assert.deepEqual((await fresh.next()).value, { size: 5, lines: null });
    const again = listen(url, 5);
    const next = again.next();
    await sleep(50);
    changes.grow();
    assert.deepEqual((await next).value, { size: 6, lines: [] });
    assert.deepEqual((await fresh.next()).value, { size: 6, lines: [] });
    // Within the pause: told together.
    changes.grow();
    changes.grow();
    assert.deepEqual((await fresh.next()).value, { size: 8, lines: [] });
    stop.abort();
    assert.equal((await fresh.next()).done, true);
    await again.return();
    await assert.rejects(listenTo(client, url, { signal: AbortSignal.timeout(500) }).next(), {
      code: 'NODE_OVERLOADED',
    });
  });

  test('so many listeners of one address; who leaves makes room', async () => {
    const { url } = await open({ perClient: 2 });
    const first = listen(url);
    await first.next();
    await listen(url).next();
    await assert.rejects(listen(url).next(), { code: 'NODE_OVERLOADED' });
    await first.return();
    await sleep(50);
    await listen(url).next();
  });

  test('so many listeners in all', async () => {
    const { url } = await open({ listeners: 1 });
    await listen(url).next();
    await assert.rejects(listen(url).next(), { code: 'NODE_OVERLOADED' });
  });

  test('signs of life keep a quiet stream; without them it is given up', async () => {
    const quiet = await open({ heartbeat: 200 });
    const kept = listen(quiet.url);
    await kept.next();
    const next = kept.next();
    await sleep(1_500);
    quiet.changes.grow();
    assert.equal((await next).value?.size, 6);
    const dead = await open({ heartbeat: 60_000 });
    const lost = listen(dead.url);
    await lost.next();
    await assert.rejects(lost.next(), { code: 'NET_TIMEOUT' });
  });

  test('a listener that does not read is cut off', async () => {
    const { changes, port } = await open({ pause: 1, backlog: 4_096 });
    const lines = Array.from({ length: 60 }, () => 'x'.repeat(200));
    changes.since = (told) =>
      told !== undefined && told >= changes.size ? undefined : { size: changes.size, lines };
    const socket = connect({ host: '127.0.0.1', port, rejectUnauthorized: false });
    socket.on('error', () => undefined);
    socket.write('GET /v1/changes HTTP/1.1\r\nhost: x\r\n\r\n');
    socket.pause();
    const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
    for (let i = 0; i < 3_000; i++) {
      changes.grow();
      if (i % 10 === 0) await sleep(1);
    }
    socket.resume();
    let bytes = 0;
    socket.on('data', (part: Uint8Array) => (bytes += part.length));
    const cut = await Promise.race([closed.then(() => true), sleep(10_000).then(() => false)]);
    socket.destroy();
    assert.ok(cut, 'still open');
    // Far from all: 3000 events of 12 kB.
    assert.ok(bytes < 20_000_000, String(bytes));
  });

  test('a flood is left', async () => {
    const server = cleanup.use(createServer({ tls: identity, host: '127.0.0.1', port: 0 }));
    const junk = encodeChange({ size: 1, lines: null }).repeat(20_000);
    server.app.get('/v1/changes', (_request, reply) => reply.type('text/event-stream').send(junk));
    const flood = listen(`https://127.0.0.1:${await server.listen()}`);
    await assert.rejects(
      async () => {
        for await (const change of flood) assert.equal(change.size, 1);
      },
      { code: 'API_STREAM_MALFORMED' },
    );
  });
});
