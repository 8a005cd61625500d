import assert from 'node:assert/strict';
import { existsSync, globSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { test } from 'node:test';
import { encodeBackupRequest, OWN_BACKUP } from '../../src/api/own.ts';
import { imagePath } from '../../src/api/retrieval.ts';
import { sha256 } from '../../src/crypto/native.ts';
import { restoreBackup } from '../../src/node/backup.ts';
import { requestBackup } from '../../src/node/backup-request.ts';
import { startTestNetwork, type TestNetwork } from '../../src/testing/network.ts';
import { testAuthor } from '../../src/testing/network-author.ts';

async function until(what: string, holds: () => boolean): Promise<void> {
  for (let tries = 0; !holds(); tries++) {
    if (tries > 300) throw new Error(`never ${what}`);
    await sleep(50);
  }
}

function follower(network: TestNetwork): string {
  return network.names.find((name) => name !== network.orderer) as string;
}

test('a backup of a running node brings it back, and signs nothing before it has leave (T10)', async () => {
  await using network = await startTestNetwork();
  const author = await testAuthor(network);
  const first = await author.publish({ size: 600_000 });
  const name = follower(network);
  const config = network.config(name);
  const directory = join(network.folder, 'backup');
  const [made] = await Promise.all([
    requestBackup(config, directory),
    // It goes on while it is copied.
    author.publish({ wait: false }),
  ]);
  assert.ok(made.size > 0);
  await assert.rejects(requestBackup(config, directory), { code: 'NODE_BACKUP_EXISTS' });
  const files = globSync('**', { cwd: directory });
  assert.deepEqual(
    files.filter((file) => /record|key|partial/.test(file)),
    [],
  );
  const record = readFileSync(config.record);
  const restingBackup = join(network.folder, 'resting');
  await network.stop(name);
  await requestBackup(config, restingBackup);
  await assert.rejects(restoreBackup(config, directory), { code: 'NODE_RESTORE_OCCUPIED' });
  rmSync(config.data, { recursive: true });
  assert.deepEqual(await restoreBackup(config, directory), made);
  assert.deepEqual(readFileSync(config.record), record);
  // What the record says was signed is newer than the ledger: nothing is signed until it has caught up.
  await network.start(name);
  const last = await author.publish();
  await until(
    'caught up',
    () => network.node(name).health().size === network.node(network.orderer).health().size,
  );
  const client = network.client();
  const { body } = await client.request({
    url: network.url(name, imagePath(sha256(first.image))),
    maxBytes: 1 << 20,
  });
  assert.deepEqual(body, first.image);
  assert.ok(last.status);
  // Without its record it is another signer of the same key, which the others' word forbids for good.
  await network.stop(name);
  rmSync(config.record);
  rmSync(config.data, { recursive: true });
  await restoreBackup(config, restingBackup);
  await network.start(name);
  await until('forbidden', () =>
    network.logged.some(
      ({ node, fields }) => node === name && fields['code'] === 'COSIGNER_BEHIND',
    ),
  );
  assert.ok(!existsSync(config.record));
});

test('only the node itself may be asked for its backup', async () => {
  await using network = await startTestNetwork({ operators: 2 });
  const directory = join(network.folder, 'stolen');
  const url = network.url(network.orderer, OWN_BACKUP);
  const headers = { 'content-type': 'application/cbor' };
  const request = {
    method: 'POST',
    url,
    headers,
    body: encodeBackupRequest(directory),
    maxBytes: 1024,
  } as const;
  await assert.rejects(network.client().request(request), { code: 'NODE_PEER_UNKNOWN' });
  await assert.rejects(network.client(follower(network)).request(request), {
    code: 'NODE_PEER_UNKNOWN',
  });
  assert.ok(!existsSync(directory));
  const relative = { ...request, body: encodeBackupRequest('here') };
  await assert.rejects(network.client(network.orderer).request(relative), {
    code: 'NODE_BACKUP_INVALID',
  });
});

test('an unfinished backup, one of another node and a changed one are refused', async () => {
  await using network = await startTestNetwork({ operators: 2 });
  const directory = join(network.folder, 'backup');
  await requestBackup(network.config(network.orderer), directory);
  const other = network.config(follower(network));
  await network.stop(follower(network));
  rmSync(other.data, { recursive: true });
  await assert.rejects(restoreBackup(other, directory), { code: 'NODE_BACKUP_INVALID' });
  const own = { ...network.config(network.orderer), data: join(network.folder, 'new-data') };
  const path = join(directory, 'backup.json');
  const said = JSON.parse(readFileSync(path, 'utf8')) as { size: number };
  writeFileSync(path, JSON.stringify({ ...said, size: said.size + 1 }));
  await assert.rejects(restoreBackup(own, directory), { code: 'NODE_BACKUP_INVALID' });
  assert.ok(!existsSync(own.data));
  rmSync(path);
  await assert.rejects(restoreBackup(own, directory), { code: 'NODE_BACKUP_INVALID' });
});
