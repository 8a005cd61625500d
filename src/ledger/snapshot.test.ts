import assert from 'node:assert/strict';
import { existsSync, readdirSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, suite, test } from 'node:test';
import { sha256 } from '#crypto';
import { concat, utf8 } from '../bytes.ts';
import { releaseStatement } from '../author/statements.ts';
import type { Database } from '../database.ts';
import { decodeEpoch, encodeEpoch } from '../log/epoch.ts';
import { decodeBlock, encodeBlock } from '../registry/block.ts';
import type { Transaction } from '../registry/statement.ts';
import { buildImageManifest, wrap } from '../suit/build.ts';
import { certificateFor } from '../testing/certificates.ts';
import { fixtureConsortium, fixtureLine, fixtureNetwork } from '../testing/fixture.ts';
import { changedPolicy } from '../testing/governance.ts';
import {
  decided,
  declaration,
  dumped,
  openedReplica,
  ordered,
  provenBlock,
  registeredAuthor,
  resigned,
  transactionOf,
} from '../testing/ledger-fixture.ts';
import { appHashOfHead } from './proven-ledger.ts';
import type { Replica } from './replica.ts';
import { readChunk, snapshotRows, writeSnapshot } from './snapshot-export.ts';
import { SnapshotImport } from './snapshot-import.ts';
import {
  CHUNK,
  chunked,
  decodeBlockRow,
  decodeMapRow,
  decodeRecordRow,
  decodeTitle,
  encodeBlockRow,
  encodeMapRow,
  encodeRecordRow,
  encodeTitle,
} from './snapshot-rows.ts';

const network = fixtureNetwork();
const { author, group: registration } = registeredAuthor(network, 'acme');
const folder = await mkdtemp(join(tmpdir(), 'firmament-snapshot-'));
after(() => rm(folder, { recursive: true }));
const CHAIN = 2;
let files = 0;
const fresh = (): string => join(folder, `${files++}.db`);

function release(model: number, sequence: bigint): Transaction {
  const line = fixtureLine(author.author, `model ${model}`);
  const manifest = wrap(
    buildImageManifest({
      vendorId: line.vendor,
      classId: line.class,
      sequence,
      componentId: [utf8('app')],
      digest: sha256(utf8(`image ${sequence}`)),
      size: 5,
      uri: 'ipfs://image',
    }),
  );
  const claims = { version: `${sequence}.0.0`, urgency: 'functional', documents: [] } as const;
  return transactionOf(releaseStatement(author, sequence, line, manifest, claims), manifest);
}

/** A network that moved to a consortium, with a few blocks on both sides; the newest has no certificate yet. */
function history(): { readonly replica: Replica; readonly database: Database } {
  const opened = openedReplica(network, fresh());
  const { replica } = opened;
  ordered(replica, network, registration);
  ordered(replica, network, [declaration(author, 0), release(0, 1n)]);
  const orderer = fixtureConsortium(network.nodes, CHAIN);
  const change = changedPolicy(network.root, { orderer }, network.operators.slice(1));
  ordered(replica, network, [transactionOf(change.statement)]);
  provenBlock(replica, network, [[declaration(author, 1)], [release(1, 2n)]], { chain: CHAIN });
  provenBlock(replica, network, [[release(0, 3n)]], { chain: CHAIN, height: 3 });
  decided(replica, [Array.from({ length: 15 }, (_, model) => declaration(author, model + 5))]);
  replica.prune(replica.head().height);
  return opened;
}

const source = history();
const rows = [...snapshotRows(source.database)];
const HEAD = source.replica.head();
const title = decodeTitle(rows[0] as Uint8Array);
const BLOCKS = HEAD.height;

