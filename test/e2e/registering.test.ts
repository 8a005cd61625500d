/** What registration nodes take, refuse and answer, and what stands when the orderer does not. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  decodeRegistered,
  encodeGroup,
  entryPath,
  MAX_REGISTRATION,
  REGISTRATIONS,
  type Registered,
} from '../../src/api/registration.ts';
import { checkReceipt } from '../../src/author/registration.ts';
import { declareStatement, registerStatement } from '../../src/author/statements.ts';
import { hex, utf8 } from '../../src/bytes.ts';
import { encode } from '../../src/cbor/encode.ts';
import { codeOf } from '../../src/errors.ts';
import type { Client } from '../../src/net/client.ts';
import type { Statement } from '../../src/registry/statement.ts';
import { fixtureAuthor, fixtureLine, type FixtureAuthor } from '../../src/testing/fixture.ts';
import { startTestNetwork, type TestNetwork } from '../../src/testing/network.ts';
import { assertRefused } from '../../src/testing/refused.ts';

let network: TestNetwork;
let client: Client;
let acme: FixtureAuthor;
let model = 0;

before(async () => {
  network = await startTestNetwork({ receiptWaitMs: 1500 });
  client = network.client();
  acme = author('acme');
  await healthy();
  assert.equal((await post('a/n1', registration(acme))).status, 201);
});
after(() => network[Symbol.asyncDispose]());

function author(name: string): FixtureAuthor {
  return fixtureAuthor(network.root.networkId, { name });
}

function registration(by: FixtureAuthor): Statement {
  const recovery = by.recovery.map((key) => key.publicKey);
  return registerStatement(by, 1n, { name: by.name, recovery, threshold: 1 });
}

/** A line.declare that nobody has posted yet. */
function declaration(by = acme): Statement {
  model += 1;
  return declareStatement(by, BigInt(model + 1), fixtureLine(by.author, `model ${model}`));
}

async function healthy(): Promise<void> {
  while (!network.running().every((node) => node.health().status === 'ok')) await sleep(20);
}

interface Posted {
  readonly status: number;
  readonly registered: Registered;
}

async function postBytes(node: string, body: Uint8Array): Promise<Posted> {
  const answer = await client.request({
    method: 'POST',
    url: network.url(node, REGISTRATIONS),
    headers: { 'content-type': 'application/cbor' },
    body,
    maxBytes: MAX_REGISTRATION,
  });
  return { status: answer.status, registered: decodeRegistered(answer.body) };
}

function post(node: string, ...statements: readonly Statement[]): Promise<Posted> {
  return postBytes(
    node,
    encodeGroup(statements.map(({ bytes }) => ({ statement: bytes, attachment: null }))),
  );
}

async function postAs(
  method: 'POST' | 'PUT',
  path: string,
  mediaType: string | undefined,
  body?: Uint8Array,
): Promise<unknown> {
  return client.request({
    method,
    url: network.url('a/n1', path),
    ...(mediaType !== undefined && { headers: { 'content-type': mediaType } }),
    ...(body && { body }),
    maxBytes: MAX_REGISTRATION,
  });
}

async function entry(node: string, { signingDigest }: Statement): Promise<Posted> {
  const url = network.url(node, entryPath(signingDigest));
  const answer = await client.request({ url, maxBytes: MAX_REGISTRATION });
  return { status: answer.status, registered: decodeRegistered(answer.body) };
}

test('a statement is ordered once, and a duplicate answered with its first place', async () => {
  const statement = declaration();
  const first = await post('a/n1', statement);
  assert.equal(first.status, 201);
  const [placed] = first.registered.entries;
  assert.ok(placed);
  checkReceipt(network.root, statement, placed);
  for (const node of network.names) {
    const again = await post(node, statement);
    assert.equal(again.status, 200, node);
    assert.equal(again.registered.entries[0]?.index, placed.index);
    assert.deepEqual(again.registered.entries[0]?.entry, placed.entry);
  }
  // Ordered together with something new: the whole is new, the old keeps its place.
  const mixed = await post('b/n1', statement, declaration());
  assert.equal(mixed.status, 201);
  assert.equal(mixed.registered.entries[0]?.index, placed.index);
  const found = await entry('c/n1', statement);
  assert.equal(found.status, 200);
  checkReceipt(network.root, statement, found.registered.entries[0] ?? placed);
});

