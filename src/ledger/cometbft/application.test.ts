// The ABCI calls without an engine: what every validator has to answer alike, and what none may take.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { create, toBinary, type MessageInitShape } from '@bufbuild/protobuf';
import { hex } from '../../bytes.ts';
import {
  CheckTxType,
  RequestSchema,
  ResponseFinalizeBlockSchema,
  ResponseProcessProposal_ProposalStatus as ProposalStatus,
  ResponseSchema,
} from '../../proto/tendermint/abci/types_pb.js';
import { revocation, rotation } from '../../author/key-changes.ts';
import { thumbprint } from '../../cose/key.ts';
import type { PublicKey } from '../../crypto/key.ts';
import { consortiumOf } from '../../registry/orderer.ts';
import { BATCH_INTERVAL, reportBatchStatement } from '../../registry/rules/report-batch.ts';
import { encodeGroup, MAX_GROUP } from '../../registry/group.ts';
import { MAX_TRANSACTIONS } from '../../registry/block.ts';
import { URGENT_A_SIGNER } from '../../registry/urgent.ts';
import { MAX_ATTACHMENT, type Transaction } from '../../registry/statement.ts';
import {
  fixtureConsortium,
  fixtureKey,
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
import { recoveryStatement } from '../../testing/key-fixture.ts';
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
const PROPOSER = new Uint8Array(20).fill(7);

function tx(group: readonly Transaction[]): Uint8Array {
  return encodeGroup(
    group.map(({ statement, attachment }) => ({ statement: statement.bytes, attachment })),
  );
}

function declared(from: number, count: number, by: FixtureAuthor = author): readonly Uint8Array[] {
  return Array.from({ length: count }, (_, i) => tx([declaration(by, from + i)]));
}

/** Several statements by one author, as one transaction. */
function together(by: FixtureAuthor, from: number, count: number): Uint8Array {
  return tx(Array.from({ length: count }, (_, i) => declaration(by, from + i)));
}

/** A report.batch, of which a node may have one in a while. */
function batch(counter: bigint): Uint8Array {
  const { statement, name } = network.nodes[0] as FixtureNode;
  const { networkId } = network.genesis;
  const signed = reportBatchStatement(statement, name, networkId, counter, new Uint8Array(32));
  return tx([transactionOf(signed)]);
}

function opened(urgent: readonly Uint8Array[] = []) {
  const { replica } = openedReplica(network);
  const start = startOfChain(replica);
  const blocks: CommittedBlock[] = [];
  const refused: string[] = [];
  const objections: string[] = [];
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
    onProposalRefused: (proposer, why) => void objections.push(`${hex(proposer)} ${why}`),
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
  const checked = (bytes: Uint8Array, type = CheckTxType.NEW): number => {
    const answer = ask({ case: 'checkTx', value: { tx: bytes, type } });
    assert.ok(answer.case === 'checkTx');
    return answer.value.code;
  };
  const accepts = (txs: readonly Uint8Array[], time = TIME): boolean => {
    const value = { txs: [...txs], time: { seconds: time }, proposerAddress: PROPOSER };
    const answer = ask({ case: 'processProposal', value });
    assert.ok(answer.case === 'processProposal');
    return answer.value.status === ProposalStatus.ACCEPT;
  };
  const proposes = (txs: readonly Uint8Array[], maxTxBytes = 8n << 20n, time = TIME) => {
    const value = { txs: [...txs], maxTxBytes, time: { seconds: time } };
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
    objections,
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
  block([batch(1n)]);
  // By the newest block's time it would be too early for ever: nothing else is ordered.
  assert.equal(checked(batch(2n)), 0);
});

test('a proposal is refused for what no honest proposer takes, and for nothing else', () => {
  const { accepts, block, objections } = opened();
  const second = registeredAuthor(network, 'second');
  assert.ok(accepts([]));
  assert.ok(accepts([tx(registration), ...declared(0, 3)]), 'each upon those before it');
  block([tx(registration)]);
  assert.ok(accepts([...declared(0, 3), tx(second.group)]));
  const [first] = declared(0, 1) as [Uint8Array];
  const forged = first.with(first.length - 2, (first.at(-2) ?? 0) ^ 1);
  const ghost = registeredAuthor(network, 'ghost').author;
  for (const [txs, why] of [
    [[first, Uint8Array.of(0x80)], 'ENGINE_TRANSACTION'],
    [[first, ...declared(0, 1, ghost)], 'AUTHOR_UNKNOWN'],
    [[forged], 'COSE_SIGNATURE_INVALID'],
    [[first, tx(registration)], 'LEDGER_REPLAY'],
    [[first, first], 'LEDGER_REPLAY'],
    [[...declared(1, 1), first], 'STATEMENT_COUNTER'],
  ] as const) {
    assert.ok(!accepts(txs), why);
    assert.equal(objections.pop(), `${hex(PROPOSER)} ${why}`);
  }
  assert.deepEqual(objections, []);
});

test('a proposal is refused above the bounds of a block', () => {
  const { accepts, block, objections } = opened();
  block([tx(registration)]);
  const full = Array.from({ length: MAX_TRANSACTIONS / 16 }, (_, i) =>
    together(author, 16 * i, 16),
  );
  assert.ok(accepts(full));
  assert.ok(!accepts([...full, ...declared(MAX_TRANSACTIONS, 1)]));
  assert.equal(objections.pop(), `${hex(PROPOSER)} ENGINE_TRANSACTION`);
  const large = { ...declaration(author, 0), attachment: new Uint8Array(MAX_ATTACHMENT) };
  const megabyte = tx(Array.from({ length: 16 }, () => large));
  const fitting = Array.from(
    { length: Math.floor(MAX_PROPOSAL / megabyte.length) },
    () => megabyte,
  );
  assert.ok(!accepts(fitting));
  assert.ok(!accepts([...fitting, megabyte]));
  // The rules say no to what is below the bound; above it they are not asked.
  assert.deepEqual(
    objections.map((each) => each.split(' ')[1]),
    ['ATTACHMENT_MISSING', 'ENGINE_TRANSACTION'],
  );
});

test('a block that a rule fails at is not voted for, and nobody proposes it', (context) => {
  const { accepts, proposes, replica, objections } = opened();
  const [first, second] = [tx(registration), tx(registeredAuthor(network, 'second').group)];
  const trial = context.mock.method(replica, 'trial', () => {
    throw new TypeError('a fault');
  });
  assert.ok(!accepts([first]));
  assert.deepEqual(objections, [`${hex(PROPOSER)} INTERNAL`]);
  assert.deepEqual(proposes([first, second]), [hex(first)], 'one at a time');
  trial.mock.restore();
  assert.deepEqual(proposes([first, second]), [first, second].map(hex));
});

test('a proposer keeps to the bounds, takes the oldest first, and leaves out what is no transaction', () => {
  const { proposes, block } = opened();
  block([tx(registration)]);
  const many = declared(0, 200);
  const taken = proposes([Uint8Array.of(7), ...many]);
  assert.equal(taken.length, 128);
  assert.deepEqual(taken, many.slice(0, 128).map(hex));
  const [first, second, third] = many as [Uint8Array, Uint8Array, Uint8Array];
  const room = BigInt(first.length + second.length + third.length);
  assert.deepEqual(proposes(many, room), [first, second].map(hex));
});

test('a proposer leaves out what its block would refuse or has already, and others take its place', () => {
  const { proposes, block, accepts, checked, refused } = opened();
  block([tx(registration)]);
  const others = registeredAuthor(network, 'second');
  block([tx(others.group)]);
  const ghost = registeredAuthor(network, 'ghost').author;
  const [counted, ...after] = declared(0, 4).toReversed() as [Uint8Array, ...Uint8Array[]];
  const junk = declared(0, 300, ghost);
  const good = declared(0, 100, others.author);
  // What waits was fit once: the newest counter is ordered by then, and those before it never can be.
  const taken = proposes([tx(registration), counted, ...after, ...junk, ...good]);
  assert.deepEqual(taken, [counted, ...good].map(hex));
  assert.ok(accepts(taken.map((each) => Uint8Array.fromHex(each))));
  // Asked again after the block, the engine is told to forget them; all else is not looked at.
  block([counted]);
  const again = (bytes: Uint8Array): number => checked(bytes, CheckTxType.RECHECK);
  assert.deepEqual(after.map(again), [1, 1, 1]);
  assert.equal(again(tx(registration)), 2);
  assert.deepEqual(
    refused,
    after.map(() => 'STATEMENT_COUNTER'),
  );
  assert.equal(again(junk[0] as Uint8Array), 1);
  const unseen = declared(400, 1, ghost)[0] as Uint8Array;
  assert.equal(again(unseen), 0);
  assert.equal(checked(unseen), 1);
});

test('what is too early for the block, but not by the clock, waits', () => {
  const { block, checked, proposes } = opened();
  block([batch(1n)]);
  const next = batch(2n);
  assert.equal(checked(next), 0);
  assert.deepEqual(proposes([next]), []);
  assert.equal(checked(next, CheckTxType.RECHECK), 0);
  assert.deepEqual(proposes([next], undefined, TIME + BigInt(BATCH_INTERVAL)), [hex(next)]);
});

/** Another release key for an author, and the word that the one before it is stolen. */
function revoked(other: FixtureAuthor, turn: number): Uint8Array {
  const keyOf = (at: number): PublicKey =>
    at === 0 ? other.key.publicKey : fixtureKey(`${other.name} ${at}`).publicKey;
  const [old, next] = [keyOf(turn), keyOf(turn + 1)];
  const changes = [
    rotation(other.author, [old, next]),
    revocation(other.author, thumbprint(old), 2),
  ];
  return tx(
    changes.map((change, i) =>
      transactionOf(recoveryStatement(other, BigInt(2 * turn + i + 2), change)),
    ),
  );
}

test('revocations go before all else (T11)', () => {
  const { proposes, block } = opened();
  block([tx(registration)]);
  const revocations = ['one', 'two', 'three'].map((name) => {
    const { author: other, group } = registeredAuthor(network, name);
    block([tx(group)]);
    return revoked(other, 0);
  });
  const others = declared(0, 140);
  const taken = proposes([...others, ...revocations]);
  assert.deepEqual(taken.slice(0, 3), revocations.map(hex));
  // Each of them has two statements.
  assert.deepEqual(taken.slice(3), others.slice(0, 128 - 6).map(hex));
});

test('who used up its share of what goes first waits like all others (T11)', () => {
  const { group, author: other } = registeredAuthor(network, 'revokes');
  const turns = Array.from({ length: URGENT_A_SIGNER + 1 }, (_, i) => revoked(other, i));
  const last = turns.pop() as Uint8Array;
  const { block, proposes } = opened([last]);
  block([tx(registration), tx(group)]);
  const others = declared(0, 3);
  for (const each of turns) block([each]);
  assert.deepEqual(proposes([...others, last]), [...others, last].map(hex));
  assert.deepEqual(proposes(others), others.map(hex), 'not in the mempool yet');
  const later = TIME + BigInt(network.root.policy.maxHold) + 1n;
  assert.equal(proposes(others, undefined, later)[0], hex(last));
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
      [hex(p2p.publicKey.bytes), 10n],
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
