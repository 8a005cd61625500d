/** A full disk under each durable write of a node and under a device: a code, nothing lost, and on again with room. */
import assert from 'node:assert/strict';
import { after, before, suite, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { sha256 } from '#crypto';
import { encodeGroup, REGISTRATIONS, uploadPath } from '../../src/api/registration.ts';
import { imagePath } from '../../src/api/retrieval.ts';
import { declareStatement } from '../../src/author/statements.ts';
import { equal } from '../../src/bytes.ts';
import type { FaultName } from '../../src/fault-point.ts';
import type { ClientAnswer } from '../../src/net/client.ts';
import { cidText, rawCid } from '../../src/store/cid.ts';
import { Promises } from '../../src/testing/crash-network.ts';
import { startTestNetwork, type TestNetwork } from '../../src/testing/network.ts';
import { testAuthor, type TestAuthor, type TestRelease } from '../../src/testing/network-author.ts';
import { assertRefused } from '../../src/testing/refused.ts';

const FOLLOWER = 'a/n1';
const ORDERER = 'b/n1';
const NODES = [FOLLOWER, ORDERER];
const full = new Map<string, FaultName>();
const met = new Set<string>();

let network: TestNetwork;
let author: TestAuthor;
let promises: Promises;

before(async () => {
  network = await startTestNetwork({
    operators: 2,
    replicate: () => 'all',
    start: [],
    receiptWaitMs: 1_000,
  });
  for (const name of NODES)
    await network.start(name, {
      faultPoint: (point) => {
        if (full.get(name) !== point) return;
        met.add(`${name} ${point}`);
        throw Object.assign(new Error('no space left on device'), { code: 'ENOSPC' });
      },
    });
  author = await testAuthor(network);
  promises = new Promises(network, FOLLOWER);
});
after(() => network[Symbol.asyncDispose]());

suite('full disk', { timeout: 120_000 }, () => {
  test('the orderer takes no statement that it can not keep: 507 DATABASE_FULL', async () => {
    full.set(ORDERER, 'ledger.commit.before');
    const body = await declaration();
    for (const name of NODES) await assertRefused(post(name, body), 507, 'DATABASE_FULL');
    full.clear();
    // Nothing of it was kept, so the same statement is taken as new.
    assert.equal((await post(FOLLOWER, body)).status, 201);
  });

  // What waits for room under each: the release becomes available only once the disk is free again.
  for (const [name, point] of [
    [ORDERER, 'ledger.commit.before'],
    [FOLLOWER, 'ledger.commit.before'],
    [FOLLOWER, 'node.commit.before'],
    [ORDERER, 'node.commit.before'],
    [FOLLOWER, 'store.put.before'],
    [FOLLOWER, 'store.put.before-rename'],
    [ORDERER, 'store.put.before'],
    [FOLLOWER, 'cosigner.record.before'],
    [ORDERER, 'cosigner.record.before-rename'],
  ] as const)
    test(`${name} ${point}: publishing goes on once there is room`, async () => {
      full.set(name, point);
      const publishing = author.publish({ size: 300_000 });
      publishing.catch(() => undefined);
      await reached(name, point);
      full.clear();
      await checkPublished(await publishing);
    });

  test('a block that finds no room is refused with 507 STORE_FULL, and taken when there is some', async () => {
    full.set(FOLLOWER, 'store.put.before');
    const image = new Uint8Array(1000).fill(7);
    const publishing = author.publish({ image });
    publishing.catch(() => undefined);
    await reached(FOLLOWER, 'store.put.before');
    await assertRefused(putBlock(FOLLOWER, image), 507, 'STORE_FULL');
    full.clear();
    assert.equal((await putBlock(FOLLOWER, image)).status, 204);
    await checkPublished(await publishing);
  });

  test('nothing acknowledged is lost, and what is on the disks is whole', async () => {
    await promises.checkServed(NODES);
    for (const name of NODES) {
      await promises.observe(name);
      await network.stop(name);
    }
    for (const name of NODES) await promises.checkDisk(name);
  });
});

async function reached(name: string, point: FaultName): Promise<void> {
  met.clear();
  const end = performance.now() + 10_000;
  while (!met.has(`${name} ${point}`) && performance.now() < end) await sleep(20);
  assert.ok(met.has(`${name} ${point}`), `${name} never came to ${point}`);
}

async function checkPublished(release: TestRelease): Promise<void> {
  promises.acknowledge(release.entries);
  await promises.checkServed(NODES, 4);
  for (const name of NODES) {
    await promises.observe(name);
    const url = network.url(name, imagePath(sha256(release.image)));
    const { body } = await network.client().request({ url, maxBytes: 1 << 20 });
    assert.ok(equal(body, release.image));
  }
}

async function declaration(): Promise<Uint8Array> {
  const { key, author: own } = author.session;
  const signer = { key, author: own.id, networkId: network.root.networkId };
  const [counter = 0n] = await own.counters.next(1);
  const statement = declareStatement(signer, counter, author.line(`model ${counter}`));
  return encodeGroup([{ statement: statement.bytes, attachment: null }]);
}

function post(name: string, body: Uint8Array): Promise<ClientAnswer> {
  return network.client().request({
    method: 'POST',
    url: network.url(name, REGISTRATIONS),
    headers: { 'content-type': 'application/cbor' },
    body,
    maxBytes: 1 << 16,
  });
}

function putBlock(name: string, image: Uint8Array): Promise<ClientAnswer> {
  const digest = sha256(image);
  return network.client().request({
    method: 'PUT',
    url: network.url(name, `${uploadPath(digest)}/blocks/${cidText(rawCid(digest))}`),
    headers: { 'content-type': 'application/octet-stream' },
    body: image,
    maxBytes: 1024,
  });
}
