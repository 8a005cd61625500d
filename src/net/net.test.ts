import assert from 'node:assert/strict';
import { connect as connectTcp, createServer as createTcpServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { after, before, test } from 'node:test';
import { connect } from 'node:tls';
import { CODES, fail } from '../errors.ts';
import type { FirmamentError } from '../errors.ts';
import { createClient } from './client.ts';
import type { Client, ClientOptions } from './client.ts';
import { createServer, peerSpki, sendProblem } from './server.ts';
import type { Server, ServerOptions } from './server.ts';
import { createTlsIdentity, spkiSha256 } from './tls.ts';
import type { TlsIdentity } from './tls.ts';

let identity: TlsIdentity;
let peer: TlsIdentity;
let server: Server;
let origin: string;
let client: Client;
let requests = 0;
const logged: { message: string; fields: unknown }[] = [];
const logger: NonNullable<ServerOptions['logger']> = {
  debug() {},
  info() {},
  warn() {},
  error: (message, fields) => logged.push({ message, fields }),
};

function clientFor(options: Partial<ClientOptions> = {}): Client {
  return createClient({ pins: identity.spkiSha256, credentials: peer, ...options });
}

before(async () => {
  identity = await createTlsIdentity({ hosts: ['10.0.0.1', 'node.example'] });
  peer = await createTlsIdentity();
  server = createServer({
    tls: identity,
    host: '127.0.0.1',
    port: 0,
    limits: { maxBody: 1000, grace: 200 },
    status: (code) => (code === 'STORE_BLOCK_MISSING' ? 404 : undefined),
    logger,
  });
  const { app } = server;
  app.addHook('onRequest', async () => void (requests += 1));
  app.get('/who', (request) => ({
    peer: peerSpki(request)?.toHex(),
    port: request.socket.remotePort,
  }));
  app.post('/echo', (request, reply) => {
    assert.ok(request.body instanceof Uint8Array && !Buffer.isBuffer(request.body));
    return reply.type('application/cbor').send(request.body);
  });
  app.post('/json', { bodyLimit: 10 }, (request) => request.body);
  app.get('/missing', () => fail('STORE_BLOCK_MISSING', 'not here'));
  app.get('/unmapped', () => fail('STORE_IO', 'secret path'));
  app.get('/broken', () => {
    throw new TypeError('secret detail');
  });
  app.get('/large', (_request, reply) => reply.send(new Uint8Array(100_000)));
  app.get('/unannounced', (_request, reply) => {
    reply.hijack();
    for (let i = 0; i < 10; i++) reply.raw.write(new Uint8Array(10_000));
    reply.raw.end();
  });
  app.get('/silent', (_request, reply) => void reply.hijack());
  app.get('/stalls', (_request, reply) => {
    reply.hijack();
    reply.raw.write('a');
  });
  app.get('/drips', (_request, reply) => {
    reply.hijack();
    const drip = setInterval(() => reply.raw.write('a'), 20);
    reply.raw.on('close', () => clearInterval(drip));
  });
  app.get('/breaks', (_request, reply) => {
    reply.hijack();
    reply.raw.writeHead(200, { 'content-length': 100 });
    reply.raw.write('a', () => reply.raw.destroy());
  });
  app.get('/redirect', (_request, reply) => reply.redirect('/who'));
  app.get('/foreign', (_request, reply) =>
    reply
      .code(418)
      .header('retry-after', '7')
      .type('application/problem+json')
      .send('{"code":"toString","detail":"a\\u001b[2Jb"}'),
  );
  app.get('/not-modified', (_request, reply) => reply.code(304).header('etag', '"a"').send());
  app.get('/problem', (_request, reply) => sendProblem(reply, 409, 'LEDGER_BUSY'));
  origin = `https://127.0.0.1:${await server.listen()}`;
  client = clientFor();
});

after(async () => {
  await client[Symbol.asyncDispose]();
  await server.close();
});

const get = (path: string, more: { timeoutMs?: number; signal?: AbortSignal } = {}) =>
  client.request({ url: origin + path, maxBytes: 50_000, ...more });
const json = (body: Uint8Array): Record<string, unknown> =>
  JSON.parse(new TextDecoder().decode(body)) as Record<string, unknown>;

test('an identity says its pin, and a certificate gives it back', () => {
  assert.equal(identity.spkiSha256.length, 32);
  assert.deepEqual(spkiSha256(identity.certificatePem), identity.spkiSha256);
  assert.throws(() => spkiSha256('nonsense'), { code: 'NET_CERTIFICATE_INVALID' });
  const mixed = { ...identity, privateKeyPem: peer.privateKeyPem };
  assert.throws(() => clientFor({ credentials: mixed }), { code: 'NET_CERTIFICATE_INVALID' });
  assert.throws(
    () =>
      createServer({
        tls: { certificatePem: 'x', privateKeyPem: 'y' },
        host: '127.0.0.1',
        port: 0,
      }),
    { code: 'NET_CERTIFICATE_INVALID' },
  );
});

test('the server knows its peer by the TLS key, also without one', async () => {
  const { body } = await get('/who');
  assert.equal(json(body)['peer'], peer.spkiSha256.toHex());
  await using bare = createClient({ pins: identity.spkiSha256 });
  const anonymous = await bare.request({ url: `${origin}/who`, maxBytes: 1000 });
  assert.equal('peer' in json(anonymous.body), false);
});

test('one connection is kept and used again', async () => {
  const ports = [];
  for (let i = 0; i < 3; i++) ports.push(json((await get('/who')).body)['port']);
  assert.equal(new Set(ports).size, 1);
});

test('at most perOrigin connections, and the rest wait their turn', async () => {
  await using few = clientFor({ perOrigin: 2 });
  const ask = () => few.request({ url: `${origin}/who`, maxBytes: 1000 });
  const answers = await Promise.all(Array.from({ length: 12 }, ask));
  assert.ok(new Set(answers.map((answer) => json(answer.body)['port'])).size <= 2);
});

test('another key than the pinned one: refused before the server sees a request', async () => {
  const seen = requests;
  await using other = clientFor({ pins: peer.spkiSha256 });
  const path = { url: `${origin}/who`, maxBytes: 1000 };
  await assert.rejects(other.request(path), { code: 'NET_PIN_MISMATCH' });
  await assert.rejects(other.stream(path), { code: 'NET_PIN_MISMATCH' });
  await using none = clientFor({ pins: () => undefined });
  await assert.rejects(none.request(path), { code: 'NET_PIN_MISMATCH' });
  assert.equal(requests, seen);
});

test('a pin that changes is not served by a connection made under the old one', async () => {
  let pin = identity.spkiSha256;
  await using moving = clientFor({ pins: () => pin });
  await moving.request({ url: `${origin}/who`, maxBytes: 1000 });
  pin = peer.spkiSha256;
  await assert.rejects(moving.request({ url: `${origin}/who`, maxBytes: 1000 }), {
    code: 'NET_PIN_MISMATCH',
  });
});

test('plain http and URLs with passwords are refused', async () => {
  for (const url of ['http://127.0.0.1/', 'https://a:b@127.0.0.1/', 'nonsense'])
    await assert.rejects(client.request({ url, maxBytes: 1 }), { code: 'NET_REQUEST_INVALID' });
});

test('raw bodies travel as bytes', async () => {
  for (const type of ['cbor', 'cose', 'octet-stream', 'vnd.ipld.raw']) {
    const body = Uint8Array.of(1, 2, 255);
    const answer = await client.request({
      method: 'POST',
      url: `${origin}/echo`,
      headers: { 'content-type': `application/${type}` },
      body,
      maxBytes: 3,
    });
    assert.deepEqual(answer.body, body);
  }
});

test('bodies are bounded, by server and by route; unknown types are refused', async () => {
  const post = (path: string, type: string, body: Uint8Array) =>
    client.request({
      method: 'POST',
      url: origin + path,
      headers: { 'content-type': type },
      body,
      maxBytes: 1000,
    });
  await assert.rejects(post('/echo', 'application/cbor', new Uint8Array(1001)), {
    code: 'NET_TOO_LARGE',
    details: { status: 413, remote: true },
  });
  const json = new TextEncoder().encode('[1,2,3,4,5]');
  await assert.rejects(post('/json', 'application/json', json), { code: 'NET_TOO_LARGE' });
  for (const type of ['text/plain', 'application/xml'])
    await assert.rejects(post('/echo', type, new Uint8Array(3)), {
      code: 'NET_REQUEST_INVALID',
      details: { status: 415, remote: true },
    });
  await assert.rejects(post('/json', 'application/json', new TextEncoder().encode('{')), {
    code: 'NET_REQUEST_INVALID',
    details: { status: 400, remote: true },
  });
});

test('codes travel; what is not the client’s business does not', async () => {
  await assert.rejects(get('/missing'), {
    code: 'STORE_BLOCK_MISSING',
    message: 'not here',
    details: { status: 404, remote: true },
  });
  await assert.rejects(get('/nowhere'), { code: 'NET_NOT_FOUND' });
  await assert.rejects(get('/problem'), {
    code: 'LEDGER_BUSY',
    details: { status: 409, remote: true },
  });
  logged.length = 0;
  for (const path of ['/unmapped', '/broken'])
    await assert.rejects(get(path), {
      code: 'INTERNAL',
      message: CODES.INTERNAL,
      details: { status: 500, remote: true },
    });
  assert.equal(logged.length, 2);
  await assert.rejects(get('/%zz'), { code: 'NET_REQUEST_INVALID' });
});

test('a foreign problem is NET_REMOTE_REFUSED, printable; redirects are not followed', async () => {
  await assert.rejects(get('/foreign'), {
    code: 'NET_REMOTE_REFUSED',
    message: 'a?[2Jb',
    details: { status: 418, remote: true, retryAfter: 7 },
  });
  await assert.rejects(get('/redirect'), { code: 'NET_REMOTE_REFUSED' });
  assert.equal((await get('/not-modified')).headers.etag, '"a"');
});

test('answers are bounded, announced or not', async () => {
  await assert.rejects(get('/large'), { code: 'NET_TOO_LARGE' });
  await assert.rejects(get('/unannounced'), { code: 'NET_TOO_LARGE' });
  await using stream = await client.stream({ url: `${origin}/unannounced`, maxBytes: 30_000 });
  let received = 0;
  await assert.rejects(
    async () => {
      for await (const part of stream.body) received += part.length;
    },
    { code: 'NET_TOO_LARGE' },
  );
  assert.ok(received <= 30_000);
});

test('a stream gives the whole body', async () => {
  await using stream = await client.stream({ url: `${origin}/large`, maxBytes: 100_000 });
  let received = 0;
  for await (const part of stream.body) received += part.length;
  assert.equal(received, 100_000);
});

test('silence, stalling and dripping end in NET_TIMEOUT', async () => {
  await assert.rejects(get('/silent', { timeoutMs: 50 }), { code: 'NET_TIMEOUT' });
  await using hasty = clientFor({ timeouts: { idle: 80 } });
  const since = performance.now();
  for (const path of ['/stalls', '/drips'])
    await assert.rejects(
      hasty.request({ url: origin + path, maxBytes: 10_000, timeoutMs: 20_000 }),
      {
        code: 'NET_TIMEOUT',
      },
    );
  // by its own bound each, not by the total
  assert.ok(performance.now() - since < 5_000);
});

test('a server that never finishes its handshake', { timeout: 3_000 }, async () => {
  const mute = createTcpServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => mute.once('listening', resolve));
  const url = `https://127.0.0.1:${(mute.address() as AddressInfo).port}/`;
  await using hasty = clientFor({ timeouts: { connect: 60 } });
  await assert.rejects(hasty.request({ url, maxBytes: 1 }), { code: 'NET_TIMEOUT' });
  mute.close();
});

