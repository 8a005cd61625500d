// The ABCI calls without an engine: what every validator has to answer alike, and what none may take.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { create, toBinary, type MessageInitShape } from '@bufbuild/protobuf';
import { hex } from '../../bytes.ts';
import {
  RequestSchema,
  ResponseFinalizeBlockSchema,
  ResponseProcessProposal_ProposalStatus as ProposalStatus,
  ResponseSchema,
} from '../../proto/tendermint/abci/types_pb.js';
import { withdrawStatement } from '../../author/statements.ts';
import { consortiumOf } from '../../registry/orderer.ts';
import { BATCH_INTERVAL, reportBatchStatement } from '../../registry/rules/report-batch.ts';
import { encodeGroup, MAX_GROUP } from '../../registry/group.ts';
import { MAX_TRANSACTIONS } from '../../registry/block.ts';
import { MAX_ATTACHMENT, type Transaction } from '../../registry/statement.ts';
import {
  fixtureConsortium,
  fixtureLine,
  fixtureNetwork,
  type FixtureAuthor,
  type FixtureNode,
} from '../../testing/fixture.ts';
import { changedPolicy } from '../../testing/governance.ts';
import {
  declaration,
  openedReplica,
  registeredAuthor,
  SILENT,
  transactionOf,
} from '../../testing/ledger-fixture.ts';
import { certificateFor } from '../../testing/certificates.ts';
import { appHashOfHead } from '../proven-ledger.ts';
import { Application, type CommittedBlock } from './application.ts';
import { startOfChain } from './chain-start.ts';
import { addressOf } from './home.ts';
import { MAX_PROPOSAL } from './proposal.ts';
import { SnapshotFolder } from './snapshot-folder.ts';
import { Snapshots } from './snapshots.ts';
import { TransactionCache } from './transaction-cache.ts';

const network = fixtureNetwork({ engine: 'cometbft' });
const { author, group: registration } = registeredAuthor(network, 'acme');
const FOLDER = mkdtempSync(join(tmpdir(), 'application-'));
after(() => rmSync(FOLDER, { recursive: true }));
const TIME = BigInt(network.genesis.time + 60);

function tx(group: readonly Transaction[]): Uint8Array {
  return encodeGroup(
    group.map(({ statement, attachment }) => ({ statement: statement.bytes, attachment })),
  );
}

function declared(from: number, count: number, by: FixtureAuthor = author): readonly Uint8Array[] {
  return Array.from({ length: count }, (_, i) => tx([declaration(by, from + i)]));
}

function opened(urgent: readonly Uint8Array[] = []) {
  const { replica } = openedReplica(network);
  const start = startOfChain(replica);
  const blocks: CommittedBlock[] = [];
  const refused: string[] = [];
  const options = { replica, chain: start.chain, logger: SILENT };
  const snapshots = new Snapshots({
    ...options,
    genesis: network.genesis,
    folder: new SnapshotFolder({ ...options, path: join(FOLDER, 'snapshots'), every: 1000 }),
    restored: join(FOLDER, 'restored.db'),
  });
  const application = new Application({
    replica,
    start,
    cache: new TransactionCache(),
    snapshots,
    clock: () => network.genesis.time + 60 + BATCH_INTERVAL,
    logger: SILENT,
    onCommit: (block) => void blocks.push(block),
    urgent: () => urgent,
    onRefused: (_, error) => void refused.push(error.code),
  });
  type Asked = NonNullable<MessageInitShape<typeof RequestSchema>['value']>;
  const ask = (value: Asked) => {
    const answer = application.answer(create(RequestSchema, { value }).value);
    assert.ok(!(answer instanceof Promise));
    return create(ResponseSchema, { value: answer }).value;
  };
  let height = 0n;
  const finalized = (txs: readonly Uint8Array[], time = TIME) => {
    const answer = ask({
      case: 'finalizeBlock',
      value: { txs: [...txs], height: height + 1n, time: { seconds: time } },
    });
    assert.ok(answer.case === 'finalizeBlock');
    return answer.value;
  };
  const block = (txs: readonly Uint8Array[], time = TIME) => {
    const answer = finalized(txs, time);
    ask({ case: 'commit', value: {} });
    height++;
    return answer;
  };
  const checked = (bytes: Uint8Array): number => {
    const answer = ask({ case: 'checkTx', value: { tx: bytes } });
    assert.ok(answer.case === 'checkTx');
    return answer.value.code;
  };
  const accepts = (txs: readonly Uint8Array[]): boolean => {
    const answer = ask({ case: 'processProposal', value: { txs: [...txs] } });
    assert.ok(answer.case === 'processProposal');
    return answer.value.status === ProposalStatus.ACCEPT;
  };
  const proposes = (txs: readonly Uint8Array[], maxTxBytes = 8n << 20n) => {
    const value = { txs: [...txs], maxTxBytes, time: { seconds: TIME } };
    const answer = ask({ case: 'prepareProposal', value });
    assert.ok(answer.case === 'prepareProposal');
    return answer.value.txs.map(hex);
  };
  return {
    application,
    replica,
    start,
    ask,
    finalized,
    block,
    checked,
    accepts,
    proposes,
    blocks,
    refused,
  };
}

