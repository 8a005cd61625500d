/** T31: what a node takes in, serves and has signed when a consortium orders: certified blocks, and nothing else. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { encode } from '../../src/cbor/encode.ts';
import { decodeServed, encodeServed } from '../../src/ledger/consensus-block.ts';
import type { Head } from '../../src/ledger/close-block.ts';
import type { Database } from '../../src/database.ts';
import { replicaSource } from '../../src/ledger/replica-source.ts';
import { openReplica, type Replica } from '../../src/ledger/replica.ts';
import { followPolicy, type Neighbour } from '../../src/ledger/rival-history.ts';
import { policiesFrom } from '../../src/node/policy-chain.ts';
import { decodeBlock, encodeBlock, signBlock, type Block } from '../../src/registry/block.ts';
import { certificateFor } from '../../src/testing/certificates.ts';
import { fixtureConsortium, fixtureNetwork } from '../../src/testing/fixture.ts';
import { changedPolicy } from '../../src/testing/governance.ts';
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
} from '../../src/testing/ledger-fixture.ts';

const network = fixtureNetwork({ engine: 'cometbft' });
const { author, group: registration } = registeredAuthor(network, 'acme');

interface Scene {
  readonly member: Replica;
  readonly follower: Replica;
  readonly database: Database;
  readonly head: Head;
  readonly block: Uint8Array;
  readonly certificate: Uint8Array;
}

/** Two certified blocks, and a follower that has the first. */
function scene(): Scene {
  const { replica: member } = openedReplica(network);
  provenBlock(member, network, [registration]);
  const head = provenBlock(member, network, [[declaration(author, 0)]], { height: 3 });
  const { replica: follower, database } = openedReplica(network);
  follower.append(member.served(1));
  return { member, follower, database, head, ...decodeServed(member.served(2)) };
}

suite('T31: a follower takes in what the validators certified', () => {
  test('the block with its certificate', () => {
    const { follower, head, member } = scene();
    assert.deepEqual(follower.append(member.served(2)), head);
    assert.deepEqual(follower.served(2), member.served(2));
  });

  const bad: readonly (readonly [string, string, (scene: Scene) => Uint8Array])[] = [
    ['no certificate', 'BLOCK_MALFORMED', ({ block }) => block],
    [
      'an empty one',
      'COMMIT_MALFORMED',
      ({ block }) => encodeServed({ block, certificate: new Uint8Array() }),
    ],
    [
      'that of the block before',
      'LEDGER_CERTIFICATE',
      ({ block, member }) =>
        encodeServed({ block, certificate: decodeServed(member.served(1)).certificate }),
    ],
    [
      'two of four votes',
      'COMMIT_POWER',
      ({ block, head }) =>
        encodeServed({
          block,
          certificate: certificateFor(network, head, { voters: network.nodes.slice(0, 2) }),
        }),
    ],
    [
      'votes of others',
      'COMMIT_SET',
      ({ block, head }) =>
        encodeServed({
          block,
          certificate: certificateFor(network, head, {
            validators: fixtureNetwork({ label: 'other' }).nodes,
          }),
        }),
    ],
    [
      'votes of another chain',
      'COMMIT_CHAIN',
      ({ block, head }) =>
        encodeServed({ block, certificate: certificateFor(network, head, { chain: 2 }) }),
    ],
  ];
  for (const [what, code, made] of bad)
    test(`not with ${what}`, () => {
      const all = scene();
      const before = dumped(all.database);
      assert.throws(() => all.follower.append(made(all)), { code });
      assert.equal(dumped(all.database), before);
      assert.equal(all.follower.halted(), undefined);
      // The right one is taken after that.
      all.follower.append(all.member.served(2));
    });

  test('a vote too few is too few: three of four are enough', () => {
    const { follower, head, block } = scene();
    const certificate = certificateFor(network, head, { voters: network.nodes.slice(1) });
    assert.equal(follower.append(encodeServed({ block, certificate })).height, 2);
  });

  const changes: readonly (readonly [string, string, (block: Block) => Partial<Block>])[] = [
    ['another time', 'BLOCK_MALFORMED', ({ time }) => ({ time: time + 1 })],
    ['a time that goes back', 'BLOCK_MALFORMED', ({ time }) => ({ time: time - 1 })],
    ['another size', 'BLOCK_MALFORMED', ({ size }) => ({ size: size + 1 })],
    ['another root', 'BLOCK_MALFORMED', () => ({ root: new Uint8Array(32) })],
    ['another block before', 'BLOCK_MALFORMED', () => ({ previous: new Uint8Array(32) })],
    ['another network', 'BLOCK_MALFORMED', () => ({ networkId: new Uint8Array(32) })],
    ['a height further on', 'LEDGER_OUT_OF_ORDER', ({ height }) => ({ height: height + 1 })],
    ['an older height', 'BLOCK_SIGNER', ({ height }) => ({ height: height - 1 })],
    ['height 0', 'BLOCK_SIGNER', () => ({ height: 0 })],
    ['nothing in it', 'BLOCK_MALFORMED', () => ({ transactions: [] })],
    [
      'a refused statement',
      'STATEMENT_COUNTER',
      ({ transactions }) => ({ transactions: [...transactions, ...transactions] }),
    ],
    [
      'another statement',
      'BLOCK_MALFORMED',
      () => ({
        transactions: [{ statement: declaration(author, 7).statement.bytes, attachment: null }],
      }),
    ],
  ];
  for (const [what, code, change] of changes)
    test(`not a block with ${what}`, () => {
      const { follower, database, block, certificate } = scene();
      const before = dumped(database);
      const original = decodeBlock(block);
      const changed = encodeBlock({ ...original, ...change(original) });
      assert.throws(() => follower.append(encodeServed({ block: changed, certificate })), {
        code,
      });
      assert.equal(dumped(database), before);
      assert.equal(follower.halted(), undefined);
    });

  test('the root is compared even when the validators signed: a wrong one is not stored', () => {
    const { follower, block, head } = scene();
    const original = decodeBlock(block);
    const root = new Uint8Array(32);
    const changed = encodeBlock({ ...original, root });
    const certificate = certificateFor(network, { ...head, root });
    assert.throws(() => follower.append(encodeServed({ block: changed, certificate })), {
      code: 'BLOCK_MALFORMED',
    });
  });

  test('bytes in another form', () => {
    const { follower, block, certificate, member } = scene();
    for (const bytes of [
      encode([block, certificate, certificate]),
      encode([block]),
      encode([certificate, block]),
      encode(['block', certificate]),
      encode([block.subarray(1), certificate]),
      member.served(2).subarray(0, -1),
      new Uint8Array([0x82]),
      new Uint8Array(),
    ])
      assert.throws(
        () => follower.append(bytes),
        (error: { code?: string }) => /^(?:BLOCK_|COMMIT_)/.test(error.code ?? ''),
      );
    assert.equal(follower.head().height, 1);
  });
});

