// T30: an author's URL may not make the gateway speak to what stands behind the owner's wall.
import assert from 'node:assert/strict';
import { Readable } from 'node:stream';
import { after, before, suite, test } from 'node:test';
import { createRootCertificate, createServerCertificate } from '../../src/net/authority.ts';
import { createPublicClient, isPublicAddress } from '../../src/net/public-fetch.ts';
import { createServer, type Server } from '../../src/net/server.ts';

function* tooMuch(): Generator<Uint8Array> {
  // An end after all, so that whoever takes too much is seen and not waited for.
  for (let i = 0; i < 100; i++) yield new Uint8Array(1000);
}

const NOW = Math.floor(Date.now() / 1000);
const never = new AbortController().signal;

suite('T30 author URLs', () => {
  let server: Server;
  let port: number;
  let ca: string;
  const asked: string[] = [];

  before(async () => {
    const root = await createRootCertificate('author root', 10, NOW);
    ca = root.certificatePem;
    const tls = await createServerCertificate(
      root,
      'author',
      ['127.0.0.1', 'author.test', 'inside.test'],
      5,
      NOW,
    );
    server = createServer({ tls, host: '127.0.0.1', port: 0 });
    server.app.get('/image', async (request, reply) => {
      asked.push(request.headers.host ?? '');
      return reply.type('application/octet-stream').send(Buffer.alloc(100, 7));
    });
    server.app.get<{ Querystring: { to: string } }>('/away', async (request, reply) =>
      reply.code(302).header('location', request.query.to).send(),
    );
    server.app.get('/circle', async (_request, reply) =>
      reply.code(302).header('location', '/circle').send(),
    );
    server.app.get('/too-much', async (_request, reply) => {
      reply.type('application/octet-stream');
      return reply.send(Readable.from(tooMuch()));
    });
    port = await server.listen();
  });
  after(() => server[Symbol.asyncDispose]());

  const read = async (
    url: string,
    options: {
      readonly allowPrivate?: boolean;
      readonly addresses?: readonly (readonly string[])[];
      readonly isPublic?: (address: string) => boolean;
    } = {},
  ): Promise<number> => {
    const answers = [...(options.addresses ?? [['127.0.0.1']])];
    const client = createPublicClient({
      allowPrivate: options.allowPrivate ?? false,
      ca,
      resolve: async () => answers.shift() ?? ['127.0.0.1'],
      answer: 2_000,
      ...(options.isPublic && { isPublic: options.isPublic }),
    });
    await using answer = await client.stream({
      method: 'GET',
      url,
      headers: {},
      maxBytes: 1000,
      signal: never,
    });
    let bytes = 0;
    for await (const part of answer.body) bytes += part.length;
    return bytes;
  };

  test('addresses that are not public', () => {
    const inside = [
      '0.0.0.0',
      '10.1.2.3',
      '100.64.0.1',
      '127.0.0.1',
      '169.254.169.254',
      '172.31.255.255',
      '192.168.1.1',
      '198.18.0.1',
      '224.0.0.1',
      '255.255.255.255',
      '::',
      '::1',
      '::ffff:127.0.0.1',
      '::ffff:8.8.8.8',
      '64:ff9b::7f00:1',
      'fc00::1',
      'fd12::1',
      'fe80::1',
      'fe80::1%eth0',
      'fec0::1',
      'ff02::1',
      '2001::1',
      '2002:7f00:1::',
      '2001:db8::1',
      'not an address',
    ];
    for (const address of inside) assert.equal(isPublicAddress(address), false, address);
    for (const address of ['1.1.1.1', '8.8.8.8', '172.32.0.1', '2606:4700::1111', '2a00::1'])
      assert.equal(isPublicAddress(address), true, address);
  });

  test('a literal private address, a name that resolves to one, and one among public ones', async () => {
    const before = asked.length;
    for (const url of [
      `https://127.0.0.1:${port}/image`,
      `https://[::1]:${port}/image`,
      `https://2130706433:${port}/image`,
    ])
      await assert.rejects(read(url), { code: 'NET_ADDRESS_PRIVATE' });
    const named = `https://inside.test:${port}/image`;
    await assert.rejects(read(named), { code: 'NET_ADDRESS_PRIVATE' });
    await assert.rejects(read(named, { addresses: [['203.1.113.7', '192.168.0.1']] }), {
      code: 'NET_ADDRESS_PRIVATE',
    });
    assert.equal(asked.length, before);
  });

  test('the owner may allow them', async () => {
    assert.equal(await read(`https://author.test:${port}/image`, { allowPrivate: true }), 100);
    assert.equal(asked.at(-1), `author.test:${port}`);
  });

  test('only https, also after a redirect, and the redirect is checked like the first', async () => {
    const away = (to: string): string =>
      `https://author.test:${port}/away?to=${encodeURIComponent(to)}`;
    const allowed = { allowPrivate: true };
    await assert.rejects(read('http://author.test/image'), { code: 'NET_REQUEST_INVALID' });
    await assert.rejects(read('file:///etc/passwd'), { code: 'NET_REQUEST_INVALID' });
    await assert.rejects(read(away('http://127.0.0.1/'), allowed), { code: 'NET_REQUEST_INVALID' });
    assert.equal(await read(away(`https://inside.test:${port}/image`), allowed), 100);
    const circle = `https://author.test:${port}/circle`;
    await assert.rejects(read(circle, allowed), { code: 'NET_REMOTE_REFUSED' });
    // A server that is public sends the gateway inside.
    const isPublic = (address: string): boolean => address === '127.0.0.1';
    const before = asked.length;
    const inside = `https://inside.test:${port}/image`;
    for (const addresses of [[['127.0.0.1'], ['127.0.0.2']]])
      await assert.rejects(read(away(inside), { isPublic, addresses }), {
        code: 'NET_ADDRESS_PRIVATE',
      });
    assert.equal(asked.length, before);
  });

  test('a name that turns inward after it was checked is not asked for again', async () => {
    const isPublic = (address: string): boolean => address === '127.0.0.1';
    let questions = 0;
    const client = createPublicClient({
      allowPrivate: false,
      ca,
      isPublic,
      resolve: async () => (questions++ === 0 ? ['127.0.0.1'] : ['192.168.0.1']),
    });
    const url = `https://author.test:${port}/image`;
    await using answer = await client.stream({
      method: 'GET',
      url,
      headers: {},
      maxBytes: 1000,
      signal: never,
    });
    assert.equal(answer.status, 200);
    assert.equal(questions, 1);
  });

  test('no more than the manifest says, and no certificate of another', async () => {
    await assert.rejects(read(`https://author.test:${port}/too-much`, { allowPrivate: true }), {
      code: 'NET_TOO_LARGE',
    });
    await assert.rejects(read(`https://other.test:${port}/image`, { allowPrivate: true }), {
      code: 'NET_UNREACHABLE',
    });
  });
});
