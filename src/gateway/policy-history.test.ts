import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { hex } from '../bytes.ts';
import { createGenesis } from '../registry/genesis.ts';
import { advanceRoot } from '../trust/root-chain.ts';
import { fixtureNetwork, FIXTURE_TIME } from '../testing/fixture.ts';
import { changedPolicy } from '../testing/governance.ts';
import { PolicyChanges } from './policy-changes.ts';
import { fetchHistory, hasHistory, type HistorySource } from './policy-history.ts';
import { openState } from './state.ts';

const network = fixtureNetwork();
const { genesis, operators } = network;
const second = changedPolicy(network.root, { maxHold: 1800 }, operators);
const third = changedPolicy(second.root, { maxHold: 900 }, operators);
const statements = [second, third].map(({ statement }) => statement.bytes);
const id = hex(genesis.networkId);

function source(changes: Partial<HistorySource> = {}): HistorySource {
  return {
    name: 'a/n1',
    genesis: async () => genesis.bytes,
    // One at a time: a long history comes in many answers.
    policies: async (from) => statements.slice(from - 2, from - 1),
    ...changes,
  };
}

suite('T08: the policy changes before the root that the owner gave', () => {
  test('are kept from the first on, and lead a device to that root', async () => {
    using database = disposable();
    const changes = new PolicyChanges(database.database);
    assert.equal(hasHistory(changes, third.root), false);
    assert.equal(hasHistory(changes, network.root), true);
    await fetchHistory(changes, third.root, source());
    assert.equal(hasHistory(changes, third.root), true);
    assert.deepEqual(advanceRoot(network.root, changes.from(id, 2)).hash, third.root.hash);
    assert.deepEqual(changes.from(id, 3), statements.slice(1));
  });

  test('are no others than those that lead from the genesis to it', async () => {
    const other = changedPolicy(second.root, { maxHold: 7 }, operators).statement.bytes;
    const few = changedPolicy(second.root, { maxHold: 900 }, operators.slice(0, 1)).statement.bytes;
    const foreign = createGenesis(FIXTURE_TIME + 1, genesis.policy).bytes;
    const INVALID = { code: 'TRUST_POLICY_CHAIN_INVALID' };
    for (const [lies, refusal] of [
      [{ policies: async (from: number) => [statements[0], other].slice(from - 2) }, INVALID],
      [{ policies: async (from: number) => [statements[0], few].slice(from - 2) }, INVALID],
      [{ policies: async () => [] }, INVALID],
      [{ policies: async (from: number) => statements.slice(0, 1).slice(from - 2) }, INVALID],
      [{ genesis: async () => foreign }, INVALID],
      [{ genesis: async () => Uint8Array.of(1) }, { code: 'POLICY_MALFORMED' }],
    ] as const) {
      using database = disposable();
      const changes = new PolicyChanges(database.database);
      const lying = source(lies as Partial<HistorySource>);
      await assert.rejects(fetchHistory(changes, third.root, lying), refusal);
      assert.deepEqual(changes.from(id, 2), []);
    }
  });
});

function disposable(): Disposable & { readonly database: ReturnType<typeof openState> } {
  const database = openState(':memory:');
  return { database, [Symbol.dispose]: () => database.close() };
}
