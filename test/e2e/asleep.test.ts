/** A device that slept while its author's keys changed many times, and while its line changed hands (T02). */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { createAuthor, openAuthor, unlockAuthor, type Author } from '../../src/author/author.ts';
import { openImage } from '../../src/author/image-file.ts';
import {
  acceptTransfer,
  approveRequest,
  transfer,
  rotation,
  type KeyChange,
} from '../../src/author/key-changes.ts';
import { openKeyFile } from '../../src/author/keys.ts';
import { openNetwork } from '../../src/author/network.ts';
import { publishRelease, registerAuthor, type Session } from '../../src/author/publish.ts';
import {
  prepareRecovery,
  prepareReleaseKey,
  requestChanges,
  submitRequest,
} from '../../src/author/recovery.ts';
import { buildRelease } from '../../src/author/release.ts';
import type { Line } from '../../src/registry/line.ts';
import { fixtureLine } from '../../src/testing/fixture.ts';
import { startTestNetwork, type TestDevice, type TestNetwork } from '../../src/testing/network.ts';

const making = {
  passphrase: 'p',
  random: (length: number): Uint8Array => new Uint8Array(randomBytes(length)),
  cost: { N: 2, r: 1, p: 1 },
};
const patience = { timeoutMs: 60_000 };
let network: TestNetwork;
let nodes: Session['network'];
let sequence = 0n;

async function newAuthor(name: string): Promise<Author> {
  const directory = join(network.folder, name);
  const { clock, root } = network;
  await createAuthor({ ...making, directory, name, recoveryKeys: 3, clock });
  await writeFile(join(directory, 'root.cbor'), root.bytes);
  await registerAuthor(await sessionOf(directory));
  return openAuthor(directory, clock);
}

async function sessionOf(directory: string): Promise<Session> {
  const author = await openAuthor(directory, network.clock);
  const { key } = await unlockAuthor(author, 'p');
  return { author, key, network: nodes, patience };
}

/** A release signed with the key of now. Result: its version. */
async function publish(directory: string, line: Line): Promise<string> {
  const session = await sessionOf(directory);
  const version = `${++sequence}.0.0`;
  const file = join(directory, version);
  await writeFile(file, `firmware ${version}`);
  await using image = await openImage(file);
  const { networkId } = network.root;
  const claims = { version, urgency: 'functional' as const, documents: [] };
  const input = { line, sequence, image: image.description, claims };
  const { key, author } = session;
  const { envelope } = buildRelease({ key, author: author.id, networkId }, input);
  await publishRelease(session, envelope, [image]);
  return version;
}

/** Two of the recovery keys sign the change. */
async function change(directory: string, asked: KeyChange): Promise<void> {
  const author = await openAuthor(directory, network.clock);
  let request = await requestChanges(author, network.root.networkId, [asked]);
  for (const { file } of author.recovery.slice(1))
    request = approveRequest(request, await openKeyFile(join(directory, file), 'p'));
  await submitRequest(author, nodes, request, patience);
}

async function rotate(directory: string, newRecovery: boolean): Promise<void> {
  const author = await openAuthor(directory, network.clock);
  const key = await prepareReleaseKey(author, making);
  const recovery = newRecovery ? await prepareRecovery(author, 3, 2, making) : undefined;
  await change(directory, rotation(author.id, [key], recovery));
}

async function poll(device: TestDevice) {
  const accepted: number[] = [];
  await using opened = await device.open({
    onAgentEvent: (event) => {
      if (event.type === 'accepted') accepted.push(event.size);
    },
  });
  return { ...(await opened.agent.poll()), answers: accepted.length };
}

before(async () => {
  network = await startTestNetwork();
  nodes = network.use(openNetwork(network.root, { pause: 50 }));
});
after(() => network[Symbol.asyncDispose]());

test('ten rotations, each with a release, and one poll', async () => {
  const maker = await newAuthor('maker');
  const { directory } = maker;
  const line = fixtureLine(maker.id);
  const device = network.device([{ line, anchor: maker.publicKey }]);
  const first = await publish(directory, line);
  assert.equal((await poll(device)).version, first);
  let version = first;
  for (let i = 1; i <= 10; i++) {
    await rotate(directory, i === 4);
    version = await publish(directory, line);
  }
  const woken = await poll(device);
  assert.deepEqual([woken.outcome, woken.version], ['installed', version], woken.message ?? '');
  assert.equal((await openAuthor(directory, network.clock)).retired.length, 10);
  const young = network.device([{ line, anchor: maker.publicKey }]);
  assert.equal((await poll(young)).version, version);
});

test('more links than one answer carries, then a new owner, and one poll each', async () => {
  const seller = await newAuthor('seller');
  const buyer = await newAuthor('buyer');
  const line = fixtureLine(seller.id, 'lock');
  const device = network.device([{ line, anchor: seller.publicKey }]);
  await publish(seller.directory, line);
  await poll(device);
  for (let i = 0; i < 16; i++) await rotate(seller.directory, true);
  const sold = await publish(seller.directory, line);
  const woken = await poll(device);
  assert.deepEqual([woken.outcome, woken.version], ['installed', sold], woken.message ?? '');
  assert.ok(woken.answers > 2, 'the links came in several answers');
  const { key } = await sessionOf(buyer.directory);
  const { networkId } = network.root;
  const word = acceptTransfer(key, networkId, line, seller.id, buyer.id);
  await change(seller.directory, transfer(line, buyer.id, word));
  assert.equal((await poll(device)).outcome, 'up-to-date');
  await rotate(buyer.directory, false);
  const bought = await publish(buyer.directory, line);
  const next = await poll(device);
  assert.deepEqual([next.outcome, next.version], ['installed', bought], next.message ?? '');
});
