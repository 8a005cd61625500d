// One validator and its real CometBFT: every way in which engine, application and files can part.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { rename, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { hex } from '../../bytes.ts';
import { codeOf, fail } from '../../errors.ts';
import { appHashOf, decodeCertificate, heightOf } from '../../light/certificate.ts';
import { verifyCommit } from '../../light/verify.ts';
import { chainIdOf, consortiumOf, validatorsOf } from '../../registry/orderer.ts';
import {
  cometBinary,
  cometNetwork,
  requireComet,
  until,
  type CometNetwork,
  type CometNode,
} from '../../testing/cometbft.ts';
import {
  declaration,
  openedReplica,
  registeredAuthor,
  SILENT,
} from '../../testing/ledger-fixture.ts';
import { appHashOfHead } from '../proven-ledger.ts';
import { startEngine } from './process.ts';

describe('one validator', { concurrency: false }, () => {
  let comet: CometNetwork | undefined;
  let node: CometNode;
  let model = 0;

  before(async () => {
    const binary = await cometBinary();
    if (binary === undefined) return;
    comet = await cometNetwork({ binary, validators: 1, ledger: { backoffMs: 20 } });
    [node] = comet.nodes as [CometNode];
    await comet.start();
  });
  after(async () => {
    await comet?.[Symbol.asyncDispose]();
  });

  const author = (name: string) => registeredAuthor((comet as CometNetwork).network, name);

  async function registered(name: string) {
    const made = author(name);
    await node.ledger.submit(made.group);
    return made.author;
  }

  test('orders, refuses with the codes of the rules, and answers what it has with its first place', async (t) => {
    if (!(await requireComet(t)) || !comet) return;
    const { author: acme, group } = author('acme');
    const [placement] = await node.ledger.submit(group);
    assert.deepEqual({ ...placement }, { index: 1, height: 1, known: false });
    assert.deepEqual(await node.ledger.submit(group), [{ index: 1, height: 1, known: true }]);
    const pair = [declaration(acme, model++), declaration(acme, model++)];
    const [first, second] = await node.ledger.submit(pair);
    assert.deepEqual([first?.height, second?.height], [2, 2]);
    assert.deepEqual(
      [first, second].map((place) => place?.index),
      [3, 4],
    );
    const ghost = declaration(author('ghost').author, 0);
    await assert.rejects(node.ledger.submit([ghost]), { code: 'AUTHOR_UNKNOWN' });
    await assert.rejects(node.ledger.submit([declaration(acme, model++), ghost]), {
      code: 'AUTHOR_UNKNOWN',
    });
    assert.equal(node.replica.head().height, 2);
    // T05: two who submit the same get the same answer.
    const twice = [declaration(acme, model++)];
    const [one, other] = await Promise.all([node.ledger.submit(twice), node.ledger.submit(twice)]);
    assert.equal(one[0]?.index, other[0]?.index);
  });

  test('each block has its certificate, and the newest header is given over empty blocks too', async (t) => {
    if (!(await requireComet(t)) || !comet) return;
    await until(
      () => node.replica.certified().height === node.replica.head().height,
      'certificates',
    );
    const { genesis } = comet.network;
    const chain = chainIdOf(genesis.networkId, 1);
    const validators = validatorsOf(consortiumOf(genesis.policy.orderer));
    const certificate = node.replica.certificate(1);
    assert.ok(certificate);
    verifyCommit(decodeCertificate(certificate), validators, chain);
    await until(() => {
      const newest = node.ledger.newestCertificate();
      return (
        newest !== undefined && heightOf(decodeCertificate(newest)) >= node.ledger.engine().height
      );
    }, 'the newest certificate');
    const newest = decodeCertificate(node.ledger.newestCertificate() as Uint8Array);
    verifyCommit(newest, validators, chain);
    assert.equal(hex(appHashOf(newest)), hex(appHashOfHead(node.replica.head())));
    const now = Date.now() / 1000;
    assert.ok(Math.abs((node.ledger.lastCommitAt() ?? 0) - now) < 10);
    const follower = openedReplica(comet.network).replica;
    for (const bytes of await node.ledger.blocks(1, 0)) follower.append(bytes);
    assert.deepEqual(follower.head().root, node.replica.head().root);
  });

  test('64 in flight, one author: all ordered, in the order given', async (t) => {
    if (!(await requireComet(t)) || !comet) return;
    const many = await registered('many');
    const placements = await Promise.all(
      Array.from({ length: 64 }, (_, i) => node.ledger.submit([declaration(many, i)])),
    );
    const indexes = placements.map(([place]) => place?.index ?? 0);
    assert.deepEqual(
      indexes,
      indexes.toSorted((a, b) => a - b),
    );
    assert.equal(node.ledger.status().queued, 0);
  });

  test('SIGKILL of the engine under load loses nothing', async (t) => {
    if (!(await requireComet(t)) || !comet) return;
    const loaded = await registered('loaded');
    const before = node.ledger.engine().restarts;
    const submitted = Promise.all(
      Array.from({ length: 64 }, (_, i) => node.ledger.submit([declaration(loaded, i)])),
    );
    node.killEngine();
    assert.equal((await submitted).length, 64);
    assert.equal(node.ledger.engine().restarts, before + 1);
    assert.equal(node.ledger.fault(), undefined);
  });

  test('an engine that dies between a decision and its commit is given the same answer again', async (t) => {
    if (!(await requireComet(t)) || !comet) return;
    const torn = await registered('torn');
    const { replica } = node;
    const decide = replica.decide.bind(replica);
    let decided = 0;
    replica.decide = (groups, time) => {
      if (groups.length > 0 && decided++ === 0) node.killEngine();
      return decide(groups, time);
    };
    const height = replica.head().height;
    const [placement] = await node.ledger.submit([declaration(torn, 0)]);
    assert.ok(decided >= 2);
    assert.equal(placement?.height, height + 1);
    replica.decide = decide;
  });

  test('an exception in the application starts the pair anew, and nothing is lost', async (t) => {
    if (!(await requireComet(t)) || !comet) return;
    const failing = await registered('failing');
    const { replica } = node;
    const decide = replica.decide.bind(replica);
    const { restarts } = node.ledger.engine();
    let failures = 0;
    replica.decide = (groups, time) => {
      if (groups.length > 0 && failures++ === 0) throw new Error('a fault of this node');
      return decide(groups, time);
    };
    await node.ledger.submit([declaration(failing, 0)]);
    replica.decide = decide;
    assert.ok(node.ledger.engine().restarts > restarts);
    assert.equal(node.ledger.fault(), undefined);
  });

  test('an engine that can not begin says why in the log, and begins once it can', async (t) => {
    if (!(await requireComet(t)) || !comet) return;
    await node.stop();
    const lines: string[] = [];
    const error = (message: string, fields?: object): void => {
      lines.push(`${message} ${JSON.stringify(fields)}`);
    };
    const port = Number(node.member.address.split(':')[1]);
    const other = createServer().listen(port, '127.0.0.1');
    await once(other, 'listening');
    try {
      await node.start({ logger: { ...SILENT, error } });
      await until(() => lines.length > 0, 'a line of the log');
      assert.match(lines.join('\n'), /start anew.*address already in use/);
    } finally {
      other.close();
    }
    await registered('after the port was free');
  });

  test('without the record of what it signed a validator does not begin', async (t) => {
    if (!(await requireComet(t)) || !comet) return;
    await registered('before the loss');
    await until(
      () => node.replica.certified().height === node.replica.head().height,
      'certificates',
    );
    await node.stop();
    const [state, away] = ['priv_validator_state.json', 'away'].map((name) =>
      join(node.home, 'data', name),
    ) as [string, string];
    await rename(state, away);
    await assert.rejects(node.start(), { code: 'ENGINE_STATE_LOST' });
    await rename(away, state);
    await node.start();
    await registered('with its record');
  });

  test('a caller is told that its group is kept, and it is ordered all the same', async (t) => {
    if (!(await requireComet(t)) || !comet) return;
    const kept = await registered('kept');
    await node.stop();
    await node.start({ orderWaitMs: 1 });
    const group = [declaration(kept, 0)];
    await assert.rejects(node.ledger.submit(group), { code: 'LEDGER_UNORDERED' });
    // Also after a restart, and without anybody who asks.
    await node.stop();
    await node.start();
    const { signingDigest } = (group[0] as (typeof group)[0]).statement;
    await until(() => node.replica.find(signingDigest) !== undefined, 'the kept group');
    await until(() => node.ledger.status().queued === 0, 'nothing waits');
  });

  test('a replica that is wiped is led through all blocks again', async (t) => {
    if (!(await requireComet(t)) || !comet) return;
    const { head } = node.ledger.status();
    await node.stop();
    for (const suffix of ['', '-wal', '-shm'])
      await rm(node.databasePath + suffix, { force: true });
    await node.start();
    await until(() => node.replica.head().height >= head.height, 'the same height');
    assert.equal(hex(node.replica.headAt(head.height).root), hex(head.root));
    await until(
      () => node.replica.certified().height === node.replica.head().height,
      'certificates',
    );
    await registered('afterwards');
  });

  test('certificates that could not be kept are found again, also after a restart', async (t) => {
    if (!(await requireComet(t)) || !comet) return;
    const late = await registered('late');
    let failures = 0;
    node.replica.certify = () => (failures++, fail('DATABASE_IO'));
    for (let i = 0; i < 3; i++) await node.ledger.submit([declaration(late, i)]);
    await until(() => failures > 0, 'an attempt');
    assert.ok(node.replica.uncertified().length >= 3);
    await node.stop();
    await node.start();
    await until(() => node.replica.uncertified().length === 0, 'certificates');
    // And without another block, once the disk is well again.
    const { height } = node.replica.head();
    const again = node.replica.certify.bind(node.replica);
    node.replica.certify = () => fail('DATABASE_IO');
    await node.ledger.submit([declaration(late, 3)]);
    await sleep(400);
    node.replica.certify = again;
    await until(() => node.replica.certified().height === height + 1, 'its certificate');
  });

  test('an engine that an earlier run left behind is ended', async (t) => {
    const binary = await requireComet(t);
    if (!binary || !comet) return;
    await node.stop();
    // Its application is gone: it waits for one.
    const ended = Promise.withResolvers<NodeJS.Signals | null>();
    startEngine({
      binary,
      home: node.home,
      logger: SILENT,
      onConsensusFailure() {},
      onExit: (_, signal) => ended.resolve(signal),
    });
    await node.start();
    assert.equal(await ended.promise, 'SIGKILL');
    await registered('alone');
    assert.equal(node.ledger.engine().restarts, 0);
  });

  test('what does not fit is refused', async (t) => {
    if (!(await requireComet(t)) || !comet) return;
    await node.stop();
    await node.start({ queueStatements: 1, orderWaitMs: 3_000 });
    const { group } = author('first');
    const first = node.ledger.submit(group);
    await assert.rejects(node.ledger.submit(author('second').group), { code: 'LEDGER_BUSY' });
    await first;
    await assert.rejects(node.ledger.rpc('broadcast_tx_sync'), { code: 'ENGINE_RPC' });
    const { ledger } = node;
    await node.stop();
    assert.equal(
      codeOf(await ledger.submit(author('third').group).catch((error: unknown) => error)),
      'LEDGER_CLOSED',
    );
  });
});
