// T25: the ledger holds a root over salted records and no more; whoever reads a batch sees what was changed, added or left out.
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { privateKey } from '#crypto';
import { openBatch } from '../../src/author/reports.ts';
import {
  createReportRequest,
  REQUEST_SKEW,
  verifyReportRequest,
} from '../../src/api/report-request.ts';
import { equal, hex } from '../../src/bytes.ts';
import { encode } from '../../src/cbor/encode.ts';
import { KID } from '../../src/cose/claims.ts';
import { createSign1, decodeSign1 } from '../../src/cose/sign1.ts';
import { verifyInclusion } from '../../src/log/merkle.ts';
import { checkLeaves, MIN_LEAVES, paddedLeaves, rootOfLeaves } from '../../src/log/padded-tree.ts';
import { reportBatchStatement } from '../../src/registry/rules/report-batch.ts';
import { createStatement, type Statement } from '../../src/registry/statement.ts';
import {
  encodeBatch,
  readBatch,
  recordPath,
  withoutRecords,
  type Batch,
} from '../../src/reports/batch.ts';
import { checkBatchProof } from '../../src/reports/ledger-proof.ts';
import { checkRecord, decodeRecord } from '../../src/reports/record.ts';
import { openSealedBatch, sealBatch } from '../../src/reports/sealing.ts';
import { Tally } from '../../src/reports/tally.ts';
import {
  author,
  batchOf,
  deviceKey,
  networkId,
  node,
  nonceOf,
  onLedger,
  random,
  record,
  root,
  signedReport,
} from './sample-batches.ts';

const OTHER = new Uint8Array(32).fill(8);
const reader = deviceKey('report key of the author');
const rival = deviceKey('report key of a rival');

suite('T25 what a batch shows', () => {
  test('the same reports with other salts have another root', () => {
    const make = (): Batch => batchOf([record('a'), record('b')]);
    assert.notDeepEqual(make().root, make().root);
    const fixed = [record('a'), record('b')];
    // Not even the same records twice: header and filling are drawn anew.
    assert.notDeepEqual(batchOf(fixed).root, batchOf(fixed).root);
  });

  test('one record looks like many, sealed and in the tree', async () => {
    const one = batchOf([record('a')]);
    const some = batchOf(Array.from({ length: 9 }, (_, i) => record(`${i}`)));
    assert.equal(one.leaves.length, MIN_LEAVES);
    assert.equal(some.leaves.length, MIN_LEAVES);
    assert.equal(encodeBatch(one).length, encodeBatch(some).length);
    const about = { networkId, root: one.root };
    const sealed = await sealBatch(reader.publicKey, about, encodeBatch(one));
    assert.equal(sealed.length, 8192 + 65 + 16);
    const filled = batchOf(Array.from({ length: 20 }, (_, i) => record(`${i}`)));
    assert.equal(filled.leaves.length, 32);
  });

  test('leaves stand by their hashes, whatever the order of the records', () => {
    const { leaves, header, records } = batchOf([record('a'), record('b'), record('c')]);
    checkLeaves(leaves);
    for (const wrong of [leaves.toReversed(), leaves.slice(1), [...leaves, ...leaves]])
      assert.throws(() => checkLeaves(wrong), { code: 'BATCH_MALFORMED' });
    assert.equal(records.length, 3);
    assert.ok(header.length > 0);
  });
});

