/** Batches of reports for attacks: devices, records, a node's statement over the root, its receipt. */
import { privateKey, sha256 } from '#crypto';
import { createRoot, type Root } from '../../src/registry/root.ts';
import type { BatchProof } from '../../src/api/report-batch.ts';
import { equal, utf8 } from '../../src/bytes.ts';
import { encode } from '../../src/cbor/encode.ts';
import type { PrivateKey } from '../../src/crypto/key.ts';
import { signReport } from '../../src/device/report.ts';
import { originOf } from '../../src/log/checkpoint.ts';
import { leafHash } from '../../src/log/merkle.ts';
import { paddedLeaves, pathOfLeaf, rootOfLeaves } from '../../src/log/padded-tree.ts';
import { createReceipt } from '../../src/log/receipt.ts';
import { lineText } from '../../src/registry/line.ts';
import { reportBatchStatement } from '../../src/registry/rules/report-batch.ts';
import type { Statement } from '../../src/registry/statement.ts';
import { makeBatch, type Batch } from '../../src/reports/batch.ts';
import { encodeRecord, type ReportRecord } from '../../src/reports/record.ts';
import { digestToCbor } from '../../src/suit/digest.ts';
import {
  fixtureAuthor,
  fixtureLine,
  fixtureNetwork,
  type FixtureNode,
} from '../../src/testing/fixture.ts';

export const network = fixtureNetwork();
export const { networkId } = network.genesis;
export const root: Root = createRoot(networkId, network.genesis.policy);
export const node = network.nodes[0] as FixtureNode;
export const author = fixtureAuthor(networkId);
export const line = fixtureLine(author.author);
export const release = sha256(utf8('a release'));

let drawn = 0;
/** Every draw is another one. */
export const random = (length: number): Uint8Array =>
  sha256(utf8(`drawn ${++drawn}`)).subarray(0, length);

export const deviceKey = (name: string): PrivateKey => privateKey('P-256', sha256(utf8(name)));
export const nonceOf = (name: string): Uint8Array => sha256(utf8(`nonce ${name}`)).subarray(0, 16);

export interface Change {
  readonly by?: PrivateKey;
  readonly network?: Uint8Array;
  readonly digest?: Uint8Array;
  readonly answers?: Uint8Array;
}

/** What a device of this name signed. */
export function signedReport(name: string, change: Change = {}): Uint8Array {
  const { by = deviceKey(name), network = networkId, digest = release } = change;
  const described = { algorithm: 'SHA-256', bytes: digest } as const;
  return signReport(
    by,
    { ...root, networkId: network },
    {
      digest: encode(digestToCbor(described)),
      referenceUri: '',
      records: [],
      result: true,
      counter: 1,
      headSize: 10,
      freshness: 'fresh(own clock)',
      opaque: false,
      nonce: change.answers ?? nonceOf(name),
    },
  );
}

/** The record of a device of this name. */
export function record(name: string, change: Partial<ReportRecord> = {}): Uint8Array {
  return encodeRecord({
    salt: random(16),
    report: signedReport(name),
    deviceKey: deviceKey(name).publicKey,
    nonce: nonceOf(name),
    release,
    line: lineText(line),
    ...change,
  });
}

export function batchOf(records: readonly Uint8Array[], about: Partial<Batch> = {}): Batch {
  const { networkId: id = networkId, author: whose = author.author } = about;
  return makeBatch({ networkId: id, author: whose, from: 0, until: 3600 }, records, random);
}

/** A node's statement over these roots, as if it were the first entry of the log, and what proves the first root. */
export function onLedger(
  roots: readonly Uint8Array[],
  change: {
    /** Makes the statement of the root over the roots. */
    readonly statement?: (above: Uint8Array) => Statement;
    readonly receiptBy?: PrivateKey;
    readonly log?: Uint8Array;
  } = {},
): BatchProof {
  const leaves = paddedLeaves(roots.map(leafHash), random);
  const above = rootOfLeaves(leaves);
  const own = (): Statement =>
    reportBatchStatement(node.statement, node.name, networkId, 1n, above);
  const statement = (change.statement ?? own)(above);
  const leaf = leafHash(roots[0] ?? new Uint8Array(32));
  const index = leaves.findIndex((each) => equal(each, leaf));
  const entry = leafHash(statement.entry);
  const receipt = createReceipt({
    key: change.receiptBy ?? node.receipt,
    origin: originOf(change.log ?? networkId),
    subject: statement.subject,
    size: 1,
    index: 0,
    path: [],
    root: entry,
  });
  return {
    index,
    size: leaves.length,
    path: pathOfLeaf(leaves, index),
    statement: statement.bytes,
    logIndex: 0,
    receipt,
  };
}
