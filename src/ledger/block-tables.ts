/**
 * Blocks, statements and attachments in the database. A statement's bytes are stored once: a block is
 * kept as what stands before and after its transactions, and put together again when it is served.
 */
import { sha256 } from '#crypto';
import { concat, equal } from '../bytes.ts';
import { encode, encodeBytesHeader } from '../cbor/encode.ts';
import type { Database } from '../database.ts';
import { check, fail } from '../errors.ts';
import type { RawTransaction } from '../registry/group.ts';
import type { Statement } from '../registry/statement.ts';
import { isBare } from './consensus-block.ts';

export interface StoredStatement {
  /** Log index. */
  readonly index: number;
  /** SHA-256 of the bytes. */
  readonly entry: Uint8Array;
  readonly bytes: Uint8Array;
  /** A release's manifest as it stands in its envelope. */
  readonly attachment: Uint8Array | null;
}

interface Row {
  readonly idx: number;
  readonly entry: Uint8Array;
  readonly bytes: Uint8Array;
  readonly attachment: Uint8Array | null;
}

const SELECT = `SELECT statement.idx, statement.entry, statement.bytes, attachment.bytes AS attachment
  FROM statement LEFT JOIN attachment ON attachment.digest = statement.attachment`;

const PAIR = Uint8Array.of(0x82);
const NULL = Uint8Array.of(0xf6);

// docs/spec/block.md: each transaction is [statement bstr, attachment bstr / null].
function encodeTransactions(transactions: readonly RawTransaction[]): Uint8Array {
  const parts: Uint8Array[] = [];
  for (const { statement, attachment } of transactions) {
    parts.push(PAIR, encodeBytesHeader(statement.length), statement);
    if (attachment === null) parts.push(NULL);
    else parts.push(encodeBytesHeader(attachment.length), attachment);
  }
  return concat(...parts);
}

/** Cuts a block's bytes around its transactions; their encoding is unique, so the cut is exact. */
export function splitBlock(
  bytes: Uint8Array,
  transactions: readonly RawTransaction[],
  size: number,
): { readonly prefix: Uint8Array; readonly suffix: Uint8Array } {
  const body = encodeTransactions(transactions);
  // After the transactions: the size, a 32-byte root (34 bytes), the 64-byte signature of an orderer (66 bytes).
  const signature = isBare(bytes) ? 0 : 66;
  const suffix = bytes.subarray(bytes.length - encode(size).length - 34 - signature);
  const end = bytes.length - suffix.length;
  check(
    equal(bytes.subarray(end - body.length, end), body),
    'BLOCK_MALFORMED',
    'a block in another encoding',
  );
  return { prefix: bytes.subarray(0, end - body.length), suffix };
}

/** The bytes that a block's hash covers. */
export function readBlock(database: Database, height: number): Uint8Array {
  const row = database
    .prepare('SELECT size, prefix, suffix, hash FROM head WHERE height = ?')
    .get(height);
  check(row !== undefined && height > 0, 'LEDGER_HEIGHT_UNKNOWN', 'no such block', { height });
  const before = database.prepare('SELECT size FROM head WHERE height = ?').get(height - 1);
  const rows = database
    .prepare(`${SELECT} WHERE statement.idx BETWEEN ? AND ? ORDER BY statement.idx`)
    .all(Number(before?.['size']), Number(row['size']) - 2) as unknown as readonly Row[];
  const body = encodeTransactions(
    rows.map(({ bytes, attachment }) => ({ statement: bytes, attachment })),
  );
  const block = concat(row['prefix'] as Uint8Array, body, row['suffix'] as Uint8Array);
  check(
    equal(sha256(block), row['hash'] as Uint8Array),
    'DATABASE_UNUSABLE',
    'a stored block changed',
    { height },
  );
  return block;
}

export function writeStatement(
  database: Database,
  index: number,
  statement: Statement,
  attachment: Uint8Array | null,
): void {
  const digest = attachment && sha256(attachment);
  if (digest)
    database
      .prepare('INSERT OR IGNORE INTO attachment (digest, bytes) VALUES (?, ?)')
      .run(digest, attachment);
  database
    .prepare('INSERT INTO statement (idx, entry, bytes, attachment) VALUES (?, ?, ?, ?)')
    .run(index, statement.entry, statement.bytes, digest);
  database
    .prepare('INSERT INTO seen (digest, idx) VALUES (?, ?)')
    .run(statement.signingDigest, index);
}

/** The statement at a log index; undefined at an epoch leaf. */
export function readStatement(database: Database, index: number): StoredStatement | undefined {
  const row = database.prepare(`${SELECT} WHERE statement.idx = ?`).get(index) as Row | undefined;
  return row && stored(row);
}

/** The log index of the statement with this entry, its SHA-256. */
export function indexOfEntry(database: Database, entry: Uint8Array): number | undefined {
  return database.prepare('SELECT idx FROM statement WHERE entry = ?').get(entry)?.['idx'] as
    | number
    | undefined;
}

function stored({ idx, entry, bytes, attachment }: Row): StoredStatement {
  return { index: idx, entry, bytes, attachment };
}

/** Where a statement with this signing digest (T05) stands, if it is on the ledger. */
export function seenAt(database: Database, signingDigest: Uint8Array): number | undefined {
  return database.prepare('SELECT idx FROM seen WHERE digest = ?').get(signingDigest)?.['idx'] as
    | number
    | undefined;
}

/** The release statements that carry this manifest, oldest first (one a line; at most 64 are given). */
export function releasesOf(
  database: Database,
  manifestDigest: Uint8Array,
): readonly StoredStatement[] {
  const rows = database
    .prepare(`${SELECT} WHERE statement.attachment = ? ORDER BY statement.idx LIMIT 64`)
    .all(manifestDigest) as unknown as readonly Row[];
  return rows.map(stored);
}

/** A manifest by its SHA-256, as it stands in the envelope. */
export function readAttachment(database: Database, digest: Uint8Array): Uint8Array | undefined {
  return database.prepare('SELECT bytes FROM attachment WHERE digest = ?').get(digest)?.[
    'bytes'
  ] as Uint8Array | undefined;
}

/** Where the block of a log index begins: the height whose epoch leaf closes it. */
export function heightOfIndex(database: Database, index: number): number {
  const row = database
    .prepare('SELECT height FROM head WHERE size > ? ORDER BY size LIMIT 1')
    .get(index);
  return Number(row?.['height'] ?? fail('LEDGER_HEIGHT_UNKNOWN', 'no such log index', { index }));
}
