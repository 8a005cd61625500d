/** Orderer and followers killed at random moments while statements are registered: nothing acknowledged is lost. */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  decodeCosignatures,
  PEER_COSIGNATURES,
  type NamedCosignature,
} from '../../src/api/peer.ts';
import { openNetwork } from '../../src/author/network.ts';
import { register, type Receipted } from '../../src/author/registration.ts';
import { declareStatement, registerStatement } from '../../src/author/statements.ts';
import { hex, text } from '../../src/bytes.ts';
import { openDatabase, type Database } from '../../src/database.ts';
import { codeOf } from '../../src/errors.ts';
import { openReplica, type Replica } from '../../src/ledger/replica.ts';
import { createClient } from '../../src/net/client.ts';
import { readNodeConfig, readNodeKeys } from '../../src/node/config.ts';
import { createNetwork, type MadeNetwork } from '../../src/node/setup.ts';
import { nodesOf } from '../../src/registry/policy.ts';
import { createRoot, type Root } from '../../src/registry/root.ts';
import type { Statement } from '../../src/registry/statement.ts';
import { fixtureAuthor, fixtureLine } from '../../src/testing/fixture.ts';
import { testPlan } from '../../src/testing/network-plan.ts';
import { startNodeProcess, type RunningCommand } from '../../src/testing/processes.ts';
import { seeded, seedOf } from '../../src/testing/seeded.ts';

const KILLS = 50;
const AUTHORS = 4;
const NODES = ['a/n1', 'b/n1', 'c/n1'] as const;
const ORDERER = 'c/n1';

class Network implements AsyncDisposable {
  readonly made: MadeNetwork;
  readonly root: Root;
  readonly #running = new Map<string, RunningCommand>();

  constructor(made: MadeNetwork) {
    this.made = made;
    this.root = createRoot(made.genesis.networkId, made.genesis.policy);
  }

  config(name: string): ReturnType<typeof readNodeConfig> {
    return readNodeConfig(this.made.configs.get(name) ?? '');
  }

  async start(name: string): Promise<void> {
    this.#running.set(name, await startNodeProcess(this.made.configs.get(name) ?? ''));
  }

  async kill(name: string): Promise<void> {
    await this.#running.get(name)?.kill();
  }

  /** Until every node says the same size, twice in a row: nothing more is under way. */
  async settled(): Promise<void> {
    const nodes = nodesOf(this.root.policy);
    await using client = createClient({
      pins: (origin) => nodes.find(({ node }) => node.url === origin)?.node.spki,
    });
    let before = '';
    for (let i = 0; i < 240; i++) {
      const sizes = await Promise.all(
        nodes.map(async ({ node }) => {
          const answer = await client
            .request({ url: `${node.url}/healthz`, maxBytes: 65_536 })
            .catch(() => undefined);
          return answer && (JSON.parse(text(answer.body)) as { size: number }).size;
        }),
      );
      const all = [...new Set(sizes)].join(' ');
      if (sizes[0] !== undefined && all === String(sizes[0]) && all === before) return;
      before = all;
      await sleep(250);
    }
    assert.fail(`the nodes stay apart: ${before}`);
  }

