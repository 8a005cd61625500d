import assert from 'node:assert/strict';
import { test } from 'node:test';
import { encode } from '../../src/cbor/encode.ts';
import type { Cbor } from '../../src/cbor/value.ts';
import { thumbprint } from '../../src/cose/key.ts';
import { createSign1 } from '../../src/cose/sign1.ts';
import type { Block } from '../../src/registry/block.ts';
import { nodeIssuer } from '../../src/registry/policy.ts';
import { declareStatement } from '../../src/author/statements.ts';
import { fixtureLine, fixtureNetwork } from '../../src/testing/fixture.ts';
import {
  declaration,
  dumped,
  openedReplica,
  ordered,
  registeredAuthor,
  resigned,
  transactionOf,
} from '../../src/testing/ledger-fixture.ts';
import { openReplica } from '../../src/ledger/replica.ts';

const network = fixtureNetwork({ operators: 1 });
const { author, group: registration } = registeredAuthor(network, 'acme');

/** An orderer two blocks in, and a follower that has the first. */
function scene() {
  const orderer = openedReplica(network);
  ordered(orderer.replica, network, registration);
  ordered(orderer.replica, network, [declaration(author, 0)], network.genesis.time + 10);
  const follower = openedReplica(network);
  follower.replica.append(orderer.replica.block(1));
  return { orderer: orderer.replica, follower: follower.replica, database: follower.database };
}

function raw(...transactions: ReturnType<typeof declaration>[]): Pick<Block, 'transactions'> {
  return {
    transactions: transactions.map(({ statement, attachment }) => ({
      statement: statement.bytes,
      attachment,
    })),
  };
}

const flipped = (bytes: Uint8Array): Uint8Array => bytes.map((byte) => byte ^ 1);
const ghost = registeredAuthor(network, 'ghost').author;
// The same line under a later counter: nothing but the line's own rule is against it.
const repeated = transactionOf(declareStatement(author, 9n, fixtureLine(author.author, 'model 0')));

const LIES: readonly (readonly [string, (block: Block) => Partial<Block>, RegExp])[] = [
  ['another root', ({ root }) => ({ root: flipped(root) }), /another log root/],
  ['another size', ({ size }) => ({ size: size + 1 }), /another log size/],
  ['another history', ({ previous }) => ({ previous: flipped(previous) }), /another history/],
  ['a time that goes back', ({ time }) => ({ time: time - 11 }), /time goes backwards/],
  ['a later time, so another epoch', ({ time }) => ({ time: time + 1 }), /another log root/],
  ['another network', ({ networkId }) => ({ networkId: flipped(networkId) }), /another network/],
  ['a replayed statement', () => raw(...registration), /on the ledger already/],
  [
    'a statement twice',
    () => raw(declaration(author, 0), declaration(author, 0)),
    /on the ledger already/,
  ],
  ['a line declared twice', () => raw(declaration(author, 0), repeated), /declared already/],
  ['an author that is not registered', () => raw(declaration(ghost, 0)), /no such author/],
  [
    'an attachment that does not belong',
    () => raw({ ...declaration(author, 0), attachment: new Uint8Array(3) }),
    /attachment/,
  ],
  [
    'bytes that are no statement',
    () => ({ transactions: [{ statement: new Uint8Array(9), attachment: null }] }),
    /./,
  ],
];

for (const [what, change, reason] of LIES) {
  test(`a signed block with ${what} is evidence, and nothing of it is committed`, () => {
    const { orderer, follower, database } = scene();
    const before = dumped(database).replace(/^evidence[^]*?(?=^head)/m, '');
    const lie = resigned(network, orderer.block(2), change);
    assert.throws(() => follower.append(lie), { code: 'LEDGER_ORDERER_LIES' });
    assert.match(follower.evidence()[0]?.reason ?? '', reason);
    assert.deepEqual(follower.evidence()[0]?.bytes, lie);
    assert.equal(follower.evidence()[0]?.height, 2);
    assert.equal(dumped(database).replace(/^evidence[^]*?(?=^head)/m, ''), before);
    assert.equal(follower.head().height, 1);
  });
}

test('a second block of a height is a lie, the same one again is not', () => {
  const { orderer, follower } = scene();
  const second = resigned(network, orderer.block(1), ({ time }) => ({ time: time + 1 }));
  assert.equal(follower.append(orderer.block(1)).height, 1);
  assert.throws(() => follower.append(second), { code: 'LEDGER_ORDERER_LIES' });
});

test('a halted replica takes and proposes nothing more, also after a restart', () => {
  const { orderer, follower, database } = scene();
  const lie = resigned(network, orderer.block(2), ({ size }) => ({ size: size + 1 }));
  assert.throws(() => follower.append(lie), { code: 'LEDGER_ORDERER_LIES' });
  for (const replica of [follower, openReplica(database, network.genesis)]) {
    assert.equal(replica.halted()?.code, 'BLOCK_MALFORMED');
    assert.throws(() => replica.append(orderer.block(2)), { code: 'LEDGER_HALTED' });
    assert.throws(() => ordered(replica, network, [declaration(author, 1)]), {
      code: 'LEDGER_HALTED',
    });
    // What was committed stays readable.
    assert.equal(replica.blocks(1, 1 << 20).length, 1);
  }
});

test('what the orderer did not sign proves nothing and halts nobody', () => {
  const { orderer, follower } = scene();
  const good = orderer.block(2);
  const other = fixtureNetwork({ operators: 1, label: 'other' });
  const foreign = openedReplica(other);
  ordered(foreign.replica, other, registeredAuthor(other, 'acme').group);
  const tampered = good.slice();
  tampered[200] = (tampered[200] ?? 0) ^ 1;
  for (const bytes of [
    foreign.replica.block(1),
    tampered,
    good.slice(0, -1),
    new Uint8Array(),
    new Uint8Array(300),
  ]) {
    assert.throws(
      () => follower.append(bytes),
      (error: { code?: string }) => error.code?.startsWith('BLOCK_') === true,
    );
  }
  assert.equal(follower.halted(), undefined);
  assert.equal(follower.append(good).height, 2);
});

test('a block from further on is out of order, not a lie', () => {
  const { orderer } = scene();
  const { replica } = openedReplica(network);
  assert.throws(() => replica.append(orderer.block(2)), { code: 'LEDGER_OUT_OF_ORDER' });
  assert.equal(replica.halted(), undefined);
});

test('a payload that is no block, under the orderer’s signature, is evidence', () => {
  const { follower } = scene();
  const { statement: key, name } = network.orderer;
  const header = new Map<Cbor, Cbor>([
    [1, -19],
    [4, thumbprint(key.publicKey)],
    [
      15,
      new Map<Cbor, Cbor>([
        [1, nodeIssuer(name)],
        [2, follower.origin],
      ]),
    ],
    [16, 'application/firmament.block+cbor'],
  ]);
  const bytes = createSign1({ header, payload: encode(['firmament/block/v1', 7]), key });
  assert.throws(() => follower.append(bytes), { code: 'LEDGER_ORDERER_LIES' });
  assert.deepEqual(follower.evidence()[0]?.bytes, bytes);
});