test('before its first block it stands at height 0 with the hash that genesis names', () => {
  const { ask, start, replica } = opened();
  const info = ask({ case: 'info', value: {} });
  assert.ok(info.case === 'info');
  assert.equal(info.value.lastBlockHeight, 0n);
  assert.deepEqual(info.value.lastBlockAppHash, appHashOfHead(replica.head()));
  const { chainId } = start;
  const begun = ask({ case: 'initChain', value: { chainId, initialHeight: 1n } });
  assert.ok(begun.case === 'initChain');
  assert.deepEqual(begun.value.appHash, start.appHash);
  for (const value of [
    { chainId: 'another', initialHeight: 1n },
    { chainId, initialHeight: 2n },
  ])
    assert.throws(() => ask({ case: 'initChain', value }), { code: 'ENGINE_HOME_FOREIGN' });
});

test('a block is there once it is committed, and what stays empty changes no hash', () => {
  const { block, finalized, application, replica, start, ask, blocks } = opened();
  const empty = block([]);
  assert.deepEqual(empty.appHash, start.appHash);
  assert.equal(replica.head().height, 0);
  assert.equal(application.position(), 1);
  finalized([tx(registration)]);
  assert.equal(replica.head().height, 0);
  application.abandon();
  assert.throws(() => ask({ case: 'commit', value: {} }), { code: 'ENGINE_HEIGHT' });
  const made = block([tx(registration)]);
  assert.equal(replica.head().height, 1);
  assert.deepEqual(made.appHash, appHashOfHead(replica.head()));
  assert.deepEqual(
    blocks.map(({ height, head }) => [height, head?.height ?? null]),
    [
      [1, null],
      [2, 1],
    ],
  );
  const info = ask({ case: 'info', value: {} });
  assert.ok(info.case === 'info' && info.value.lastBlockHeight === 2n);
  assert.deepEqual(info.value.lastBlockAppHash, made.appHash);
});

test('only the next height is finalized', () => {
  const { ask, block } = opened();
  block([]);
  for (const height of [1n, 3n, 0n])
    assert.throws(
      () => ask({ case: 'finalizeBlock', value: { height, time: { seconds: TIME } } }),
      {
        code: 'ENGINE_HEIGHT',
      },
    );
});

test('whatever stands in a decided block, it is answered, and alike on every node', () => {
  const [one, other] = [opened(), opened()];
  const garbage = Uint8Array.of(0xff, 1, 2);
  const ghost = tx([declaration(registeredAuthor(network, 'ghost').author, 0)]);
  const [first] = declared(0, 1) as [Uint8Array];
  // A refused group comes again once what it needs is there, in the same block.
  const txs = [garbage, first, tx(registration), first, ghost, first, new Uint8Array(0)];
  const answers = [one, other].map(({ block }) => block(txs));
  assert.deepEqual(
    answers[0]?.txResults.map(({ code }) => code),
    [1, 1, 0, 0, 1, 0, 1],
  );
  const [a, b] = answers.map((answer) => hex(toBinary(ResponseFinalizeBlockSchema, answer)));
  assert.equal(a, b);
  const outcome = one.blocks[0]?.outcomes.get(new TransactionCache().parsed(first).id);
  assert.ok(outcome && 'placements' in outcome && outcome.placements[0]?.known === false);
});

