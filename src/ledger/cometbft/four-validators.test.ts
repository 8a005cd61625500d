// Four validators with their real CometBFTs, in one process of ours, over loopback.
import assert from 'node:assert/strict';
import { cp, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { hex } from '../../bytes.ts';
import {
  cometBinary,
  cometNetwork,
  requireComet,
  until,
  type CometNetwork,
  type CometNode,
} from '../../testing/cometbft.ts';
import { fixtureKey } from '../../testing/fixture.ts';
import {
  declaration,
  openedReplica,
  registeredAuthor,
  SILENT,
} from '../../testing/ledger-fixture.ts';
import { listenAbci } from './abci-server.ts';
import { Application } from './application.ts';
import { startOfChain } from './chain-start.ts';
import { addressOf, prepareHome } from './home.ts';
import { startEngine } from './process.ts';
import { engineRpc } from './rpc.ts';
import { SnapshotFolder } from './snapshot-folder.ts';
import { Snapshots } from './snapshots.ts';
import { engineSockets } from './sockets.ts';
import { TransactionCache } from './transaction-cache.ts';

const BLOCKS = ['blockstore.db', 'state.db', 'cs.wal', 'evidence.db'];
const COPY = { recursive: true, force: true };

describe('four validators', { concurrency: false }, () => {
  let comet: CometNetwork | undefined;
  let nodes: readonly [CometNode, CometNode, CometNode, CometNode];
  const warned: string[] = [];

  before(async () => {
    const binary = await cometBinary();
    if (binary === undefined) return;
    const logger = { ...SILENT, warn: (message: string) => void warned.push(message) };
    comet = await cometNetwork({ binary, validators: 4, ledger: { logger, backoffMs: 50 } });
    nodes = comet.nodes as unknown as typeof nodes;
    await comet.start();
  });
  after(async () => {
    await comet?.[Symbol.asyncDispose]();
  });

  async function registered(node: CometNode, name: string) {
    const made = registeredAuthor((comet as CometNetwork).network, name);
    await node.ledger.submit(made.group);
    return made.author;
  }

  async function level(among: readonly CometNode[]): Promise<void> {
    const tops = (): readonly number[] => among.map(({ replica }) => replica.certified().height);
    await until(
      () => new Set([...tops(), ...among.map(({ replica }) => replica.head().height)]).size === 1,
      'one height',
    );
    const heads = among.map(({ replica }) => replica.head());
    for (const part of ['root', 'hash'] as const)
      assert.equal(new Set(heads.map((head) => hex(head[part]))).size, 1);
  }

  test('what any of them takes is the same block on all of them', async (t) => {
    if (!(await requireComet(t)) || !comet) return;
    const authors = await Promise.all(nodes.map((node, i) => registered(node, `author ${i}`)));
    await Promise.all(
      authors.flatMap((author, i) =>
        Array.from({ length: 16 }, (_, model) =>
          (nodes[i] as CometNode).ledger.submit([declaration(author, model)]),
        ),
      ),
    );
    await level(nodes);
    // T05: submitted to two of them at once, it stands there once.
    const group = registeredAuthor(comet.network, 'twice').group;
    const [one, other] = await Promise.all([
      nodes[1].ledger.submit(group),
      nodes[2].ledger.submit(group),
    ]);
    assert.equal(one[0]?.index, other[0]?.index);
    await level(nodes);
  });

  test('an engine killed under load comes back, and nothing that was taken is lost', async (t) => {
    if (!(await requireComet(t)) || !comet) return;
    const author = await registered(nodes[0], 'loaded');
    const submitted = Promise.all(
      Array.from({ length: 64 }, (_, i) => nodes[0].ledger.submit([declaration(author, i)])),
    );
    nodes[0].killEngine();
    await submitted;
    await level(nodes);
    assert.equal(nodes[0].ledger.engine().restarts, 1);
  });

  test('a replica without data and an engine without blocks catch up', async (t) => {
    if (!(await requireComet(t)) || !comet) return;
    // An older copy of an engine's blocks, beside what it signed last.
    const data = join(nodes[1].home, 'data');
    await nodes[1].stop();
    for (const name of BLOCKS) await cp(join(data, name), join(data, `${name}.old`), COPY);
    await nodes[1].start();
    await registered(nodes[1], 'before');
    await level(nodes);
    await nodes[1].stop();
    for (const name of BLOCKS) {
      await rm(join(data, name), COPY);
      await rename(join(data, `${name}.old`), join(data, name));
    }
    await nodes[1].start();
    await registered(nodes[1], 'between');
    await level(nodes);
    await Promise.all([nodes[2].stop(), nodes[3].stop()]);
    for (const suffix of ['', '-wal', '-shm'])
      await rm(nodes[2].databasePath + suffix, { force: true });
    await nodes[2].start();
    await registered(nodes[0], 'meanwhile');
    await level(nodes.slice(0, 3));
    // What was signed last stays: the engine gets its blocks from its peers, and the replica has them already.
    for (const name of BLOCKS) await rm(join(nodes[3].home, 'data', name), COPY);
    await nodes[3].start();
    await registered(nodes[1], 'afterwards');
    await level(nodes);
  });

  test('without two of four nothing is ordered, and with them what was taken is', async (t) => {
    if (!(await requireComet(t)) || !comet) return;
    const author = await registered(nodes[0], 'patient');
    await Promise.all([nodes[2].stop(), nodes[3].stop()]);
    await nodes[0].stop();
    await nodes[0].start({ orderWaitMs: 400 });
    const { height } = nodes[0].replica.head();
    const group = [declaration(author, 0)];
    await assert.rejects(nodes[0].ledger.submit(group), { code: 'LEDGER_UNORDERED' });
    assert.ok(nodes[0].replica.head().height <= height + 1);
    // The one that took it forgets nothing, whatever happens to it.
    await nodes[0].stop();
    await Promise.all([nodes[0].start(), nodes[2].start(), nodes[3].start()]);
    const digest = (group[0] as (typeof group)[0]).statement.signingDigest;
    await until(() => nodes.every(({ replica }) => replica.find(digest)), 'the kept group');
    await level(nodes);
  });

  test('nobody but a member is a peer', async (t) => {
    const binary = await requireComet(t);
    if (!binary || !comet) return;
    const { replica } = openedReplica(comet.network);
    const home = join(comet.folder, 'stranger');
    const nodeKey = fixtureKey('stranger p2p');
    await using sockets = await engineSockets(home);
    const { members } = comet;
    await prepareHome({
      ...sockets,
      home,
      start: startOfChain(replica),
      members,
      member: { ...nodes[0].member, peer: addressOf(nodeKey.publicKey) },
      consensusKey: fixtureKey('stranger consensus'),
      nodeKey,
      listen: '127.0.0.1:0',
      emptyEvery: 5,
      hasVoted: () => false,
    });
    const snapshots = new Snapshots({
      replica,
      genesis: comet.network.genesis,
      chain: 1,
      folder: new SnapshotFolder({
        path: join(home, 'snapshots'),
        chain: 1,
        replica,
        logger: SILENT,
        every: 1000,
      }),
      restored: join(home, 'restored.db'),
      logger: SILENT,
    });
    const application = new Application({
      replica,
      start: startOfChain(replica),
      cache: new TransactionCache(),
      snapshots,
      clock: () => 0,
      logger: SILENT,
      onCommit() {},
      urgent: () => [],
      onRefused() {},
      onProposalRefused() {},
    });
    const server = await listenAbci({
      path: sockets.abci,
      answer: (call) => application.answer(call),
      logger: SILENT,
      onDown() {},
    });
    const engine = startEngine({
      binary,
      home,
      logger: SILENT,
      onConsensusFailure() {},
      onExit() {},
    });
    try {
      const refused = 'a peer that is no member was refused';
      await until(() => warned.includes(refused), 'a refusal');
      await sleep(500);
      using rpc = engineRpc(sockets.rpc);
      const { n_peers: peers } = (await rpc.call('net_info')) as { n_peers: string };
      assert.equal(peers, '0');
      assert.equal(application.position(), 0);
    } finally {
      await engine.stop();
      await server[Symbol.asyncDispose]();
    }
  });
});