suite('T31: what is not certified is neither served nor signed', () => {
  test('the newest block waits', () => {
    const { replica } = openedReplica(network);
    const head = decided(replica, [registration]);
    assert.ok(head);
    assert.deepEqual(replica.blocks(1, 1 << 20), []);
    assert.equal(replica.certified().height, 0);
    assert.throws(() => replica.certify(1, certificateFor(network, replica.headAt(0))), {
      code: 'LEDGER_CERTIFICATE',
    });
    assert.throws(
      () => replica.certify(1, certificateFor(network, head, { voters: network.nodes.slice(2) })),
      { code: 'COMMIT_POWER' },
    );
    assert.equal(replica.certified().height, 0);
    replica.certify(1, certificateFor(network, head));
    assert.equal(replica.certified().height, 1);
  });

  test('also after a restart', () => {
    const { replica, database } = openedReplica(network);
    provenBlock(replica, network, [registration]);
    decided(replica, [[declaration(author, 0)]]);
    const again = openReplica(database, network.genesis);
    assert.equal(again.certified().height, 1);
    assert.equal(again.uncertified().length, 1);
    assert.equal(again.blocks(1, 1 << 20).length, 1);
  });
});

suite('T12, T31: the orderer of before has no word any more', () => {
  const local = fixtureNetwork();
  const { time } = local.genesis;
  const writer = registeredAuthor(local, 'acme');

  function moved(): { readonly replica: Replica; readonly rival: Replica } {
    const { replica } = openedReplica(local);
    const rival = openedReplica(local).replica;
    ordered(replica, local, writer.group);
    rival.append(replica.block(1));
    ordered(rival, local, [declaration(writer.author, 9)]);
    const orderer = fixtureConsortium(local.nodes, 2);
    const change = changedPolicy(local.root, { orderer }, local.operators.slice(1));
    ordered(replica, local, [transactionOf(change.statement)]);
    return { replica, rival };
  }

  test('what it signs after the move, or instead of it, is refused', () => {
    const { replica, rival } = moved();
    const last = replica.head();
    const { statement, name } = local.orderer;
    const next = signBlock(statement, name, replica.origin, {
      networkId: local.genesis.networkId,
      height: 3,
      time,
      previous: last.hash,
      transactions: [
        { statement: declaration(writer.author, 0).statement.bytes, attachment: null },
      ],
      size: last.size + 2,
      root: last.root,
    });
    for (const bytes of [
      next,
      rival.block(2),
      resigned(local, replica.block(1), () => ({ time: time + 1 })),
    ])
      assert.throws(() => replica.append(bytes), { code: 'BLOCK_SIGNER' });
    assert.throws(() => replica.propose([[declaration(writer.author, 0)]], time, statement), {
      code: 'LEDGER_NOT_ORDERER',
    });
    assert.equal(replica.head(), last);
    assert.equal(replica.halted(), undefined);
  });

  test('what it signed before keeps its checks', () => {
    const { replica } = moved();
    const follower = openedReplica(local).replica;
    follower.append(replica.block(1));
    const bare = encodeBlock({
      networkId: local.genesis.networkId,
      height: 2,
      time,
      previous: follower.head().hash,
      transactions: [],
      size: 4,
      root: new Uint8Array(32),
    });
    const certificate = certificateFor(local, follower.head());
    assert.throws(() => follower.append(bare), { code: 'BLOCK_MALFORMED' });
    assert.throws(() => follower.append(encodeServed({ block: bare, certificate })), {
      code: 'BLOCK_SIGNER',
    });
    const forged = signBlock(
      fixtureNetwork({ label: 'x' }).orderer.statement,
      'd/n1',
      follower.origin,
      {
        ...decodeBlock(bare),
      },
    );
    assert.throws(() => follower.append(forged), { code: 'BLOCK_SIGNER' });
    follower.append(replica.block(2));
    assert.equal(follower.certified(), follower.head());
  });
});