test('time never goes back, and is that of the header', () => {
  const { block, replica } = opened();
  block([tx(registration)], TIME);
  assert.equal(replica.head().time, Number(TIME));
  block(declared(0, 1), TIME - 50n);
  assert.equal(replica.head().time, Number(TIME));
  block(declared(1, 1), TIME + 5n);
  assert.equal(replica.head().time, Number(TIME + 5n));
});

test('the mempool takes what the rules take, and tells what they refuse', () => {
  const { checked, block, refused } = opened();
  const [first] = declared(0, 1) as [Uint8Array];
  assert.equal(checked(first), 1);
  assert.deepEqual(refused, ['AUTHOR_UNKNOWN']);
  assert.equal(checked(tx(registration)), 0);
  block([tx(registration)]);
  assert.equal(checked(tx(registration)), 2);
  assert.equal(checked(first), 0);
  assert.equal(checked(Uint8Array.of(1)), 1);
  assert.equal(checked(new Uint8Array(MAX_GROUP + 1)), 1);
});

test('what was too early when the ledger stood still is taken once it is time', () => {
  const { block, checked } = opened();
  const [node] = network.nodes;
  assert.ok(node);
  const batch = (counter: bigint): Uint8Array => {
    const root = new Uint8Array(32);
    const { networkId } = network.genesis;
    const { statement, name } = node;
    return tx([transactionOf(reportBatchStatement(statement, name, networkId, counter, root))]);
  };
  block([batch(1n)]);
  // By the newest block's time it would be too early for ever: nothing else is ordered.
  assert.equal(checked(batch(2n)), 0);
});

test('a proposal is refused for what is equal on all nodes, and for nothing else', () => {
  const { accepts } = opened();
  const ghost = registeredAuthor(network, 'ghost').author;
  assert.ok(accepts([]));
  // Refused by the rules: that is said in the block.
  assert.ok(accepts(declared(0, 3, ghost)));
  assert.ok(!accepts([...declared(0, 1), Uint8Array.of(0x80)]));
  const sixteen = (from: number): Uint8Array =>
    tx(Array.from({ length: 16 }, (_, i) => declaration(ghost, from + i)));
  const full = Array.from({ length: MAX_TRANSACTIONS / 16 }, () => sixteen(0));
  assert.ok(accepts(full));
  assert.ok(!accepts([...full, ...declared(0, 1)]));
  const large = { ...declaration(ghost, 0), attachment: new Uint8Array(MAX_ATTACHMENT) };
  const megabyte = tx(Array.from({ length: 16 }, () => large));
  const fitting = Array.from(
    { length: Math.floor(MAX_PROPOSAL / megabyte.length) },
    () => megabyte,
  );
  assert.ok(accepts(fitting));
  assert.ok(!accepts([...fitting, megabyte]));
});

test('a proposer keeps to the bounds, takes the oldest first, and leaves out what is no transaction', () => {
  const { proposes } = opened();
  const many = declared(0, 200);
  const taken = proposes([Uint8Array.of(7), ...many]);
  assert.equal(taken.length, 128);
  assert.deepEqual(taken, many.slice(0, 128).map(hex));
  const [first, second, third] = many as [Uint8Array, Uint8Array, Uint8Array];
  const room = BigInt(first.length + second.length + third.length);
  assert.deepEqual(proposes(many, room), [first, second].map(hex));
});

test('withdrawals go before all else (T11)', () => {
  const { proposes } = opened();
  const line = fixtureLine(author.author);
  const withdrawals = Array.from({ length: 3 }, (_, i) => {
    const withdrawal = { release: new Uint8Array(32).fill(i), lowest: 2n, reason: 'burns' };
    return tx([transactionOf(withdrawStatement(author, BigInt(i + 900), line, withdrawal))]);
  });
  const others = declared(0, 140);
  const taken = proposes([...others, ...withdrawals]);
  assert.deepEqual(taken.slice(0, 3), withdrawals.map(hex));
  assert.equal(taken.length, 128);
  assert.deepEqual(taken.slice(3), others.slice(0, 125).map(hex));
});

