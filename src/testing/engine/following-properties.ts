/** What whoever follows may rely on. */
import assert from 'node:assert/strict';
import type { Replica } from '../../ledger/replica.ts';
import { leafHash, verifyConsistency, verifyInclusion } from '../../log/merkle.ts';
import { openedReplica } from '../ledger-fixture.ts';
import type { Engine, EngineNode } from './engine.ts';
import { agreed, declarations, enrolled, until, type Property } from './property.ts';

/** Takes blocks from the node until the replica has this height. */
async function followedTo(replica: Replica, node: EngineNode, height: number): Promise<void> {
  while (replica.head().height < height) {
    const from = replica.head().height + 1;
    const blocks = await until(
      `block ${from} of ${node.name}`,
      () => node.blocks(from, 500),
      (served) => served.length > 0,
    );
    for (const bytes of blocks) if (replica.head().height < height) replica.append(bytes);
  }
}

/** A replica in memory that followed this node from genesis to here. */
export async function follower(engine: Engine, node: EngineNode, height: number): Promise<Replica> {
  const { replica } = openedReplica(engine.network);
  await followedTo(replica, node, height);
  return replica;
}

export const FOLLOWING: readonly Property[] = [
  {
    name: 'from genesis on, any node’s blocks lead to every head, entry and root that all nodes have',
    async run(engine) {
      const head = await agreed(engine);
      for (const node of engine.nodes) {
        const replica = await follower(engine, node, head.height);
        for (let height = 0; height <= head.height; height++)
          assert.deepEqual(replica.headAt(height), await node.headAt(height), node.name);
        for (let index = 0; index < head.size; index += 7) {
          const path = replica.inclusionPath(index, head.size);
          const entry = await node.entry(index);
          verifyInclusion({
            leafHash: leafHash(entry),
            index,
            size: head.size,
            path,
            root: head.root,
          });
        }
      }
    },
  },
  {
    name: 'a follower goes on from any height, at any node',
    async run(engine, random) {
      const { height: top } = await agreed(engine);
      const { replica } = openedReplica(engine.network);
      while (replica.head().height < top) {
        const node = engine.nodes[Math.floor(random() * engine.nodes.length)] as EngineNode;
        const to = replica.head().height + 1 + Math.floor((random() * top) / 3);
        await followedTo(replica, node, Math.min(to, top));
      }
      assert.deepEqual(replica.head(), await (engine.nodes[0] as EngineNode).headAt(top));
    },
  },
  {
    name: 'a block says the same wherever and however often it is asked for',
    async run(engine) {
      const { height } = await agreed(engine);
      const { replica } = openedReplica(engine.network);
      for (let at = 1; at <= height; at++) {
        const served = await Promise.all(engine.nodes.map((node) => node.blocks(at)));
        for (const [block] of served) {
          assert.ok(block);
          // The second and later ones are there already: other bytes would be a lie or a stranger's.
          replica.append(block);
        }
        assert.equal(replica.head().height, at);
      }
    },
  },
  {
    name: 'a long poll answers with the next block, or with nothing after its time',
    async run(engine) {
      const author = await enrolled(engine);
      const { height } = await agreed(engine);
      for (const node of engine.nodes) assert.deepEqual(await node.blocks(height + 1, 20), []);
      const polled = Promise.all(engine.nodes.map((node) => node.blocks(height + 1, 20_000)));
      await (engine.nodes[0] as EngineNode).submit(declarations(author, 1));
      for (const blocks of await polled) assert.ok(blocks.length > 0);
    },
  },
  {
    name: 'the log only grows, and its times never go back',
    async run(engine) {
      const head = await agreed(engine);
      const replica = await follower(engine, engine.nodes[0] as EngineNode, head.height);
      for (let height = 1; height <= head.height; height++) {
        const before = replica.headAt(height - 1);
        const after = replica.headAt(height);
        assert.ok(after.time >= before.time);
        verifyConsistency({
          size1: before.size,
          size2: after.size,
          root1: before.root,
          root2: after.root,
          path: replica.consistencyPath(before.size, after.size),
        });
      }
    },
  },
];
