/** One release from its author to a device, over the wire, in one process. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { equal, hex } from '../../src/bytes.ts';
import { holdersOf } from '../../src/author/status.ts';
import type { Client } from '../../src/net/client.ts';
import { startTestNetwork, type TestNetwork } from '../../src/testing/network.ts';
import { testAuthor, type TestAuthor } from '../../src/testing/network-author.ts';

let network: TestNetwork;
let author: TestAuthor;
let client: Client;

before(async () => {
  network = await startTestNetwork();
  author = await testAuthor(network);
  client = network.client();
});
after(() => network[Symbol.asyncDispose]());

test('published, receipted, held by others, installed, fresh', { timeout: 60_000 }, async () => {
  const release = await author.publish({ size: 600_000 });
  assert.equal(release.entries.length, 3);
  assert.ok(release.entries.every(({ receipt }) => receipt.length > 0));
  assert.equal(release.status?.status, 'available');
  assert.equal(release.status?.newest, true);
  assert.ok(holdersOf(release.status).length >= 3);
  const device = network.device([{ line: release.release, anchor: author.anchor }]);
  {
    await using opened = await device.open();
    const polled = await opened.agent.poll();
    assert.equal(polled.outcome, 'installed', JSON.stringify(polled));
    assert.equal(polled.freshness, 'fresh(own clock)');
    assert.equal(polled.version, release.version);
    assert.equal((await opened.agent.poll()).outcome, 'up-to-date');
  }
  const installed = await readFile(join(device.folder, 'slots', 'a.cjs'));
  assert.ok(equal(new Uint8Array(installed), release.image));
  const reports = await client.request({
    url: network.url('a/n1', `/v1/reports/${hex(release.digest)}`),
    maxBytes: 65_536,
  });
  assert.equal(reports.status, 200);
});
