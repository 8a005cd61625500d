/** What holds when processes end at any moment. */
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { codeOf } from '../../errors.ts';
import type { Head } from '../../ledger/close-block.ts';
import { verifyConsistency } from '../../log/merkle.ts';
import type { Transaction } from '../../registry/statement.ts';
import type { FixtureAuthor } from '../fixture.ts';
import { declaration } from '../ledger-fixture.ts';
import type { Engine, EngineNode } from './engine.ts';
import { follower } from './following-properties.ts';
import { agreed, declarations, enrolled, refusedWith, until, type Property } from './property.ts';

const LANES = 6;
/** How often one node is killed, each in its turn, and how often all are at once. */
const KILLS = 6;
const ALL_KILLS = 2;

interface Acknowledged {
  readonly transaction: Transaction;
  readonly index: number;
  readonly height: number;
}

/** Authors that submit without a pause, each one statement after the other, at any node that takes it. */
class Load {
  readonly acknowledged: Acknowledged[] = [];
  readonly #running: readonly Promise<void>[];
  #stopped = false;

  constructor(engine: Engine, authors: readonly FixtureAuthor[]) {
    this.#running = authors.map((author, lane) => this.#lane(engine, author, lane));
  }

  /** Resolves once what was under way is acknowledged or has failed. Rejects when something was refused that may not be. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await Promise.all(this.#running);
  }

  async #lane(engine: Engine, author: FixtureAuthor, lane: number): Promise<void> {
    for (let model = 0, at = lane; !this.#stopped; model++) {
      const transaction = declaration(author, model);
      for (;;) {
        const node = engine.nodes[at % engine.nodes.length] as EngineNode;
        try {
          const [place] = await node.submit([transaction]);
          assert.ok(place);
          this.acknowledged.push({ transaction, index: place.index, height: place.height });
          break;
        } catch (error) {
          // What was not acknowledged, because of a dead process or a busy engine, is submitted again, elsewhere.
          const code = codeOf(error);
          assert.ok(code === undefined || code.startsWith('LEDGER_'), `refused: ${code}`);
          if (this.#stopped) return;
          at++;
          await sleep(20);
        }
      }
    }
  }
}

/** Every acknowledged statement at its place on every node, and the old heads still there. */
async function nothingLost(
  engine: Engine,
  acknowledged: readonly Acknowledged[],
  before: Head,
): Promise<void> {
  const head = await agreed(engine);
  for (const node of engine.nodes) {
    assert.deepEqual(await node.headAt(before.height), before, node.name);
    for (const { transaction, index, height } of acknowledged)
      assert.deepEqual(
        await node.find(transaction.statement.signingDigest),
        { index, height, known: true },
        node.name,
      );
  }
  const replica = await follower(engine, engine.nodes[0] as EngineNode, head.height);
  assert.deepEqual(replica.head(), head);
  verifyConsistency({
    size1: before.size,
    size2: head.size,
    root1: before.root,
    root2: head.root,
    path: replica.consistencyPath(before.size, head.size),
  });
}

/** Waits until each lane was acknowledged once more, or another as often. */
async function goesOn(load: Load): Promise<void> {
  const count = load.acknowledged.length;
  await until(
    'ordering goes on',
    async () => load.acknowledged.length,
    (now) => now >= count + LANES,
  );
}

async function underLoad(engine: Engine, harm: (load: Load) => Promise<void>): Promise<void> {
  const authors = await Promise.all(Array.from({ length: LANES }, () => enrolled(engine)));
  const before = await agreed(engine);
  const load = new Load(engine, authors);
  try {
    await goesOn(load);
    await harm(load);
    await goesOn(load);
  } finally {
    await load.stop();
  }
  await nothingLost(engine, load.acknowledged, before);
}

export const RESTARTING: readonly Property[] = [
  {
    name: 'any node killed at any moment: nothing acknowledged is lost, and it goes on from its disk',
    run: (engine, random) =>
      underLoad(engine, async (load) => {
        for (let kill = 0; kill < KILLS; kill++) {
          const node = engine.nodes[kill % engine.nodes.length] as EngineNode;
          await sleep(random() * 120);
          await node.kill();
          if (engine.spare > 0) await goesOn(load);
          await node.start();
        }
      }),
  },
  {
    name: 'all nodes killed at once, at any moment: nothing acknowledged is lost',
    run: (engine, random) =>
      underLoad(engine, async (load) => {
        for (let kill = 0; kill < ALL_KILLS; kill++) {
          await goesOn(load);
          await sleep(random() * 120);
          await Promise.all(engine.nodes.map((node) => node.kill()));
          await Promise.all(engine.nodes.map((node) => node.start()));
        }
      }),
  },
  {
    name: 'a ledger that was closed takes nothing, and is there again after a start',
    async run(engine) {
      const author = await enrolled(engine);
      const [one] = declarations(author, 1) as [Transaction];
      for (const node of engine.nodes) {
        const head = await agreed(engine);
        await node.close();
        assert.equal(await refusedWith(node.submit([one])), 'LEDGER_CLOSED');
        assert.deepEqual(await node.headAt(head.height), head);
        await node.start();
        assert.deepEqual(await node.headAt(head.height), head);
      }
      const [place] = await (engine.nodes[0] as EngineNode).submit([one]);
      assert.equal(place?.known, false);
    },
  },
];
