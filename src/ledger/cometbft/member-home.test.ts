import assert from 'node:assert/strict';
import { test } from 'node:test';
import { validatorAddress } from '../../light/validators.ts';
import { fixtureNetwork, type FixtureNode } from '../../testing/fixture.ts';
import {
  declaration,
  openedReplica,
  provenBlock,
  registeredAuthor,
} from '../../testing/ledger-fixture.ts';
import { hasVoted } from './member-home.ts';

const network = fixtureNetwork({ engine: 'cometbft' });
const { author, group } = registeredAuthor(network, 'acme');
const nodes = network.operators.map(({ nodes: [node] }) => node as FixtureNode);

test('a key whose vote stands in a certificate here has voted', () => {
  const { replica } = openedReplica(network);
  const [first, second, third, absent] = nodes as [
    FixtureNode,
    FixtureNode,
    FixtureNode,
    FixtureNode,
  ];
  const voted = ({ consensus }: FixtureNode): boolean =>
    hasVoted(replica, validatorAddress(consensus.publicKey));
  assert.ok(!voted(first), 'nothing is proven yet');
  const voters = [first, second, third];
  provenBlock(replica, network, [group], { height: 2, voters });
  provenBlock(replica, network, [[declaration(author, 0)]], { height: 3, voters });
  assert.deepEqual(voters.map(voted), [true, true, true]);
  assert.ok(!voted(absent));
});
