/** The consortium engine for the shared properties: four members with CometBFT itself, and one who follows them. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { codeOf } from '../../errors.ts';
import { MAX_STATEMENTS } from '../../registry/group.ts';
import { freePorts } from '../free-ports.ts';
import type { Engine } from './engine.ts';
import { EngineNodeProcess } from './engine-node.ts';
import { cometNetwork } from './setting.ts';

const MEMBERS = 4;

export async function startCometEngine(binary: string): Promise<Engine> {
  const folder = await mkdtemp(join(tmpdir(), 'firmament-engine-'));
  const time = Math.floor(Date.now() / 1000) - 60;
  const addresses = (await freePorts(MEMBERS)).map((port) => `127.0.0.1:${port}`);
  const network = cometNetwork(time, addresses);
  const peers = {
    blocks: (from: number, waitMs: number) => inTurn((node) => node.blocks(from, waitMs)),
    submit: (group: Parameters<EngineNodeProcess['submitRaw']>[0]) =>
      inTurn((node) => node.submitRaw(group)),
  };
  const process = (name: string, orders: number | undefined): EngineNodeProcess => {
    const home = join(folder, name.replace('/', '-'));
    const comet = { addresses, binary, home };
    return new EngineNodeProcess(name, { time, orders, database: `${home}.db`, comet }, peers);
  };
  const members = network.nodes.map(({ name }, i) => process(name, i));
  const nodes = [...members, process('follower', undefined)];
  let turn = 0;

  /** Asks the members one after the other: what a member refuses is refused, one that is gone is passed over. */
  async function inTurn<T>(ask: (node: EngineNodeProcess) => Promise<T>): Promise<T> {
    for (let tries = 1; ; tries++) {
      try {
        return await ask(members[turn++ % MEMBERS] as EngineNodeProcess);
      } catch (error) {
        const code = codeOf(error);
        if (tries === MEMBERS || (code !== undefined && code !== 'LEDGER_CLOSED')) throw error;
      }
    }
  }

  await Promise.all(nodes.map((node) => node.start()));
  return {
    kind: 'cometbft',
    network,
    nodes,
    spare: 1,
    largestGroup: MAX_STATEMENTS,
    async [Symbol.asyncDispose]() {
      await Promise.all(nodes.map((node) => node.stop()));
      await rm(folder, { recursive: true, force: true });
    },
  };
}
