import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { createClient } from '../net/client.ts';
import type { Client } from '../net/client.ts';
import { createServer, peerSpki } from '../net/server.ts';
import type { Server } from '../net/server.ts';
import { createTlsIdentity } from '../net/tls.ts';
import type { TlsIdentity } from '../net/tls.ts';
import { equal } from '../bytes.ts';
import { cidText, rawCid } from './cid.ts';
import { openDiskStore } from './disk.ts';
import { fetchImage } from './fetch.ts';
import { httpHolder, registerBlockRoutes } from './http.ts';
import { importImage } from './read.ts';
import type { Store } from './store.ts';
import { CHUNK_BYTES } from './unixfs.ts';
import type { ImageDescription } from './unixfs.ts';

interface Node {
  readonly server: Server;
  readonly store: Store;
  readonly origin: string;
  readonly served: { count: number };
}

let folder: string;
let identity: TlsIdentity;
let peer: TlsIdentity;
let client: Client;
let image: ImageDescription;
let first: string;
const nodes: Node[] = [];

async function startNode(name: string, change?: (bytes: Uint8Array) => Uint8Array): Promise<Node> {
  const store = await openDiskStore(join(folder, name));
  const served = { count: 0 };
  const server = createServer({
    tls: identity,
    host: '127.0.0.1',
    port: 0,
    limits: { grace: 50 },
  });
  registerBlockRoutes(
    server,
    {
      ...store,
      async get(cid) {
        served.count += 1;
        const bytes = await store.get(cid);
        return bytes && change ? change(bytes) : bytes;
      },
    },
    { allow: (request) => equal(peerSpki(request) ?? new Uint8Array(0), peer.spkiSha256) },
  );
  const node = { server, store, served, origin: `https://127.0.0.1:${await server.listen()}` };
  nodes.push(node);
  return node;
}

const bytesOfImage = (): Uint8Array =>
  new Uint8Array(12 * CHUNK_BYTES + 5).map(
    (_, index) => (index * 7 + (index >> 12) + (index >> 18) * 3) & 255,
  );

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'firmament-http-'));
  identity = await createTlsIdentity();
  peer = await createTlsIdentity();
  client = createClient({ pins: identity.spkiSha256, credentials: peer });
  const node = await startNode('first');
  image = await importImage(node.store, bytesOfImage());
  first = cidText(rawCid(image.chunks[0] as Uint8Array));
});

after(async () => {
  await client[Symbol.asyncDispose]();
  for (const node of nodes) await node.server.close();
  await rm(folder, { recursive: true, force: true });
});

const ask = (path: string, headers: Record<string, string> = {}, method: 'GET' | 'HEAD' = 'GET') =>
  client.request({ method, url: `${nodes[0]?.origin}/ipfs/${path}`, headers, maxBytes: 2 ** 21 });

test('a block by format and by Accept, with what caches need', async () => {
  const raw = { accept: 'text/html;q=0.1, application/vnd.ipld.raw' };
  for (const answer of [await ask(`${first}?format=raw`), await ask(first, raw)]) {
    assert.equal(answer.body.length, CHUNK_BYTES);
    assert.equal(answer.headers['content-type'], 'application/vnd.ipld.raw');
    assert.equal(answer.headers['cache-control'], 'public, max-age=29030400, immutable');
    assert.equal(answer.headers['etag'], `"${first}.raw"`);
    assert.equal(answer.headers['x-content-type-options'], 'nosniff');
  }
  const node = await ask(`${cidText(image.root)}?format=raw`);
  assert.ok(node.body.length < 2000);
  const head = await ask(`${first}?format=raw`, {}, 'HEAD');
  assert.equal(head.body.length, 0);
  assert.equal(head.headers['content-length'], String(CHUNK_BYTES));
  const known = await ask(`${first}?format=raw`, { 'if-none-match': `W/"a", "${first}.raw"` });
  assert.equal(known.status, 304);
});