suite('T12, T31: nodes compare what they hold', () => {
  const local = fixtureNetwork();
  const { author: writer, group } = registeredAuthor(local, 'acme');
  const live = new AbortController().signal;
  const neighbour = (replica: Replica): Neighbour => ({
    ...replicaSource(replica),
    policies: async (from) => policiesFrom(replica, from),
  });

  function moved(): Replica {
    const { replica } = openedReplica(local);
    const orderer = fixtureConsortium(local.nodes, 2);
    const change = changedPolicy(local.root, { orderer }, local.operators.slice(1));
    ordered(replica, local, [transactionOf(change.statement)]);
    return replica;
  }

  test('one that was away during the move finds it with any node', async () => {
    const replica = moved();
    provenBlock(replica, local, [group], { chain: 2 });
    const away = openedReplica(local).replica;
    assert.equal(await followPolicy(away, neighbour(replica), () => 0, live), true);
    assert.equal(away.ordering().engine, 'cometbft');
    for (const bytes of replica.blocks(away.certified().height + 1, 1 << 20)) away.append(bytes);
    assert.deepEqual(away.head(), replica.head());
  });

  test('two certificates of one block are no two histories', async () => {
    const [one, other] = [moved(), moved()];
    for (const [replica, voters] of [
      [one, local.nodes],
      [other, local.nodes.slice(1)],
    ] as const)
      provenBlock(replica, local, [group], { chain: 2, voters });
    assert.notDeepEqual(one.served(2), other.served(2));
    const policies = async (): Promise<readonly Uint8Array[]> => [];
    assert.equal(await followPolicy(one, { ...neighbour(other), policies }, () => 0, live), false);
    // Nor does a later policy with the other lead back behind them.
    const { root } = changedPolicy(
      local.root,
      { orderer: fixtureConsortium(local.nodes, 2) },
      local.operators.slice(1),
    );
    const change = changedPolicy(root, { maxAge: 90_000 }, local.operators.slice(1));
    provenBlock(other, local, [[transactionOf(change.statement)]], { chain: 2, height: 3 });
    assert.equal(await followPolicy(one, neighbour(other), () => 0, live), true);
    assert.deepEqual(one.head(), other.head());
    // A member's head that waits for its certificate is with nobody yet.
    decided(one, [[declaration(writer, 3)]]);
    assert.equal(await followPolicy(one, neighbour(other), () => 0, live), false);
    assert.equal(one.halted(), undefined);
  });
});
