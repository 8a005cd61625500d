/**
 * An orderer and a follower as processes, each of which ends itself (SIGKILL) before and after every durable
 * write of ledger, index, store and cosigner. Nothing acknowledged is lost, no cosigner goes back, both stand at one
 * root, and the release that was under way is there in the end.
 */
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { sha256 } from '#crypto';
import { imagePath } from '../../src/api/retrieval.ts';
import { equal, hex } from '../../src/bytes.ts';
import type { FaultName } from '../../src/fault-point.ts';
import { cidDigest, cidText, rawCid } from '../../src/store/cid.ts';
import { CHUNK_BYTES } from '../../src/store/unixfs.ts';
import { blocksFolder, CrashingNode, Promises } from '../../src/testing/crash-network.ts';
import { nodeFaults } from '../../src/testing/faults.ts';
import { startTestNetwork, type TestNetwork } from '../../src/testing/network.ts';
import { testAuthor, type TestAuthor, type TestRelease } from '../../src/testing/network-author.ts';

const FOLLOWER = 'a/n1';
const ORDERER = 'b/n1';
const NODES = [FOLLOWER, ORDERER];
// More than one chunk, so that the store holds several blocks and an inner node.
const IMAGE_BYTES = 300_000;

// A publication reaches these so often; the first times are different writes.
const HITS: Partial<Record<FaultName, number>> = {
  'ledger.commit.before': 2,
  'ledger.commit.after': 2,
  'node.commit.before': 3,
  'node.commit.after': 3,
};
// The ledger's tables, genesis, and the index of images.
const FIRST_START: readonly FaultName[] = [
  'ledger.commit.before',
  'ledger.commit.after',
  'ledger.commit.before',
  'ledger.commit.after',
  'node.commit.before',
  'node.commit.after',
];
/** Of a publication: all but the removal of a damaged block. */
const published = nodeFaults.filter((name) => !name.startsWith('store.delete'));
const driven = new Set<FaultName>();

let network: TestNetwork;
let promises: Promises;
let author: TestAuthor;
let nodes: ReadonlyMap<string, CrashingNode>;

const nodeOf = (name: string): CrashingNode => nodes.get(name) as CrashingNode;
const other = (name: string): string => (name === ORDERER ? FOLLOWER : ORDERER);

before(async () => {
  network = await startTestNetwork({ operators: 2, replicate: () => 'all', start: [] });
  nodes = new Map(NODES.map((name) => [name, new CrashingNode(network, name)]));
  promises = new Promises(network, FOLLOWER);
});
after(async () => {
  for (const node of nodes.values()) await node.stop();
  await network[Symbol.asyncDispose]();
});

suite('crash matrix', { timeout: 300_000 }, () => {
  test('a node that dies while it makes its genesis makes it at the next start', async () => {
    for (const name of NODES)
      for (const point of FIRST_START) {
        nodeOf(name).fault.arm(point);
        await nodeOf(name).startInVain();
      }
    await start();
    author = await testAuthor(network);
    await publish();
  });

  for (const name of NODES)
    for (const point of published)
      for (let hit = 1; hit <= (HITS[point] ?? 1); hit++)
        test(`${name === ORDERER ? 'orderer' : 'follower'}: ${point}, ${hit}`, async () => {
          const node = nodeOf(name);
          await start();
          node.fault.arm(point, hit);
          const [release] = await Promise.all([publish(), survive(node)]);
          driven.add(point);
          await checkServed(release);
        });

  for (const point of ['store.delete.before', 'store.delete.after'] as const)
    test(`follower: ${point}: a damaged block is served by nobody and gathered anew`, async () => {
      const node = nodeOf(FOLLOWER);
      await start();
      const release = await publish();
      await damage(FOLLOWER, release);
      node.fault.arm(point);
      const read = readImage(FOLLOWER, release).catch(() => undefined);
      await Promise.all([survive(node, false), read]);
      driven.add(point);
      await checkServed(release);
    });

  test('everything acknowledged is there, and every point was driven', async () => {
    await promises.checkServed(NODES);
    assert.ok(promises.acknowledged > 50, `${promises.acknowledged} acknowledged`);
    for (const name of NODES) {
      await nodeOf(name).stop();
      await promises.checkDisk(name);
    }
    assert.deepEqual([...driven].toSorted(), nodeFaults.toSorted());
  });
});

async function start(): Promise<void> {
  await Promise.all(NODES.map((name) => nodeOf(name).start()));
}

async function publish(): Promise<TestRelease> {
  const release = await author.publish({ size: IMAGE_BYTES });
  promises.acknowledge(release.entries);
  return release;
}

async function survive(node: CrashingNode, whole = true): Promise<void> {
  await node.crashed();
  await promises.observe(other(node.name));
  if (whole) await promises.checkDisk(node.name);
  await node.start();
}

async function checkServed(release: TestRelease): Promise<void> {
  await promises.checkServed(NODES, 6);
  for (const name of NODES) {
    await promises.observe(name);
    assert.ok(equal(await readImage(name, release), release.image), `${name} serves the image`);
  }
}

async function readImage(name: string, release: TestRelease): Promise<Uint8Array> {
  const url = network.url(name, imagePath(sha256(release.image)));
  return (await network.client().request({ url, maxBytes: 1 << 20 })).body;
}

/** Every chunk of the release on the disk of a node becomes one wrong byte. */
async function damage(name: string, { image }: TestRelease): Promise<void> {
  for (let at = 0; at < image.length; at += CHUNK_BYTES) {
    const cid = rawCid(sha256(image.subarray(at, at + CHUNK_BYTES)));
    const [x = '', y = ''] = hex(cidDigest(cid));
    await writeFile(join(blocksFolder(network, name), x, y, cidText(cid)), 'x');
  }
}
