/** What nodes answer to readers: heads, tiles, releases, images, reports. */
import assert from 'node:assert/strict';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { sha256 } from '#crypto';
import {
  decodeLatest,
  imagePath,
  latestPath,
  MAX_LATEST,
  releasePath,
} from '../../src/api/retrieval.ts';
import { equal, hex, text } from '../../src/bytes.ts';
import { formatCheckpoint, parseCheckpoint } from '../../src/log/checkpoint.ts';
import { cosignatureOf, verifyCosignature } from '../../src/log/cosignature.ts';
import { leafHash, nodeHash } from '../../src/log/merkle.ts';
import { parseNote } from '../../src/log/note.ts';
import { parseBundle, parseTile, tilePath, tileWidth } from '../../src/log/tiles.ts';
import type { Client, ClientAnswer } from '../../src/net/client.ts';
import { parseGenesis } from '../../src/registry/genesis.ts';
import { parseRoot } from '../../src/registry/root.ts';
import { cidText, rawCid } from '../../src/store/cid.ts';
import { startTestNetwork, type TestNetwork } from '../../src/testing/network.ts';
import { testAuthor, type TestAuthor, type TestRelease } from '../../src/testing/network-author.ts';
import { assertRefused } from '../../src/testing/refused.ts';
import { anchorFalsely } from './false-anchor.ts';

// Authors upload to a's node; b's keeps nothing by itself; d's has no role but that of the orderer.
let network: TestNetwork;
let author: TestAuthor;
let client: Client;
let first: TestRelease;
let second: TestRelease;

const get = (
  node: string,
  path: string,
  headers: Record<string, string> = {},
): Promise<ClientAnswer> =>
  client.request({ url: network.url(node, path), headers, maxBytes: 8 << 20 });

before(async () => {
  network = await startTestNetwork({
    roles: (name) => (name === 'd/n1' ? ['general'] : ['general', 'registration', 'retrieval']),
    replicate: (name) => (name === 'b/n1' ? 'none' : 'all'),
  });
  author = await testAuthor(network);
  client = network.client();
  first = await author.publish({ size: 300_000 });
  second = await author.publish({ size: 700_000 });
});
after(() => network[Symbol.asyncDispose]());

test('genesis and root are what devices pin', async () => {
  const genesis = parseGenesis((await get('a/n1', '/v1/genesis')).body);
  assert.deepEqual(genesis.networkId, network.root.networkId);
  const root = parseRoot((await get('d/n1', '/v1/root')).body);
  assert.deepEqual(root.hash, network.root.hash);
});

test('healthz says who, how far and how fresh', async () => {
  const { body } = await get('b/n1', '/healthz');
  const health = JSON.parse(text(body)) as Record<string, unknown>;
  assert.equal(health['status'], 'ok');
  assert.equal(health['node'], 'b/n1');
  assert.equal(health['mode'], 'consortium');
  const quorum = health['quorum'] as { size: number; operators: readonly string[] };
  assert.equal(quorum.operators.length, network.root.policy.quorum);
});

test('the checkpoint carries k operators’ cosignatures, and the tiles make its root', async () => {
  const note = parseNote(text((await get('a/n1', '/checkpoint')).body));
  const { size, root } = parseCheckpoint(note.text);
  const signers = new Set<string>();
  for (const signature of note.signatures) {
    const { node, operator } = network.named(signature.name);
    verifyCosignature(node.cosigner, signature.name, note.text, cosignatureOf(signature));
    signers.add(operator.name);
  }
  assert.ok(signers.size >= network.root.policy.quorum);
  assert.equal(formatCheckpoint(parseCheckpoint(note.text)), note.text);
  const width = tileWidth(0, 0, size);
  assert.equal(width, size, 'small enough for one tile');
  const hashes = parseTile((await get('a/n1', `/${tilePath(0, 0, width)}`)).body, width);
  assert.deepEqual(rootOf(hashes), root);
  const entries = parseBundle((await get('a/n1', `/${tilePath('entries', 0, width)}`)).body, width);
  assert.deepEqual(entries.map(leafHash), hashes);
  await assertRefused(get('a/n1', `/${tilePath(0, 1)}`), 404, 'NET_NOT_FOUND');
  await assertRefused(get('a/n1', '/tile/0/1'), 400, 'LOG_TILE_MALFORMED');
});

