/** T11 and T31 for a node that is no member: what it hears from members, and what it hands on to them. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import type { Commit } from '../../src/api/commit.ts';
import { FirmamentError, type Code } from '../../src/errors.ts';
import type { Replica } from '../../src/ledger/replica.ts';
import { commitOf, provenCommit } from '../../src/node/commits.ts';
import { Consortium } from '../../src/node/consortium.ts';
import { forwardInTurn, fromMembers } from '../../src/node/member-calls.ts';
import { nodesOf, type NamedNode } from '../../src/registry/policy.ts';
import { certificateFor, type CertificateOptions } from '../../src/testing/certificates.ts';
import { fixtureKey, fixtureNetwork } from '../../src/testing/fixture.ts';
import { changedPolicy } from '../../src/testing/governance.ts';
import {
  declaration,
  openedReplica,
  provenBlock,
  registeredAuthor,
  SILENT,
  transactionOf,
} from '../../src/testing/ledger-fixture.ts';

const network = fixtureNetwork({ engine: 'cometbft' });
const { author, group } = registeredAuthor(network, 'acme');
const { replica } = openedReplica(network);
provenBlock(replica, network, [group]);
const members = nodesOf(network.genesis.policy);
const { time } = replica.head();

/** What a member would show that knows as much as this node. */
function commit(options: CertificateOptions = {}, of: Replica = replica): Commit {
  const { height, size, root, epoch } = of.certified();
  const certificate = certificateFor(network, of.certified(), { height: 9, ...options });
  return { certificate, head: { height, size, root, stateRoot: epoch.stateRoot } };
}

suite('T31: a commit that a member shows', () => {
  test('proves the newest head here, by the votes of the validators in force', () => {
    const shown = commit({ time: time + 30 });
    const proven = provenCommit(replica, shown);
    assert.deepEqual(proven, { ...shown, time: time + 30 });
    assert.deepEqual(commitOf(replica, shown.certificate), proven);
  });

  const others = fixtureNetwork({ label: 'other' }).nodes;
  for (const [what, code, options] of [
    ['two of four votes', 'COMMIT_POWER', { voters: network.nodes.slice(0, 2) }],
    ['votes of others', 'COMMIT_SET', { validators: others }],
    ['votes on another chain', 'COMMIT_CHAIN', { chain: 2 }],
  ] as const)
    test(`refused: ${what}`, () => {
      assert.throws(() => provenCommit(replica, commit(options)), { code });
    });

  test('is nothing to this node when it stands for another head', () => {
    const { replica: behind } = openedReplica(network);
    assert.equal(provenCommit(behind, commit()), undefined);
    assert.equal(commitOf(behind, commit().certificate), undefined);
  });

  test('of the voters before a change, who sign one header more, is as good', () => {
    const { replica: changing } = openedReplica(network);
    const { orderer } = network.genesis.policy;
    assert.ok(orderer.engine === 'cometbft');
    const [first, ...rest] = orderer.members;
    assert.ok(first);
    const key = fixtureKey('a new consensus key').publicKey;
    const next = { ...orderer, members: [{ ...first, key }, ...rest] };
    const approvers = network.operators.slice(0, 3);
    const { statement } = changedPolicy(network.root, { orderer: next }, approvers);
    provenBlock(changing, network, [[transactionOf(statement)]]);
    assert.ok(provenCommit(changing, commit({}, changing)));
    const validators = fixtureNetwork({ label: 'other' }).nodes;
    assert.throws(() => provenCommit(changing, commit({ validators }, changing)), {
      code: 'COMMIT_SET',
    });
  });
});

/** A follower whose members answer so. */
async function heardAt(now: number, answers: readonly (Commit | Code)[]): Promise<number> {
  let turn = 0;
  const asked = new AbortController();
  const consortium = new Consortium({
    replica,
    peers: {
      others: () => members,
      blocks: () => Promise.resolve([]),
      order: () => Promise.reject(new FirmamentError('NET_UNREACHABLE')),
      policies: () => Promise.resolve([]),
      engine: () => Promise.reject(new FirmamentError('NET_UNREACHABLE')),
      async commit() {
        const answer = answers[turn++];
        if (turn >= answers.length) setImmediate(() => asked.abort());
        if (answer === undefined || typeof answer === 'string')
          throw new FirmamentError(answer ?? 'NET_UNREACHABLE');
        return answer;
      },
    },
    keys: undefined,
    config: { home: '', binary: null, listen: null },
    programs: {},
    snapshotEvery: 1_000,
    clock: () => now,
    logger: SILENT,
  });
  await consortium.hear(asked.signal);
  return consortium.heardAt();
}

