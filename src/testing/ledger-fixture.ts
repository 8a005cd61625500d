/** Replicas in memory, groups to order, and blocks that an honest orderer would never sign, for tests. */
import { hex } from '../bytes.ts';
import { declareStatement, registerStatement } from '../author/statements.ts';
import { openDatabase, type Database } from '../database.ts';
import type { Head } from '../ledger/close-block.ts';
import { consortiumInForce } from '../ledger/proven-ledger.ts';
import { openReplica, type Outcome, type Proposal, type Replica } from '../ledger/replica.ts';
import type { Logger } from '../logger.ts';
import { openBlock, signBlock, type Block } from '../registry/block.ts';
import type { Statement, Transaction } from '../registry/statement.ts';
import { certificateFor, type CertificateOptions } from './certificates.ts';
import { fixtureAuthor, fixtureLine, type FixtureAuthor, type FixtureNetwork } from './fixture.ts';

export const SILENT: Logger = { debug() {}, info() {}, warn() {}, error() {} };

export interface OpenedReplica {
  readonly database: Database;
  readonly replica: Replica;
}

/** A replica of the network in memory, or in the file at `path`. */
export function openedReplica(network: FixtureNetwork, path = ':memory:'): OpenedReplica {
  const database = openDatabase(path);
  return { database, replica: openReplica(database, network.genesis) };
}

export function transactionOf(
  statement: Statement,
  attachment: Uint8Array | null = null,
): Transaction {
  return { statement, attachment };
}

/** An author and its author.register. */
export function registeredAuthor(
  network: FixtureNetwork,
  name: string,
): { readonly author: FixtureAuthor; readonly group: readonly Transaction[] } {
  const author = fixtureAuthor(network.genesis.networkId, { name, curve: 'Ed25519' });
  const recovery = author.recovery.map((key) => key.publicKey);
  const statement = registerStatement(author, 1n, { name, recovery, threshold: 1 });
  return { author, group: [transactionOf(statement)] };
}

/** A line.declare for the model with this number; the counter grows with it. */
export function declaration(author: FixtureAuthor, model: number): Transaction {
  const line = fixtureLine(author.author, `model ${model}`);
  return transactionOf(declareStatement(author, BigInt(model + 2), line));
}

/** One block of one group. */
export function ordered(
  replica: Replica,
  network: FixtureNetwork,
  group: readonly Transaction[],
  time = network.genesis.time,
): Proposal {
  return replica.propose([group], time, network.orderer.statement);
}

/** One block of a network that a consortium orders, decided and committed; null when nothing was new. */
export function decided(
  replica: Replica,
  groups: readonly (readonly Transaction[])[],
  time = replica.head().time,
): Head | null {
  const { chain } = consortiumInForce(replica);
  const height = (replica.enginePosition(chain)?.height ?? 0) + 1;
  const { head } = replica.decide(groups, time);
  replica.commitDecided({ chain, height });
  return head;
}

/** `decided`, with the certificate of its head. */
export function provenBlock(
  replica: Replica,
  network: FixtureNetwork,
  groups: readonly (readonly Transaction[])[],
  options: CertificateOptions = {},
): Head {
  const head = decided(replica, groups);
  if (head === null) throw new Error('nothing was new');
  replica.certify(head.height, certificateFor(network, head, options));
  return head;
}

/** The code with which a group was refused; undefined when it was not. */
export function refusalOf(outcome: Outcome | undefined): string | undefined {
  return outcome && 'refused' in outcome ? outcome.refused.code : undefined;
}

/** An orderer's block with something changed, signed again by the same orderer. */
export function resigned(
  network: FixtureNetwork,
  bytes: Uint8Array,
  change: (block: Block) => Partial<Block>,
): Uint8Array {
  const { name, statement } = network.orderer;
  const origin = `firmament/${hex(network.genesis.networkId)}`;
  const block = openBlock(bytes, statement.publicKey, name, origin);
  return signBlock(statement, name, origin, { ...block, ...change(block) });
}

/** Every row of every table: equal text, equal ledgers. */
export function dumped(database: Database): string {
  const tables = database
    .prepare(`SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name`)
    .all() as unknown as readonly { readonly name: string }[];
  return tables
    .map(({ name }) => {
      const rows = database.prepare(`SELECT * FROM ${name} ORDER BY 1, 2`).all();
      return [name, ...rows.map((row) => JSON.stringify(Object.values(row).map(shown)))].join('\n');
    })
    .join('\n');
}

function shown(value: unknown): unknown {
  return value instanceof Uint8Array ? hex(value) : value;
}
