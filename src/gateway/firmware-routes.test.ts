import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { after, before, test } from 'node:test';
import { decodeTime } from '../api/downlink.ts';
import { decodeLatest, releasePath } from '../api/retrieval.ts';
import { httpStatus } from '../api/status.ts';
import { fromHex } from '../bytes.ts';
import { createClient, type Client, type ClientAnswer } from '../net/client.ts';
import { createServer, type Server } from '../net/server.ts';
import { parseLineText } from '../registry/line.ts';
import { decodeProof, encodeProof } from '../trust/proof.ts';
import { assertRefused } from '../testing/refused.ts';
import { openEdge, silent, type Edge } from '../testing/gateway-edge.ts';
import { firmwareRoutes, type FirmwareImage } from './firmware-routes.ts';
import { PolicyChanges } from './policy-changes.ts';
import { Releases } from './releases.ts';

const IMAGE = new Uint8Array(randomBytes(300_000));
const NAME = createHash('sha256').update(IMAGE).digest('hex');
const DIGEST = 'ab'.repeat(32);
const LINE = `${'a1'.repeat(32)}/${'b2'.repeat(16)}/${'c3'.repeat(16)}/stable`;
const LOST = 'cd'.repeat(32);
const lost: string[] = [];
let edge: Edge;
let server: Server;
/** What the repository has of the image that was lost. */
let onDisk: FirmwareImage | undefined;
let client: Client;
let origin: string;

before(async () => {
  edge = await openEdge();
  const releases = new Releases(edge.database);
  const saved = {
    digest: DIGEST,
    line: LINE,
    sequence: 7n,
    version: '2.0.0',
    urgency: 'functional',
    envelope: Uint8Array.of(1, 2, 3),
    sha256: NAME,
    size: IMAGE.length,
  } as const;
  releases.saveRelease(saved, edge.now);
  const release = { ...saved, digest: 'ac'.repeat(32), sha256: LOST };
  releases.saveRelease(release, edge.now);
  for (const sha256 of [NAME, LOST]) releases.markStored(sha256, true);
  const proof = encodeProof({
    size: 9,
    cosignatures: [],
    path: [],
    epoch: {
      height: 1,
      time: 2,
      stateRoot: new Uint8Array(32),
      policyVersion: 1,
      policyHash: new Uint8Array(32),
      previous: null,
    },
    lineValue: null,
    mapProof: { depth: 0, bitmap: new Uint8Array(0), siblings: new Uint8Array(0), terminal: null },
    authorValue: null,
    links: [],
  });
  edge.database
    .prepare(
      'INSERT INTO line (line, proof, links, checked, freshness, owner, agreed_owner) VALUES (?, ?, ?, 0, ?, ?, ?)',
    )
    .run(LINE, proof, Uint8Array.of(0x82, 0x41, 7, 0x41, 8), '', '', '');
  server = createServer({
    tls: edge.authority.server,
    host: '127.0.0.1',
    port: 0,
    status: httpStatus,
    logger: silent,
    limits: { grace: 50 },
  });
  const image: FirmwareImage = {
    size: IMAGE.length,
    async *read(start, end) {
      for (let at = start; at < end; at += 100_000)
        yield IMAGE.subarray(at, Math.min(end, at + 100_000));
    },
  };
  firmwareRoutes(server.app, {
    releases,
    repository: { open: async (sha256) => (sha256 === NAME ? image : onDisk) },
    missing: ({ sha256 }) => {
      lost.push(sha256);
      releases.markStored(sha256, false);
    },
    time: () => ({ time: edge.now, synchronised: true }),
    policyChanges: new PolicyChanges(edge.database),
    network: '0'.repeat(64),
  });
  origin = `https://127.0.0.1:${await server.listen()}`;
  client = createClient({ pins: { root: fromHex(edge.authority.rootHash) } });
});

after(async () => {
  await client[Symbol.asyncDispose]();
  await server.close();
  await edge[Symbol.asyncDispose]();
});

const get = (
  path: string,
  headers: Record<string, string> = {},
  method: 'GET' | 'HEAD' = 'GET',
): Promise<ClientAnswer> =>
  client.request({ url: origin + path, headers, method, maxBytes: 1 << 20 });

