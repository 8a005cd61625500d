/**
 * T07: the PSK never leaves its author's folder and its devices. A real run, by the commands, on a network of mode
 * private; then everything that was written, sent, logged or printed elsewhere is searched for the PSK.
 */
import assert from 'node:assert/strict';
import diagnostics from 'node:diagnostics_channel';
import type { IncomingMessage } from 'node:http';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { openAuthor, unlockPsk } from '../../src/author/author.ts';
import { hex } from '../../src/bytes.ts';
import { author } from '../../src/cli/author.ts';
import { device } from '../../src/cli/device.ts';
import { release } from '../../src/cli/release.ts';
import type { PreSharedKey } from '../../src/registry/psk.ts';
import { parseEnvelope } from '../../src/suit/envelope.ts';
import { addReceipts } from '../../src/suit/transparent.ts';
import { startTestNetwork, type TestNetwork } from '../../src/testing/network.ts';

type Json = Readonly<Record<string, unknown>>;

let network: TestNetwork;
/** URLs, headers and bodies of every request to a node, and all that the commands printed. */
const sent: Buffer[] = [];
const at = (name: string): string => join(network.folder, name);

function record(message: unknown): void {
  const { request } = message as { request: IncomingMessage };
  sent.push(Buffer.from(`${request.url}\n${request.rawHeaders.join('\n')}`));
  const push = request.push.bind(request);
  request.push = (chunk: unknown) => {
    if (chunk instanceof Uint8Array) sent.push(Buffer.from(chunk));
    return push(chunk);
  };
}

before(async () => {
  const policy = { mode: 'private', pskAuthors: true } as const;
  network = await startTestNetwork({ policy });
  diagnostics.subscribe('http.server.request.start', record);
  await writeFile(at('passphrase'), 'secret\n');
  await writeFile(at('image'), 'opaque firmware of a private network');
});
after(async () => {
  diagnostics.unsubscribe('http.server.request.start', record);
  await network[Symbol.asyncDispose]();
});

async function run(command: typeof author, ...args: readonly string[]): Promise<Json> {
  const printed: string[] = [];
  const take = (line: string): void => {
    printed.push(line);
    sent.push(Buffer.from(line));
  };
  const code = await command(args, { stdout: take, stderr: take });
  assert.equal(code, 0, printed.join('\n'));
  return JSON.parse(printed.findLast((line) => line.startsWith('{')) ?? '{}') as Json;
}

function mine(command: typeof author, ...args: readonly string[]): Promise<Json> {
  const own = ['--dir', at('author'), '--passphrase-file', at('passphrase'), '--json'];
  return run(command, ...args, ...own);
}

const HARDWARE = ['--vendor', 'acme.example', '--class', 'lamp'];

function makeDevice(name: string, ...psk: readonly string[]): Promise<Json> {
  const anchor = ['--root', network.rootFile, '--author', join(at('author'), 'release.pub')];
  return run(device, 'provision', at(name), ...anchor, ...HARDWARE, '--model', 'lamp', ...psk);
}

/** Files below the network's folder that are neither the author's nor a device's. */
async function elsewhere(): Promise<ReadonlyMap<string, Buffer>> {
  const files = new Map<string, Buffer>();
  for (const entry of await readdir(network.folder, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name);
    const own = ['author', 'device-psk', 'device-plain'].some((name) =>
      path.startsWith(at(`${name}/`)),
    );
    if (entry.isFile() && !own) files.set(path, await readFile(path));
  }
  return files;
}

/** Ways to write the bytes: as they are, in hex, in base64 and base64url with anything before and after them. */
function spellings(bytes: Uint8Array): readonly Buffer[] {
  const plain = Buffer.from(bytes);
  const base64 = [0, 1, 2].map((shift) =>
    Buffer.concat([Buffer.alloc(shift), plain])
      .toString('base64url')
      .slice(shift === 0 ? 0 : shift + 1, -2),
  );
  return [
    plain,
    Buffer.from(plain.toString('hex')),
    Buffer.from(plain.toString('hex').toUpperCase()),
    ...base64.map((text) => Buffer.from(text)),
    ...base64.map((text) => Buffer.from(text.replaceAll('-', '+').replaceAll('_', '/'))),
  ];
}

async function whereIs(bytes: Uint8Array): Promise<readonly string[]> {
  const found: string[] = [];
  for (const needle of spellings(bytes)) {
    for (const [path, content] of await elsewhere()) if (content.includes(needle)) found.push(path);
    if (sent.some((each) => each.includes(needle))) found.push('sent or printed');
    if (Buffer.from(JSON.stringify(network.logged)).includes(needle)) found.push('logged');
  }
  return found;
}

async function pskOf(): Promise<PreSharedKey> {
  const opened = await openAuthor(at('author'), network.clock);
  const psk = await unlockPsk(opened, 'secret');
  assert.ok(psk);
  return psk;
}

test('T07 a PSK author publishes, its device installs, and nobody else has the PSK', async () => {
  const made = await mine(author, 'init', '--name', 'Acme', '--psk');
  await mine(author, 'register', '--root', network.rootFile);
  const files = [at('image'), '--out', at('one.suit'), '--for-publishing'];
  const version = ['--version', '1.0.0', '--sequence', '1'];
  const built = await mine(release, 'create', ...files, ...version, ...HARDWARE);
  await mine(release, 'publish', at('one.suit'), '--image', at('image'), '--timeout', '60');
  const psk = await pskOf();
  assert.equal(made['psk'], hex(psk.keyId));

  // The node builds the author's envelope again, both blocks of it.
  const envelope = new Uint8Array(await readFile(at('one.suit')));
  assert.equal(parseEnvelope(envelope).authenticationBlocks.length, 2);
  const digest = String(built['digest']);
  const { body } = await network
    .client()
    .request({ url: network.url('a/n1', `/v1/releases/${digest}`), maxBytes: 65_536 });
  assert.deepEqual(addReceipts(body, []), envelope);

  await makeDevice(
    'device-psk',
    '--psk-file',
    join(at('author'), 'psk.key'),
    '--passphrase-file',
    at('passphrase'),
  );
  const installed = await run(device, 'poll', at('device-psk'));
  assert.deepEqual([installed['outcome'], installed['version']], ['installed', '1.0.0']);
  await makeDevice('device-plain');
  assert.equal((await run(device, 'poll', at('device-plain')))['outcome'], 'installed');

  // The search finds what is there: the key id is on the ledger, the PSK in the device.
  const known = await whereIs(psk.keyId);
  assert.ok(
    known.some((path) => path.includes('.sqlite') || path.includes('/data/')),
    known.join(),
  );
  assert.ok(known.includes('sent or printed'));
  const provisioned = await readFile(join(at('device-psk'), 'psk.key'));
  assert.ok(provisioned.includes(Buffer.from(psk.key)));
  assert.ok(!(await readFile(join(at('author'), 'psk.key'), 'utf8')).includes(hex(psk.key)));
  for (const part of [psk.key, psk.key.slice(0, 16), psk.key.slice(16)])
    assert.deepEqual(await whereIs(part), []);
});