test('nobody there, or a connection that breaks: NET_UNREACHABLE', async () => {
  await assert.rejects(client.request({ url: 'https://127.0.0.1:1/', maxBytes: 1 }), {
    code: 'NET_UNREACHABLE',
  });
  await assert.rejects(get('/breaks'), { code: 'NET_UNREACHABLE' });
});

test('the caller may give up, also while it waits for its turn', async () => {
  await assert.rejects(get('/who', { signal: AbortSignal.abort() }), { code: 'NET_ABORTED' });
  await using single = clientFor({ perOrigin: 1 });
  const controller = new AbortController();
  const both = ['/silent', '/who'].map((path) =>
    single.request({ url: origin + path, maxBytes: 1000, signal: controller.signal }),
  );
  setTimeout(() => controller.abort(), 30);
  for (const result of await Promise.allSettled(both))
    assert.equal(
      result.status === 'rejected' && (result.reason as FirmamentError).code,
      'NET_ABORTED',
    );
  assert.equal((await single.request({ url: `${origin}/who`, maxBytes: 1000 })).status, 200);
});

/** What the server answers, until it closes, to text on a TLS connection; undefined: to silence before TLS. */
function speak(port: number, text?: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const where = { host: '127.0.0.1', port };
    const socket =
      text === undefined
        ? connectTcp(where)
        : connect({ ...where, rejectUnauthorized: false }, () => socket.write(text));
    let answer = '';
    socket.setEncoding('utf8').on('data', (part: string) => (answer += part));
    socket.on('error', reject).on('close', () => resolve(answer));
    socket.setTimeout(4_000, () => socket.destroy(new Error('the server never hung up')));
  });
}

