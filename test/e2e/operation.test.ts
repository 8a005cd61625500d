import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { suite, test } from 'node:test';
import { declareStatement } from '../../src/author/statements.ts';
import { encodeGroup, REGISTRATIONS } from '../../src/api/registration.ts';
import { openapi } from '../../src/api/openapi.ts';
import { startTestNetwork, type TestNetwork } from '../../src/testing/network.ts';
import { testAuthor } from '../../src/testing/network-author.ts';

async function text(network: TestNetwork, path: string): Promise<string> {
  const { body } = await network
    .client()
    .request({ url: network.url(network.orderer, path), maxBytes: 1 << 20 });
  return new TextDecoder().decode(body);
}

function configured(network: TestNetwork, fields: Readonly<Record<string, unknown>>): void {
  const file = network.configFile(network.orderer);
  const config = JSON.parse(readFileSync(file, 'utf8')) as object;
  writeFileSync(file, JSON.stringify({ ...config, ...fields }));
}

suite('a node in operation', () => {
  test('the document describes every route and no other', async () => {
    await using network = await startTestNetwork({ operators: 1 });
    const { routes } = network.node(network.orderer);
    const described = Object.entries(openapi()['paths'] as Record<string, object>).flatMap(
      ([path, methods]) => Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
    );
    const served = routes.map((route) =>
      route.replaceAll(/:(\w+)/g, '{$1}').replace('/tile/*', '/tile/{tile}'),
    );
    assert.deepEqual(described.toSorted(), served.toSorted());
    assert.deepEqual(JSON.parse(await text(network, '/openapi.json')), openapi());
  });

  test('metrics count by route and code, and name nothing that was asked for', async () => {
    await using network = await startTestNetwork({ operators: 1 });
    await testAuthor(network);
    const secret = 'f'.repeat(64);
    const client = network.client();
    const url = network.url(network.orderer, `/v1/releases/${secret}`);
    await assert.rejects(
      client.request({ url, headers: { 'firmament-device': 'lamp-in-the-hall' }, maxBytes: 1024 }),
      {
        code: 'RELEASE_UNKNOWN',
      },
    );
    const metrics = await text(network, '/metrics');
    assert.match(
      metrics,
      /firmament_http_requests_total\{method="GET",route="\/v1\/releases\/:digest",status="404",code="RELEASE_UNKNOWN"\} 1\n/,
    );
    assert.match(
      metrics,
      /firmament_http_requests_total\{method="POST",route="\/v1\/registrations",status="201",code=""\} 1\n/,
    );
    assert.match(metrics, /\nfirmament_log_size [1-9]\d*\n/);
    assert.match(metrics, /\nfirmament_quorum_size [1-9]\d*\n/);
    assert.match(metrics, /\nfirmament_halted 0\n/);
    assert.match(metrics, /\nfirmament_registrations_under_way 0\n/);
    const said = JSON.stringify(network.logged);
    for (const told of [metrics, said]) {
      assert.ok(!told.includes(secret));
      assert.ok(!told.includes('lamp-in-the-hall'));
    }
    const lines = network.logged.filter(({ message }) => message === 'request');
    assert.deepEqual(
      lines.map(({ fields }) => [fields['route'], fields['status'], fields['code']]),
      [['/v1/releases/:digest', 404, 'RELEASE_UNKNOWN']],
    );
  });

  test('beyond its registrations under way a node answers 503 and when to come again', async () => {
    await using network = await startTestNetwork({ operators: 1 });
    const author = await testAuthor(network);
    await network.stop(network.orderer);
    configured(network, { registrations: 2, rate: null });
    await network.start(network.orderer);
    const { key, author: own } = author.session;
    const signer = { key, author: own.id, networkId: network.root.networkId };
    const client = network.client();
    const root = { url: network.url(network.orderer, '/v1/root'), maxBytes: 65_536 };
    // Kept connections: handshakes would bring the registrations one after the other.
    await Promise.all(Array.from({ length: 30 }, () => client.request(root)));
    let counter = BigInt(Date.now()) * 10n;
    const declare = (model: string): Promise<unknown> => {
      const statement = declareStatement(signer, ++counter, author.line(model));
      return client.request({
        method: 'POST',
        url: network.url(network.orderer, REGISTRATIONS),
        headers: { 'content-type': 'application/cbor' },
        body: encodeGroup([{ statement: statement.bytes, attachment: null }]),
        maxBytes: 65_536,
      });
    };
    const answers = await Promise.allSettled(
      Array.from({ length: 30 }, (_, i) => declare(`model ${i}`)),
    );
    const refused = answers.flatMap((answer) =>
      answer.status === 'rejected'
        ? [answer.reason as { code: string; details: Record<string, unknown> }]
        : [],
    );
    assert.ok(refused.length > 0);
    assert.ok(refused.length < answers.length);
    for (const { code, details } of refused) {
      assert.equal(code, 'NODE_OVERLOADED');
      assert.equal(details['status'], 503);
      assert.equal(details['retryAfter'], 1);
    }
    // Those that were let in left their places.
    await declare('one more');
  });
});

test('a node that stops finishes what is under way and takes nothing new, in time', async () => {
  await using network = await startTestNetwork({ operators: 1 });
  const author = await testAuthor(network);
  const { key, author: own } = author.session;
  const signer = { key, author: own.id, networkId: network.root.networkId };
  const client = network.client();
  const declare = (counter: number): ReturnType<typeof client.request> => {
    const statement = declareStatement(
      signer,
      BigInt(Date.now()) * 10n + BigInt(counter),
      author.line(`m ${counter}`),
    );
    return client.request({
      method: 'POST',
      url: network.url(network.orderer, REGISTRATIONS),
      headers: { 'content-type': 'application/cbor' },
      body: encodeGroup([{ statement: statement.bytes, attachment: null }]),
      maxBytes: 65_536,
    });
  };
  await declare(1);
  const underWay = declare(2);
  // It has arrived, also on a busy machine.
  await new Promise((resolve) => setTimeout(resolve, 30));
  const began = performance.now();
  const stopped = network.stop(network.orderer);
  const { status } = await underWay;
  assert.ok(status === 201 || status === 202);
  await stopped;
  assert.ok(performance.now() - began < 3000);
  await assert.rejects(declare(3), { code: 'NET_UNREACHABLE' });
  await network.start(network.orderer);
  const known = await declare(4);
  assert.equal(known.status, 201);
});