suite('T25 a batch that was changed afterwards', () => {
  const records = ['a', 'b', 'c'].map((name) => record(name));
  const batch = batchOf(records);
  const read = (changed: Partial<Batch>, at = batch.root): Batch =>
    readBatch(networkId, at, encodeBatch({ ...batch, ...changed }));
  const mismatch = { code: 'BATCH_ROOT_MISMATCH' };

  test('as it was made it is read', () => {
    const found = read({});
    assert.deepEqual([found.count, found.records.length], [3, 3]);
    assert.deepEqual(found.author, author.author);
  });

  test('a record that is changed, added or put twice', () => {
    const [first, ...rest] = batch.records as [Uint8Array, Uint8Array, Uint8Array];
    const changed = first.with(first.length - 1, (first.at(-1) ?? 0) ^ 1);
    assert.throws(() => read({ records: [changed, ...rest] }), mismatch);
    assert.throws(() => read({ records: [...batch.records, record('d')] }), mismatch);
    assert.throws(() => read({ records: [first, first, ...rest] }), mismatch);
    assert.throws(() => read({ records: [batch.header, ...rest] }), mismatch);
  });

  test('more leaves, or a header that counts otherwise', () => {
    const other = batchOf(records);
    assert.throws(() => read({ leaves: other.leaves }), mismatch);
    assert.throws(() => read({ header: other.header }), mismatch);
    assert.throws(() => read({}, other.root), mismatch);
    assert.throws(() => readBatch(OTHER, batch.root, encodeBatch(batch)), mismatch);
  });

  test('a header that counts fewer than there are', () => {
    const row = [random(16), 'firmament/report-batch/v1', networkId, author.author, 0, 3600, 2];
    const header = encode(row);
    const hashes = [header, ...records].map((each) => recordPathLeaf(each));
    const leaves = paddedLeaves(hashes, random);
    assert.throws(() => read({ header, leaves }, rootOfLeaves(leaves)), mismatch);
  });

  test('one left out is missed, and one erased leaves the rest provable', () => {
    const rest = withoutRecords(batch, (each) => equal(each, batch.records[0] ?? OTHER));
    const found = readBatch(networkId, batch.root, encodeBatch(rest));
    const { count, missing, refused } = new Tally().add(found);
    assert.deepEqual([count, missing, refused], [3, 1, []]);
    for (const each of found.records)
      verifyInclusion({ ...recordPath(found, each), root: batch.root });
    assert.throws(() => recordPath(found, record('d')), mismatch);
  });
});

suite('T25 who can open a batch', () => {
  const batch = batchOf([record('a')]);
  const about = { networkId, root: batch.root };
  const refused = { code: 'BATCH_SEALED' };

  test('the author it is for, as this batch of this network', async () => {
    const sealed = await sealBatch(reader.publicKey, about, encodeBatch(batch));
    const plain = await openSealedBatch(reader, about, sealed);
    assert.deepEqual(readBatch(networkId, batch.root, plain).records, batch.records);
    await assert.rejects(openSealedBatch(rival, about, sealed), refused);
    await assert.rejects(openSealedBatch(reader, { ...about, root: OTHER }, sealed), refused);
    await assert.rejects(openSealedBatch(reader, { ...about, networkId: OTHER }, sealed), refused);
    const changed = sealed.with(100, (sealed[100] ?? 0) ^ 1);
    await assert.rejects(openSealedBatch(reader, about, changed), refused);
    await assert.rejects(openSealedBatch(reader, about, sealed.subarray(0, 80)), refused);
  });

  test('a node that gives one batch for another is noticed', async () => {
    const other = batchOf([record('b')]);
    const sealed = await sealBatch(reader.publicKey, about, encodeBatch(batch));
    const given = { network: { root } as never, author: author.author, reportKey: reader };
    await openBatch(given, { root: batch.root, sealed });
    await assert.rejects(openBatch(given, { root: other.root, sealed }), refused);
    // A sender that seals one batch under the root of another.
    const swapped = await sealBatch(
      reader.publicKey,
      { networkId, root: other.root },
      encodeBatch(batch),
    );
    await assert.rejects(openBatch(given, { root: other.root, sealed: swapped }), {
      code: 'BATCH_ROOT_MISMATCH',
    });
  });

  test('a batch about another author does not count', async () => {
    const foreign = batchOf([record('a')], { author: OTHER });
    const sealing = { networkId, root: foreign.root };
    const sealed = await sealBatch(reader.publicKey, sealing, encodeBatch(foreign));
    const given = { network: { root } as never, author: author.author, reportKey: reader };
    await assert.rejects(openBatch(given, { root: foreign.root, sealed }), {
      code: 'BATCH_FOREIGN',
    });
  });
});

