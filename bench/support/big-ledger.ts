/**
 * A ledger of so many entries with so many lines, made once a run in a temporary folder: the lines and their releases
 * are real statements that `propose` orders; the entries before them are filler, written straight into the tables,
 * since a million signed statements would take the better part of an hour.
 */
import { copyFileSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { randomBytes } from 'node:crypto';
import { sha256 } from '#crypto';
import { openDatabase, transaction, type Database } from '../../src/database.ts';
import {
  anchorStatement,
  declareStatement,
  registerStatement,
} from '../../src/author/statements.ts';
import { writeHead, type Head } from '../../src/ledger/close-block.ts';
import { openReplica, type Replica } from '../../src/ledger/replica.ts';
import { logNodes } from '../../src/ledger/record-tables.ts';
import { epochEntry } from '../../src/log/epoch.ts';
import { leafHash } from '../../src/log/merkle.ts';
import * as tree from '../../src/log/tree.ts';
import { readNodeConfig, readNodeKeys, type NodeKeys } from '../../src/node/config.ts';
import { createNetwork } from '../../src/node/setup.ts';
import type { Genesis } from '../../src/registry/genesis.ts';
import type { Line } from '../../src/registry/line.ts';
import type { Transaction } from '../../src/registry/statement.ts';
import { createRoot, type Root } from '../../src/registry/root.ts';
import {
  fixtureAuthor,
  fixtureLine,
  holdStatement,
  type FixtureAuthor,
} from '../../src/testing/fixture.ts';
import { testPlan } from '../../src/testing/network-plan.ts';
import { fixtureRelease } from '../../src/testing/release-fixture.ts';
import type { BenchOptions } from './row.ts';

export interface BigLedger {
  readonly entries: number;
  readonly genesis: Genesis;
  readonly root: Root;
  readonly lines: readonly Line[];
  /** Every node's configuration and keys, by OPERATOR/NODE. */
  readonly configs: ReadonlyMap<string, string>;
  readonly keys: ReadonlyMap<string, NodeKeys>;
  readonly orderer: string;
  /** Where the orderer's node keeps its ledger. */
  readonly database: string;
  /** What is filler in it, for a row's note. */
  readonly note: string;
}

const FILLER_BYTES = 420;
const A_BLOCK = 256;
const LINES_AN_AUTHOR = 100;
/** Every so manyth line has a release that is available and a later one that is not yet. */
const BOTH = 10;
const ORDERED_AT_ONCE = 500;

const made = new Map<string, Promise<BigLedger>>();

/** The same one for the same sizes, as long as the bench runs. */
export function bigLedger(
  entries: number,
  lines: number,
  { say }: BenchOptions,
): Promise<BigLedger> {
  const name = `${entries}/${lines}`;
  const ledger = made.get(name) ?? make(entries, lines, say);
  made.set(name, ledger);
  return ledger;
}

async function make(
  entries: number,
  lineCount: number,
  say: BenchOptions['say'],
): Promise<BigLedger> {
  const folder = mkdtempSync(join(tmpdir(), 'firmament-bench-ledger-'));
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
  const plan = await testPlan({ operators: 4, policy: { copies: 1, copiesElsewhere: 1 } });
  const time = Math.floor(Date.now() / 1000) - 60;
  const { genesis, configs } = await createNetwork(plan, join(folder, 'network'), time);
  const keys = new Map(
    [...configs].map(([name, path]) => [name, readNodeKeys(readNodeConfig(path).keys)]),
  );
  const database = join(folder, 'ledger.db');
  const opened = openDatabase(database);
  // What is made here is thrown away when the power goes.
  opened.exec('PRAGMA synchronous = OFF; PRAGMA cache_size = -400000');
  const real = groupsOf(genesis, lineCount, keys.get(plan.orderer) as NodeKeys, plan.orderer);
  const blocks = Math.ceil(real.statements / ORDERED_AT_ONCE);
  const filler = Math.max(0, entries - real.statements - blocks - 1);
  say(`a ledger of ${entries} entries: ${filler} of filler`);
  fill(opened, openReplica(opened, genesis).head(), filler);
  const replica = openReplica(opened, genesis);
  say(`  and ${real.statements} statements about ${lineCount} lines`);
  order(replica, real.groups(), (keys.get(plan.orderer) as NodeKeys).statement, time);
  const { size } = replica.head();
  opened.exec('PRAGMA wal_checkpoint(TRUNCATE)');
  opened.close();
  return {
    entries: size,
    genesis,
    root: createRoot(genesis.networkId, genesis.policy),
    lines: real.lines,
    configs,
    keys,
    orderer: plan.orderer,
    database,
    note: `${real.statements} ordered statements about ${lineCount} lines; ${filler} entries before them are filler rows of ${FILLER_BYTES} B`,
  };
}

interface Real {
  readonly lines: readonly Line[];
  readonly statements: number;
  /** Signed as they are asked for. */
  groups(): Generator<readonly Transaction[]>;
}

function groupsOf(genesis: Genesis, lineCount: number, keys: NodeKeys, node: string): Real {
  const { networkId } = genesis;
  const authors = Array.from({ length: Math.ceil(lineCount / LINES_AN_AUTHOR) }, (_, i) =>
    fixtureAuthor(networkId, { name: `author ${i}`, curve: 'Ed25519' }),
  );
  const authorOf = (i: number): FixtureAuthor =>
    authors[Math.floor(i / LINES_AN_AUTHOR)] as FixtureAuthor;
  const lines = Array.from({ length: lineCount }, (_, i) =>
    fixtureLine(authorOf(i).author, `model ${i}`),
  );
  const [operator = '', name = ''] = node.split('/');
  const holder = { name: node, operator, node: name, url: '', ...keys };
  let counter = 2n;
  return {
    lines,
    statements: authors.length + lineCount * 2 + Math.ceil(lineCount / BOTH) * 3,
    *groups() {
      for (const author of authors) {
        const recovery = author.recovery.map((key) => key.publicKey);
        yield [plain(registerStatement(author, 1n, { name: author.name, recovery, threshold: 1 }))];
      }
      for (const [i, line] of lines.entries()) {
        const author = authorOf(i);
        yield [plain(declareStatement(author, counter++, line))];
        const first = fixtureRelease(author, line, 1n);
        yield [first];
        if (i % BOTH !== 0) continue;
        const { digest: image, size, root, chunks } = first.image;
        const anchor = { release: first.digest, image, size, root, chunks, component: 0 };
        yield [plain(anchorStatement(author, counter++, line, anchor))];
        const hold = { line, release: first.digest, image, until: 1 << 19 };
        yield [plain(holdStatement(holder, networkId, counter++, hold))];
        yield [fixtureRelease(author, line, 2n)];
      }
    },
  };
}

function plain(statement: Transaction['statement']): Transaction {
  return { statement, attachment: null };
}

function order(
  replica: Replica,
  groups: Iterable<readonly Transaction[]>,
  key: NodeKeys['statement'],
  time: number,
): void {
  let batch: (readonly Transaction[])[] = [];
  const flush = (): void => {
    const { outcomes } = replica.propose(batch, time, key);
    const refused = outcomes.find((outcome) => 'refused' in outcome);
    if (refused && 'refused' in refused) throw refused.refused;
    replica.prune(replica.head().height);
    batch = [];
  };
  for (const group of groups) {
    batch.push(group);
    if (batch.length === ORDERED_AT_ONCE) flush();
  }
  if (batch.length > 0) flush();
}

// Rows as real ones are, by their size: statement, its place by signing digest, log nodes, a head each 256 entries.
function fill(database: Database, genesis: Head, count: number): void {
  if (count < 2) return;
  const nodes = logNodes(database);
  const statement = database.prepare(
    'INSERT INTO statement (idx, entry, bytes, attachment) VALUES (?, ?, ?, NULL)',
  );
  const seen = database.prepare('INSERT INTO seen (digest, idx) VALUES (?, ?)');
  let head = genesis;
  const end = genesis.size + count;
  transaction(database, () => {
    while (end - head.size >= 2) {
      const block = Math.min(A_BLOCK, end - head.size);
      let { size } = head;
      for (let i = 1; i < block; i++) {
        const bytes = new Uint8Array(randomBytes(FILLER_BYTES));
        const entry = sha256(bytes);
        statement.run(size, entry, bytes);
        seen.run(sha256(entry), size);
        size = tree.append(nodes, size, leafHash(entry));
      }
      const epoch = { ...head.epoch, height: head.height + 1, previous: head.size - 1 };
      size = tree.append(nodes, size, leafHash(epochEntry(epoch)));
      const root = tree.root(nodes, size);
      head = { ...head, height: epoch.height, size, root, epoch, hash: root };
      writeHead(database, head, { prefix: new Uint8Array(200), suffix: new Uint8Array(110) });
    }
  });
}

/** Puts a copy of the ledger where a node of the network looks for it; answers that node's configuration file. */
export function installLedger(ledger: BigLedger, node: string): string {
  const path = ledger.configs.get(node) as string;
  const { data } = readNodeConfig(path);
  mkdirSync(data, { recursive: true });
  copyFileSync(ledger.database, join(data, 'ledger.db'));
  return path;
}
