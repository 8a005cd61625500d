import assert from 'node:assert/strict';
import { test } from 'node:test';
import { consortiumOf, memberName } from '../registry/orderer.ts';
import { certificateFor } from '../testing/certificates.ts';
import { fixtureNetwork, type FixtureNode } from '../testing/fixture.ts';
import { changedPolicy } from '../testing/governance.ts';
import { decided, openedReplica, transactionOf } from '../testing/ledger-fixture.ts';
import { dutyOf, sameDuty } from './duty.ts';

const network = fixtureNetwork({ engine: 'cometbft', operators: 5 });
const before = consortiumOf(network.genesis.policy.orderer);

test('a member that a policy leaves out votes until the block that says so is proven', () => {
  const { replica } = openedReplica(network);
  const [gone] = before.members;
  assert.ok(gone);
  const self = memberName(gone);
  const duty = dutyOf(self, replica, undefined);
  assert.equal(duty.kind, 'consensus');
  const orderer = { ...before, members: before.members.slice(1) };
  const change = changedPolicy(network.root, { orderer }, network.operators);
  const head = decided(replica, [[transactionOf(change.statement)]]);
  assert.ok(head);
  // The header that proves it needs two thirds of those who voted before.
  assert.ok(sameDuty(dutyOf(self, replica, undefined), duty));
  replica.certify(head.height, certificateFor(network, head));
  assert.equal(dutyOf(self, replica, undefined).kind, 'follow consensus');
});

test('a member whose key another takes the place of votes with it until then', () => {
  const { replica } = openedReplica(network);
  const [changed] = before.members;
  const spare = fixtureNetwork({ label: 'spare' }).nodes[0] as FixtureNode;
  assert.ok(changed);
  const self = memberName(changed);
  const duty = dutyOf(self, replica, undefined);
  const members = before.members.with(0, { ...changed, key: spare.consensus.publicKey });
  const change = changedPolicy(
    network.root,
    { orderer: { ...before, members } },
    network.operators,
  );
  const head = decided(replica, [[transactionOf(change.statement)]]);
  assert.ok(head);
  assert.ok(sameDuty(dutyOf(self, replica, undefined), duty));
  replica.certify(head.height, certificateFor(network, head));
  assert.ok(!sameDuty(dutyOf(self, replica, undefined), duty));
});
