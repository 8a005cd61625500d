/** What followers do when the orderer lies, and what a cosigner signs after a start (T10, T12). */
import assert from 'node:assert/strict';
import { cp, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  decodeCosignatures,
  encodeCosignature,
  PEER_COSIGNATURES,
  type NamedCosignature,
} from '../../src/api/peer.ts';
import { formatCheckpoint, originOf } from '../../src/log/checkpoint.ts';
import { signCosignature } from '../../src/log/cosignature.ts';
import { openDatabase } from '../../src/database.ts';
import { openReplica } from '../../src/ledger/replica.ts';
import type { Health } from '../../src/node/general-routes.ts';
import { startFakeOrderer } from '../../src/testing/fake-orderer.ts';
import { startTestNetwork, type TestNetwork } from '../../src/testing/network.ts';
import { testAuthor } from '../../src/testing/network-author.ts';
import { assertRefused } from '../../src/testing/refused.ts';

const FAST = { timeout: 30_000 };

async function until(what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
  for (let i = 0; i < 400; i++) {
    if (await holds()) return;
    await sleep(25);
  }
  assert.fail(`never: ${what}`);
}

/** What the node knows of everybody's newest cosignatures. */
async function cosignatures(
  network: TestNetwork,
  node: string,
): Promise<readonly NamedCosignature[]> {
  await using client = network.client(node === 'a/n1' ? 'b/n1' : 'a/n1');
  const { body } = await client.request({
    url: network.url(node, PEER_COSIGNATURES),
    maxBytes: 1 << 20,
  });
  return decodeCosignatures(body);
}

async function signedBy(
  network: TestNetwork,
  node: string,
  at = node,
): Promise<NamedCosignature | undefined> {
  return (await cosignatures(network, at)).find(({ name }) => name === node);
}

test(
  'T12 followers of a lying orderer halt, say so, keep the evidence, cosign nothing more',
  FAST,
  async () => {
    const started = startTestNetwork({ start: ['a/n1', 'b/n1', 'c/n1'], receiptWaitMs: 300 });
    await using network = await started;
    await using orderer = await startFakeOrderer(network);
    const author = await testAuthor(network);
    await author.declare('lamp');
    const size = network.node('a/n1').health().size;
    await until('a signed it', async () => (await signedBy(network, 'a/n1'))?.size === size);
    orderer.lie(({ time }) => ({ time: time - 1000 }));
    await assert.rejects(testAuthor(network, { timeoutMs: 500 }), { code: 'AUTHOR_TIMEOUT' });
    for (const name of ['a/n1', 'b/n1', 'c/n1']) {
      await until(`${name} halts`, () => network.node(name).health().status === 'halted');
      assert.equal((await signedBy(network, name))?.size, size);
    }
    const height = orderer.replica.head().height;
    await using client = network.client();
    await assertRefused(
      client.request({ url: network.url('a/n1', '/healthz'), maxBytes: 4096 }),
      503,
      'NET_REMOTE_REFUSED',
    );
    const health: Health = network.node('a/n1').health();
    assert.deepEqual(health.halted, { code: 'BLOCK_MALFORMED', height });
    assert.equal(health.size, size);
    // It stays so, and the lie is there for people to see.
    await network.stop('a/n1');
    const { data } = network.config('a/n1');
    {
      const database = openDatabase(join(data, 'ledger.db'));
      const [evidence] = openReplica(database, network.genesis).evidence();
      assert.ok(evidence && evidence.bytes.length > 0);
      database.close();
    }
    const again = await network.start('a/n1');
    assert.equal(again.health().status, 'halted');
    await sleep(200);
    assert.equal((await signedBy(network, 'a/n1', 'b/n1'))?.size, size);
  },
);

test('T10 a node with an old copy of its data signs nothing until it caught up', FAST, async () => {
  await using network = await startTestNetwork();
  const author = await testAuthor(network);
  const { data } = network.config('c/n1');
  const old = join(network.folder, 'old');
  await network.stop('c/n1');
  await cp(data, old, { recursive: true });
  await network.start('c/n1');
  for (const model of ['x', 'y', 'z']) await author.declare(model);
  const size = network.node('d/n1').health().size;
  await until('c signed it', async () => (await signedBy(network, 'c/n1', 'd/n1'))?.size === size);
  await network.stop('c/n1');
  await network.stop(network.orderer);
  await rm(data, { recursive: true });
  await cp(old, data, { recursive: true });
  const restored = await network.start('c/n1');
  assert.equal((await signedBy(network, 'c/n1', 'a/n1'))?.size, size);
  await network.start(network.orderer);
  await until('caught up', () => restored.health().size >= size);
  await author.declare('after');
  await until(
    'signs again',
    async () => ((await signedBy(network, 'c/n1', 'a/n1'))?.size ?? 0) > size,
  );
  assert.ok(!network.logged.some(({ fields }) => fields['code'] === 'COSIGNER_ROLLBACK'));
});

