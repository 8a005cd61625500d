import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { encode } from '../cbor/encode.ts';
import type { Cbor } from '../cbor/value.ts';
import { fixtureConsortium, fixtureKey, fixtureNetwork } from '../testing/fixture.ts';
import { changedPolicy } from '../testing/governance.ts';
import { createGenesis, parseGenesis } from './genesis.ts';
import {
  chainIdOf,
  checkSuccession,
  consortiumOf,
  parseOrderer,
  validatorsOf,
  validatorUpdates,
  type ConsortiumOrderer,
  type EngineMember,
} from './orderer.ts';
import { policyToCbor, type Policy } from './policy.ts';
import { nextRoot } from './policy-change.ts';

const network = fixtureNetwork({ engine: 'cometbft', nodesEach: 2 });
const { policy } = network.genesis;
const orderer = consortiumOf(policy.orderer);
const [first, second] = orderer.members as readonly [EngineMember, EngineMember];

function withMembers(
  change: (members: readonly EngineMember[]) => readonly EngineMember[],
): Policy {
  return { ...policy, orderer: { ...orderer, members: change(orderer.members) } };
}

function withFirst(change: Partial<EngineMember>): Policy {
  return withMembers((members) => members.with(0, { ...first, ...change }));
}

test('a consortium comes back from its bytes', () => {
  assert.deepEqual(parseGenesis(network.genesis.bytes).policy, policy);
  assert.equal(orderer.members.length, 4);
  assert.deepEqual(
    validatorsOf(orderer),
    orderer.members.map(({ key }) => ({ key, power: 10n })),
  );
  const silent = { ...second, node: 'n2', key: fixtureKey('silent').publicKey, validator: false };
  const more = [
    first,
    { ...silent, operator: 'a', peer: new Uint8Array(20).fill(1), address: '[::1]:1' },
    ...orderer.members.slice(1),
  ];
  const genesis = createGenesis(
    1,
    withMembers(() => more),
  );
  assert.equal(validatorsOf(consortiumOf(genesis.policy.orderer)).length, 4);
});

test('CometBFT takes no voter of a consortium for a third of all, and keeps it in block sync', () => {
  for (let operators = 4; operators <= 12; operators++) {
    const votes = validatorsOf(
      consortiumOf(fixtureNetwork({ engine: 'cometbft', operators }).genesis.policy.orderer),
    );
    const total = votes.reduce((sum, { power }) => sum + power, 0n);
    // localNodeBlocksTheChain, whole numbers as there.
    for (const { power } of votes) assert.ok(power < total / 3n, `${operators}`);
  }
});

test('more members than a certificate has room for are not read', () => {
  const row = ['cometbft', 1, Array.from({ length: 129 }, () => 0)];
  assert.throws(() => parseOrderer(row), { code: 'POLICY_MALFORMED' });
});

test('a trial network may have one validator', () => {
  const alone = fixtureNetwork({ engine: 'cometbft', operators: 1 });
  assert.equal(consortiumOf(alone.genesis.policy.orderer).members.length, 1);
});

test('a chain id fits into what CometBFT takes', () => {
  const id = chainIdOf(network.genesis.networkId, 9_999_999);
  assert.match(id, /^firmament-[0-9a-f]{32}-9999999$/);
  assert.ok(id.length <= 50);
});