suite('T11: a node that is no member has heard the consortium', () => {
  test('at the time of a header that the validators signed', async () => {
    assert.equal(await heardAt(time + 100, [commit({ time: time + 40 })]), time + 40);
  });

  test('never later than its own clock says', async () => {
    assert.equal(await heardAt(time + 10, [commit({ time: time + 9_000 })]), time + 10);
  });

  test('not by votes of others, nor of another head, nor of nobody', async () => {
    const validators = fixtureNetwork({ label: 'other' }).nodes;
    const { replica: further } = openedReplica(network);
    provenBlock(further, network, [group]);
    provenBlock(further, network, [[declaration(author, 0)]], { height: 3 });
    for (const answer of [
      commit({ time: time + 40, validators }),
      commit({ time: time + 40 }, further),
      'NET_UNREACHABLE' as const,
      'NODE_NO_COMMIT' as const,
    ])
      assert.equal(await heardAt(time + 100, [answer]), 0);
  });

  test('asking another member when one shows nothing of use', async () => {
    const answers = ['NET_TIMEOUT' as const, commit({ time: time + 40 })];
    assert.equal(await heardAt(time + 100, answers), time + 40);
  });

  test('an old commit that is shown again says nothing new', async () => {
    // Both are asked for at once: the first, being good, would be followed by a long pause.
    assert.equal(await heardAt(time + 100, [commit({ time })]), time);
  });
});

/** Members whose answers are these, by the order in which they are listed; who was asked. */
function taking(...answers: readonly (Code | 'taken')[]) {
  const asked: string[] = [];
  const placements = [{ height: 1, index: 0, known: false }];
  const peers = {
    async order({ name }: NamedNode) {
      asked.push(name);
      const answer = answers[members.findIndex((each) => each.name === name)] ?? 'taken';
      if (answer !== 'taken') throw new FirmamentError(answer);
      return placements;
    },
  };
  return { asked, placements, forward: forwardInTurn(peers, () => members, members.length) };
}

suite('T31: what a node that is no member hands on', () => {
  const statements = group;

  test('goes to one member, and stays with it', async () => {
    const { asked, forward, placements } = taking();
    assert.equal(await forward(statements), placements);
    await forward(statements);
    assert.deepEqual(asked, ['a/n1', 'a/n1']);
  });

  test('goes to the next while one can not be asked, has no room, or is none any more', async () => {
    const { asked, forward } = taking('NET_UNREACHABLE', 'LEDGER_BUSY', 'NODE_ROLE');
    await forward(statements);
    await forward(statements);
    assert.deepEqual(asked, ['a/n1', 'b/n1', 'c/n1', 'd/n1', 'd/n1']);
  });

  test('is not refused because one member says so, who may be the faulty one', async () => {
    const { asked, forward, placements } = taking('STATEMENT_COUNTER');
    assert.equal(await forward(statements), placements);
    assert.deepEqual(asked, ['a/n1', 'b/n1']);
  });

  test('is refused when f + 1 operators say so', async () => {
    const { asked, forward } = taking('STATEMENT_COUNTER', 'LINE_FOREIGN');
    await assert.rejects(forward(statements), { code: 'STATEMENT_COUNTER' });
    assert.deepEqual(asked, ['a/n1', 'b/n1']);
  });

  test('or when one does and nobody else can be asked', async () => {
    const gone = 'NET_UNREACHABLE';
    const { forward } = taking(gone, 'LINE_FOREIGN', gone, gone);
    await assert.rejects(forward(statements), { code: 'LINE_FOREIGN' });
  });

  test('is kept by a member that says so; whoever asks again asks another', async () => {
    const { asked, forward } = taking('LEDGER_UNORDERED');
    await assert.rejects(forward(statements), { code: 'LEDGER_UNORDERED' });
    await forward(statements);
    assert.deepEqual(asked, ['a/n1', 'b/n1']);
  });

  test('waits when no member can be asked', async () => {
    const gone = 'NET_UNREACHABLE';
    const { forward } = taking(gone, gone, gone, gone);
    await assert.rejects(forward(statements), { code: 'NODE_ORDERER_UNREACHABLE' });
  });
});

suite('T31: blocks for a node that is no member', () => {
  const block = Uint8Array.of(1);

  /** Members that answer by name, and who was asked for what. */
  function giving(answers: Readonly<Record<string, readonly Uint8Array[] | Code>>) {
    const asked: string[] = [];
    const peers = {
      async blocks({ name }: NamedNode, from: number) {
        asked.push(`${name} ${from}`);
        const answer = answers[name] ?? [block];
        if (typeof answer === 'string') throw new FirmamentError(answer);
        return answer;
      },
    };
    return { asked, source: fromMembers(peers, () => members) };
  }

  test('come from one member while they are taken in', async () => {
    const { asked, source } = giving({});
    for (const from of [1, 2, 3]) assert.deepEqual(await source.blocks(from, 10), [block]);
    assert.deepEqual(asked, ['a/n1 1', 'a/n1 2', 'a/n1 3']);
  });

  test('come from another when one has nothing, or gives what is not taken in', async () => {
    const { asked, source } = giving({ 'a/n1': [] });
    for (let i = 0; i < 3; i++) await source.blocks(7, 10);
    assert.deepEqual(asked, ['a/n1 7', 'b/n1 7', 'c/n1 7']);
  });

  test('come from another at once when one does not answer', async () => {
    const { asked, source } = giving({ 'a/n1': 'NET_TIMEOUT', 'b/n1': 'CBOR_TYPE' });
    await source.blocks(1, 10);
    await source.blocks(2, 10);
    assert.deepEqual(asked, ['a/n1 1', 'b/n1 1', 'c/n1 1', 'c/n1 2']);
  });
});
