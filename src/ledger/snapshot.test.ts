import assert from 'node:assert/strict';
import { existsSync, readdirSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { sha256 } from '#crypto';
import { concat } from '../bytes.ts';
import { certificateFor } from '../testing/certificates.ts';
import { decided, declaration, dumped, openedReplica, ordered } from '../testing/ledger-fixture.ts';
import {
  ledgerRows,
  MOVED_AUTHOR,
  MOVED_CHAIN,
  MOVED_NETWORK,
  MOVED_REGISTRATION,
  movedLedger,
  movedRelease,
} from '../testing/snapshot-fixture.ts';
import { appHashOfHead } from './proven-ledger.ts';
import { readChunk, snapshotRows, writeSnapshot } from './snapshot-export.ts';
import { SnapshotImport } from './snapshot-import.ts';
import { CHUNK, chunked } from './snapshot-rows.ts';

const network = MOVED_NETWORK;
const CHAIN = MOVED_CHAIN;
const folder = await mkdtemp(join(tmpdir(), 'firmament-snapshot-'));
after(() => rm(folder, { recursive: true }));
let files = 0;
const fresh = (): string => join(folder, `${files++}.db`);

const source = movedLedger(fresh());
const HEAD = source.replica.head();
const BLOCKS = HEAD.height;

function restored(): string {
  const path = fresh();
  const options = { path, genesis: network.genesis, appHash: appHashOfHead(HEAD) };
  const restoring = new SnapshotImport(options);
  for (const chunk of chunked(snapshotRows(source.database))) restoring.add(chunk);
  restoring.finish();
  return path;
}

test('a node that begins with a snapshot has, byte for byte, what one that followed every block has', async () => {
  const place = join(folder, 'snapshot');
  const snapshot = await writeSnapshot(source.replica, place);
  assert.equal(snapshot.height, 3);
  assert.equal(snapshot.chain, CHAIN);
  assert.deepEqual(snapshot.head, HEAD);
  assert.deepEqual(
    readdirSync(place),
    snapshot.chunks.map((_, i) => `chunk-00000${i}`),
  );
  assert.deepEqual((await writeSnapshot(source.replica, place)).hash, snapshot.hash);
  assert.equal(readChunk(place, snapshot.chunks.length), undefined);

  const path = fresh();
  const appHash = appHashOfHead(HEAD);
  const restoring = new SnapshotImport({ path, genesis: network.genesis, appHash });
  snapshot.chunks.forEach((hash, i) => {
    const chunk = readChunk(place, i) ?? new Uint8Array();
    assert.deepEqual(sha256(chunk), hash);
    restoring.add(chunk);
  });
  restoring.finish();
  const node = openedReplica(network, fresh());
  const heard: number[] = [];
  node.replica.onHead((head) => heard.push(head.height));
  assert.deepEqual(node.replica.adopt(path, snapshot.height), HEAD);
  restoring.discard();
  assert.equal(existsSync(path), false);
  assert.equal(ledgerRows(node.database), ledgerRows(source.database));
  await Promise.resolve();
  assert.deepEqual(heard, [HEAD.height]);

  // It goes on as the others do, and nothing older of the map is there.
  assert.deepEqual(node.replica.enginePosition(CHAIN), { height: 3, head: HEAD });
  assert.equal(node.replica.certified().height, BLOCKS - 1);
  assert.throws(() => node.replica.at(BLOCKS - 1), { code: 'LEDGER_HEIGHT_UNKNOWN' });
  assert.deepEqual(node.replica.at(BLOCKS).head, HEAD);
  const next = [[declaration(MOVED_AUTHOR, 90)], [movedRelease(1, 9n)]];
  const other = movedLedger(fresh());
  const before = other.replica.decide(next, HEAD.time);
  assert.deepEqual(node.replica.decide(next, HEAD.time), before);
  for (const each of [other, node]) {
    each.replica.commitDecided({ chain: CHAIN, height: 4 });
    each.replica.certify(BLOCKS, certificateFor(network, HEAD, { chain: CHAIN, height: 4 }));
  }
  assert.equal(ledgerRows(node.database), ledgerRows(other.database));
});

test('chunks hold whole megabytes, wherever rows end', () => {
  const many = Array.from({ length: 40 }, (_, i) => new Uint8Array(100_000 + i).fill(i + 1));
  const chunks = [...chunked(many)];
  assert.deepEqual(
    chunks.slice(0, -1).map(({ length }) => length),
    [CHUNK, CHUNK, CHUNK],
  );
  const large = [...chunked([new Uint8Array(3 * CHUNK)])];
  assert.equal(large.length, 4);
  assert.equal(concat(...large).length, 3 * CHUNK + 4);
});

test('a node that was away is moved on along its own history, and never to another', () => {
  const path = restored();
  const behind = openedReplica(network, fresh());
  for (let height = 1; height <= 4; height++) behind.replica.append(source.replica.served(height));
  behind.replica.adopt(path, 3);
  assert.equal(ledgerRows(behind.database), ledgerRows(source.database));
  assert.throws(() => behind.replica.adopt(path, 3), { code: 'SNAPSHOT_FORK' });

  const elsewhere = openedReplica(network, fresh());
  ordered(elsewhere.replica, network, MOVED_REGISTRATION, network.genesis.time + 1);
  const before = dumped(elsewhere.database);
  assert.throws(() => elsewhere.replica.adopt(path, 3), { code: 'SNAPSHOT_FORK' });
  assert.equal(dumped(elsewhere.database), before);
  assert.equal(elsewhere.replica.head().height, 1);
});

test('no snapshot is made while older blocks than the newest wait for their certificates', async () => {
  const { replica } = movedLedger(fresh());
  const height = replica.head().height;
  decided(replica, [[declaration(MOVED_AUTHOR, 90)]]);
  const place = join(folder, 'waiting');
  // A node that begins with it could get none for the older one: its engine has no headers of then.
  await assert.rejects(writeSnapshot(replica, place), { code: 'SNAPSHOT_UNREADY' });
  const options = { chain: CHAIN, height: 4 };
  replica.certify(height, certificateFor(network, replica.headAt(height), options));
  assert.deepEqual((await writeSnapshot(replica, place)).head, replica.head());
});

test('no snapshot is made of a ledger that its engine has not caught up with', async () => {
  const { replica } = movedLedger(fresh());
  replica.forgetEngine();
  const place = join(folder, 'none');
  await assert.rejects(writeSnapshot(replica, place), { code: 'SNAPSHOT_UNREADY' });
  assert.equal(existsSync(place), false);
  assert.equal(existsSync(`${place}.new`), false);
});