  async stop(): Promise<void> {
    await Promise.all([...this.#running.values()].map((process) => process.stop()));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }
}

/** What was acknowledged: its receipt was verified. */
interface Acknowledged {
  readonly statement: Statement;
  readonly index: number;
}

/** One author's stream of statements; each is posted until it is acknowledged. */
async function publish(
  root: Root,
  name: string,
  acknowledged: Acknowledged[],
  over: AbortSignal,
): Promise<void> {
  await using network = openNetwork(root, { pause: 50 });
  const author = fixtureAuthor(root.networkId, { name });
  const recovery = author.recovery.map((key) => key.publicKey);
  let statement = registerStatement(author, 1n, { name, recovery, threshold: 1 });
  for (let model = 0; !over.aborted && model < 1000; model++) {
    let receipted: Receipted | undefined;
    while (!receipted && !over.aborted) {
      try {
        const group = [{ statement: statement.bytes, attachment: null }];
        const { entries } = await register(network, group, { timeoutMs: 20_000, signal: over });
        receipted = entries[0];
      } catch (error) {
        const code = codeOf(error);
        assert.ok(code === 'AUTHOR_TIMEOUT' || code === 'NET_ABORTED', `${code}: ${String(error)}`);
      }
    }
    if (!receipted) return;
    acknowledged.push({ statement, index: receipted.index });
    statement = declareStatement(
      author,
      BigInt(model + 2),
      fixtureLine(author.author, `model ${model}`),
    );
  }
}

/** Every cosignature that any node tells of, as often as it is asked. */
async function watch(
  network: Network,
  seen: Map<string, NamedCosignature>,
  over: AbortSignal,
): Promise<void> {
  const nodes = nodesOf(network.root.policy);
  await using client = createClient({
    credentials: readNodeKeys(network.config('a/n1').keys).tls,
    pins: (origin) => nodes.find(({ node }) => node.url === origin)?.node.spki,
  });
  while (!over.aborted) {
    for (const { node } of nodes) {
      try {
        const { body } = await client.request({
          url: node.url + PEER_COSIGNATURES,
          maxBytes: 1 << 20,
          timeoutMs: 2000,
        });
        for (const row of decodeCosignatures(body))
          seen.set(`${row.name} ${row.size} ${row.time} ${hex(row.root)}`, row);
      } catch (error) {
        if (!codeOf(error)) throw error;
      }
    }
    await sleep(50);
  }
}

function opened(network: Network, name: string): { replica: Replica; database: Database } {
  const database = openDatabase(join(network.config(name).data, 'ledger.db'));
  return { database, replica: openReplica(database, network.made.genesis) };
}

test(`orderer and followers killed ${KILLS} times each`, { timeout: 420_000 }, async (t) => {
  const random = seeded(seedOf((line) => t.diagnostic(line)));
  const folder = await mkdtemp(join(tmpdir(), 'firmament-kill-'));
  await using cleanup = new AsyncDisposableStack();
  cleanup.defer(() => rm(folder, { recursive: true }));
  const made = await createNetwork(
    await testPlan({ operators: 3 }),
    folder,
    Math.floor(Date.now() / 1000),
  );
  const network = cleanup.use(new Network(made));
  await Promise.all(NODES.map((name) => network.start(name)));
  const over = new AbortController();
  const acknowledged: Acknowledged[] = [];
  const seen = new Map<string, NamedCosignature>();
  const running = Promise.all([
    watch(network, seen, over.signal),
    ...Array.from({ length: AUTHORS }, (_, i) =>
      publish(network.root, `author-${i}`, acknowledged, over.signal),
    ),
  ]);
  running.catch(() => over.abort());
  const killing = async (names: readonly string[], most: number): Promise<void> => {
    for (let kill = 0; kill < KILLS && !over.signal.aborted; kill++) {
      const name = names[kill % names.length] as string;
      await sleep(random() * most);
      await network.kill(name);
      await network.start(name);
    }
  };
  const began = performance.now();
  await Promise.all([killing([ORDERER], 900), killing(['a/n1', 'b/n1'], 900)]);
  t.diagnostic(`killed for ${Math.round((performance.now() - began) / 1000)} s`);
  // All are up: what is posted now is acknowledged, so that the network lives.
  const before = acknowledged.length;
  for (let i = 0; i < 400 && acknowledged.length < before + AUTHORS; i++) await sleep(50);
  over.abort();
  await running;
  t.diagnostic(`${acknowledged.length} acknowledged, ${seen.size} cosignatures seen`);
  assert.ok(acknowledged.length >= before + AUTHORS, 'goes on after the last kill');
  assert.ok(before > AUTHORS, `${before} were acknowledged under fire`);
  // Followers have the orderer's last block within a moment, on a busy machine within a longer one.
  await network.settled();
  await network.stop();
  const nodes = NODES.map((name) => opened(network, name));
  try {
    for (const { replica } of nodes) {
      assert.equal(replica.halted(), undefined);
      for (const { statement, index } of acknowledged)
        assert.equal(
          replica.find(statement.signingDigest)?.index,
          index,
          `head ${replica.head().height}`,
        );
    }
    const [first] = nodes;
    assert.ok(first);
    const lowest = Math.min(...nodes.map(({ replica }) => replica.head().height));
    for (const { replica } of nodes)
      assert.deepEqual(replica.headAt(lowest), first.replica.headAt(lowest));
    checkCosignatures([...seen.values()], nodes.at(-1)?.replica ?? first.replica);
  } finally {
    for (const { database } of nodes) database.close();
  }
});

/** T10: never two roots of one size, and never a smaller head after a larger one. */
function checkCosignatures(rows: readonly NamedCosignature[], replica: Replica): void {
  for (const name of NODES) {
    const own = rows
      .filter((row) => row.name === name)
      .toSorted((x, y) => x.time - y.time || x.size - y.size);
    assert.ok(own.length > 0, name);
    for (const [i, row] of own.entries()) {
      assert.ok(row.size >= (own[i - 1]?.size ?? 0), `${name} signed backwards`);
      assert.deepEqual(replica.headOfSize(row.size)?.root, row.root, `${name} at ${row.size}`);
    }
  }
}
