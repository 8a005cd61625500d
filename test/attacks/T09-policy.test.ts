import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { privateKey, sha256 } from '#crypto';
import { hex, utf8 } from '../../src/bytes.ts';
import type { PublicKey } from '../../src/crypto/key.ts';
import { keyId } from '../../src/log/cosignature.ts';
import { createGenesis, parseGenesis } from '../../src/registry/genesis.ts';
import type { Operator, Policy } from '../../src/registry/policy.ts';
import { sampleKey, sampleOperator, samplePolicy } from './sample-policy.ts';

function collidingKey(i: number): PublicKey {
  return privateKey('Ed25519', sha256(utf8(`collision ${i}`))).publicKey;
}

function nobodyAnAuthor(n: number): readonly Operator[] {
  return samplePolicy(n).operators.map((operator) => ({ ...operator, kind: 'non-author' }));
}

suite('T09: a genesis that a few operators could stop or forge is refused', () => {
  test('sound networks of 1 to 10 operators are accepted', () => {
    for (let n = 1; n <= 10; n++) {
      const genesis = createGenesis(1, samplePolicy(n));
      assert.deepEqual(parseGenesis(genesis.bytes).policy, genesis.policy);
    }
  });

  const unsound: readonly (readonly [string, number, Partial<Policy>])[] = [
    ['no quorum at all', 4, { quorum: 0 }],
    ['a quorum that f liars make up with too few honest ones', 4, { quorum: 2 }],
    ['two quorums that share only liars: 2k - n = f', 5, { quorum: 3 }],
    ['all operators needed, one of them an author', 4, { quorum: 4 }],
    ['more than there are', 4, { quorum: 5 }],
    ['two operators in earnest', 2, { mode: 'consortium', operators: nobodyAnAuthor(2) }],
    ['a trial of three', 3, { mode: 'trial' }],
    ['no copy with others', 4, { copiesElsewhere: 0 }],
    ['more copies elsewhere than copies', 4, { copies: 1, copiesElsewhere: 2 }],
    ['more copies than operators', 4, { copies: 5 }],
    ['no copies', 4, { copies: 0, copiesElsewhere: 0 }],
    ['more governance than operators', 4, { threshold: 5 }],
    ['no governance', 4, { threshold: 0 }],
    ['held longer than fresh', 4, { maxHold: 86_400 }],
    ['PSK authors outside of private mode', 4, { pskAuthors: true }],
  ];
  for (const [what, n, changes] of unsound)
    test(what, () => {
      assert.throws(() => createGenesis(1, samplePolicy(n, changes)), { code: 'POLICY_QUORUM' });
    });

  test('all of them needed is sound where nobody is an author', () => {
    const operators = nobodyAnAuthor(3);
    createGenesis(1, samplePolicy(3, { operators, quorum: 3 }));
  });

  test('two cosigner keys with one C2SP key id are refused, though they differ', () => {
    // Found by a birthday search over these labels; both ids are fa4a3fa9.
    const colliding = new Map([
      [1, collidingKey(18_419)],
      [2, collidingKey(88_353)],
    ]);
    const operators = samplePolicy(4).operators.map((operator, i) => {
      const cosigner = colliding.get(i);
      return {
        ...operator,
        nodes: operator.nodes.map((n) => ({ ...n, ...(cosigner && { cosigner }) })),
      };
    });
    const ids = [1, 2].map((i) => hex(keyId(`o${i}/n`, colliding.get(i) as PublicKey)));
    assert.deepEqual(ids, ['fa4a3fa9', 'fa4a3fa9']);
    assert.throws(() => createGenesis(1, samplePolicy(4, { operators })), {
      code: 'POLICY_KEY_REUSED',
    });
  });

  test('one operator under two names shares no key with itself', () => {
    const [a, b, c] = [0, 1, 2].map(sampleOperator);
    assert.ok(a !== undefined && b !== undefined && c !== undefined);
    const twin = {
      ...c,
      nodes: c.nodes.map((node) => ({ ...node, cosigner: a.nodes[0]!.cosigner })),
    };
    assert.throws(() => createGenesis(1, samplePolicy(3, { operators: [a, b, twin] })), {
      code: 'POLICY_KEY_REUSED',
    });
  });

  test('T13: a receipt key is not a cosigner key', () => {
    const { publicKey } = sampleKey('both');
    const operators = samplePolicy(3).operators.map((operator, i) =>
      i > 0
        ? operator
        : {
            ...operator,
            nodes: operator.nodes.map((node) => ({
              ...node,
              cosigner: publicKey,
              receipt: publicKey,
            })),
          },
    );
    assert.throws(() => createGenesis(1, samplePolicy(3, { operators })), {
      code: 'POLICY_KEY_REUSED',
    });
  });

  test('an operator listed twice counts once', () => {
    const [a, b] = [0, 1].map(sampleOperator);
    assert.ok(a !== undefined && b !== undefined);
    assert.throws(() => createGenesis(1, samplePolicy(3, { operators: [a, b, b] })), {
      code: 'POLICY_MALFORMED',
    });
  });
});
