import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sha256 } from '#crypto';
import { equal, utf8 } from '../bytes.ts';
import { leafHash, verifyConsistency, verifyInclusion } from '../log/merkle.ts';
import { verifyMapProof } from '../log/prefix-map.ts';
import { releaseStatement } from '../author/statements.ts';
import { buildImageManifest, wrap } from '../suit/build.ts';
import { lineKey } from '../registry/line.ts';
import { getAuthor } from '../registry/state.ts';
import { fixtureKey, fixtureLine, fixtureNetwork } from '../testing/fixture.ts';
import {
  declaration,
  dumped,
  openedReplica,
  ordered,
  refusalOf,
  registeredAuthor,
  resigned,
  transactionOf,
} from '../testing/ledger-fixture.ts';
import { openReplica } from './replica.ts';

const network = fixtureNetwork({ operators: 1 });
const { author, group: registration } = registeredAuthor(network, 'acme');

test('height 0 is genesis: a log with the one epoch leaf', () => {
  const { replica } = openedReplica(network);
  const head = replica.head();
  assert.equal(head.height, 0);
  assert.equal(head.size, 1);
  assert.deepEqual(head.root, leafHash(replica.entry(0)));
  assert.deepEqual(head.epoch.policyHash, network.root.hash);
  assert.equal(head.epoch.previous, null);
  assert.equal(replica.statement(0), undefined);
});

test('a follower derives the orderer’s ledger from its blocks alone', () => {
  const { replica, database } = openedReplica(network);
  const follower = openedReplica(network);
  ordered(replica, network, registration);
  for (let model = 0; model < 20; model++) {
    ordered(
      replica,
      network,
      [declaration(author, model), declaration(author, model + 100)].slice(0, 1 + (model % 2)),
    );
  }
  for (const bytes of replica.blocks(1, 1 << 20)) follower.replica.append(bytes);
  assert.deepEqual(follower.replica.head(), replica.head());
  assert.equal(dumped(follower.database), dumped(database));
  assert.ok(getAuthor(follower.replica.view(), author.author));
  assert.throws(() => replica.view().set('policy', new Uint8Array()), { code: 'LEDGER_READ_ONLY' });
});

test('blocks are served as they were signed, and stop at the bound', () => {
  const { replica } = openedReplica(network);
  ordered(replica, network, registration);
  ordered(replica, network, [declaration(author, 0)]);
  const first = replica.block(1);
  assert.deepEqual(sha256(first), replica.headAt(1).hash);
  assert.equal(replica.blocks(1, first.length).length, 1);
  assert.equal(replica.blocks(1, 1).length, 1);
  assert.equal(replica.blocks(1, 1 << 20).length, 2);
  assert.equal(replica.blocks(3, 1 << 20).length, 0);
  assert.throws(() => replica.block(0), { code: 'LEDGER_HEIGHT_UNKNOWN' });
  assert.throws(() => replica.block(9), { code: 'LEDGER_HEIGHT_UNKNOWN' });
});

test('every leaf has its path and every size its consistency', () => {
  const { replica } = openedReplica(network);
  ordered(replica, network, registration);
  for (let model = 0; model < 5; model++) ordered(replica, network, [declaration(author, model)]);
  const { size, root } = replica.head();
  for (let index = 0; index < size; index++) {
    const path = replica.inclusionPath(index, size);
    verifyInclusion({ leafHash: leafHash(replica.entry(index)), index, size, path, root });
  }
  for (let height = 0; height < replica.head().height; height++) {
    const old = replica.headAt(height);
    const path = replica.consistencyPath(old.size, size);
    verifyConsistency({ size1: old.size, size2: size, root1: old.root, root2: root, path });
    assert.deepEqual(replica.headOfSize(old.size), old);
  }
  assert.equal(replica.headOfSize(2), undefined);
  assert.throws(() => replica.inclusionPath(0, size + 1), { code: 'LEDGER_HEIGHT_UNKNOWN' });
  assert.throws(() => replica.entry(size), { code: 'LEDGER_HEIGHT_UNKNOWN' });
});

test('the map is readable as of every older height, until it is pruned', () => {
  const { replica } = openedReplica(network);
  ordered(replica, network, registration);
  for (let model = 0; model < 30; model++) ordered(replica, network, [declaration(author, model)]);
  const keys = Array.from({ length: 30 }, (_, model) =>
    lineKey(fixtureLine(author.author, `model ${model}`)),
  );
  for (let height = 0; height <= replica.head().height; height++) {
    const map = replica.at(height);
    keys.forEach((key, model) => {
      const value = map.value(key) ?? null;
      assert.equal(value !== null, model + 2 <= height, `model ${model} at height ${height}`);
      assert.deepEqual(
        verifyMapProof({ key, value, proof: map.prove(key) }),
        map.head.epoch.mapRoot,
      );
    });
  }
  replica.prune(20);
  assert.throws(() => replica.at(19), { code: 'LEDGER_HEIGHT_UNKNOWN' });
  ordered(replica, network, [declaration(author, 30)]);
  const [key = new Uint8Array()] = keys;
  for (const height of [20, 25, 32]) {
    const map = replica.at(height);
    assert.ok(
      equal(
        verifyMapProof({ key, value: map.value(key) ?? null, proof: map.prove(key) }),
        map.head.epoch.mapRoot,
      ),
    );
  }
});

