/** Connections that stand and carry nothing: an orderer that is stopped in the middle, and an upload that is cut. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type AddressInfo, type Socket } from 'node:net';
import { after, before, suite, test } from 'node:test';
import { connect } from 'node:tls';
import { sha256 } from '#crypto';
import {
  decodeMissing,
  encodeGroup,
  REGISTRATIONS,
  uploadPath,
} from '../../src/api/registration.ts';
import { declareStatement } from '../../src/author/statements.ts';
import type { ClientAnswer } from '../../src/net/client.ts';
import { Promises } from '../../src/testing/crash-network.ts';
import { startTestNetwork, type TestNetwork } from '../../src/testing/network.ts';
import { testAuthor, type TestAuthor } from '../../src/testing/network-author.ts';
import { startNodeProcess, type RunningCommand } from '../../src/testing/processes.ts';
import { assertRefused } from '../../src/testing/refused.ts';

const FOLLOWER = 'a/n1';
const ORDERER = 'b/n1';
// src/node/engine.ts asks the orderer for 15 s, src/net/client.ts waits 5 s for a handshake.
const BOUND_MS = 17_000;

let network: TestNetwork;
let author: TestAuthor;
let promises: Promises;
let orderer: RunningCommand;
let full = false;

before(async () => {
  network = await startTestNetwork({ operators: 2, replicate: () => 'all', start: [] });
  orderer = await startNodeProcess(network.configFile(ORDERER));
  await network.start(FOLLOWER, {
    faultPoint: (point) => {
      if (full && point === 'store.put.before')
        throw Object.assign(new Error('no space left on device'), { code: 'ENOSPC' });
    },
  });
  author = await testAuthor(network);
  promises = new Promises(network, FOLLOWER);
  await publish();
});
after(async () => {
  await orderer.stop();
  await network[Symbol.asyncDispose]();
});

suite('half-open connections', { timeout: 120_000 }, () => {
  test('an orderer that holds its connections and answers nothing: 503 in time, and on when it wakes', async () => {
    process.kill(orderer.pid, 'SIGSTOP');
    const from = performance.now();
    try {
      await assertRefused(declare(), 503, 'NODE_ORDERER_UNREACHABLE');
      assert.ok(performance.now() - from < BOUND_MS);
      // Readers never wait for it.
      const read = performance.now();
      await network
        .client()
        .request({ url: network.url(FOLLOWER, '/checkpoint'), maxBytes: 65_536 });
      assert.ok(performance.now() - read < 2_000);
    } finally {
      process.kill(orderer.pid, 'SIGCONT');
    }
    await publish();
    await promises.checkServed([FOLLOWER, ORDERER]);
  });

  test('what accepts in its place and never shakes hands: 503 in time, and on when it is back', async () => {
    await orderer.kill();
    const sockets = new Set<Socket>();
    const silent = createServer((socket) => void sockets.add(socket.on('error', () => undefined)));
    const { host, port } = network.config(ORDERER).listen;
    silent.listen(port, host);
    await once(silent, 'listening');
    assert.equal((silent.address() as AddressInfo).port, port);
    const from = performance.now();
    await assertRefused(declare(), 503, 'NODE_ORDERER_UNREACHABLE');
    assert.ok(performance.now() - from < BOUND_MS);
    for (const socket of sockets) socket.destroy();
    silent.close();
    await once(silent, 'close');
    orderer = await startNodeProcess(network.configFile(ORDERER));
    await publish();
    await promises.checkServed([FOLLOWER, ORDERER]);
  });

  test('an upload that is cut in the middle of a block leaves nothing, and goes on', async () => {
    full = true;
    const image = new Uint8Array(300_000).map((_, i) => i % 249);
    const publishing = publish(image);
    publishing.catch(() => undefined);
    const path = `${uploadPath(sha256(image))}/missing`;
    const ask = async (): Promise<readonly string[]> => {
      const { body } = await network
        .client()
        .request({ url: network.url(FOLLOWER, path), maxBytes: 1 << 20 });
      return decodeMissing(body);
    };
    let missing: readonly string[] = [];
    while (missing.length === 0) missing = await ask().catch(() => []);
    full = false;
    await cutUpload(
      `${uploadPath(sha256(image))}/blocks/${missing[0]}`,
      image.subarray(0, 100_000),
    );
    await publishing;
    assert.deepEqual(await ask(), []);
    await promises.checkServed([FOLLOWER, ORDERER], 3);
  });

  test('what is on the disks is whole', async () => {
    await promises.observe(FOLLOWER);
    await orderer.stop();
    await network.stop(FOLLOWER);
    for (const name of [FOLLOWER, ORDERER]) await promises.checkDisk(name);
  });
});

async function publish(image?: Uint8Array): Promise<void> {
  const release = await author.publish(image ? { image } : { size: 1000 });
  promises.acknowledge(release.entries);
}

async function declare(): Promise<ClientAnswer> {
  const { key, author: own } = author.session;
  const [counter = 0n] = await own.counters.next(1);
  const signer = { key, author: own.id, networkId: network.root.networkId };
  const { bytes } = declareStatement(signer, counter, author.line(`model ${counter}`));
  return network.client().request({
    method: 'POST',
    url: network.url(FOLLOWER, REGISTRATIONS),
    headers: { 'content-type': 'application/cbor' },
    body: encodeGroup([{ statement: bytes, attachment: null }]),
    maxBytes: 1 << 16,
  });
}

/** Says that a whole block comes, sends a part of it, and is gone. */
async function cutUpload(path: string, part: Uint8Array): Promise<void> {
  const { host, port } = network.config(FOLLOWER).listen;
  const socket = connect({ host, port, rejectUnauthorized: false });
  await once(socket, 'secureConnect');
  socket.write(
    `PUT ${path} HTTP/1.1\r\nHost: ${host}\r\nContent-Type: application/octet-stream\r\n` +
      `Content-Length: 262144\r\n\r\n`,
  );
  await new Promise((resolve) => {
    socket.write(part, resolve);
  });
  socket.destroy();
}
