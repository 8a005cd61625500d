/** T15: what a member without blocks believes before it begins with a snapshot. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import type { Commit } from '../../src/api/commit.ts';
import { equal } from '../../src/bytes.ts';
import { FirmamentError } from '../../src/errors.ts';
import { decodeCertificate } from '../../src/light/certificate.ts';
import { headerHash } from '../../src/light/header.ts';
import { engineProxies } from '../../src/node/engine-proxy.ts';
import { joining, type StateSyncParts } from '../../src/node/state-sync.ts';
import { nodesOf, type NamedNode } from '../../src/registry/policy.ts';
import { certificateFor, type CertificateOptions } from '../../src/testing/certificates.ts';
import { fixtureKey, fixtureNetwork } from '../../src/testing/fixture.ts';
import { changedPolicy } from '../../src/testing/governance.ts';
import {
  openedReplica,
  provenBlock,
  registeredAuthor,
  SILENT,
} from '../../src/testing/ledger-fixture.ts';

const network = fixtureNetwork({ engine: 'cometbft' });
const { replica: others } = openedReplica(network);
provenBlock(others, network, [registeredAuthor(network, 'acme').group]);
const members = nodesOf(network.genesis.policy);
const { time, size, root, epoch, height } = others.head();
const { signal } = new AbortController();

function commit(options: CertificateOptions = {}): Commit {
  const certificate = certificateFor(network, others.head(), { height: 9, time, ...options });
  return { certificate, head: { height, size, root, stateRoot: epoch.stateRoot } };
}

const gone = (): Promise<never> => Promise.reject(new FirmamentError('NET_UNREACHABLE'));

/** A member that has nothing, among others that show this; the hash that its light client begins with. */
async function believed(
  shows: (member: NamedNode) => Commit | undefined,
  changes: Partial<StateSyncParts> = {},
  policies: readonly Uint8Array[] = [],
): Promise<Uint8Array | undefined> {
  const { replica } = openedReplica(network);
  await using begin = await joining(
    {
      replica,
      peers: {
        commit: async (member) => shows(member) ?? gone(),
        policies: async (_member, from) => policies.slice(from - 2),
        engine: gone,
      },
      members,
      clock: () => time + 60,
      logger: SILENT,
      every: 1,
      ...changes,
    },
    signal,
  );
  assert.ok(!begin || begin.stateSync.servers.length >= 2);
  return begin?.stateSync.trustHash;
}

const hashOf = ({ certificate }: Commit): Uint8Array =>
  headerHash(decodeCertificate(certificate).header);

suite('T15: a member begins with a snapshot', () => {
  test('upon the newest header that the validators signed', async () => {
    const newer = commit({ height: 12 });
    const found = await believed(({ name }) => (name === 'b/n1' ? newer : commit()));
    assert.deepEqual(found, hashOf(newer));
  });

  test('not upon one that others signed, or too few did, however new it seems', async () => {
    const { nodes: validators } = fixtureNetwork({ label: 'other' });
    const voters = network.nodes.slice(0, 2);
    for (const lie of [
      commit({ height: 99, validators }),
      commit({ height: 99, voters }),
      commit({ height: 99, chain: 2 }),
    ]) {
      const found = await believed(({ name }) => (name === 'b/n1' ? lie : commit()));
      assert.deepEqual(found, hashOf(commit()));
      assert.equal(await believed(() => lie), undefined);
    }
  });

  test('by the validators of the newest policy that operators approved', async () => {
    const { orderer } = network.genesis.policy;
    assert.ok(orderer.engine === 'cometbft');
    const [first, ...rest] = orderer.members;
    assert.ok(first);
    const consensus = fixtureKey('a new consensus key');
    const next = { ...orderer, members: [{ ...first, key: consensus.publicKey }, ...rest] };
    const approvers = network.operators.slice(0, 3);
    const { statement } = changedPolicy(network.root, { orderer: next }, approvers);
    const now = network.nodes.map((node) =>
      equal(node.consensus.publicKey.bytes, first.key.bytes) ? { ...node, consensus } : node,
    );
    const shown = commit({ validators: now });
    assert.equal(await believed(() => shown), undefined);
    assert.deepEqual(await believed(() => shown, {}, [statement.bytes]), hashOf(shown));
    assert.equal(await believed(() => commit(), {}, [statement.bytes]), undefined);
  });

  test('not upon a header of days ago: who signed it may be nobody any more', async () => {
    assert.equal(await believed(() => commit(), { clock: () => time + 90_000 }), undefined);
  });

  test('not when one member alone answers, there is too little for a snapshot, or it has blocks', async () => {
    const alone = ({ name }: NamedNode) => (name === 'b/n1' ? commit() : undefined);
    assert.equal(await believed(alone), undefined);
    assert.equal(await believed(() => commit(), { every: 2 }), undefined);
    assert.equal(await believed(() => commit(), { replica: others }), undefined);
  });
});

test('T15: what a light client asks goes to one member, bounded', async () => {
  const asked: string[] = [];
  const peers = {
    async engine({ name }: NamedNode, call: Uint8Array) {
      asked.push(`${name} ${call.length}`);
      return name === 'b/n1' ? gone() : new TextEncoder().encode('{"result":1}');
    },
  };
  await using proxies = await engineProxies(peers, members.slice(0, 2), SILENT);
  const [a, b] = proxies.urls;
  const ask = async (url: string | undefined, body: string): Promise<readonly unknown[]> => {
    const answer = await fetch(String(url), { method: 'POST', body });
    return [answer.status, await answer.text()];
  };
  assert.deepEqual(await ask(a, '{}'), [200, '{"result":1}']);
  assert.deepEqual(await ask(b, '{}'), [502, '']);
  assert.deepEqual(await ask(a, ' '.repeat(4097)), [413, '']);
  assert.deepEqual(asked, ['a/n1 2', 'b/n1 2']);
});