suite('T25 records that do not hold', () => {
  const invalid = (bytes: Uint8Array): void =>
    assert.throws(() => checkRecord(networkId, bytes), { code: 'BATCH_RECORD_INVALID' });

  test('signed by another, for another offer, release or network', () => {
    assert.equal(checkRecord(networkId, record('a')).counter, 1);
    invalid(record('a', { deviceKey: deviceKey('b').publicKey }));
    const { header, payload } = decodeSign1(signedReport('a'), { maxBytes: 4096 });
    const renamed = new Map([...header, [KID, OTHER]]);
    const key = deviceKey('a');
    const report = createSign1({ header: renamed, payload: payload ?? OTHER, key });
    invalid(record('a', { report }));
    invalid(record('a', { nonce: nonceOf('b') }));
    invalid(record('a', { release: OTHER }));
    invalid(record('a', { report: signedReport('a', { network: OTHER }) }));
    invalid(record('a', { line: 'no line' }));
    invalid(record('a').subarray(1));
    assert.throws(() => decodeRecord(new Uint8Array(1 << 16)), { code: /^CBOR_/ });
  });

  test('an attempt counts once, in whatever batch it comes again', () => {
    const tally = new Tally();
    assert.deepEqual(tally.add(batchOf([record('a'), record('b')])).refused, []);
    const again = tally.add(batchOf([record('a')]));
    assert.equal(again.refused[0]?.code, 'BATCH_RECORD_REPEATED');
    assert.deepEqual(tally.releases()[0]?.results, { ok: 2 });
    assert.equal(tally.releases()[0]?.devices, 2);
  });
});

suite('T25 from a batch to the ledger', () => {
  const batch = batchOf([record('a')]);
  const unproven = { code: 'BATCH_UNPROVEN' };

  test('the path, the statement and its receipt', () => {
    const proof = onLedger([batch.root, OTHER]);
    assert.equal(proof.size, MIN_LEAVES);
    assert.equal(checkBatchProof(root, batch.root, proof).logIndex, 0);
  });

  test('another root, path, statement or log', () => {
    const proof = onLedger([batch.root]);
    const refuses = (changed: Partial<typeof proof>, of = batch.root): void =>
      assert.throws(() => checkBatchProof(root, of, { ...proof, ...changed }), unproven);
    refuses({}, OTHER);
    refuses({ path: proof.path.toReversed() });
    refuses({ logIndex: 1 });
    const other = reportBatchStatement(node.statement, node.name, networkId, 2n, OTHER);
    refuses({ statement: other.bytes });
    refuses({ receipt: onLedger([OTHER]).receipt });
    refuses(onLedger([batch.root], { receiptBy: privateKey('Ed25519', OTHER) }));
    refuses(onLedger([batch.root], { log: OTHER }));
  });

  test('a statement of another kind or network that holds the same root', () => {
    const claims = { issuer: 'x', subject: hex(networkId), network: hex(networkId), counter: 1n };
    const made: readonly ((above: Uint8Array) => Statement)[] = [
      (above) =>
        createStatement(node.statement, { kind: 'image.drop', ...claims }, new Map([[1, above]])),
      (above) => reportBatchStatement(node.statement, node.name, OTHER, 1n, above),
    ];
    for (const statement of made) {
      const proof = onLedger([batch.root], { statement });
      assert.throws(() => checkBatchProof(root, batch.root, proof), unproven);
    }
  });
});

suite('T25 who learns how many batches an author has', () => {
  const now = 1_000_000;
  const asked = { networkId, node: node.name, author: author.author, time: now, after: 3 };
  const here = {
    networkId,
    node: node.name,
    now,
    keyOf: (id: Uint8Array) => (equal(id, author.author) ? author.key.publicKey : undefined),
  };
  const refuses = (bytes: Uint8Array, at = here): void =>
    assert.throws(() => verifyReportRequest(bytes, at), { code: 'BATCH_REQUEST_INVALID' });

  test('the author, at this node, about now', () => {
    const request = createReportRequest(author.key, asked);
    assert.deepEqual(verifyReportRequest(request, here), asked);
    refuses(request, { ...here, node: 'b/1' });
    refuses(request, { ...here, networkId: OTHER });
    refuses(request, { ...here, now: now + REQUEST_SKEW + 1 });
    refuses(request, { ...here, now: now - REQUEST_SKEW - 1 });
    refuses(createReportRequest(rival, asked));
    refuses(createReportRequest(author.key, { ...asked, author: OTHER }));
    refuses(request.subarray(1));
  });
});

function recordPathLeaf(bytes: Uint8Array): Uint8Array {
  const made = batchOf([bytes]);
  return recordPath(made, bytes).leafHash;
}