/** All tables of the ledger itself: neither what maps were before nor how far an engine got. */
function ledgerOf(database: Database): string {
  return dumped(database).replace(
    /^map_(?:page|value)_undo\n(?:\[.*\n)*|^\["(?:engine|pruned)".*\n/gm,
    '',
  );
}

function restore(list: readonly Uint8Array[], appHash = appHashOfHead(HEAD)): string {
  const path = fresh();
  const restoring = new SnapshotImport({ path, genesis: network.genesis, appHash });
  for (const chunk of chunked(list)) restoring.add(chunk);
  const head = restoring.finish();
  assert.deepEqual(head, HEAD);
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
  assert.equal(ledgerOf(node.database), ledgerOf(source.database));
  await Promise.resolve();
  assert.deepEqual(heard, [HEAD.height]);

  // It goes on as the others do, and nothing older of the map is there.
  assert.deepEqual(node.replica.enginePosition(CHAIN), { height: 3, head: HEAD });
  assert.equal(node.replica.certified().height, BLOCKS - 1);
  assert.throws(() => node.replica.at(BLOCKS - 1), { code: 'LEDGER_HEIGHT_UNKNOWN' });
  assert.deepEqual(node.replica.at(BLOCKS).head, HEAD);
  const next = [[declaration(author, 90)], [release(1, 9n)]];
  const other = history();
  const before = other.replica.decide(next, HEAD.time);
  assert.deepEqual(node.replica.decide(next, HEAD.time), before);
  for (const each of [other, node]) {
    each.replica.commitDecided({ chain: CHAIN, height: 4 });
    each.replica.certify(BLOCKS, certificateFor(network, HEAD, { chain: CHAIN, height: 4 }));
  }
  assert.equal(ledgerOf(node.database), ledgerOf(other.database));
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
  const path = restore(rows);
  const behind = openedReplica(network, fresh());
  for (let height = 1; height <= 4; height++) behind.replica.append(source.replica.served(height));
  behind.replica.adopt(path, 3);
  assert.equal(ledgerOf(behind.database), ledgerOf(source.database));
  assert.throws(() => behind.replica.adopt(path, 3), { code: 'SNAPSHOT_FORK' });

  const elsewhere = openedReplica(network, fresh());
  ordered(elsewhere.replica, network, registration, network.genesis.time + 1);
  const before = dumped(elsewhere.database);
  assert.throws(() => elsewhere.replica.adopt(path, 3), { code: 'SNAPSHOT_FORK' });
  assert.equal(dumped(elsewhere.database), before);
  assert.equal(elsewhere.replica.head().height, 1);
});

test('no snapshot is made of a ledger that its engine has not caught up with', async () => {
  const { replica } = history();
  replica.forgetEngine();
  const place = join(folder, 'none');
  await assert.rejects(writeSnapshot(replica, place), { code: 'SNAPSHOT_UNREADY' });
  assert.equal(existsSync(place), false);
  assert.equal(existsSync(`${place}.new`), false);
});

suite('T15: a snapshot smuggles nothing in', () => {
  const blockAt = (height: number): number => height;
  const recordAt = BLOCKS + 1;
  const mapAt = recordAt + title.records;
  const changed = (at: number, change: (row: Uint8Array) => Uint8Array): readonly Uint8Array[] =>
    rows.with(at, change(rows[at] as Uint8Array));
  const retitled = (change: Partial<typeof title>): readonly Uint8Array[] =>
    rows.with(0, encodeTitle({ ...title, ...change }));
  const reblocked = (
    height: number,
    change: (row: ReturnType<typeof decodeBlockRow>) => Partial<ReturnType<typeof decodeBlockRow>>,
  ): readonly Uint8Array[] =>
    changed(blockAt(height), (row) => {
      const decoded = decodeBlockRow(row);
      return encodeBlockRow({ ...decoded, ...change(decoded) });
    });
  const flipped = (bytes: Uint8Array): Uint8Array =>
    bytes.with(bytes.length - 1, (bytes.at(-1) ?? 0) ^ 1);
  const swapped = (at: number): readonly Uint8Array[] =>
    rows.with(at, rows[at + 1] as Uint8Array).with(at + 1, rows[at] as Uint8Array);
  const record = (at: number): ReturnType<typeof decodeRecordRow> =>
    decodeRecordRow(rows[at] as Uint8Array);

  const bad: readonly (readonly [string, string, readonly Uint8Array[]])[] = [
    ['another network', 'SNAPSHOT_FOREIGN', retitled({ networkId: new Uint8Array(32) })],
    ['another root', 'SNAPSHOT_MISMATCH', retitled({ root: new Uint8Array(32) })],
    ['another size', 'SNAPSHOT_MISMATCH', retitled({ size: title.size + 1 })],
    ['another state root', 'SNAPSHOT_MISMATCH', retitled({ stateRoot: new Uint8Array(32) })],
    ['too low a height', 'SNAPSHOT_MISMATCH', retitled({ height: title.height - 1 })],
    ['too great a height', 'SNAPSHOT_MALFORMED', retitled({ height: title.height + 1 })],
    ['no height', 'SNAPSHOT_MALFORMED', retitled({ height: 0 })],
    ['more records than a log makes', 'SNAPSHOT_MALFORMED', retitled({ records: 1 << 20 })],
    ['more map values than a log makes', 'SNAPSHOT_MALFORMED', retitled({ mapValues: 1 << 20 })],
    ['a block left out', 'SNAPSHOT_MISMATCH', rows.toSpliced(2, 1)],
    ['a block twice', 'SNAPSHOT_MISMATCH', rows.toSpliced(2, 0, rows[1] as Uint8Array)],
    ['blocks in another order', 'SNAPSHOT_MISMATCH', swapped(4)],
    [
      'another statement',
      'SNAPSHOT_MISMATCH',
      reblocked(BLOCKS, ({ block }) => {
        const decoded = decodeBlock(block);
        const [first] = decoded.transactions;
        const other = { statement: declaration(author, 77).statement.bytes, attachment: null };
        assert.ok(first);
        return {
          block: encodeBlock({
            ...decoded,
            transactions: [other, ...decoded.transactions.slice(1)],
          }),
        };
      }),
    ],
    [
      'a statement less',
      'SNAPSHOT_MISMATCH',
      reblocked(BLOCKS, ({ block }) => {
        const decoded = decodeBlock(block);
        return { block: encodeBlock({ ...decoded, transactions: decoded.transactions.slice(1) }) };
      }),
    ],
    [
      'a manifest of another release',
      'SNAPSHOT_MISMATCH',
      reblocked(5, ({ block }) => {
        const decoded = decodeBlock(block);
        const { attachment } = release(0, 8n);
        const transactions = decoded.transactions.map((each) => ({ ...each, attachment }));
        return { block: encodeBlock({ ...decoded, transactions }) };
      }),
    ],
    [
      'a release without its manifest',
      'SNAPSHOT_MISMATCH',
      reblocked(5, ({ block }) => {
        const decoded = decodeBlock(block);
        const transactions = decoded.transactions.map((each) => ({ ...each, attachment: null }));
        return { block: encodeBlock({ ...decoded, transactions }) };
      }),
    ],
    [
      'another block before',
      'SNAPSHOT_MISMATCH',
      reblocked(BLOCKS, ({ block }) => ({
        block: encodeBlock({ ...decodeBlock(block), previous: new Uint8Array(32) }),
      })),
    ],
    [
      'a signed block that its orderer did not sign',
      'SNAPSHOT_MISMATCH',
      reblocked(1, ({ block }) => ({ block: flipped(block) })),
    ],
    [
      'a signed block of another time',
      'SNAPSHOT_MISMATCH',
      reblocked(1, ({ block }) => ({
        block: resigned(network, block, ({ time }) => ({ time: time + 1 })),
      })),
    ],
    [
      'an epoch of another policy',
      'SNAPSHOT_MISMATCH',
      reblocked(BLOCKS, ({ epoch }) => ({
        epoch: encodeEpoch({ ...decodeEpoch(epoch), policyVersion: 1 }),
      })),
    ],
    [
      'an epoch with another map root',
      'SNAPSHOT_MISMATCH',
      reblocked(BLOCKS, ({ epoch }) => ({
        epoch: encodeEpoch({ ...decodeEpoch(epoch), mapRoot: new Uint8Array(32) }),
      })),
    ],
    [
      'bytes that are no epoch',
      'SNAPSHOT_MISMATCH',
      reblocked(2, () => ({ epoch: utf8('epoch') })),
    ],
    [
      'a certificate that is none',
      'SNAPSHOT_MISMATCH',
      reblocked(4, ({ certificate }) => ({ certificate: flipped(certificate as Uint8Array) })),
    ],
    [
      'the certificate of another block',
      'SNAPSHOT_MISMATCH',
      reblocked(5, () => ({ certificate: source.replica.certificate(4) as Uint8Array })),
    ],
    [
      'a certificate missing in between',
      'SNAPSHOT_MISMATCH',
      reblocked(4, () => ({ certificate: null })),
    ],
    [
      'a certificate of a signed block',
      'SNAPSHOT_MISMATCH',
      reblocked(2, () => ({ certificate: source.replica.certificate(4) as Uint8Array })),
    ],
    [
      'a changed record',
      'SNAPSHOT_MISMATCH',
      changed(recordAt, (row) => {
        const { name, value } = decodeRecordRow(row);
        return encodeRecordRow({ name, value: flipped(value) });
      }),
    ],
    [
      'a record under another name',
      'SNAPSHOT_MISMATCH',
      changed(recordAt, () => encodeRecordRow({ ...record(recordAt), name: 'a' })),
    ],
    [
      'a record more',
      'SNAPSHOT_MISMATCH',
      retitled({ records: title.records + 1 }).toSpliced(
        recordAt,
        0,
        encodeRecordRow({ name: 'a/smuggled', value: utf8('x') }),
      ),
    ],
    [
      'a record less',
      'SNAPSHOT_MISMATCH',
      retitled({ records: title.records - 1 }).toSpliced(recordAt, 1),
    ],
    ['records in another order', 'SNAPSHOT_MALFORMED', swapped(recordAt)],
    [
      'a changed map value',
      'SNAPSHOT_MISMATCH',
      changed(mapAt, (row) => {
        const { key, value } = decodeMapRow(row);
        return encodeMapRow({ key, value: flipped(value) });
      }),
    ],
    [
      'a map value less',
      'SNAPSHOT_MISMATCH',
      retitled({ mapValues: title.mapValues - 1 }).toSpliced(mapAt, 1),
    ],
    ['map values in another order', 'SNAPSHOT_MALFORMED', swapped(mapAt)],
    ['a row more', 'SNAPSHOT_MALFORMED', [...rows, rows.at(-1) as Uint8Array]],
    [
      'a record of a name that none has',
      'SNAPSHOT_MALFORMED',
      changed(recordAt, () => encodeRecordRow({ ...record(recordAt), name: 'A b' })),
    ],
    [
      'a map value above its bound',
      'SNAPSHOT_MALFORMED',
      changed(mapAt, () => encodeMapRow({ key: new Uint8Array(32), value: new Uint8Array(8193) })),
    ],
    ['a block above its bound', 'SNAPSHOT_MALFORMED', changed(1, () => new Uint8Array(10 << 20))],
    ['bytes that are no row', 'SNAPSHOT_MALFORMED', changed(1, () => utf8('?'))],
    ['another thing', 'SNAPSHOT_MALFORMED', [utf8('{"snapshot":1}')]],
    ['rows that end early', 'SNAPSHOT_INCOMPLETE', rows.slice(0, -1)],
    ['blocks alone', 'SNAPSHOT_INCOMPLETE', rows.slice(0, recordAt)],
    ['nothing', 'SNAPSHOT_INCOMPLETE', []],
  ];
  for (const [what, code, list] of bad)
    test(`not with ${what}`, () => {
      const path = join(folder, `${files}.db`);
      assert.throws(() => restore(list), { code });
      for (const suffix of ['', '-wal', '-shm']) assert.equal(existsSync(path + suffix), false);
    });

  test('not another head than the one that was certified', () => {
    assert.throws(() => restore(rows, appHashOfHead(source.replica.headAt(BLOCKS - 1))), {
      code: 'SNAPSHOT_MISMATCH',
    });
  });

  test('not in chunks above the bound, nor empty ones', () => {
    for (const chunk of [new Uint8Array(CHUNK + 1), new Uint8Array()]) {
      const options = { path: fresh(), genesis: network.genesis, appHash: appHashOfHead(HEAD) };
      assert.throws(() => new SnapshotImport(options).add(chunk), { code: 'SNAPSHOT_MALFORMED' });
    }
  });
});
