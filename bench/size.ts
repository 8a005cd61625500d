/** What a long log costs: opening it, and the memory of a node that serves it. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { spawnSync } from 'node:child_process';
import { encodeCosignature, PEER_COSIGNATURES } from '../src/api/peer.ts';
import { latestPath } from '../src/api/retrieval.ts';
import { formatCheckpoint } from '../src/log/checkpoint.ts';
import { signCosignature } from '../src/log/cosignature.ts';
import { createClient } from '../src/net/client.ts';
import { readNodeConfig } from '../src/node/config.ts';
import { nodesOf } from '../src/registry/policy.ts';
import { openDatabase } from '../src/database.ts';
import { openReplica } from '../src/ledger/replica.ts';
import { startNodeProcess } from '../src/testing/processes.ts';
import { bigLedger, installLedger, type BigLedger } from './support/big-ledger.ts';
import { get, openConnection } from './support/connection.ts';
import type { BenchOptions, Row } from './support/row.ts';

const ASKED = 1_000;
/** As many at both sizes: what differs is the log. */
const LINES_ASKED = 100;

export async function rows(options: BenchOptions): Promise<readonly Row[]> {
  const small = await measure(await bigLedger(1_000, options.quick ? 50 : 100, options), options);
  if (options.quick) return rowsOf('10^3', small);
  const large = await measure(await bigLedger(1_000_000, 10_000, options), options);
  return [
    ...rowsOf('10^3', small),
    ...rowsOf('10^6', large),
    {
      name: 'growth of PSS from 10^3 to 10^6',
      value: large.pss / small.pss,
      unit: 'times',
      aim: { atMost: 1.2 },
    },
  ];
}

interface Measured {
  readonly openMs: number;
  readonly startMs: number;
  readonly pss: number;
  readonly note: string;
}

function rowsOf(size: string, { openMs, startMs, pss, note }: Measured): readonly Row[] {
  const aim = size === '10^6' ? { aim: { atMost: 1 } } : {};
  return [
    { name: `opening a log of ${size} entries`, value: openMs / 1000, unit: 's', ...aim, note },
    {
      name: '  whole node, from its start until it listens',
      value: startMs / 1000,
      unit: 's',
      note: 'the second start: the first one indexes the images',
    },
    {
      name: `PSS of a node with ${size} entries`,
      value: pss / 1024 / 1024,
      unit: 'MiB',
      note: `after ${ASKED} latest answers of ${LINES_ASKED} lines, then at rest`,
    },
  ];
}

async function measure(ledger: BigLedger, { say }: BenchOptions): Promise<Measured> {
  const config = installLedger(ledger, ledger.orderer);
  const openMs = opening(ledger);
  // The others do not run: this node signs nothing new and serves what they signed.
  const start = (): ReturnType<typeof startNodeProcess> =>
    startNodeProcess(config, { flags: ['--cosigner-record-is-mine'] });
  say(`a node with ${ledger.entries} entries starts`);
  await (await start()).stop();
  const began = performance.now();
  await using node = await start();
  const startMs = performance.now() - began;
  await cosignAll(ledger);
  const { port } = readNodeConfig(config).listen;
  using connection = await openConnection(port);
  for (let i = 0; i < ASKED; i++) {
    const line = ledger.lines[((i % LINES_ASKED) * 7919) % ledger.lines.length];
    if (!line) continue;
    const { status } = await connection.request(get(latestPath(line), 'localhost'));
    if (status !== 200) throw new Error(`latest answered ${status}`);
  }
  return { openMs, startMs, pss: pssOf(node.pid), note: ledger.note };
}

// In a process of its own: nothing is warm but the disk's cache.
function opening(ledger: BigLedger): number {
  const config = readNodeConfig(ledger.configs.get(ledger.orderer) as string);
  const program = join(import.meta.dirname, 'support/open-ledger.child.ts');
  const { stdout, stderr } = spawnSync(
    process.execPath,
    [program, join(config.data, 'ledger.db'), config.genesis],
    { encoding: 'utf8' },
  );
  const ms = Number(stdout);
  if (!(ms > 0)) throw new Error(`the ledger did not open: ${stderr}`);
  return ms;
}

/** The other operators' cosignatures of the newest head, given to the node as they would. */
async function cosignAll(ledger: BigLedger): Promise<void> {
  const database = openDatabase(ledger.database);
  const { origin, head } = (() => {
    const replica = openReplica(database, ledger.genesis);
    return { origin: replica.origin, head: replica.head() };
  })();
  database.close();
  const named = nodesOf(ledger.root.policy).find(({ name }) => name === ledger.orderer);
  if (!named) throw new Error('no orderer');
  const { size, root } = head;
  const time = Math.floor(Date.now() / 1000);
  for (const [name, keys] of ledger.keys) {
    if (name === ledger.orderer) continue;
    const checkpoint = formatCheckpoint({ origin, size, root });
    const { signature } = signCosignature(keys.cosigner, name, checkpoint, time);
    await using client = createClient({ pins: named.node.spki, credentials: keys.tls });
    await client.request({
      method: 'POST',
      url: named.node.url + PEER_COSIGNATURES,
      headers: { 'content-type': 'application/cbor' },
      body: encodeCosignature({ size, root, name, time, signature }),
      maxBytes: 4096,
    });
  }
}

/** Proportional set size in bytes: Linux only. */
function pssOf(pid: number): number {
  const rollup = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8');
  return Number(/^Pss:\s+(\d+) kB/m.exec(rollup)?.[1]) * 1024;
}