function rootOf(leaves: readonly Uint8Array[]): Uint8Array {
  if (leaves.length === 1) return leaves[0] as Uint8Array;
  const half = 2 ** Math.floor(Math.log2(leaves.length - 1));
  return nodeHash(rootOf(leaves.slice(0, half)), rootOf(leaves.slice(half)));
}

test('transaction 4: latest has an ETag, and an unknown line no proof', async () => {
  const path = latestPath(second.release);
  const { body, headers } = await get('a/n1', path);
  assert.equal(decodeLatest(body).version, second.version);
  const etag = headers['etag'] as string;
  assert.equal((await get('a/n1', path, { 'if-none-match': etag })).status, 304);
  assert.ok(body.length <= MAX_LATEST);
  await assertRefused(get('a/n1', latestPath(author.line('nothing'))), 404, 'LINE_UNKNOWN');
  await assertRefused(get('a/n1', '/v1/lines/x/y/z/stable/latest'), 400, 'LINE_MALFORMED');
});

test('transaction 6: whoever runs the newest is told so, whoever runs another gets the envelope', async () => {
  const path = releasePath(second.digest);
  const current = await get('b/n1', path, { 'firmament-current': hex(second.digest) });
  assert.equal(current.status, 204);
  const newer = await get('b/n1', path, { 'firmament-current': hex(first.digest) });
  assert.equal(newer.status, 200);
  assert.equal(newer.headers['content-type'], 'application/suit-envelope+cose');
  assert.equal(newer.headers['etag'], `"${hex(second.digest)}"`);
  await assertRefused(get('b/n1', path, { 'firmament-current': 'ff' }), 400, 'BYTES_MALFORMED');
  await assertRefused(get('b/n1', releasePath(new Uint8Array(32))), 404, 'RELEASE_UNKNOWN');
  await assertRefused(get('b/n1', `${path}?line=nonsense`), 404, 'RELEASE_UNKNOWN');
});

test('transaction 8: ranges, HEAD, ETag', async () => {
  const path = imagePath(sha256(second.image));
  const whole = await get('b/n1', path);
  assert.ok(equal(whole.body, second.image));
  const etag = `"${hex(sha256(second.image))}"`;
  assert.equal(whole.headers['etag'], etag);
  assert.equal(whole.headers['content-length'], '700000');
  const head = await client.request({
    method: 'HEAD',
    url: network.url('b/n1', path),
    maxBytes: 0,
  });
  assert.equal(head.headers['content-length'], '700000');
  assert.equal(head.headers['accept-ranges'], 'bytes');
  assert.equal((await get('b/n1', path, { 'if-none-match': etag })).status, 304);
  const ranges: readonly [string, number, number][] = [
    ['bytes=0-0', 0, 1],
    ['bytes=262143-262144', 262_143, 262_145],
    ['bytes=699999-', 699_999, 700_000],
    ['bytes=-10', 699_990, 700_000],
    ['bytes=0-99999999', 0, 700_000],
  ];
  for (const [range, start, end] of ranges) {
    const part = await get('b/n1', path, { range });
    assert.equal(part.status, 206, range);
    assert.equal(part.headers['content-range'], `bytes ${start}-${end - 1}/700000`);
    assert.ok(equal(part.body, second.image.subarray(start, end)), range);
  }
  for (const range of ['bytes=700000-', 'bytes=5-4', 'bytes=-0'])
    await assertRefused(get('b/n1', path, { range }), 416, 'API_QUERY_INVALID');
  for (const range of ['bytes=0-1,3-4', 'lines=1-2', 'bytes=-', 'bytes=a-b'])
    assert.equal((await get('b/n1', path, { range })).status, 200, range);
  const other = await get('b/n1', path, { range: 'bytes=0-0', 'if-range': '"other"' });
  assert.equal(other.status, 200);
  await assertRefused(get('b/n1', imagePath(new Uint8Array(32))), 404, 'ANCHOR_UNKNOWN');
  await assertRefused(get('b/n1', '/v1/images/ff'), 400, 'BYTES_MALFORMED');
});