test('a pruned replica keeps its floor and loses its undo rows', () => {
  const { replica, database } = openedReplica(network);
  ordered(replica, network, registration);
  ordered(replica, network, [declaration(author, 0)]);
  replica.prune(2);
  ordered(replica, network, [declaration(author, 1)]);
  const left = database.prepare('SELECT count(*) AS n FROM map_page_undo WHERE until < 2').get();
  assert.equal(left?.['n'], 0);
  const again = openReplica(database, network.genesis);
  assert.throws(() => again.at(1), { code: 'LEDGER_HEIGHT_UNKNOWN' });
  assert.equal(again.at(2).head.height, 2);
});

test('a group is ordered as a whole or not at all', () => {
  const { replica } = openedReplica(network);
  const good = declaration(author, 0);
  const { head, outcomes } = replica.propose(
    [
      [good, ...registration],
      registration,
      [good, declaration(author, 0)],
      [declaration(author, 1)],
    ],
    network.genesis.time,
    network.orderer.statement,
  );
  assert.equal(refusalOf(outcomes[0]), 'AUTHOR_UNKNOWN');
  assert.deepEqual(outcomes[1], { placements: [{ index: 1, known: false, height: 1 }] });
  // The same statement twice is one statement.
  assert.deepEqual(outcomes[2], {
    placements: [
      { index: 2, known: false, height: 1 },
      { index: 2, known: true, height: 1 },
    ],
  });
  assert.deepEqual(outcomes[3], { placements: [{ index: 3, known: false, height: 1 }] });
  assert.equal(head?.size, 5);
});

test('T05: a statement that is on the ledger is answered with its first place', () => {
  const { replica } = openedReplica(network);
  ordered(replica, network, registration);
  const again = ordered(replica, network, registration);
  assert.equal(again.head, null);
  assert.deepEqual(again.outcomes[0], { placements: [{ index: 1, known: true, height: 1 }] });
  assert.equal(replica.head().height, 1);
  const statement = registration[0]?.statement;
  assert.ok(statement);
  assert.deepEqual(replica.find(statement.signingDigest), { index: 1, known: true, height: 1 });
  assert.deepEqual(replica.findEntry(statement.entry), { index: 1, known: true, height: 1 });
  assert.deepEqual(replica.statement(1)?.bytes, statement.bytes);
  assert.equal(replica.find(sha256(utf8('nothing'))), undefined);
});

test('T20: a block carries the manifests of its releases, and every replica keeps them', () => {
  const { replica } = openedReplica(network);
  ordered(replica, network, [...registration, declaration(author, 0)]);
  const line = fixtureLine(author.author, 'model 0');
  const manifest = wrap(
    buildImageManifest({
      vendorId: line.vendor,
      classId: line.class,
      sequence: 1n,
      componentId: [utf8('app')],
      digest: sha256(utf8('image')),
      size: 5,
      uri: 'ipfs://image',
    }),
  );
  const claims = { version: '1.0.0', urgency: 'functional', documents: [] } as const;
  const release = releaseStatement(author, 1n, line, manifest, claims);
  assert.equal(
    refusalOf(ordered(replica, network, [transactionOf(release)]).outcomes[0]),
    'ATTACHMENT_MISSING',
  );
  ordered(replica, network, [transactionOf(release, manifest), declaration(author, 1)]);

  const follower = openedReplica(network).replica;
  for (const bytes of replica.blocks(1, 1 << 20)) follower.append(bytes);
  const [stored, ...others] = follower.releases(sha256(manifest));
  assert.equal(others.length, 0);
  assert.deepEqual(stored?.bytes, release.bytes);
  assert.deepEqual(stored?.attachment, manifest);
  assert.deepEqual(follower.attachment(sha256(manifest)), manifest);
  assert.deepEqual(follower.head(), replica.head());

  const without = resigned(network, replica.block(2), ({ transactions }) => ({
    transactions: transactions.map(({ statement }) => ({ statement, attachment: null })),
  }));
  const { replica: deceived } = openedReplica(network);
  deceived.append(replica.block(1));
  assert.throws(() => deceived.append(without), { code: 'LEDGER_ORDERER_LIES' });
  assert.equal(deceived.halted()?.code, 'ATTACHMENT_MISSING');
});

test('only the key that the policy names orders', () => {
  const { replica } = openedReplica(network);
  assert.throws(() => replica.propose([registration], 0, fixtureKey('somebody')), {
    code: 'LEDGER_NOT_ORDERER',
  });
  assert.equal(replica.head().height, 0);
});

test('a database of another network is not opened', () => {
  const { database } = openedReplica(network);
  const other = fixtureNetwork({ operators: 1, label: 'other' });
  assert.throws(() => openReplica(database, other.genesis), { code: 'LEDGER_GENESIS_MISMATCH' });
});

test('listeners hear of a commit after it', async () => {
  const { replica } = openedReplica(network);
  const heard: number[] = [];
  const stop = replica.onHead((head) => heard.push(head.height));
  ordered(replica, network, registration);
  assert.deepEqual(heard, []);
  await Promise.resolve();
  stop();
  ordered(replica, network, [declaration(author, 0)]);
  await Promise.resolve();
  assert.deepEqual(heard, [1]);
});