test('the probe of gateways is answered', async () => {
  for (const path of ['bafkqaaa', 'bafkqaaa?format=raw']) {
    const answer = await ask(path);
    assert.equal(answer.status, 200);
    assert.equal(answer.body.length, 0);
  }
});

test('what is not there, not a CID, not raw, or not for this peer', async () => {
  const absent = `${cidText(rawCid(new Uint8Array(32)))}?format=raw`;
  const refused = [
    [absent, 'STORE_BLOCK_MISSING', 404],
    ['nonsense?format=raw', 'STORE_CID_INVALID', 400],
    ['QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWnPbdG?format=raw', 'STORE_CID_INVALID', 400],
    [first, 'STORE_FORMAT_UNACCEPTABLE', 406],
    [`${first}?format=car`, 'STORE_FORMAT_UNACCEPTABLE', 406],
    [`${first}/path?format=raw`, 'NET_NOT_FOUND', 404],
  ] as const;
  for (const [path, code, status] of refused)
    await assert.rejects(ask(path), { code, details: { status, remote: true } });
  await assert.rejects(ask(absent, {}, 'HEAD'), { details: { status: 404, remote: true } });
  await using stranger = createClient({ pins: identity.spkiSha256, credentials: identity });
  for (const path of [`${first}?format=raw`, 'bafkqaaa'])
    await assert.rejects(
      stranger.request({ url: `${nodes[0]?.origin}/ipfs/${path}`, maxBytes: 2 ** 21 }),
      { code: 'STORE_FORBIDDEN', details: { status: 403, remote: true } },
    );
});

test('a holder bounds what it reads, and an absent block is only that', async () => {
  const holder = httpHolder(client, nodes[0]?.origin as string, 'first');
  const signal = AbortSignal.timeout(5000);
  const cid = rawCid(image.chunks[0] as Uint8Array);
  await assert.rejects(holder.getBlock(cid, CHUNK_BYTES - 1, signal), { code: 'NET_TOO_LARGE' });
  assert.equal((await holder.getBlock(cid, CHUNK_BYTES, signal)).length, CHUNK_BYTES);
  await assert.rejects(holder.getBlock(rawCid(new Uint8Array(32)), 10, signal), {
    code: 'STORE_BLOCK_MISSING',
  });
});

test('gathered over HTTPS from an honest, a lying and a dying node; a block tampered on a disk is never served', async () => {
  const honest = nodes[0] as Node;
  const liar = await startNode('liar', (bytes) => bytes.with(0, (bytes[0] as number) ^ 1));
  await importImage(liar.store, bytesOfImage());
  const dying = await startNode('dying', (bytes) => {
    for (const socket of sockets) socket.destroy();
    return bytes;
  });
  const sockets = new Set<{ destroy(): unknown }>();
  dying.server.app.server.on('connection', (socket) => sockets.add(socket));
  await importImage(dying.store, bytesOfImage());
  // a block of the honest node is changed on its disk: it does not have it any more
  const digest = image.chunks[3] as Uint8Array;
  const [x, y] = digest.toHex();
  await writeFile(
    join(folder, 'first', x as string, y as string, cidText(rawCid(digest))),
    'tampered',
  );
  const backup = await startNode('backup');
  await backup.store.put(rawCid(digest), bytesOfImage().slice(3 * CHUNK_BYTES, 4 * CHUNK_BYTES));

  const store = await openDiskStore(join(folder, 'reader'));
  const holders = [honest, liar, dying, backup].map((node, index) =>
    httpHolder(client, node.origin, ['honest', 'liar', 'dying', 'backup'][index] as string),
  );
  const result = await fetchImage({
    ...image,
    holders,
    store,
    limits: { rest: 5, failures: 2, hedge: 200 },
  });
  assert.deepEqual(result.banned, ['liar']);
  // no more than what was under way when it was found out
  assert.ok(liar.served.count <= 6);
  assert.equal(result.given.get('backup'), 1);
  assert.equal(result.given.get('honest'), 12);

  // again with nobody left: all of it is there
  const again = await fetchImage({ ...image, holders: [], store });
  assert.equal(again.reused, 13);
});
