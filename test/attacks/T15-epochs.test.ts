import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sha256 } from '#crypto';
import { compare, concat, utf8 } from '../../src/bytes.ts';
import type { Database } from '../../src/database.ts';
import { formatCheckpoint } from '../../src/log/checkpoint.ts';
import { epochEntry } from '../../src/log/epoch.ts';
import { leafHash, verifyInclusion } from '../../src/log/merkle.ts';
import { fixtureNetwork } from '../../src/testing/fixture.ts';
import {
  declaration,
  openedReplica,
  ordered,
  registeredAuthor,
} from '../../src/testing/ledger-fixture.ts';

const network = fixtureNetwork({ operators: 1 });
const { author, group: registration } = registeredAuthor(network, 'acme');

test('T15: the epoch at the end of a block holds the roots of map and state, and links to the one before', () => {
  const { replica } = openedReplica(network);
  ordered(replica, network, registration, network.genesis.time + 5);
  const { epoch, size } = replica.head();
  assert.equal(size, 3);
  assert.equal(epoch.previous, 0);
  assert.equal(epoch.time, network.genesis.time + 5);
  const before = replica.headAt(0).epoch;
  assert.notDeepEqual(epoch.stateRoot, before.stateRoot);
  assert.notDeepEqual(epoch.mapRoot, before.mapRoot);
  // Time is "not before": an orderer's clock that goes back does not take the ledger with it.
  ordered(replica, network, [declaration(author, 0)], network.genesis.time - 100);
  assert.equal(replica.head().time, network.genesis.time + 5);
});

interface Leaf {
  readonly key: Uint8Array;
  readonly valueHash: Uint8Array;
}

// docs/spec/log.md, by its definition alone.
function rootOf(leaves: readonly Leaf[], depth = 0): Uint8Array {
  const [only, another] = leaves;
  if (!only) return new Uint8Array(32);
  if (!another) return sha256(concat(Uint8Array.of(2), only.key, only.valueHash));
  const bit = ({ key }: Leaf): number => ((key[depth >> 3] ?? 0) >> (7 - (depth & 7))) & 1;
  const left = rootOf(
    leaves.filter((leaf) => bit(leaf) === 0),
    depth + 1,
  );
  const right = rootOf(
    leaves.filter((leaf) => bit(leaf) === 1),
    depth + 1,
  );
  return sha256(concat(Uint8Array.of(3), left, right));
}

function stateLeaves(database: Database): readonly Leaf[] {
  return database
    .prepare('SELECT name, value FROM record')
    .all()
    .map(({ name, value }) => ({
      key: sha256(utf8(String(name))),
      valueHash: sha256(value as Uint8Array),
    }));
}

function mapLeaves(database: Database): readonly Leaf[] {
  return database
    .prepare('SELECT key, bytes FROM map_value')
    .all()
    .map(({ key, bytes }) => ({ key: key as Uint8Array, valueHash: sha256(bytes as Uint8Array) }));
}

test('T15: every record of the registry and every entry of the map is under the roots of the epoch', () => {
  const { replica, database } = openedReplica(network);
  ordered(replica, network, registration);
  for (let block = 0; block < 10; block++) {
    const { epoch } = replica.head();
    assert.deepEqual(rootOf(stateLeaves(database)), epoch.stateRoot);
    assert.deepEqual(rootOf(mapLeaves(database)), epoch.mapRoot);
    ordered(replica, network, [declaration(author, 2 * block), declaration(author, 2 * block + 1)]);
  }
  // A snapshot with one record more, or one changed, has another root.
  const { stateRoot } = replica.head().epoch;
  database.exec(`INSERT INTO record VALUES ('author/smuggled', x'01')`);
  assert.notEqual(compare(rootOf(stateLeaves(database)), stateRoot), 0);
});

test('T15: the epoch is the last leaf of every head, and heads are at epoch ends only', () => {
  const { replica } = openedReplica(network);
  ordered(replica, network, registration);
  ordered(replica, network, [declaration(author, 0), declaration(author, 1)]);
  const { size, root, epoch } = replica.head();
  const path = replica.inclusionPath(size - 1, size);
  verifyInclusion({ leafHash: leafHash(epochEntry(epoch)), index: size - 1, size, path, root });
  const sizes = Array.from({ length: size + 1 }, (_, at) => at).filter((at) =>
    replica.headOfSize(at),
  );
  assert.deepEqual(sizes, [1, 3, 6]);
  assert.equal(formatCheckpoint({ origin: replica.origin, size, root }).split('\n')[1], '6');
});
