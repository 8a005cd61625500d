/** How long one of four validators takes to be back that slept through many blocks of the engine. */
import { setTimeout as sleep } from 'node:timers/promises';
import {
  cometBinary,
  cometNetwork,
  until,
  type CometNetwork,
  type CometNode,
} from '../src/testing/cometbft.ts';
import { declaration, registeredAuthor } from '../src/testing/ledger-fixture.ts';
import type { BenchOptions, Row } from './support/row.ts';

/** Of one author: a bit less than the registry allows. */
const AN_AUTHOR = 1000;
const PATIENCE_MS = 1_800_000;

export async function rows({ quick, say }: BenchOptions): Promise<readonly Row[]> {
  const binary = await cometBinary();
  if (binary === undefined) {
    say('no CometBFT: scripts/install-cometbft gets it');
    return [];
  }
  const heights = quick ? 40 : 10_000;
  await using comet = await cometNetwork({
    binary,
    validators: 4,
    // As fast as it goes without the one that sleeps, whose turn comes all the same.
    ledger: { timing: { commit: 1, propose: 40, vote: 40 } },
  });
  await comet.start();
  const [first, sleeper] = [comet.nodes[0], comet.nodes.at(-1)] as [CometNode, CometNode];
  await until(() => sleeper.ledger.engine().ready, 'an engine that is ready', 60_000);
  const asleepAt = sleeper.ledger.engine().height;
  await sleeper.stop();
  say(`three validators make ${heights} blocks while one sleeps`);
  const began = performance.now();
  await pass(comet, asleepAt + heights);
  const made = performance.now() - began;

  say('it wakes');
  const woke = performance.now();
  const { height } = first.replica.head();
  await sleeper.start();
  await until(() => sleeper.replica.certified().height >= height, 'all blocks', PATIENCE_MS);
  const took = performance.now() - woke;
  return [
    {
      name: `a validator is back that slept through ${heights} blocks`,
      value: took / 1000,
      unit: 's',
      note: `${height} of them with statements; the others took ${Math.round(made / 1000)} s to make them`,
    },
  ];
}

/** Statements until the engines of those who are awake stand at this height: there is always one more that waits. */
async function pass({ network, nodes }: CometNetwork, height: number): Promise<void> {
  await Promise.all(
    nodes.slice(0, -1).map(async ({ name, ledger }) => {
      let { author, group } = registeredAuthor(network, `${name} 0`);
      for (let count = 0; ledger.engine().height < height; count++) {
        const at = count % AN_AUTHOR;
        if (at === 0) ({ author, group } = registeredAuthor(network, `${name} ${count}`));
        await ledger.submit(at === 0 ? group : [declaration(author, at)]);
        await sleep(0);
      }
    }),
  );
}
