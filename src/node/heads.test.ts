import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { NamedCosignature } from '../api/peer.ts';
import type { Head } from '../ledger/close-block.ts';
import { formatCheckpoint, originOf } from '../log/checkpoint.ts';
import { signCosignature } from '../log/cosignature.ts';
import { FIXTURE_TIME, fixtureNetwork } from '../testing/fixture.ts';
import {
  declaration,
  openedReplica,
  ordered,
  registeredAuthor,
} from '../testing/ledger-fixture.ts';
import { Heads } from './heads.ts';

const network = fixtureNetwork({ nodesEach: 2 });
const origin = originOf(network.genesis.networkId);
const { author, group } = registeredAuthor(network, 'acme');
const { replica } = openedReplica(network);
ordered(replica, network, group);
for (let model = 0; model < 80; model++) ordered(replica, network, [declaration(author, model)]);
const atHeight = (height: number): Head => replica.headAt(height);

/** What a node says of a head at a time after the fixture's. */
function signed(name: string, head: Pick<Head, 'size' | 'root'>, time = 1): NamedCosignature {
  const node = network.nodes.find((one) => one.name === name);
  assert.ok(node);
  const { size, root } = head;
  const at = FIXTURE_TIME + time;
  const { signature } = signCosignature(
    node.cosigner,
    name,
    formatCheckpoint({ origin, size, root }),
    at,
  );
  return { size, root, name, time: at, signature };
}

function heads(self = 'a/n1'): Heads {
  return new Heads(replica, () => network.root, self);
}

test('a quorum is k operators at one head, however many nodes they have', () => {
  const known = heads();
  const head = atHeight(5);
  for (const name of ['a/n1', 'a/n2', 'b/n1', 'b/n2']) known.add(signed(name, head));
  assert.throws(() => known.quorum(), { code: 'NODE_NO_QUORUM' });
  known.add(signed('c/n1', atHeight(6)));
  assert.equal(known.hasQuorum(), false);
  known.add(signed('c/n2', head));
  assert.equal(known.quorum().head.size, head.size);
  assert.deepEqual(known.quorum().operators, ['a', 'b', 'c']);
});

test('the newest signatures count, and the time is the smallest of theirs', () => {
  const known = heads();
  const head = atHeight(5);
  for (const [name, time] of Object.entries({ 'a/n1': 5, 'b/n1': 4, 'c/n1': 3 }))
    known.add(signed(name, head, time));
  assert.equal(known.quorum().time, FIXTURE_TIME + 3);
  known.add(signed('d/n1', head, 9));
  assert.deepEqual(known.quorum().operators, ['a', 'b', 'd']);
  assert.equal(known.quorum().time, FIXTURE_TIME + 4);
  assert.equal(known.add(signed('d/n1', head, 9)), false, 'no news');
});

test('T14 a cosignature from the future counts only where there is no other', () => {
  const at = { now: FIXTURE_TIME + 10 };
  const known = new Heads(
    replica,
    () => network.root,
    'a/n1',
    () => at.now,
  );
  const head = atHeight(5);
  const day = 86_400;
  for (const [name, time] of Object.entries({ 'a/n1': 5, 'b/n1': 4, 'd/n1': day }))
    known.add(signed(name, head, time));
  assert.deepEqual(known.quorum().operators, ['a', 'b', 'd']);
  known.add(signed('c/n1', head, 3));
  assert.deepEqual(known.quorum().operators, ['a', 'b', 'c']);
  assert.equal(known.add(signed('c/n1', head, day)), false);
  // Its clock is right again: what it signs then is news although the time is smaller.
  assert.equal(known.add(signed('d/n1', head, 6)), true);
  assert.deepEqual(known.quorum().operators, ['a', 'b', 'd']);
  assert.equal(known.quorum().time, FIXTURE_TIME + 4);
  at.now += day;
  assert.equal(known.add(signed('d/n1', head, day)), true);
});

test('the quorum goes forward only', () => {
  const known = heads();
  for (const name of ['a/n1', 'b/n1', 'c/n1']) known.add(signed(name, atHeight(7)));
  for (const name of ['a/n2', 'b/n2', 'c/n2'])
    assert.equal(known.add(signed(name, atHeight(6))), false);
  assert.equal(known.quorum().head.height, 7);
});