test(
  'slow-loris: handshakes and headers that never end are cut off',
  { timeout: 10_000 },
  async () => {
    await using strict = createServer({
      tls: identity,
      host: '127.0.0.1',
      port: 0,
      limits: { handshake: 200, headers: 200 },
    });
    const port = await strict.listen();
    const [silence, headers, junk] = await Promise.all([
      speak(port),
      speak(port, 'GET /who HTTP/1.1\r\nHost: a\r\nX-A'),
      speak(port, '\u0000\u0001nonsense\r\n\r\n'),
    ]);
    assert.equal(silence, '');
    assert.match(headers, /^HTTP\/1\.1 408 [^]*application\/problem\+json[^]*NET_TIMEOUT/);
    assert.match(junk, /^HTTP\/1\.1 400 [^]*NET_REQUEST_INVALID/);
  },
);

test('slow-loris: a body that never ends is cut off', async () => {
  await using strict = createServer({
    tls: identity,
    host: '127.0.0.1',
    port: 0,
    limits: { headers: 300, request: 500 },
  });
  strict.app.post('/echo', (request) => request.body);
  const head = 'POST /echo HTTP/1.1\r\nHost: a\r\nContent-Type: application/cbor\r\n';
  const answer = await speak(await strict.listen(), `${head}Content-Length: 9\r\n\r\na`);
  assert.match(answer, /^HTTP\/1\.1 408 /);
});