test('what is not a registration is refused with its code', async () => {
  const good = declaration();
  const forged = good.bytes.slice();
  forged[forged.length - 1] = (forged.at(-1) ?? 0) ^ 1;
  const bytes = (...statements: readonly Uint8Array[]): Uint8Array =>
    encode(statements.map((statement) => [statement, null]));
  const cases: readonly (readonly [Uint8Array, number, string])[] = [
    [bytes(forged), 400, 'COSE_SIGNATURE_INVALID'],
    [bytes(declaration(author('nobody')).bytes), 404, 'AUTHOR_UNKNOWN'],
    [
      bytes(registration(acme).bytes, registration(author('copy')).bytes.slice(1)),
      400,
      'STATEMENT_MALFORMED',
    ],
    [bytes(...Array.from({ length: 17 }, () => good.bytes)), 400, 'API_GROUP_SIZE'],
    [encode([]), 400, 'API_GROUP_SIZE'],
    [Uint8Array.of(0x81, 0x9f, 0xff), 400, 'CBOR_MALFORMED'],
    [Uint8Array.of(0xff), 400, 'CBOR_MALFORMED'],
    [encode([[good.bytes, null, 1]]), 400, 'CBOR_TYPE'],
    [encode([[good.bytes, new Uint8Array(3)]]), 400, 'ATTACHMENT_MISSING'],
    [new Uint8Array(MAX_REGISTRATION + 1), 413, 'NET_TOO_LARGE'],
  ];
  for (const node of ['a/n1', network.orderer])
    for (const [body, status, code] of cases)
      await assertRefused(postBytes(node, body), status, code);
  const block = `/v1/images/${'0'.repeat(64)}/blocks/x`;
  for (const [method, path] of [
    ['POST', REGISTRATIONS],
    ['POST', '/v1/reports'],
    ['PUT', block],
  ] as const) {
    await assertRefused(postAs(method, path, undefined), 400, 'NET_REQUEST_INVALID');
    // As an object with a length it would pass for bytes.
    const json = utf8('{"length":1,"0":131}');
    await assertRefused(postAs(method, path, 'application/json', json), 415, 'NET_REQUEST_INVALID');
  }
  await assertRefused(postAs('POST', '/v1/nowhere', undefined), 404, 'NET_NOT_FOUND');
  const foreign = fixtureAuthor(new Uint8Array(32), { name: 'acme' });
  await assertRefused(post('a/n1', declaration(foreign)), 400, 'STATEMENT_NETWORK');
  const other = declaration();
  const lower = declareStatement(acme, 1n, fixtureLine(acme.author, 'late'));
  assert.equal((await post('a/n1', other)).status, 201);
  await assertRefused(post('a/n1', lower), 409, 'STATEMENT_COUNTER');
});

test('one refused statement keeps its whole group off the ledger', async () => {
  const good = declaration();
  const [bad] = [declaration(author('stranger'))];
  assert.ok(bad);
  await assertRefused(post('b/n1', good, bad), 404, 'AUTHOR_UNKNOWN');
  await assertRefused(entry('b/n1', good), 404, 'RELEASE_UNKNOWN');
  assert.equal((await post('b/n1', good)).status, 201);
});

test(
  '202 while fewer than k operators cosigned; the receipt comes later',
  { timeout: 30_000 },
  async () => {
    // Of a, b and d any three are needed: two are not enough.
    await network.stop('b/n1');
    await network.stop('c/n1');
    const statement = declaration();
    const posted = await post('a/n1', statement);
    assert.equal(posted.status, 202);
    assert.equal(posted.registered.entries[0]?.receipt.length, 0);
    assert.equal((await entry('a/n1', statement)).status, 202);
    await network.start('b/n1');
    await network.start('c/n1');
    let found = await entry('a/n1', statement);
    for (let i = 0; i < 200 && found.status === 202; i++) {
      await sleep(50);
      found = await entry('a/n1', statement);
    }
    assert.equal(found.status, 200);
    const [placed] = found.registered.entries;
    assert.ok(placed);
    assert.equal(placed.index, posted.registered.entries[0]?.index);
    checkReceipt(network.root, statement, placed);
  },
);

test(
  'without the orderer nothing is registered, all else is answered, and it goes on after',
  { timeout: 30_000 },
  async () => {
    const known = declaration();
    assert.equal((await post('a/n1', known)).status, 201);
    await network.stop(network.orderer);
    const waiting = declaration();
    await assertRefused(post('a/n1', waiting), 503, 'NODE_ORDERER_UNREACHABLE');
    assert.equal((await entry('a/n1', known)).status, 200);
    assert.equal(network.node('a/n1').health().status, 'ok');
    await network.start(network.orderer);
    let posted: Posted | undefined;
    while (!posted)
      posted = await post('a/n1', waiting).catch(async (error: unknown) => {
        // It first asks what followers hold of its chain (T12).
        assert.equal(codeOf(error), 'NODE_ORDERER_UNREACHABLE');
        await sleep(20);
        return undefined;
      });
    assert.equal(posted.status, 201);
  },
);

test('a node that starts on a stopped one’s port and folder goes on where it was', async () => {
  await healthy();
  const before = network.node('c/n1').health();
  const began = performance.now();
  await network.stop('c/n1');
  assert.ok(performance.now() - began < 2000, 'stops in less than 2 s');
  const node = await network.start('c/n1');
  assert.ok(node.health().size >= before.size);
  const statement = declaration();
  await post('c/n1', statement);
  assert.ok((await entry('c/n1', statement)).status <= 202, hex(statement.entry));
});
