import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { connect } from 'node:tls';
import { sha256 } from '#crypto';
import { hex } from '../bytes.ts';
import { certificateSha256 } from '../net/authority.ts';
import { createClient, type Client, type ClientAnswer } from '../net/client.ts';
import { runCommand, startCommand, type RunningCommand } from '../testing/processes.ts';
import { assertRefused } from '../testing/refused.ts';

const IMAGE = new Uint8Array(randomBytes(200_000));
const NAME = hex(sha256(IMAGE));
let folder: string;
let server: RunningCommand;
let client: Client;
let port: number;

before(async () => {
  folder = mkdtempSync(join(tmpdir(), 'firmament-serve-'));
  const images = join(folder, 'images');
  mkdirSync(images);
  writeFileSync(join(images, NAME), IMAGE);
  // Beside and below the folder lie files that are nobody's business.
  writeFileSync(join(folder, 'release.key'), 'secret');
  writeFileSync(join(images, 'release.key'), 'secret');
  mkdirSync(join(images, 'ab'.repeat(32)));
  const root = join(folder, 'root.pem');
  const where = ['--host', '127.0.0.1', '--port', '0', '--own-root', root];
  server = startCommand(['author', 'serve', images, ...where]);
  const { port: listening } = await server.event((event) => typeof event['port'] === 'number');
  port = listening as number;
  client = createClient({ pins: { root: certificateSha256(readFileSync(root, 'utf8')) } });
});

after(async () => {
  await client[Symbol.asyncDispose]();
  const { code } = await server.stop();
  rmSync(folder, { recursive: true });
  assert.equal(code, 0);
});

const get = (
  path: string,
  headers: Record<string, string> = {},
  method: 'GET' | 'HEAD' = 'GET',
): Promise<ClientAnswer> =>
  client.request({ url: `https://127.0.0.1:${port}/${path}`, headers, method, maxBytes: 1 << 20 });

test('an image whole, its head, its ranges, and not again when it is known', async () => {
  const whole = await get(NAME);
  assert.deepEqual(whole.body, IMAGE);
  assert.equal(whole.headers.etag, `"${NAME}"`);
  assert.equal(whole.headers['content-length'], '200000');
  const head = await get(NAME, {}, 'HEAD');
  assert.deepEqual(
    [head.headers['content-length'], head.headers['accept-ranges'], head.body.length],
    ['200000', 'bytes', 0],
  );
  const part = await get(NAME, { range: 'bytes=100000-' });
  assert.equal(part.status, 206);
  assert.equal(part.headers['content-range'], 'bytes 100000-199999/200000');
  assert.deepEqual(part.body, IMAGE.subarray(100_000));
  assert.equal((await get(NAME, { 'if-none-match': `"${NAME}"` })).status, 304);
  assert.equal((await get(NAME, { range: 'bytes=0-1', 'if-range': '"other"' })).status, 200);
  await assertRefused(get(NAME, { range: 'bytes=200000-' }), 416, 'API_QUERY_INVALID');
});

test('nothing else of the disk: other names, folders, and ways out of the folder', async () => {
  for (const path of ['', 'cd'.repeat(32), 'release.key', 'ab'.repeat(32), NAME.toUpperCase()])
    await assertRefused(get(path), 404, 'ANCHOR_UNKNOWN');
  // As they are sent: a client library would have tidied them.
  for (const target of [
    '/../release.key',
    '/..%2frelease.key',
    '/%2e%2e/release.key',
    `/${'ab'.repeat(32)}/../../release.key`,
    `//${NAME}/../release.key`,
    '/release.key%00',
  ]) {
    const answer = await raw(target);
    assert.match(answer, /^HTTP\/1\.1 40[04] /, target);
    assert.ok(!answer.includes('secret'), target);
  }
});

test('without a certificate it does not begin', async () => {
  const { code, stderr } = await runCommand(['author', 'serve', folder, '--port', '0']);
  assert.equal(code, 2);
  assert.match(stderr.join('\n'), /--certificate/);
});

function raw(target: string): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const ca = readFileSync(join(folder, 'root.pem'));
  const socket = connect({ port, host: '127.0.0.1', ca }, () =>
    socket.write(`GET ${target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`),
  );
  let answer = '';
  socket.setEncoding('utf8');
  socket.on('data', (chunk: string) => (answer += chunk));
  socket.on('end', () => resolve(answer));
  socket.on('error', reject);
  return promise;
}