test('T10 a lost or old record forbids signing, whatever a person says', FAST, async () => {
  await using network = await startTestNetwork();
  const author = await testAuthor(network);
  const { record } = network.config('c/n1');
  await until('c signed', async () => (await signedBy(network, 'c/n1', 'a/n1')) !== undefined);
  const old = await readFile(record);
  await author.declare('x');
  const size = network.node('a/n1').health().size;
  await until('c signed it', async () => (await signedBy(network, 'c/n1', 'a/n1'))?.size === size);
  for (const [model, lost] of Object.entries({
    gone: () => rm(record),
    old: () => writeFile(record, old),
  })) {
    await network.stop('c/n1');
    await lost();
    network.logged.length = 0;
    const node = await network.start('c/n1', { cosignerRecordIsMine: true });
    await until('it says why', () =>
      network.logged.some(({ fields }) => fields['code'] === 'COSIGNER_BEHIND'),
    );
    await author.declare(model);
    await until('it follows', () => node.health().size === network.node('a/n1').health().size);
    await sleep(200);
    assert.equal((await signedBy(network, 'c/n1', 'a/n1'))?.size, size);
  }
  await network.stop('c/n1');
  await writeFile(record, old.subarray(1));
  await assert.rejects(network.start('c/n1'), { code: 'COSIGNER_RECORD_CORRUPT' });
});

test(
  'T10 with fewer than n - f answers a cosigner waits, until a person vouches for its record',
  FAST,
  async () => {
    await using network = await startTestNetwork({ start: ['a/n1', 'b/n1'] });
    await sleep(400);
    assert.equal(await signedBy(network, 'a/n1'), undefined);
    await network.stop('b/n1');
    await network.start('b/n1', { cosignerRecordIsMine: true });
    await until('b signs', async () => (await signedBy(network, 'b/n1', 'a/n1')) !== undefined);
    assert.equal(await signedBy(network, 'a/n1'), undefined);
    assert.ok(
      network.logged.some(({ node, message }) => node === 'b/n1' && message.includes('vouched')),
    );
    await network.start('c/n1');
    await until(
      'three of four answer',
      async () => (await signedBy(network, 'a/n1', 'b/n1')) !== undefined,
    );
  },
);

test('a cosignature by nobody, of another root, or by another key is refused', FAST, async () => {
  await using network = await startTestNetwork();
  await testAuthor(network);
  await using client = network.client('b/n1');
  const tell = (row: NamedCosignature): Promise<unknown> =>
    client.request({
      method: 'POST',
      url: network.url('a/n1', PEER_COSIGNATURES),
      headers: { 'content-type': 'application/cbor' },
      body: encodeCosignature(row),
      maxBytes: 1000,
    });
  const row = await signedBy(network, 'c/n1', 'a/n1');
  assert.ok(row);
  await tell(row);
  await assertRefused(tell({ ...row, name: 'x/y' }), 403, 'NODE_PEER_UNKNOWN');
  await assertRefused(
    tell({ ...row, name: 'b/n1', time: row.time + 1 }),
    400,
    'LOG_COSIGNATURE_INVALID',
  );
  await assertRefused(tell({ ...row, time: row.time + 1 }), 400, 'LOG_COSIGNATURE_INVALID');
  // c's own key over a root that a derived otherwise: evidence against somebody, never counted.
  const root = new Uint8Array(32);
  const checkpoint = formatCheckpoint({
    origin: originOf(network.root.networkId),
    size: row.size,
    root,
  });
  const time = row.time + 2;
  const { signature } = signCosignature(network.keys('c/n1').cosigner, 'c/n1', checkpoint, time);
  await assertRefused(
    tell({ name: 'c/n1', size: row.size, root, time, signature }),
    409,
    'NODE_HEAD_FORK',
  );
});
