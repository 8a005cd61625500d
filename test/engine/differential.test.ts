import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { fixtureNetwork } from '../../src/testing/fixture.ts';
import { seedOf } from '../../src/testing/seeded.ts';
import { BothEngines } from './both-engines.ts';
import { blocks, type BlockMove } from './move.ts';
import { World } from './world.ts';

const RUNS = 40;
const network = fixtureNetwork({ engine: 'cometbft' });

/** Codes that random moves come to in every run of this size, or something is wrong with the moves. */
const EXPECTED = [
  'ok',
  'AUTHOR_UNKNOWN',
  'COSE_SIGNATURE_INVALID',
  'STATEMENT_COUNTER',
  'STATEMENT_NETWORK',
  'LINE_FOREIGN',
  'HOLD_INVALID',
  'RELEASE_SEQUENCE',
  'ATTACHMENT_MISMATCH',
];

/** Returns how many statements there were. */
function play(engines: BothEngines, moves: readonly BlockMove[]): number {
  const world = new World(network, () => engines.replica.view());
  let statements = 0;
  let time = network.genesis.time;
  const run = (groups: ReturnType<World['groups']>, detour: boolean): void => {
    statements += groups.reduce((sum, group) => sum + group.length, 0);
    engines.block(groups, time, detour);
    world.settle();
  };
  run(world.prologue(), false);
  for (const [at, { groups, step }] of moves.entries()) {
    time += step;
    run(world.groups(groups), at % 3 === 0);
  }
  return statements;
}

test('both engines make the same ledger of the same blocks, whatever is in them', (t) => {
  const codes = new Map<string, number>();
  let statements = 0;
  fc.assert(
    fc.property(blocks(24, 10), (moves) => {
      const engines = new BothEngines(network);
      statements += play(engines, moves);
      engines.compareAll();
      engines.repeat();
      for (const [code, count] of engines.codes) codes.set(code, (codes.get(code) ?? 0) + count);
    }),
    { seed: seedOf((line) => t.diagnostic(line)), numRuns: RUNS },
  );
  t.diagnostic(`${statements} statements; ${JSON.stringify(Object.fromEntries(codes))}`);
  assert.deepEqual(
    EXPECTED.filter((code) => !codes.has(code)),
    [],
  );
});