test('an image is gathered by a node that does not hold it', async () => {
  const blocks = join(network.config('b/n1').data, 'blocks');
  const release = await author.publish({ line: author.line('meter'), size: 400_000 });
  const cid = cidText(rawCid(sha256(release.image.subarray(0, 262_144))));
  const files = async (): Promise<boolean> =>
    (await readdir(blocks, { recursive: true })).some((file) => file.endsWith(cid));
  assert.equal(await files(), false);
  const { body } = await get('b/n1', imagePath(sha256(release.image)));
  assert.ok(equal(body, release.image));
  assert.ok(await files());
});

test('a tampered block is never served: it is removed and gathered anew', async () => {
  const blocks = join(network.config('b/n1').data, 'blocks');
  const cid = cidText(rawCid(sha256(second.image.subarray(262_144, 524_288))));
  const found = (await readdir(blocks, { recursive: true })).find((file) => file.endsWith(cid));
  assert.ok(found);
  const block = await readFile(join(blocks, found));
  block[1000] = (block[1000] ?? 0) ^ 1;
  await writeFile(join(blocks, found), block);
  const { body } = await get('b/n1', imagePath(sha256(second.image)));
  assert.ok(equal(body, second.image));
  assert.ok(
    equal(
      new Uint8Array(await readFile(join(blocks, found))),
      second.image.subarray(262_144, 524_288),
    ),
  );
  assert.ok(
    network.logged.some(({ node, message }) => node === 'b/n1' && message.includes('damaged')),
  );
});

test('another author’s false chunks for an image keep nobody from it', async () => {
  const image = new Uint8Array(600_000).fill(7);
  const honest = await author.publish({ line: author.line('pump'), image });
  await uploadFalsely(image);
  for (const node of ['a/n1', 'b/n1', 'c/n1']) {
    const { body } = await get(node, imagePath(sha256(honest.image)));
    assert.ok(equal(body, image), node);
  }
  // Where nobody else anchors the digest either, nothing is served for it.
  const nobodys = new Uint8Array(600_000).fill(8);
  await uploadFalsely(nobodys);
  await assertRefused(get('a/n1', imagePath(sha256(nobodys))), 503, 'NODE_IMAGE_INCOMPLETE');
});

function put(node: string, path: string, body: Uint8Array): Promise<ClientAnswer> {
  const headers = { 'content-type': 'application/octet-stream' };
  return client.request({
    method: 'PUT',
    url: network.url(node, path),
    headers,
    body,
    maxBytes: 4096,
  });
}

/** Another author's anchor of this digest, and all its chunks, which are not the image's. */
async function uploadFalsely(image: Uint8Array): Promise<void> {
  const blocks = await anchorFalsely(network, image);
  const last = blocks.at(-1);
  assert.ok(last);
  for (const { path, bytes } of blocks.slice(0, -1))
    assert.equal((await put('a/n1', path, bytes)).status, 204);
  await assertRefused(put('a/n1', last.path, last.bytes), 400, 'STORE_DIGEST_MISMATCH');
}

test('a node takes no block that nobody anchored, and none that is not its digest’s', async () => {
  const path = `${imagePath(sha256(first.image))}/blocks`;
  const stranger = Uint8Array.of(1, 2, 3);
  const cid = cidText(rawCid(sha256(stranger)));
  await assertRefused(put('a/n1', `${path}/${cid}`, stranger), 400, 'ANCHOR_INVALID');
  const own = cidText(rawCid(sha256(first.image.subarray(0, 262_144))));
  await assertRefused(put('a/n1', `${path}/${own}`, stranger), 400, 'STORE_DIGEST_MISMATCH');
  await assertRefused(put('a/n1', `${path}/nonsense`, stranger), 400, 'STORE_CID_INVALID');
  await assertRefused(put('a/n1', `${path}/${own}`, new Uint8Array(3 << 20)), 413, 'NET_TOO_LARGE');
});

