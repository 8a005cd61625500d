// What CometBFT itself decided, given to a local orderer at the same boundaries and times.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { engineRpc, type EngineRpc } from '../../src/ledger/cometbft/rpc.ts';
import { decodeGroup } from '../../src/registry/group.ts';
import { parseStatement, type Transaction } from '../../src/registry/statement.ts';
import { cometNetwork, requireComet, type CometNode } from '../../src/testing/cometbft.ts';
import { seedOf } from '../../src/testing/seeded.ts';
import { oneOrders, unhashed } from './both-engines.ts';
import { blocks } from './move.ts';
import { World } from './world.ts';

interface DecidedBlock {
  readonly groups: readonly (readonly Transaction[])[];
  /** POSIX seconds, rounded down. */
  readonly time: number;
  readonly accepted: readonly boolean[];
}

async function decidedBlock(rpc: EngineRpc, height: string): Promise<DecidedBlock> {
  const { block } = (await rpc.call('block', { height })) as {
    readonly block: {
      readonly header: { readonly time: string };
      readonly data: { readonly txs: readonly string[] | null };
    };
  };
  const { txs_results: results } = (await rpc.call('block_results', { height })) as {
    readonly txs_results: readonly { readonly code: number }[] | null;
  };
  return {
    groups: (block.data.txs ?? []).map((tx) =>
      decodeGroup(Uint8Array.fromBase64(tx)).map(({ statement, attachment }) => ({
        statement: parseStatement(statement),
        attachment,
      })),
    ),
    time: Math.floor(Date.parse(block.header.time) / 1000),
    accepted: (results ?? []).map(({ code }) => code === 0),
  };
}

test('a local orderer makes the same ledger of the blocks that CometBFT decided', async (t) => {
  const binary = await requireComet(t);
  if (binary === undefined) return;
  const seed = seedOf((line) => t.diagnostic(line));
  await using comet = await cometNetwork({ binary, validators: 1 });
  await comet.start();
  const [node] = comet.nodes as [CometNode];
  const { ledger, replica } = node;
  const world = new World(comet.network, () => replica.view());
  for (const group of world.prologue()) await ledger.submit(group);
  const moves = fc.sample(blocks(8, 40), { seed, numRuns: 3 }).flat();
  for (const { groups } of moves) {
    // All at once: what contradicts something else comes past CheckTx, and is refused in its block.
    await Promise.allSettled(world.groups(groups).map((group) => ledger.submit(group)));
    world.settle();
  }

  const config = readFileSync(join(node.home, 'config', 'config.toml'), 'utf8');
  using rpc = engineRpc(/laddr = "unix:\/\/(.*)"/.exec(config)?.[1] ?? '');
  const local = oneOrders(comet.network).replica;
  const key = comet.network.orderer.statement;
  let refused = 0;
  for (let height = 1; local.head().height < replica.head().height; height++) {
    const { groups, time, accepted } = await decidedBlock(rpc, String(height));
    const { outcomes } = local.propose(groups, time, key);
    assert.deepEqual(
      outcomes.map((outcome) => 'placements' in outcome),
      accepted,
    );
    refused += accepted.filter((yes) => !yes).length;
    const { height: at } = local.head();
    assert.deepEqual(unhashed(local.head()), unhashed(replica.headAt(at)));
  }
  const { height, size } = local.head();
  for (let index = 0; index < size; index++)
    assert.deepEqual(local.entry(index), replica.entry(index));
  t.diagnostic(`${size} entries in ${height} blocks; ${refused} groups refused in their blocks`);
  assert.ok(height > 5);
});
