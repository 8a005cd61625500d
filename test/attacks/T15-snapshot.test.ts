/** T15: a node that begins with a snapshot believes nothing of it. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, suite, test } from 'node:test';
import { sha256 } from '#crypto';
import { utf8 } from '../../src/bytes.ts';
import { decode } from '../../src/cbor/decode.ts';
import { encode } from '../../src/cbor/encode.ts';
import { asArray } from '../../src/cbor/read.ts';
import { appHashOfHead } from '../../src/ledger/proven-ledger.ts';
import { snapshotRows } from '../../src/ledger/snapshot-export.ts';
import { SnapshotImport } from '../../src/ledger/snapshot-import.ts';
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
} from '../../src/ledger/snapshot-rows.ts';
import { decodeEpoch, encodeEpoch } from '../../src/log/epoch.ts';
import { decodeBlock, encodeBlock, type Block } from '../../src/registry/block.ts';
import { declaration, resigned } from '../../src/testing/ledger-fixture.ts';
import {
  MOVED_AUTHOR,
  MOVED_NETWORK,
  movedLedger,
  movedRelease,
} from '../../src/testing/snapshot-fixture.ts';

const network = MOVED_NETWORK;
const folder = await mkdtemp(join(tmpdir(), 'firmament-snapshot-'));
after(() => rm(folder, { recursive: true }));
let files = 0;
const fresh = (): string => join(folder, `${files++}.db`);

const source = movedLedger(fresh());
const rows = [...snapshotRows(source.database)];
const HEAD = source.replica.head();
const title = decodeTitle(rows[0] as Uint8Array);
const BLOCKS = HEAD.height;

function restore(list: readonly Uint8Array[], appHash = appHashOfHead(HEAD)): void {
  const path = fresh();
  const restoring = new SnapshotImport({ path, genesis: network.genesis, appHash });
  for (const chunk of chunked(list)) restoring.add(chunk);
  const head = restoring.finish();
  assert.deepEqual(head, HEAD);
}

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
  /** `reblocked`, with the blocks after it upon the changed one: nobody signs those. */
  const rechained = (
    height: number,
    change: (row: ReturnType<typeof decodeBlockRow>) => Partial<ReturnType<typeof decodeBlockRow>>,
  ): readonly Uint8Array[] => {
    const list = [...reblocked(height, change)];
    for (let at = height; at < BLOCKS; at++) {
      const { block } = decodeBlockRow(list[at] as Uint8Array);
      const next = decodeBlockRow(list[at + 1] as Uint8Array);
      const moved = encodeBlock({ ...decodeBlock(next.block), previous: sha256(block) });
      list[at + 1] = encodeBlockRow({ ...next, block: moved });
    }
    return list;
  };
  const bare =
    (
      change: (block: Block) => Partial<Block>,
    ): ((row: ReturnType<typeof decodeBlockRow>) => { readonly block: Uint8Array }) =>
    ({ block }) => {
      const decoded = decodeBlock(block);
      return { block: encodeBlock({ ...decoded, ...change(decoded) }) };
    };
  const flipped = (bytes: Uint8Array): Uint8Array =>
    bytes.with(bytes.length - 1, (bytes.at(-1) ?? 0) ^ 1);
  const retagged = (row: Uint8Array): Uint8Array =>
    encode([
      'firmament/snapshot/v2',
      ...asArray(decode(row, { maxBytes: 1024 }), 'title').slice(1),
    ]);
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
        const other = {
          statement: declaration(MOVED_AUTHOR, 77).statement.bytes,
          attachment: null,
        };
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
      rechained(5, ({ block }) => {
        const decoded = decodeBlock(block);
        const { attachment } = movedRelease(0, 8n);
        const transactions = decoded.transactions.map((each) => ({ ...each, attachment }));
        return { block: encodeBlock({ ...decoded, transactions }) };
      }),
    ],
    [
      'a release without its manifest',
      'SNAPSHOT_MISMATCH',
      rechained(5, ({ block }) => {
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
      rechained(3, ({ block }) => ({ block: flipped(block) })),
    ],
    [
      'a signed block of another time',
      'SNAPSHOT_MISMATCH',
      reblocked(1, ({ block }) => ({
        block: resigned(network, block, ({ time }) => ({ time: time + 1 })),
      })),
    ],
    [
      'a root that is not the log’s, in the newest block',
      'SNAPSHOT_MISMATCH',
      rechained(
        BLOCKS,
        bare(() => ({ root: new Uint8Array(32) })),
      ),
    ],
    [
      'a block of another time',
      'SNAPSHOT_MISMATCH',
      rechained(
        5,
        bare(({ time }) => ({ time: time + 1 })),
      ),
    ],
    [
      'a block of another height',
      'SNAPSHOT_MISMATCH',
      rechained(
        BLOCKS,
        bare(({ height }) => ({ height: height + 1 })),
      ),
    ],
    [
      'a block of another network',
      'SNAPSHOT_MISMATCH',
      rechained(
        5,
        bare(() => ({ networkId: new Uint8Array(32) })),
      ),
    ],
    [
      'a statement twice',
      'SNAPSHOT_MISMATCH',
      rechained(
        BLOCKS,
        bare(({ transactions: [first, , ...rest] }) => ({
          transactions: first ? [first, first, ...rest] : [],
        })),
      ),
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
      'the certificate missing of more than the newest block',
      'SNAPSHOT_MISMATCH',
      reblocked(BLOCKS - 1, () => ({ certificate: null })),
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
    [
      'a row more',
      'SNAPSHOT_MALFORMED',
      [...rows, encodeMapRow({ key: new Uint8Array(32).fill(255), value: utf8('x') })],
    ],
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
    ['rows of another version', 'SNAPSHOT_MALFORMED', changed(0, (row) => retagged(row))],
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

  test('not in chunks above the bound, nor empty ones, nor with a row that would never end', () => {
    const endless = new Uint8Array(100).fill(255);
    for (const chunk of [new Uint8Array(CHUNK + 1), new Uint8Array(), endless]) {
      const options = { path: fresh(), genesis: network.genesis, appHash: appHashOfHead(HEAD) };
      assert.throws(() => new SnapshotImport(options).add(chunk), { code: 'SNAPSHOT_MALFORMED' });
    }
  });
});

test('what was not changed is restored', () => {
  restore(rows);
});