test('a withdrawn release is gone, but for those who ask for it', async () => {
  const line = author.line('clock');
  const doomed = await author.publish({ line, size: 2000 });
  await author.withdraw(doomed);
  await assertRefused(get('b/n1', releasePath(doomed.digest)), 410, 'RELEASE_WITHDRAWN');
  await assertRefused(get('b/n1', imagePath(sha256(doomed.image))), 410, 'RELEASE_WITHDRAWN');
  assert.equal((await get('b/n1', `${releasePath(doomed.digest)}?withdrawn=yes`)).status, 200);
  const { body } = await get('b/n1', `${imagePath(sha256(doomed.image))}?withdrawn=yes`);
  assert.ok(equal(body, doomed.image));
  const { body: status } = await get('b/n1', `${releasePath(doomed.digest)}/status`);
  assert.equal((JSON.parse(text(status)) as { status: string }).status, 'withdrawn');
});

test('reports are kept as they came, and garbage is refused', async () => {
  await using device = await network
    .device([{ line: second.release, anchor: author.anchor }])
    .open();
  const polled = await device.agent.poll();
  assert.equal(polled.outcome, 'installed', JSON.stringify(polled));
  const kept = await Promise.all(
    ['a/n1', 'b/n1', 'c/n1'].map(async (node) => {
      const { body } = await get(node, `/v1/reports/${hex(second.digest)}`);
      return JSON.parse(text(body)) as readonly { readonly result: string }[];
    }),
  );
  assert.deepEqual(
    kept.flat().map(({ result }) => result),
    ['ok'],
  );
  const post = (body: Uint8Array): Promise<ClientAnswer> =>
    client.request({
      method: 'POST',
      url: network.url('a/n1', '/v1/reports'),
      headers: { 'content-type': 'application/suit-report+cose' },
      body,
      maxBytes: 4096,
    });
  await assertRefused(post(new Uint8Array(20_000)), 413, 'NET_TOO_LARGE');
  await assert.rejects(
    post(Uint8Array.of(1, 2, 3)),
    ({ details }: { details: { status: number } }) => {
      assert.equal(details.status, 400);
      return true;
    },
  );
});

test('a node without a role has none of its calls', async () => {
  for (const path of [
    latestPath(second.release),
    releasePath(second.digest),
    imagePath(sha256(second.image)),
  ])
    await assertRefused(get('d/n1', path), 404, 'NET_NOT_FOUND');
  await assertRefused(get('d/n1', `/v1/entries/${'0'.repeat(64)}`), 404, 'NET_NOT_FOUND');
});

test('calls between nodes are refused without a node’s key', async () => {
  for (const path of ['/v1/peer/blocks?from=1', '/v1/peer/cosignatures'])
    await assertRefused(get('a/n1', path), 403, 'NODE_PEER_UNKNOWN');
  for (const path of ['/v1/peer/transactions', '/v1/peer/cosignatures'])
    await assertRefused(
      client.request({
        method: 'POST',
        url: network.url('d/n1', path),
        headers: { 'content-type': 'application/cbor' },
        body: Uint8Array.of(0x80),
        maxBytes: 1000,
      }),
      403,
      'NODE_PEER_UNKNOWN',
    );
  const cid = cidText(rawCid(sha256(first.image.subarray(0, 262_144))));
  await assertRefused(get('c/n1', `/ipfs/${cid}?format=raw`), 403, 'STORE_FORBIDDEN');
  const peer = network.client('a/n1');
  const { body } = await peer.request({
    url: network.url('c/n1', `/ipfs/${cid}?format=raw`),
    maxBytes: 1 << 20,
  });
  assert.ok(equal(body, first.image.subarray(0, 262_144)));
});
