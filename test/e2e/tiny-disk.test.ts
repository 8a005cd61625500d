/** Real disks without room: a file system of a few MiB under a node's data and under a device. */
import assert from 'node:assert/strict';
import { cpSync, mkdirSync, rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import { encodeGroup, REGISTRATIONS } from '../../src/api/registration.ts';
import { imagePath } from '../../src/api/retrieval.ts';
import { sha256 } from '#crypto';
import { declareStatement } from '../../src/author/statements.ts';
import { equal } from '../../src/bytes.ts';
import { openDevice } from '../../src/device/device.ts';
import { buildSampleFirmware } from '../../src/device/firmware/sample.ts';
import { Promises } from '../../src/testing/crash-network.ts';
import { startTestNetwork } from '../../src/testing/network.ts';
import { testAuthor } from '../../src/testing/network-author.ts';
import { assertRefused } from '../../src/testing/refused.ts';
import { requirePart } from '../../src/testing/require.ts';
import { mountTinyDisk } from '../../src/testing/tiny-disk.ts';

const HOW = 'a temporary file system is mounted: run as root';
const NODE = 'a/n1';

suite('a disk without room', { timeout: 120_000 }, () => {
  test('a node answers 507, goes on reading, and goes on writing when there is room', async (t) => {
    using disk = mountTinyDisk(24 << 20);
    if (!requirePart(t, 'mount', disk !== undefined, HOW) || !disk) return;
    await using network = await startTestNetwork({ operators: 1, start: [] });
    const { data } = network.config(NODE);
    rmSync(data, { recursive: true, force: true });
    symlinkSync(disk.folder, data);
    await network.start(NODE);
    const promises = new Promises(network, NODE);
    const author = await testAuthor(network);
    const release = await author.publish({ size: 600_000 });
    promises.acknowledge(release.entries);
    disk.fill();
    const { key, author: own } = author.session;
    const [counter = 0n] = await own.counters.next(1);
    const signer = { key, author: own.id, networkId: network.root.networkId };
    const { bytes } = declareStatement(signer, counter, author.line('another'));
    const client = network.client();
    const declare = () =>
      client.request({
        method: 'POST',
        url: network.url(NODE, REGISTRATIONS),
        headers: { 'content-type': 'application/cbor' },
        body: encodeGroup([{ statement: bytes, attachment: null }]),
        maxBytes: 1 << 16,
      });
    // Of what the log has room for some is taken; then no more is.
    await assertRefused(declare(), 507, 'DATABASE_FULL');
    const read = await client.request({
      url: network.url(NODE, imagePath(sha256(release.image))),
      maxBytes: 1 << 20,
    });
    assert.ok(equal(read.body, release.image));
    disk.free();
    assert.equal((await declare()).status, 201);
    promises.acknowledge((await author.publish({ size: 600_000 })).entries);
    await network.stop(NODE);
    await promises.checkDisk(NODE);
    await network.start(NODE);
    await promises.checkServed([NODE]);
  });

  test('a device refuses the install with a code, and keeps running what it has', async (t) => {
    using disk = mountTinyDisk(8 << 20);
    if (!requirePart(t, 'mount', disk !== undefined, HOW) || !disk) return;
    await using network = await startTestNetwork({ operators: 1 });
    const author = await testAuthor(network);
    const made = network.device([{ line: author.line(), anchor: author.anchor }]);
    const images = ['1.0.0', '2.0.0'].map((version) =>
      buildSampleFirmware({ version, model: 'lamp', size: 100_000 }),
    );
    await author.publish({ version: '1.0.0', image: images[0] as Uint8Array });
    {
      await using device = await made.open();
      assert.equal((await device.agent.poll()).outcome, 'installed');
    }
    await author.publish({ version: '2.0.0', image: images[1] as Uint8Array });
    const codes = new Set<string>();
    for (const left of [0, 4096, 8192, 16_384, 65_536, 106_496, 110_592, 114_688, 122_880]) {
      const folder = join(disk.folder, `device-${left}`);
      mkdirSync(folder);
      cpSync(made.folder, folder, { recursive: true });
      disk.fill(left);
      await using device = await openDevice(folder, { clock: network.clock });
      const { outcome, code } = await device.agent.poll();
      if (code) codes.add(code);
      const allowed = outcome === 'installed' ? '2.0.0' : '1.0.0';
      const { status } = device.bootloader;
      assert.ok(status.kind === 'running' && status.healthy, `${left}: ${status.kind}`);
      assert.equal(status.reported, allowed, `${left}: ${outcome} ${code}`);
      await device[Symbol.asyncDispose]();
      {
        await using again = await openDevice(folder, { clock: network.clock });
        const booted = again.bootloader.status;
        assert.ok(booted.kind === 'running' && booted.healthy, `${left}: ${booted.kind}`);
      }
      disk.free();
      await using roomy = await openDevice(folder, { clock: network.clock });
      await roomy.agent.poll();
      const end = roomy.bootloader.status;
      assert.equal(end.kind === 'running' && end.reported, '2.0.0', `${left}`);
      await roomy[Symbol.asyncDispose]();
      rmSync(folder, { recursive: true });
    }
    assert.deepEqual([...codes], ['DEVICE_STORAGE_FULL']);
  });
});