test('what may not be held back is proposed although the mempool has no room for it (T11)', () => {
  const change = changedPolicy(network.root, { maxHold: 7 }, network.operators);
  const forged = changedPolicy(network.root, { maxHold: 8 }, network.operators.slice(0, 1));
  const urgent = [change, forged].map(({ statement }) => tx([transactionOf(statement)]));
  const { block, proposes } = opened(urgent);
  block([tx(registration)]);
  const others = declared(0, 130);
  const wanted = hex(urgent[0] as Uint8Array);
  assert.equal(proposes(others)[0], wanted);
  assert.ok(!proposes(others).includes(hex(urgent[1] as Uint8Array)), 'refused by the rules');
  // Once, although the mempool has it too, and never again once it is ordered.
  const both = proposes([...others, ...urgent.slice(0, 1)]);
  assert.deepEqual([both[0], both.lastIndexOf(wanted)], [wanted, 0]);
  block(urgent.slice(0, 1));
  assert.ok(!proposes([]).includes(wanted));
});

test('only members are peers', () => {
  const { ask } = opened();
  const query = (path: string): number => {
    const answer = ask({ case: 'query', value: { path } });
    assert.ok(answer.case === 'query');
    return answer.value.code;
  };
  const { members } = consortiumOf(network.genesis.policy.orderer);
  for (const { peer } of members) assert.equal(query(`/p2p/filter/id/${hex(peer)}`), 0);
  assert.notEqual(query(`/p2p/filter/id/${'00'.repeat(20)}`), 0);
  assert.notEqual(query(`/p2p/filter/id/${hex(members[0]?.peer as Uint8Array)}/x`), 0);
  assert.notEqual(query('/p2p/filter/id/'), 0);
  assert.equal(query('/p2p/filter/addr/127.0.0.1:26656'), 0);
  assert.notEqual(query('/store'), 0);
});

test('a member that a policy leaves out is a peer until the block that says so is proven', () => {
  const { ask, block, replica } = opened();
  const orderer = consortiumOf(network.genesis.policy.orderer);
  const [gone] = orderer.members;
  assert.ok(gone);
  const isPeer = (): boolean => {
    const answer = ask({ case: 'query', value: { path: `/p2p/filter/id/${hex(gone.peer)}` } });
    assert.ok(answer.case === 'query');
    return answer.value.code === 0;
  };
  const spare = fixtureNetwork({ label: 'spare' }).nodes[0] as FixtureNode;
  const peer = addressOf(spare.p2p.publicKey);
  const members = orderer.members.with(0, { ...gone, peer });
  const change = changedPolicy(
    network.root,
    { orderer: { ...orderer, members } },
    network.operators,
  );
  block([tx([transactionOf(change.statement)])]);
  assert.ok(isPeer());
  replica.certify(1, certificateFor(network, replica.head()));
  assert.ok(!isPeer());
});

test('a policy change is the only thing that changes who votes', () => {
  const { block } = opened();
  assert.deepEqual(block([tx(registration)]).validatorUpdates, []);
  const { members } = fixtureConsortium(network.nodes);
  const { consensus, p2p } = network.nodes[3] as FixtureNode;
  const orderer = {
    ...consortiumOf(network.genesis.policy.orderer),
    members: members.map((each, i) => (i === 3 ? { ...each, key: p2p.publicKey } : each)),
  };
  const { statement } = changedPolicy(network.root, { orderer }, network.operators);
  const { validatorUpdates } = block([tx([transactionOf(statement)])]);
  assert.deepEqual(
    validatorUpdates.map(({ pubKey, power }) => [hex(pubKey?.sum.value as Uint8Array), power]),
    [
      [hex(consensus.publicKey.bytes), 0n],
      [hex(p2p.publicKey.bytes), 1n],
    ],
  );
});

test('vote extensions are off, and calls that it does not know are refused', () => {
  const { ask } = opened();
  const extended = ask({ case: 'extendVote', value: {} });
  assert.ok(extended.case === 'extendVote' && extended.value.voteExtension.length === 0);
  for (const value of [undefined, 'insertTx', 'reapTxs'] as const)
    assert.throws(
      () => ask(value === undefined ? { case: undefined } : { case: value, value: {} }),
      { code: 'ENGINE_FRAME_INVALID' },
    );
});
