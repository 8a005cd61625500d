/** A chain of many statements, and how long it takes a follower, a member and a state sync to have all of it. */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { CometLedger } from '../../src/ledger/cometbft/comet-ledger.ts';
import { createFollowingLedger } from '../../src/ledger/follow.ts';
import type { Replica } from '../../src/ledger/replica.ts';
import type { Transaction } from '../../src/registry/statement.ts';
import { cometNetwork, type CometNode } from '../../src/testing/cometbft.ts';
import type { FixtureAuthor, FixtureNetwork } from '../../src/testing/fixture.ts';
import {
  declaration,
  openedReplica,
  registeredAuthor,
  SILENT,
} from '../../src/testing/ledger-fixture.ts';
import { lightSource, stateSyncFrom } from '../../src/testing/light-source.ts';
import type { BenchOptions, Row } from './row.ts';

const IN_FLIGHT = 64;
/** Statements of a group, and of one author: what the registry allows, and a bit less. */
const GROUP = 16;
const AN_AUTHOR = 1000;

export async function measureChain(
  { quick, say }: BenchOptions,
  binary: string,
): Promise<readonly Row[]> {
  const statements = quick ? 1000 : 100_000;
  await using comet = await cometNetwork({
    binary,
    validators: 1,
    others: 1,
    // As fast as it goes: what is measured here is not how the chain came to be.
    ledger: { timing: { commit: 1 }, snapshotEvery: quick ? 3 : 100 },
  });
  await comet.start();
  const [first, second] = comet.nodes as [CometNode, CometNode];
  say(`a chain of ${statements} statements`);
  const began = performance.now();
  await fill(first.ledger, comet.network, statements);
  const made = performance.now() - began;
  const { height, size } = first.replica.head();
  const name = `${size - height - 1} statements in ${height} blocks`;

  say('a follower of blocks');
  const following = await followed(first, comet.network, join(comet.folder, 'follower.db'), height);
  say('a member, by its engine');
  const joining = await joined(second, height, () => second.start());
  say('a member, by state sync');
  await Promise.all(
    [second.home, second.databasePath].map((path) => rm(path, { recursive: true })),
  );
  await using source = await lightSource(first.ledger);
  const stateSync = await stateSyncFrom(first.ledger, [source, source]);
  const syncing = await joined(second, height, () => second.start({ stateSync }));
  const note = `${name}, line.declare in groups of ${GROUP}`;
  return [
    {
      name: 'a follower catches up',
      value: following / 1000,
      unit: 's',
      note: `${note}; each signature and rule again, block by block`,
    },
    {
      name: 'a member catches up from its first block',
      value: joining / 1000,
      unit: 's',
      note: 'the same by CometBFT’s block sync, its start and last certificate included',
    },
    {
      name: 'a member begins by state sync',
      value: syncing / 1000,
      unit: 's',
      note: 'every hash of the snapshot computed again, then the blocks after it; 5 s of it CometBFT waits for offers',
    },
    {
      name: '  one validator ordered them in',
      value: made / 1000,
      unit: 's',
      note: `${Math.round((size * 1000) / made)}/s with signing them and with snapshots, in one process`,
    },
  ];
}

async function fill(ledger: CometLedger, network: FixtureNetwork, count: number): Promise<void> {
  const authors = Array.from({ length: Math.ceil(count / AN_AUTHOR) }, (_, i) =>
    registeredAuthor(network, `author ${i}`),
  );
  for (const { group } of authors) await ledger.submit(group);
  const groups = declarations(
    authors.map(({ author }) => author),
    count - authors.length,
  );
  await Promise.all(
    Array.from({ length: IN_FLIGHT }, async () => {
      for (const group of groups) {
        await ledger.submit(group);
        // Signing is synchronous: the engine gets its turn.
        await sleep(0);
      }
    }),
  );
}

/** Signed as they are asked for. */
function* declarations(
  authors: readonly FixtureAuthor[],
  count: number,
): Generator<readonly Transaction[]> {
  for (let at = 0; at < count; at += GROUP)
    yield Array.from({ length: Math.min(GROUP, count - at) }, (_, i) => {
      const author = authors[Math.floor((at + i) / AN_AUTHOR)] as FixtureAuthor;
      return declaration(author, (at + i) % AN_AUTHOR);
    });
}

/** Milliseconds. */
async function followed(
  source: CometNode,
  network: FixtureNetwork,
  path: string,
  height: number,
): Promise<number> {
  const { database, replica } = openedReplica(network, path);
  const began = performance.now();
  {
    await using _ = createFollowingLedger({
      replica,
      source: source.ledger,
      logger: SILENT,
      forward: (group) => source.ledger.submit(group),
    });
    await reached(() => replica, height);
  }
  const took = performance.now() - began;
  database.close();
  return took;
}

async function joined(
  node: CometNode,
  height: number,
  start: () => Promise<void>,
): Promise<number> {
  const began = performance.now();
  await start();
  await reached(() => node.replica, height);
  const took = performance.now() - began;
  await node.stop();
  return took;
}

async function reached(replica: () => Replica, height: number): Promise<void> {
  const end = performance.now() + 600_000;
  while (replica().certified().height < height) {
    if (performance.now() > end) throw new Error(`not at height ${height} after ten minutes`);
    await sleep(20);
  }
}
