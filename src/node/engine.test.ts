import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fail } from '../errors.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { consortiumOf, memberName } from '../registry/orderer.ts';
import { fixtureNetwork } from '../testing/fixture.ts';
import { changedPolicy } from '../testing/governance.ts';
import { openedReplica, provenBlock, SILENT, transactionOf } from '../testing/ledger-fixture.ts';
import { Engine, type EngineParts } from './engine.ts';

const network = fixtureNetwork({ engine: 'cometbft', operators: 5 });
const before = consortiumOf(network.genesis.policy.orderer);
const [gone] = before.members;
assert.ok(gone);
const orderer = { ...before, members: before.members.slice(1) };
const change = changedPolicy(network.root, { orderer }, network.operators);

/** A member whose engine gets no block; `shown`: what the others say of later policies. */
async function waited(
  shown: (from: number) => readonly Uint8Array[],
  lookMs: number,
  isOver: (joined: number, followed: number) => boolean,
): Promise<{
  readonly joined: number;
  readonly followed: number;
  readonly kinds: readonly string[];
}> {
  const { replica } = openedReplica(network);
  const others = openedReplica(network).replica;
  provenBlock(others, network, [[transactionOf(change.statement)]]);
  const stop = new AbortController();
  const kinds: string[] = [];
  let joined = 0;
  let followed = 0;
  const idle = (onEnd: () => void): Ledger => ({
    submit: async () => fail('LEDGER_BUSY'),
    blocks: async () => [],
    status: () => fail('LEDGER_BUSY'),
    onHead: () => () => undefined,
    [Symbol.asyncDispose]: async () => onEnd(),
  });
  const parts = {
    self: memberName(gone as NonNullable<typeof gone>),
    replica,
    peers: {
      others: () => [{ name: 'b/n1' }],
      policies: async (_: unknown, from: number) => shown(from),
    },
    appointment: { appointed: () => undefined, onChange: () => () => undefined },
    logger: SILENT,
    times: { forget: () => undefined },
    lookMs,
    consortium: {
      join: async () => {
        joined++;
        return idle(() => kinds.push('left'));
      },
      left: () => undefined,
      health: () => ({ kind: 'cometbft', member: true, validator: true, height: 7 }),
      hear: async () => undefined,
      follow: () => {
        followed++;
        for (const bytes of others.blocks(1, 1 << 20)) replica.append(bytes);
        return idle(() => kinds.push('followed'));
      },
    },
  } as unknown as EngineParts;
  const running = new Engine(parts).run(stop.signal);
  const end = performance.now() + 8_000;
  while (!isOver(joined, followed) && performance.now() < end) await sleep(10);
  stop.abort();
  await running;
  return { joined, followed, kinds };
}

test('a member that was left out while it was away follows the others', async () => {
  const { joined, followed, kinds } = await waited(
    (from) => (from === 2 ? [change.statement.bytes] : []),
    20,
    (_, count) => count >= 1,
  );
  assert.equal(joined, 1);
  assert.ok(followed >= 1);
  assert.equal(kinds[0], 'left');
});

test('a policy that too few operators approved stops no engine', async () => {
  const forged = changedPolicy(network.root, { orderer }, network.operators.slice(0, 1));
  let asked = 0;
  const { followed } = await waited(
    () => {
      asked++;
      return [forged.statement.bytes];
    },
    10,
    () => asked > 5,
  );
  assert.ok(asked > 5);
  assert.equal(followed, 0);
});
