/** A snapshot's blocks, checked and stored one after the other without running their statements again. */
import { sha256 } from '#crypto';
import { equal } from '../bytes.ts';
import type { Database } from '../database.ts';
import { check, codeOf, fail } from '../errors.ts';
import { appHashOf, decodeCertificate } from '../light/certificate.ts';
import { verifyCommit } from '../light/verify.ts';
import { originOf } from '../log/checkpoint.ts';
import { decodeEpoch, epochEntry } from '../log/epoch.ts';
import { leafHash } from '../log/merkle.ts';
import * as tree from '../log/tree.ts';
import { decodeBlock, openBlock, unverifiedBlock, type Block } from '../registry/block.ts';
import type { RawTransaction } from '../registry/group.ts';
import { chainIdOf, consortiumOf, validatorsOf } from '../registry/orderer.ts';
import { nextRoot, ordererOf } from '../registry/policy-change.ts';
import type { Root } from '../registry/root.ts';
import { attachedDigest } from '../registry/rules/release-register.ts';
import { parseStatement, type Statement } from '../registry/statement.ts';
import { indexOfEntry, seenAt, splitBlock, writeStatement } from './block-tables.ts';
import { writeCertificate } from './certificate-tables.ts';
import { writeHead, type Head } from './close-block.ts';
import { isBare } from './consensus-block.ts';
import { openHandOver } from './hand-over.ts';
import { appHashOfHead } from './proven-ledger.ts';
import { logNodes } from './record-tables.ts';
import type { BlockRow } from './snapshot-rows.ts';

const OWN = /^(?:DATABASE_|SNAPSHOT_)/;

export class SnapshotBlocks {
  readonly #database: Database;
  /** No head may be larger: what the snapshot says of its last, and the validators certified. */
  readonly #size: number;
  #head: Head;
  #root: Root;

  constructor(
    database: Database,
    genesis: { readonly head: Head; readonly root: Root },
    size: number,
  ) {
    this.#database = database;
    this.#size = size;
    this.#head = genesis.head;
    this.#root = genesis.root;
  }

  /** The newest head so far. */
  get head(): Head {
    return this.#head;
  }

  /** Inside the caller's transaction. Errors: SNAPSHOT_MISMATCH, SNAPSHOT_MALFORMED. */
  add(row: BlockRow): void {
    try {
      this.#add(row);
    } catch (cause) {
      if (codeOf(cause) === undefined || OWN.test(codeOf(cause) ?? '')) throw cause;
      fail('SNAPSHOT_MISMATCH', `a block: ${(cause as Error).message}`, {}, cause);
    }
  }

  #add({ epoch: epochBytes, block: bytes, certificate }: BlockRow): void {
    const before = this.#head;
    const block = this.#opened(bytes);
    check(equal(block.networkId, this.#root.networkId), 'SNAPSHOT_MISMATCH', 'of another network');
    check(block.height === before.height + 1, 'SNAPSHOT_MISMATCH', 'blocks out of order');
    check(equal(block.previous, before.hash), 'SNAPSHOT_MISMATCH', 'a block upon another');
    const { length } = block.transactions;
    const fits = length > 0 && before.size + length + 1 <= this.#size;
    check(fits, 'SNAPSHOT_MISMATCH', 'more than the certified log');
    const bare = isBare(bytes);
    const certifiers = this.#root;
    const nodes = logNodes(this.#database);
    let size = before.size;
    for (const raw of block.transactions) {
      const statement = this.#checked(raw);
      writeStatement(this.#database, size, statement, raw.attachment);
      size = tree.append(nodes, size, leafHash(statement.entry));
    }
    const epoch = decodeEpoch(epochBytes);
    // The rest of the epoch is covered by the root.
    check(epoch.time === block.time, 'SNAPSHOT_MISMATCH', 'the epoch of another time');
    size = tree.append(nodes, size, leafHash(epochEntry(epoch)));
    const root = tree.root(nodes, size);
    check(block.size === size && equal(block.root, root), 'SNAPSHOT_MISMATCH', 'another log root');
    const head = {
      height: block.height,
      time: block.time,
      size,
      root,
      epoch,
      hash: sha256(bytes),
    };
    writeHead(this.#database, head, splitBlock(bytes, block.transactions, size));
    if (bare) this.#certify(head, certificate, certifiers);
    else check(certificate === null, 'SNAPSHOT_MISMATCH', 'a certificate of a signed block');
    this.#head = head;
  }

  // A block of the local engine keeps its orderer's signature, by the policy before it (T12).
  #opened(bytes: Uint8Array): Block {
    const orderer = ordererOf(this.#root.policy);
    if (!orderer) return decodeBlock(bytes);
    const origin = originOf(this.#root.networkId);
    try {
      return openBlock(bytes, orderer.node.statement, orderer.name, origin);
    } catch (error) {
      if (codeOf(error) !== 'BLOCK_SIGNER') throw error;
      const handed = openHandOver(bytes, unverifiedBlock(bytes), this.#root, origin);
      return handed ?? fail('SNAPSHOT_MISMATCH', 'a block that its orderer did not sign');
    }
  }

  #checked({ statement: bytes, attachment }: RawTransaction): Statement {
    const statement = parseStatement(bytes);
    const fresh =
      seenAt(this.#database, statement.signingDigest) === undefined &&
      indexOfEntry(this.#database, statement.entry) === undefined;
    check(fresh, 'SNAPSHOT_MISMATCH', 'a statement twice');
    check(
      (attachment !== null) === (statement.kind === 'release'),
      'SNAPSHOT_MISMATCH',
      'a release without its manifest',
    );
    // The log has the statement alone; what it signed of its manifest is checked here (T20).
    if (attachment !== null) attachedDigest(statement, attachment);
    if (statement.kind === 'policy.change') this.#root = nextRoot(this.#root, statement);
    return statement;
  }

  #certify(head: Head, certificate: Uint8Array | null, before: Root): void {
    if (certificate === null) {
      // The header that proves the last one comes after the snapshot; those before could be had from nobody.
      check(head.size === this.#size, 'SNAPSHOT_MISMATCH', 'a certificate is missing');
      return;
    }
    const orderer = consortiumOf(before.policy.orderer);
    const decoded = decodeCertificate(certificate);
    verifyCommit(decoded, validatorsOf(orderer), chainIdOf(before.networkId, orderer.chain));
    const same = equal(appHashOf(decoded), appHashOfHead(head));
    check(same, 'SNAPSHOT_MISMATCH', 'the certificate of another head');
    writeCertificate(this.#database, head.height, certificate);
  }
}