test('T13 a receipt needs this node among the k', () => {
  const known = heads('d/n1');
  const head = atHeight(7);
  for (const name of ['a/n1', 'b/n1', 'c/n1']) known.add(signed(name, head));
  assert.equal(known.quorum().head.size, head.size);
  assert.equal(known.receipted(), undefined);
  known.add(signed('d/n2', head));
  assert.equal(known.receipted(), undefined, 'another node of the operator is not this one');
  known.add(signed('d/n1', head));
  assert.equal(known.receipted()?.size, head.size);
});

test('cosignatures that are not what they say are refused', () => {
  const known = heads();
  const head = atHeight(5);
  const good = signed('b/n1', head);
  const other = signed('c/n1', head);
  assert.throws(() => known.add({ ...good, name: 'x/n1' }), { code: 'NODE_PEER_UNKNOWN' });
  assert.throws(() => known.add({ ...good, name: 'c/n1' }), { code: 'LOG_COSIGNATURE_INVALID' });
  assert.throws(() => known.add({ ...good, time: good.time + 1 }), {
    code: 'LOG_COSIGNATURE_INVALID',
  });
  assert.throws(() => known.add({ ...good, size: good.size + 2 }), {
    code: 'LOG_COSIGNATURE_INVALID',
  });
  assert.throws(() => known.add({ ...good, signature: other.signature }), {
    code: 'LOG_COSIGNATURE_INVALID',
  });
  const fork = signed('b/n1', { size: head.size, root: new Uint8Array(32) });
  assert.throws(() => known.add(fork), { code: 'NODE_HEAD_FORK' });
  // No block of ours ends at this size: nobody can have cosigned it.
  assert.throws(() => known.add(signed('b/n1', { size: head.size + 1, root: head.root })), {
    code: 'NODE_HEAD_FORK',
  });
  assert.deepEqual(known.all(), []);
});

test('heads beyond our own wait until it is derived here, and a wrong one never counts', () => {
  let newest = atHeight(4);
  const source = {
    origin,
    head: (): Head => newest,
    headOfSize: (size: number) => (size <= newest.size ? replica.headOfSize(size) : undefined),
  };
  const known = new Heads(source, () => network.root, 'a/n1');
  const head = atHeight(5);
  known.add(signed('b/n1', { size: head.size, root: new Uint8Array(32) }));
  for (const name of ['a/n1', 'c/n1']) known.add(signed(name, head));
  newest = head;
  known.refresh();
  assert.equal(known.hasQuorum(), false);
  known.add(signed('d/n1', head));
  assert.equal(known.quorum().head.size, head.size);
  assert.deepEqual(known.quorum().operators, ['a', 'c', 'd']);
});

test('a signer of many heads pushes out its own, and nobody else’s', () => {
  const known = heads();
  const head = atHeight(5);
  known.add(signed('b/n1', head));
  for (let height = 4; height < 80; height++) known.add(signed('d/n1', atHeight(height)));
  known.add(signed('c/n1', head));
  assert.equal(known.hasQuorum(), false, 'the smallest of so many is forgotten');
  known.add(signed('a/n1', head));
  assert.equal(known.quorum().head.size, head.size);
  assert.equal(known.all().length, 4);
});

test('what others signed is what is signed next: the largest that is derived here', () => {
  const known = heads();
  known.add(signed('a/n1', atHeight(9)));
  assert.equal(known.proposed(0, replica.head().size), undefined, 'not one’s own');
  known.add(signed('b/n1', atHeight(5)));
  known.add(signed('c/n1', atHeight(7)));
  assert.equal(known.proposed(0, replica.head().size)?.height, 7);
  assert.equal(known.proposed(0, atHeight(6).size)?.height, 5);
  assert.equal(known.proposed(atHeight(7).size, replica.head().size), undefined);
});

test('a receipt is waited for until it can be given, or time is up', async () => {
  const known = heads();
  const head = atHeight(5);
  assert.equal(await known.reach(head.size, 20), false);
  const waiting = known.reach(head.size, 5000);
  for (const name of ['a/n1', 'b/n1', 'c/n1']) known.add(signed(name, atHeight(6)));
  assert.equal(await waiting, true);
  assert.equal(await known.reach(head.size, 0), true);
});