test('an image whole, in ranges, by its head, and not again when it is known', async () => {
  const path = `/v1/images/${NAME}`;
  const whole = await get(path);
  assert.equal(whole.headers['content-length'], String(IMAGE.length));
  assert.equal(whole.headers.etag, `"${NAME}"`);
  assert.deepEqual(whole.body, IMAGE);
  const head = await get(path, {}, 'HEAD');
  assert.equal(head.headers['content-length'], String(IMAGE.length));
  assert.equal(head.headers['accept-ranges'], 'bytes');
  for (const [range, start, end] of [
    ['bytes=0-0', 0, 1],
    ['bytes=250000-', 250_000, 300_000],
    ['bytes=99999-100000', 99_999, 100_001],
    ['bytes=-10', 299_990, 300_000],
    ['bytes=299999-999999', 299_999, 300_000],
  ] as const) {
    const { status, headers, body } = await get(path, { range });
    assert.equal(status, 206);
    assert.equal(headers['content-range'], `bytes ${start}-${end - 1}/300000`);
    assert.deepEqual(body, IMAGE.subarray(start, end));
  }
  assert.equal((await get(path, { range: 'bytes=0-1', 'if-range': '"other"' })).status, 200);
  assert.equal((await get(path, { range: 'bytes=0-1', 'if-range': `"${NAME}"` })).status, 206);
  assert.equal((await get(path, { 'if-none-match': `"${NAME}"` })).status, 304);
  await assertRefused(get(path, { range: 'bytes=300000-' }), 416, 'API_QUERY_INVALID');
  await assert.rejects(get(`/v1/images/${'00'.repeat(32)}`), { code: 'ANCHOR_UNKNOWN' });
  await assert.rejects(get('/v1/images/..%2f..%2fstate.db'), { code: 'BYTES_MALFORMED' });
});

test('an image that is gone from the disk, or was cut short, is looked after and not sent', async () => {
  const path = `/v1/images/${LOST}`;
  await assertRefused(get(path), 503, 'GATEWAY_IMAGE_MISSING');
  // Once: what was lost is known to be lost.
  await assertRefused(get(path), 503, 'GATEWAY_IMAGE_MISSING');
  assert.deepEqual(lost, [LOST]);
  new Releases(edge.database).markStored(LOST, true);
  onDisk = { size: IMAGE.length - 1, read: () => assert.fail('it is not read') };
  await assertRefused(get(path), 503, 'GATEWAY_IMAGE_MISSING');
  assert.deepEqual(lost, [LOST, LOST]);
});

test('an envelope, by the digest of its manifest', async () => {
  const path = releasePath(fromHex(DIGEST));
  const { body, headers } = await get(path);
  assert.deepEqual([...body], [1, 2, 3]);
  assert.equal(headers['content-type'], 'application/suit-envelope+cose');
  assert.equal((await get(path, { 'firmament-current': '00'.repeat(32) })).status, 200);
  await assert.rejects(get(releasePath(new Uint8Array(32))), { code: 'RELEASE_UNKNOWN' });
});

test('the proof of a line, with the links that the asker lacks', async () => {
  const path = `/v1/lines/${LINE}/latest`;
  const links = async (query: string): Promise<readonly number[]> => {
    const { body } = await get(path + query);
    return decodeProof(decodeLatest(body).proof).links.map(([first = 0]) => first);
  };
  assert.deepEqual(await links(''), []);
  assert.deepEqual(await links('?links=0'), [7, 8]);
  assert.deepEqual(await links('?links=1'), [8]);
  const { headers } = await get(path);
  assert.equal((await get(path, { 'if-none-match': headers.etag ?? '' })).status, 304);
  await assert.rejects(get(`${path}?links=x`), { code: 'API_QUERY_INVALID' });
  await assert.rejects(get(path.replace('stable', 'beta')), { code: 'LINE_UNKNOWN' });
  assert.equal(parseLineText(LINE).track, 'stable');
});

test('the time, in the form of the topic', async () => {
  const { body } = await get('/v1/time');
  assert.deepEqual(decodeTime(new TextDecoder().decode(body)), {
    time: edge.now,
    synchronised: true,
  });
});