test('a client over its rate gets 429 and when to come back', async () => {
  await using limited = createServer({
    tls: identity,
    host: '127.0.0.1',
    port: 0,
    limits: { rate: { perSecond: 0.5, burst: 2 } },
  });
  const url = `https://127.0.0.1:${await limited.listen()}/`;
  await using polite = clientFor();
  for (let i = 0; i < 2; i++)
    await assert.rejects(polite.request({ url, maxBytes: 1 }), { code: 'NET_NOT_FOUND' });
  await assert.rejects(polite.request({ url, maxBytes: 1 }), {
    code: 'NET_RATE_LIMITED',
    details: { status: 429, remote: true, retryAfter: 2 },
  });
});

test('close finishes what is under way, then cuts off what does not end', async () => {
  const brief = createServer({
    tls: identity,
    host: '127.0.0.1',
    port: 0,
    limits: { grace: 500 },
  });
  const arrived = [Promise.withResolvers<void>(), Promise.withResolvers<void>()] as const;
  const closing = Promise.withResolvers<void>();
  brief.app.get('/slow', async () => {
    arrived[0].resolve();
    await closing.promise;
    return 'done';
  });
  brief.app.get('/never', (_request, reply) => {
    reply.hijack();
    arrived[1].resolve();
  });
  const base = `https://127.0.0.1:${await brief.listen()}`;
  const slow = client.request({ url: `${base}/slow`, maxBytes: 100 });
  const never = client.request({ url: `${base}/never`, maxBytes: 100, timeoutMs: 5_000 });
  const ended = Promise.allSettled([slow, never]);
  await Promise.all(arrived.map(({ promise }) => promise));
  const closed = brief.close();
  setTimeout(closing.resolve, 20);
  await closed;
  const [first, second] = await ended;
  assert.equal(first.status, 'fulfilled');
  assert.equal(
    second.status === 'rejected' && (second.reason as FirmamentError).code,
    'NET_UNREACHABLE',
  );
});

test('close does not wait for a handshake that never comes', async () => {
  const brief = createServer({ tls: identity, host: '127.0.0.1', port: 0, limits: { grace: 50 } });
  const silence = speak(await brief.listen());
  await new Promise((resolve) => brief.app.server.once('connection', resolve));
  await brief.close();
  assert.equal(await silence, '');
});

test('a port in use', async () => {
  const port = Number(new URL(origin).port);
  const second = createServer({ tls: identity, host: '127.0.0.1', port });
  await assert.rejects(second.listen(), { code: 'NET_LISTEN_FAILED' });
});