suite('T09, T31: a consortium that could be stopped, forged or mixed up is refused', () => {
  const unsound: readonly (readonly [string, string, Policy])[] = [
    ['three validators', 'POLICY_QUORUM', withFirst({ validator: false })],
    ['no members', 'POLICY_QUORUM', withMembers(() => [])],
    [
      'an operator with two votes',
      'POLICY_QUORUM',
      withMembers((members) => [
        first,
        {
          ...first,
          node: 'n2',
          key: fixtureKey('spare').publicKey,
          peer: new Uint8Array(20),
          address: 'spare:1',
        },
        ...members.slice(1),
      ]),
    ],
    ['a member that is no node', 'POLICY_MALFORMED', withFirst({ node: 'n0' })],
    ['members out of order', 'POLICY_MALFORMED', withMembers((members) => members.toReversed())],
    ['a member twice', 'POLICY_KEY_REUSED', withMembers((members) => [first, ...members])],
    [
      'a chain of a later policy',
      'POLICY_MALFORMED',
      { ...policy, orderer: { ...orderer, chain: 2 } },
    ],
    [
      'a chain before the first policy',
      'POLICY_MALFORMED',
      { ...policy, orderer: { ...orderer, chain: 0 } },
    ],
    ['two members with one consensus key', 'POLICY_KEY_REUSED', withFirst({ key: second.key })],
    [
      'a consensus key that signs heads too',
      'POLICY_KEY_REUSED',
      withFirst({ key: network.nodes[0]?.cosigner.publicKey ?? second.key }),
    ],
    ['two members with one p2p id', 'POLICY_KEY_REUSED', withFirst({ peer: second.peer })],
    ['two members at one address', 'POLICY_KEY_REUSED', withFirst({ address: second.address })],
    ...['a.test', 'a.test:0', 'a.test:65536', 'a,b:1', 'x@a:1', 'a b:1', ':1', '-a:1', 'A:1'].map(
      (address) => [`the address ${address}`, 'POLICY_MALFORMED', withFirst({ address })] as const,
    ),
  ];
  for (const [what, code, broken] of unsound)
    test(what, () => {
      assert.throws(() => createGenesis(1, broken), { code });
    });

  const rows: readonly (readonly [string, Cbor])[] = [
    ['another engine', ['raft', 1, []]],
    ['no array', 'cometbft'],
    ['a short row', ['cometbft', 1]],
    ['a member of five', ['cometbft', 1, [['a', 'n1', first.key.bytes, first.peer, 'a:1']]]],
    [
      'a key of small order',
      ['cometbft', 1, [['a', 'n1', new Uint8Array(32), first.peer, 'a:1', true]]],
    ],
    [
      'a short p2p id',
      ['cometbft', 1, [['a', 'n1', first.key.bytes, new Uint8Array(19), 'a:1', true]]],
    ],
  ];
  for (const [what, row] of rows)
    test(what, () => {
      const body = new Map(policyToCbor(policy) as ReadonlyMap<Cbor, Cbor>).set(14, row);
      const bytes = encode(['firmament/genesis/v1', 1, body]);
      assert.throws(() => parseGenesis(bytes), { code: 'POLICY_MALFORMED' });
    });
});

suite('T08, T31: which engine may follow which', () => {
  const local = { engine: 'local', operator: 'a', node: 'n1' } as const;
  const fresh = (name: string): EngineMember => ({
    ...first,
    operator: name,
    key: fixtureKey(name).publicKey,
  });
  const changed = (members: readonly EngineMember[]): ConsortiumOrderer => ({
    ...orderer,
    members,
  });

  test('a chain begins with the policy that brings it, and goes on', () => {
    checkSuccession(local, local, 2);
    checkSuccession(local, { ...orderer, chain: 2 }, 2);
    checkSuccession(orderer, orderer, 2);
    assert.throws(() => checkSuccession(local, orderer, 2), { code: 'POLICY_ENGINE' });
    assert.throws(() => checkSuccession(orderer, { ...orderer, chain: 2 }, 2), {
      code: 'POLICY_ENGINE',
    });
  });

  test('no way back to one orderer', () => {
    assert.throws(() => checkSuccession(orderer, local, 2), { code: 'POLICY_ENGINE' });
  });

  test('two thirds of the validators stay', () => {
    const [a, b, c, d] = orderer.members as [
      EngineMember,
      EngineMember,
      EngineMember,
      EngineMember,
    ];
    checkSuccession(orderer, changed([a, b, c]), 2);
    checkSuccession(orderer, changed([a, b, c, fresh('e'), fresh('f')]), 2);
    for (const members of [
      [a, b, fresh('e'), fresh('f')],
      [a, b],
      [a, b, c, d].map((each, i) => ({ ...each, validator: i > 1 })),
    ])
      assert.throws(() => checkSuccession(orderer, changed(members), 2), { code: 'POLICY_ENGINE' });
  });

  test('what CometBFT is told is the difference', () => {
    const [a, b, c, d] = orderer.members as [
      EngineMember,
      EngineMember,
      EngineMember,
      EngineMember,
    ];
    const next = changed([a, b, { ...c, validator: false }, d, fresh('e')]);
    assert.deepEqual(validatorUpdates(orderer, next), [
      { key: c.key, power: 0n },
      { key: fresh('e').key, power: 10n },
    ]);
    assert.deepEqual(validatorUpdates(orderer, orderer), []);
  });

  test('operators can not bring what the rules refuse', () => {
    const operators = network.operators.slice(1);
    const back = changedPolicy(network.root, { orderer: local }, operators);
    assert.throws(() => nextRoot(network.root, back.statement), { code: 'POLICY_ENGINE' });
    const plain = fixtureNetwork();
    const moved = fixtureConsortium(plain.nodes, 1);
    const early = changedPolicy(plain.root, { orderer: moved }, plain.operators.slice(1));
    assert.throws(() => nextRoot(plain.root, early.statement), { code: 'POLICY_ENGINE' });
    const right = { ...moved, chain: 2 };
    const late = changedPolicy(plain.root, { orderer: right }, plain.operators.slice(1));
    assert.deepEqual(nextRoot(plain.root, late.statement).policy.orderer, right);
  });
});
