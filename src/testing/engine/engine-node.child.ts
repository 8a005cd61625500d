/** One node of a test engine: told what it is by its parent, and gone with it. */
import { createCometLedger } from '../../ledger/cometbft/comet-ledger.ts';
import { createFollowingLedger } from '../../ledger/follow.ts';
import type { Ledger } from '../../ledger/ledger.ts';
import { createLocalLedger } from '../../ledger/local.ts';
import type { Placement } from '../../ledger/committed-ledger.ts';
import type { Replica } from '../../ledger/replica.ts';
import type { RawTransaction } from '../../registry/group.ts';
import { consortiumOf, type EngineMember } from '../../registry/orderer.ts';
import { parseStatement } from '../../registry/statement.ts';
import type { FixtureNode } from '../fixture.ts';
import { openedReplica, SILENT } from '../ledger-fixture.ts';
import { rawGroup } from './engine-node.ts';
import { ProcessLink } from './process-link.ts';
import { networkOf, type CometSetting, type Setting } from './setting.ts';

let opened: { readonly replica: Replica; readonly ledger: Ledger } | undefined;

function running(): { readonly replica: Replica; readonly ledger: Ledger } {
  if (!opened) throw new Error('not started');
  return opened;
}

const link = new ProcessLink(process, {
  start: async (setting: Setting) => void (opened = await start(setting)),
  submit: (group: readonly RawTransaction[]) =>
    running().ledger.submit(
      group.map(({ statement, attachment }) => ({
        statement: parseStatement(statement),
        attachment,
      })),
    ),
  blocks: (from: number, waitMs: number) => running().ledger.blocks(from, waitMs),
  head: () => running().replica.head(),
  headAt: (height: number) => running().replica.headAt(height),
  find: (digest: Uint8Array) => running().replica.find(digest),
  entry: (index: number) => running().replica.entry(index),
  close: () => running().ledger[Symbol.asyncDispose](),
});
process.on('disconnect', () => process.exit());

async function start(setting: Setting): Promise<typeof opened> {
  const network = networkOf(setting);
  const { replica } = openedReplica(network, setting.database);
  if (setting.orders === undefined) return { replica, ledger: following(replica) };
  const node = network.nodes[setting.orders] as FixtureNode;
  const ledger = setting.comet
    ? await member(replica, node, setting.orders, setting.comet)
    : createLocalLedger({ replica, key: node.statement, clock, logger: SILENT });
  return { replica, ledger };
}

function clock(): number {
  return Math.floor(Date.now() / 1000);
}

function member(
  replica: Replica,
  { consensus, p2p }: FixtureNode,
  at: number,
  { home, binary }: CometSetting,
): Promise<Ledger> {
  return createCometLedger({
    replica,
    member: consortiumOf(replica.ordering()).members[at] as EngineMember,
    consensusKey: consensus,
    nodeKey: p2p,
    home,
    binary,
    clock,
    logger: SILENT,
    againMs: 500,
  });
}

function following(replica: Replica): Ledger {
  return createFollowingLedger({
    replica,
    source: {
      blocks: (from, waitMs, signal) => abortable(link.call('blocks', from, waitMs), signal),
    },
    forward: (group) => link.call<readonly Placement[]>('submit', rawGroup(group)),
    logger: SILENT,
    waitMs: 500,
    backoffMs: 50,
  });
}

async function abortable(
  answer: Promise<readonly Uint8Array[]>,
  signal: AbortSignal | undefined,
): Promise<readonly Uint8Array[]> {
  const { promise, reject } = Promise.withResolvers<never>();
  const abort = (): void => reject(new Error('aborted'));
  signal?.addEventListener('abort', abort);
  try {
    return await Promise.race([answer, promise]);
  } finally {
    signal?.removeEventListener('abort', abort);
  }
}
