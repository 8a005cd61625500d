import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { beforeEach, test } from 'node:test';
import { privateKey } from '#crypto';
import { encodeBatchProof } from '../api/report-batch.ts';
import { fromHex, hex } from '../bytes.ts';
import type { Database } from '../database.ts';
import type { Client, ClientRequest } from '../net/client.ts';
import { lineText } from '../registry/line.ts';
import { createRoot } from '../registry/root.ts';
import { readBatch } from '../reports/batch.ts';
import { openSealedBatch } from '../reports/sealing.ts';
import { fixtureAuthor, fixtureLine, fixtureNetwork } from '../testing/fixture.ts';
import { SILENT } from '../testing/ledger-fixture.ts';
import { recordKeeper } from './report-keeping.ts';
import { ReportRecords } from './report-records.ts';
import { Reporting } from './reporting.ts';
import { openState } from './state.ts';

const { genesis } = fixtureNetwork();
const root = createRoot(genesis.networkId, genesis.policy);
const author = fixtureAuthor(genesis.networkId);
const line = fixtureLine(author.author);
const reportKey = privateKey('P-256', new Uint8Array(32).fill(7));
const device = privateKey('P-256', new Uint8Array(32).fill(8));
const network = hex(genesis.networkId);
const random = (length: number): Uint8Array => new Uint8Array(randomBytes(length));
const followed = {
  name: 'lamps',
  line,
  anchor: author.key.publicKey,
  compatible: [],
  urls: [],
  urlsCa: null,
};
let database: Database;
let records: ReportRecords;
let owner: string;
let now = 10_000;

beforeEach(() => {
  database = openState(':memory:');
  records = new ReportRecords(database);
  owner = hex(author.author);
  now = 10_000;
});

function keep(nonce: Uint8Array, key = true): void {
  const own = { ...followed, reportKey: key ? reportKey.publicKey : null };
  const releases = { line: () => ({ owner }) } as never;
  const keeper = recordKeeper({ records, random, releases }, [{ root, lines: [own] }], () => now);
  keeper('d'.repeat(32), {
    report: new Uint8Array(100),
    deviceKey: device.publicKey,
    nonce,
    release: new Uint8Array(32),
    line: lineText(line),
  });
}

/** Nodes that answer a GET with these bytes. */
function reporting(answer: () => Uint8Array): { reporting: Reporting; asked: ClientRequest[] } {
  const asked: ClientRequest[] = [];
  const client = {
    request(request: ClientRequest) {
      asked.push(request);
      const body = request.method === 'POST' ? new Uint8Array() : answer();
      return Promise.resolve({ status: request.method === 'POST' ? 202 : 200, headers: {}, body });
    },
  } as unknown as Client;
  const keys = new Map([[hex(author.author), reportKey.publicKey]]);
  const networks = new Map([[network, { root: () => root, client, keys }]]);
  const parts = { records, networks, period: 3600, clock: () => now, random, logger: SILENT };
  return { reporting: new Reporting(parts), asked };
}

test('nothing is kept without a key of the author, nor of a line that is no longer its own', () => {
  keep(random(16), false);
  owner = 'f'.repeat(64);
  keep(random(16));
  assert.deepEqual(records.owners(), []);
  owner = hex(author.author);
  keep(random(16));
  assert.equal(records.owners()[0]?.author, owner);
});

test('a batch is made when its period is over, for author and owner, and nothing stays unsealed', async () => {
  keep(random(16));
  const { reporting: work, asked } = reporting(() => new Uint8Array());
  now += 3599;
  await work.round();
  assert.equal(records.batches().length, 0);
  now += 1;
  await work.round();
  assert.deepEqual(records.owners(), []);
  const [stored] = records.batches();
  assert.ok(stored?.own && stored.sealed);
  assert.equal(asked.length, 1);
  const about = { networkId: genesis.networkId, root: stored.root };
  const plain = await openSealedBatch(reportKey, about, stored.sealed);
  assert.equal(readBatch(genesis.networkId, stored.root, plain).count, 1);
  await assert.rejects(openSealedBatch(reportKey, about, stored.own), { code: 'BATCH_SEALED' });
  const own = records.ownKey(random);
  assert.deepEqual(await openSealedBatch(own, about, stored.own), plain);
});

test('a node whose proof does not hold loses the batch to another', async () => {
  keep(random(16));
  const forged = encodeBatchProof({
    index: 0,
    size: 16,
    path: Array.from({ length: 4 }, () => new Uint8Array(32)),
    statement: new Uint8Array(40),
    logIndex: 0,
    receipt: new Uint8Array(40),
  });
  const { reporting: work } = reporting(() => forged);
  await work.flush();
  assert.notEqual(records.batches()[0]?.node, null);
  await work.flush();
  const [stored] = records.batches();
  assert.equal(stored?.node, null);
  assert.equal(stored?.proof, null);
  assert.ok(stored?.sealed);
});

test('a device that is erased is gone from every batch, before and after it was handed over', async () => {
  for (let i = 0; i < 3; i++) keep(random(16));
  const { reporting: work } = reporting(() => new Uint8Array());
  await work.flush();
  keep(random(16));
  assert.equal(await work.eraseDevice('d'.repeat(32), device.publicKey), 4);
  const [stored] = records.batches();
  assert.ok(stored?.sealed);
  const about = { networkId: genesis.networkId, root: stored.root };
  const plain = await openSealedBatch(reportKey, about, stored.sealed);
  const left = readBatch(genesis.networkId, stored.root, plain);
  assert.deepEqual([left.count, left.records.length], [3, 0]);
  assert.deepEqual(records.owners(), []);
  await assert.rejects(work.eraseBatch(fromHex('00'.repeat(32))), { code: 'BATCH_UNKNOWN' });
  await work.eraseBatch(stored.root);
  const { batches } = await work.list();
  assert.deepEqual([batches[0]?.erased, batches.length], [true, 1]);
});

test('the newest batches are kept, and the oldest go', () => {
  const few = new ReportRecords(database, 2);
  const bytes = (fill: number): Uint8Array => new Uint8Array(32).fill(fill);
  for (const made of [1, 2, 3])
    few.saveBatch({ network, author: owner, root: bytes(made), made, own: null, sealed: null }, []);
  assert.deepEqual(
    few.batches().map(({ made }) => made),
    [3, 2],
  );
});
