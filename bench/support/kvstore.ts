/** What the consortium engine is compared with: the same CometBFT, configured the same, with its built-in kvstore. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { randomBytes } from 'node:crypto';
import { addressOf, prepareHome } from '../../src/ledger/cometbft/home.ts';
import { engineRpc, type EngineRpc } from '../../src/ledger/cometbft/rpc.ts';
import type { EngineMember } from '../../src/registry/orderer.ts';
import { fixtureKey } from '../../src/testing/fixture.ts';
import { freePorts } from '../../src/testing/free-ports.ts';

export interface KvstoreResult {
  /** Committed transactions a second. */
  readonly rate: number;
  /** Milliseconds until seen in a block, sorted. */
  readonly latencies: readonly number[];
}

interface Kvstore extends AsyncDisposable {
  readonly rpc: readonly EngineRpc[];
}

/** Sends transactions of `bytes` bytes for so many seconds, each lane the next once its last is in a block. */
export async function measureKvstore(options: {
  readonly binary: string;
  readonly validators: number;
  readonly bytes: number;
  readonly inFlight: number;
  readonly seconds: number;
}): Promise<KvstoreResult> {
  const { validators, bytes, inFlight, seconds } = options;
  await using chain = await startKvstore(options.binary, validators);
  const [first] = chain.rpc as [EngineRpc];
  const waiting = new Map<string, () => void>();
  const stop = new AbortController();
  const watching = watchBlocks(first, stop.signal, (tx) => {
    waiting.get(tx)?.();
    waiting.delete(tx);
  });
  const latencies: number[] = [];
  const began = performance.now();
  const until = began + seconds * 1000;
  let ended = began;
  await Promise.all(
    Array.from({ length: inFlight }, async (_, lane) => {
      const rpc = chain.rpc[lane % chain.rpc.length] as EngineRpc;
      while (performance.now() < until) {
        const tx = transaction(bytes);
        const { promise, resolve } = Promise.withResolvers<void>();
        waiting.set(tx, resolve);
        const asked = performance.now();
        await rpc.call('broadcast_tx_sync', { tx });
        await promise;
        ended = performance.now();
        latencies.push(ended - asked);
      }
    }),
  );
  stop.abort();
  await watching;
  return {
    rate: (latencies.length * 1000) / (ended - began),
    latencies: latencies.toSorted((a, b) => a - b),
  };
}

/** A kvstore transaction is KEY=VALUE; in base64, as RPC takes it. */
function transaction(bytes: number): string {
  const text = randomBytes(Math.ceil(bytes / 2)).toString('hex');
  return Buffer.from(`${text.slice(0, 32)}=${text.slice(32, bytes - 1)}`).toString('base64');
}

async function watchBlocks(
  rpc: EngineRpc,
  signal: AbortSignal,
  onTransaction: (tx: string) => void,
): Promise<void> {
  for (let height = 1; !signal.aborted;) {
    const status = (await rpc.call('status')) as {
      readonly sync_info: { readonly latest_block_height: string };
    };
    const latest = Number(status.sync_info.latest_block_height);
    for (; height <= latest; height++) {
      const { block } = (await rpc.call('block', { height: String(height) })) as {
        readonly block: { readonly data: { readonly txs: readonly string[] | null } };
      };
      for (const tx of block.data.txs ?? []) onTransaction(tx);
    }
    await sleep(10);
  }
}

async function startKvstore(binary: string, validators: number): Promise<Kvstore> {
  await using cleanup = new AsyncDisposableStack();
  const folder = await mkdtemp(join(tmpdir(), 'firmament-kvstore-'));
  cleanup.defer(() => rm(folder, { recursive: true, force: true }));
  const ports = await freePorts(validators);
  const members = ports.map((port, i): EngineMember => {
    const p2p = fixtureKey(`kvstore p2p ${i}`).publicKey;
    return {
      operator: `o${i}`,
      node: 'n1',
      key: fixtureKey(`kvstore ${i}`).publicKey,
      peer: addressOf(p2p),
      address: `127.0.0.1:${port}`,
      validator: true,
    };
  });
  const start = {
    chain: 1,
    chainId: 'kvstore',
    height: 0,
    time: Math.floor(Date.now() / 1000) - 10,
    appHash: new Uint8Array(),
    validators: members.map(({ key }) => ({ key, power: 10n })),
  };
  const rpc = await Promise.all(
    members.map(async (member, i) => {
      const home = join(folder, String(i));
      const socket = join(folder, `${i}.sock`);
      await prepareHome({
        home,
        start,
        members,
        member,
        consensusKey: fixtureKey(`kvstore ${i}`),
        nodeKey: fixtureKey(`kvstore p2p ${i}`),
        abci: 'none',
        rpc: socket,
        emptyEvery: 900,
        hasVoted: () => false,
      });
      // The one difference: an application inside of the engine's process, which is not asked who may connect.
      const file = join(home, 'config', 'config.toml');
      const config = readFileSync(file, 'utf8')
        .replace('"unix://none"', '"kvstore"')
        .replace('filter_peers = true', 'filter_peers = false');
      writeFileSync(file, config);
      const child = spawn(binary, ['start', '--home', home], { stdio: 'ignore' });
      cleanup.defer(async () => {
        const gone = once(child, 'exit');
        child.kill('SIGKILL');
        if (child.exitCode === null && child.signalCode === null) await gone;
      });
      return engineRpc(socket);
    }),
  );
  for (const each of rpc) await untilReady(each);
  const owned = cleanup.move();
  return { rpc, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

async function untilReady(rpc: EngineRpc): Promise<void> {
  for (let tries = 0; tries < 300; tries++) {
    const status = (await rpc.call('status').catch(() => undefined)) as
      | { readonly sync_info: { readonly latest_block_height: string } }
      | undefined;
    if (Number(status?.sync_info.latest_block_height ?? 0) >= 1) return;
    await sleep(100);
  }
  throw new Error('the kvstore chain does not begin');
}
