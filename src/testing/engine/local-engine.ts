/** The local engine for the shared properties: an orderer and two followers. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MAX_TRANSACTIONS } from '../../registry/block.ts';
import type { Engine } from './engine.ts';
import { EngineNodeProcess } from './engine-node.ts';
import { localNetwork } from './setting.ts';

export async function startLocalEngine(): Promise<Engine> {
  const folder = await mkdtemp(join(tmpdir(), 'firmament-engine-'));
  const time = Math.floor(Date.now() / 1000) - 60;
  const network = localNetwork(time);
  const nodes = network.nodes.map((node, i) => {
    const orders = node === network.orderer ? i : undefined;
    return new EngineNodeProcess(
      node.name,
      { time, orders, database: join(folder, `${i}.db`) },
      {
        blocks: (from, waitMs) => orderer().blocks(from, waitMs),
        submit: (group) => orderer().submitRaw(group),
      },
    );
  });
  const orderer = (): EngineNodeProcess => nodes.at(-1) as EngineNodeProcess;
  await Promise.all(nodes.map((node) => node.start()));
  return {
    kind: 'local',
    network,
    nodes,
    spare: 0,
    largestGroup: MAX_TRANSACTIONS,
    async [Symbol.asyncDispose]() {
      await Promise.all(nodes.map((node) => node.stop()));
      await rm(folder, { recursive: true, force: true });
    },
  };
}
