/**
 * One node's own copy of the ledger: every block is re-derived here and committed in one transaction
 * with its statements, log nodes, state, map and epoch leaf, so that what is on disk is always the end
 * of an epoch. Synchronous and single-writer: the database is open exclusively.
 */
import { sha256 } from '#crypto';
import { equal } from '../bytes.ts';
import { decodeSign1, verifySign1 } from '../cose/sign1.ts';
import type { PrivateKey } from '../crypto/key.ts';
import { transaction, type Database } from '../database.ts';
import { check, codeOf, CODES, fail, FirmamentError, type Code } from '../errors.ts';
import { originOf } from '../log/checkpoint.ts';
import {
  MAX_BLOCK,
  MAX_TRANSACTIONS,
  blockIssuer,
  openBlock,
  signBlock,
  unverifiedBlock,
  type Block,
} from '../registry/block.ts';
import { initialize, type Genesis } from '../registry/genesis.ts';
import { nodeIssuer, type NamedNode } from '../registry/policy.ts';
import { ordererOf, parsePolicyChange } from '../registry/policy-change.ts';
import { createRoot, type Root } from '../registry/root.ts';
import { getPolicyIndex, policyInForce } from '../registry/state.ts';
import { parseStatement, type Statement, type Transaction } from '../registry/statement.ts';
import { overlay, type Overlay } from '../registry/view.ts';
import * as tables from './block-tables.ts';
import { runBlock, runGroups, type RunContext } from './block-run.ts';
import { CommittedLedger, newestHead, type Placement } from './committed-ledger.ts';
import { closeBlock, writeHead, type Head } from './close-block.ts';
import { appointedBy, openHandOver } from './hand-over.ts';
import { pruneMap } from './map-tables.ts';
import { committedView } from './record-tables.ts';
import { prepareTables, setMeta } from './schema.ts';

// This node's own disk, full or damaged: no block says anything that could bring these about.
const OWN_FAULT = /^(?:DATABASE_.*|LEDGER_HEIGHT_UNKNOWN|LOG_NODE_MISSING|LOG_MAP_PAGE_CORRUPT)$/;

export type Outcome =
  | { readonly placements: readonly Placement[] }
  | { readonly refused: FirmamentError };

export interface Proposal {
  /** The committed block's head; null when no group had anything new to order. */
  readonly head: Head | null;
  /** One a group, in the order given. */
  readonly outcomes: readonly Outcome[];
}

/** Why this replica goes no further. */
export interface Halt {
  readonly height: number;
  readonly code: string;
  readonly reason: string;
}

export interface Evidence extends Halt {
  /** The block as its orderer signed it. */
  readonly bytes: Uint8Array;
}

/**
 * Opens the replica in this database; an empty one begins with genesis at height 0.
 * Errors: LEDGER_GENESIS_MISMATCH, DATABASE_UNUSABLE.
 */
export function openReplica(database: Database, genesis: Genesis): Replica {
  prepareTables(database, genesis.networkId);
  if (newestHead(database) === undefined) {
    transaction(database, () => {
      const state = overlay(committedView(database));
      initialize(state, genesis);
      const head = closeBlock(database, null, {
        height: 0,
        time: genesis.time,
        transactions: [],
        state,
      });
      writeHead(database, { ...head, hash: new Uint8Array(32) }, null);
    });
  }
  return new Replica(database, genesis);
}

const OTHER_HISTORY = 'a block upon another history';

export class Replica extends CommittedLedger {
  readonly genesis: Genesis;
  /** The log's C2SP origin. */
  readonly origin: string;
  readonly #listeners = new Set<(head: Head) => void>();
  #prunedOnDisk: number;
  #halt: Halt | undefined;

  constructor(database: Database, genesis: Genesis) {
    super(database);
    this.genesis = genesis;
    this.origin = originOf(genesis.networkId);
    this.#prunedOnDisk = this.prunedTo;
    this.#halt = this.evidence().at(-1);
  }

  /** The node that the policy in force names to order blocks. */
  orderer(): NamedNode {
    return ordererOf(policyInForce(this.committed).policy);
  }

  /** Set once the orderer was found lying; nothing is committed after that. */
  halted(): Halt | undefined {
    return this.#halt;
  }

  /** What proves the orderer's lies, oldest first. */
  evidence(): readonly Evidence[] {
    return this.database
      .prepare('SELECT height, code, reason, bytes FROM evidence ORDER BY id LIMIT 16')
      .all() as unknown as readonly Evidence[];
  }

  /** Calls `listener` after each commit, in a microtask. Returns how to stop. */
  onHead(listener: (head: Head) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /**
   * The orderer's side: applies the groups in order, each as a whole or not at all, signs the block
   * with `key`, and returns once it is on disk. `time` is raised to the block before's. An orderer that a
   * policy.change in the first place appoints signs the block with it (T12).
   * Errors: LEDGER_NOT_ORDERER, LEDGER_HALTED, LEDGER_GROUP_INVALID when it is too much for one block.
   */
  propose(groups: readonly (readonly Transaction[])[], time: number, key: PrivateKey): Proposal {
    this.#checkRunning();
    const { name, appointed } = this.#proposer(key, groups[0]?.[0]?.statement);
    let written: Overlay | undefined;
    const proposal = transaction(this.database, (): Proposal => {
      const context = this.#context(Math.max(time, this.newest.time));
      const run = runGroups(this.committed, groups, context);
      const outcomes = run.groups.map((group): Outcome =>
        'refused' in group
          ? group
          : { placements: group.places.map((place) => this.#placed(place, context)) },
      );
      check(!appointed || run.transactions[0] === groups[0]?.[0], 'LEDGER_NOT_ORDERER');
      if (run.transactions.length === 0) return { head: null, outcomes };
      check(run.transactions.length <= MAX_TRANSACTIONS, 'LEDGER_GROUP_INVALID');
      const closed = closeBlock(this.database, this.newest, { ...context, ...run });
      const raw = run.transactions.map(({ statement, attachment }) => ({
        statement: statement.bytes,
        attachment,
      }));
      const bytes = signBlock(key, name, this.origin, {
        networkId: this.genesis.networkId,
        height: closed.height,
        time: closed.time,
        previous: this.newest.hash,
        transactions: raw,
        size: closed.size,
        root: closed.root,
      });
      check(bytes.length <= MAX_BLOCK, 'LEDGER_GROUP_INVALID');
      const head = { ...closed, hash: sha256(bytes) };
      writeHead(this.database, head, tables.splitBlock(bytes, raw, head.size));
      this.#pruneNow();
      written = run.state;
      return { head, outcomes };
    });
    if (proposal.head && written) this.#advance(proposal.head, written);
    return proposal;
  }

  /**
   * A follower's side: re-derives a block of the orderer's and returns once it is on disk. A block that
   * is here already changes nothing. A block that its orderer signed, and that these rules or an
   * earlier block of the same orderer contradict, is kept as evidence and halts the replica for good.
   * Errors: LEDGER_ORDERER_LIES, LEDGER_HALTED, LEDGER_OUT_OF_ORDER, BLOCK_MALFORMED, BLOCK_SIGNER.
   */
  append(bytes: Uint8Array): Head {
    this.#checkRunning();
    const block = this.#open(bytes);
    if (block.height > this.newest.height + 1)
      fail('LEDGER_OUT_OF_ORDER', undefined, {
        height: block.height,
        expected: this.newest.height + 1,
      });
    if (block.height <= this.newest.height) {
      if (block.height > 0 && equal(this.headAt(block.height).hash, sha256(bytes)))
        return this.newest;
      check(this.#isOrderers(block.height), 'BLOCK_SIGNER', OTHER_HISTORY);
      return this.#lie(
        bytes,
        block.height,
        new FirmamentError('BLOCK_MALFORMED', 'a second block of this height'),
      );
    }
    let derived: { readonly head: Head; readonly state: Overlay };
    try {
      derived = transaction(this.database, () => this.#derive(bytes, block));
    } catch (error) {
      // What another orderer signed, which was followed by nobody else, contradicts this one without a lie of its own.
      check(!this.#isOthersEnd(block), 'LEDGER_OUT_OF_ORDER', OTHER_HISTORY);
      if (error instanceof FirmamentError && !OWN_FAULT.test(error.code))
        return this.#lie(bytes, block.height, error);
      throw error;
    }
    this.#advance(derived.head, derived.state);
    return derived.head;
  }

  #proposer(
    key: PrivateKey,
    first: Statement | undefined,
  ): { readonly name: string; readonly appointed: boolean } {
    const isKey = ({ node }: NamedNode): boolean =>
      equal(node.statement.bytes, key.publicKey.bytes);
    const inForce = this.orderer();
    if (isKey(inForce)) return { name: inForce.name, appointed: false };
    const next = first && appointedBy(policyInForce(this.committed), first);
    check(next !== undefined && isKey(next), 'LEDGER_NOT_ORDERER');
    return { name: next.name, appointed: true };
  }

  #isOthersEnd(block: Block): boolean {
    return !equal(block.previous, this.newest.hash) && !this.#isOrderers(this.newest.height);
  }

  /** Whether the orderer in force signed the block that is here at this height. */
  #isOrderers(height: number): boolean {
    return height === 0 || blockIssuer(this.block(height)) === nodeIssuer(this.orderer().name);
  }

  #derive(bytes: Uint8Array, block: Block): { readonly head: Head; readonly state: Overlay } {
    check(
      equal(block.networkId, this.genesis.networkId),
      'BLOCK_MALFORMED',
      'a block of another network',
    );
    check(equal(block.previous, this.newest.hash), 'BLOCK_MALFORMED', OTHER_HISTORY);
    check(block.time >= this.newest.time, 'BLOCK_MALFORMED', 'the time goes backwards');
    const context = this.#context(block.time);
    const run = runBlock(this.committed, block.transactions, context);
    const closed = closeBlock(this.database, this.newest, { ...context, ...run });
    check(block.size === closed.size, 'BLOCK_MALFORMED', 'another log size than derived here');
    check(equal(block.root, closed.root), 'BLOCK_MALFORMED', 'another log root than derived here');
    const head = { ...closed, hash: sha256(bytes) };
    writeHead(this.database, head, tables.splitBlock(bytes, block.transactions, head.size));
    this.#pruneNow();
    return { head, state: run.state };
  }

  #open(bytes: Uint8Array): Block {
    const { name, node } = this.orderer();
    try {
      return openBlock(bytes, node.statement, name, this.origin);
    } catch (error) {
      if (codeOf(error) === 'BLOCK_SIGNER') return this.#openOther(bytes, error as FirmamentError);
      // Bytes that anybody can make prove nothing; malformed bytes under the orderer's signature do.
      if (codeOf(error) === 'BLOCK_MALFORMED' && this.#signedPayload(bytes))
        return this.#lie(bytes, this.newest.height + 1, error as FirmamentError);
      throw error;
    }
  }

  // A block that another than the orderer in force signed: of the time before it, or the one that appoints the next.
  #openOther(bytes: Uint8Array, refusal: FirmamentError): Block {
    const block = unverifiedBlock(bytes);
    if (block.height >= 1 && block.height <= this.newest.height) {
      if (equal(this.headAt(block.height).hash, sha256(bytes))) return block;
      throw refusal;
    }
    if (block.height !== this.newest.height + 1 || !equal(block.previous, this.newest.hash))
      throw refusal;
    return (
      openHandOver(bytes, block, policyInForce(this.committed), this.origin) ?? fail(refusal.code)
    );
  }

  /**
   * Halts, with this block as the reason, when it is one by which operators appointed another orderer upon a block that
   * is here, in place of the one here (T12). `acknowledged`: size of the newest head that k operators are known to have
   * cosigned; what they did not leave behind, nobody can take away. Errors: LEDGER_SUPERSEDED, or BLOCK_SIGNER and
   * BLOCK_MALFORMED for a block that supersedes nothing.
   */
  supersede(bytes: Uint8Array, acknowledged: number): never {
    this.#checkRunning();
    const block = unverifiedBlock(bytes);
    check(block.height >= 1 && block.height <= this.newest.height, 'BLOCK_SIGNER');
    const before = this.headAt(block.height - 1);
    const differs = !equal(this.headAt(block.height).hash, sha256(bytes));
    check(differs && equal(block.previous, before.hash), 'BLOCK_SIGNER', 'not of this history');
    check(
      acknowledged <= before.size,
      'BLOCK_SIGNER',
      'a hand-over that drops what is acknowledged',
    );
    const opened = openHandOver(
      bytes,
      block,
      this.#rootAt(before.epoch.policyVersion),
      this.origin,
    );
    check(opened !== undefined, 'BLOCK_SIGNER');
    return this.#halted(bytes, block.height, 'LEDGER_SUPERSEDED', CODES.LEDGER_SUPERSEDED);
  }

  #rootAt(version: number): Root {
    if (version === 1) return createRoot(this.genesis.networkId, this.genesis.policy);
    const stored = this.statement(getPolicyIndex(this.committed, version) ?? -1);
    return stored
      ? parsePolicyChange(parseStatement(stored.bytes)).root
      : fail('POLICY_MALFORMED', 'no such policy');
  }

  #signedPayload(bytes: Uint8Array): boolean {
    try {
      const sign1 = decodeSign1(bytes, { maxBytes: MAX_BLOCK });
      verifySign1(sign1, this.orderer().node.statement);
      return (
        sign1.unprotected.size === 0 && sign1.header.get(16) === 'application/firmament.block+cbor'
      );
    } catch {
      return false;
    }
  }

  #lie(bytes: Uint8Array, height: number, cause: FirmamentError): never {
    this.#keepEvidence(bytes, { height, code: cause.code, reason: cause.message });
    return fail(
      'LEDGER_ORDERER_LIES',
      `at height ${height}: ${cause.message}`,
      { height, reason: cause.code },
      cause,
    );
  }

  #halted(bytes: Uint8Array, height: number, code: Code, reason: string): never {
    this.#keepEvidence(bytes, { height, code, reason });
    return fail(code, undefined, { height });
  }

  #keepEvidence(bytes: Uint8Array, halt: Halt): void {
    transaction(this.database, () =>
      this.database
        .prepare('INSERT INTO evidence (height, code, reason, bytes) VALUES (?, ?, ?, ?)')
        .run(halt.height, halt.code, halt.reason, bytes),
    );
    this.#halt = halt;
  }

  #checkRunning(): void {
    if (this.#halt)
      fail('LEDGER_HALTED', undefined, { height: this.#halt.height, reason: this.#halt.code });
  }

  #context(time: number): RunContext {
    return {
      height: this.newest.height + 1,
      time,
      firstIndex: this.newest.size,
      seenAt: (digest) => tables.seenAt(this.database, digest),
    };
  }

  #placed(
    place: { readonly index: number; readonly known: boolean },
    context: RunContext,
  ): Placement {
    const height = place.index < context.firstIndex ? this.heightOf(place.index) : context.height;
    return { ...place, height };
  }

  #advance(head: Head, written: Overlay): void {
    this.advance(head);
    this.records.update(written.changes().records);
    for (const listener of this.#listeners) queueMicrotask(() => listener(head));
  }

  /** The map of heights below this one is no longer needed; its rows go with the next block. */
  prune(belowHeight: number): void {
    this.prunedTo = Math.max(this.prunedTo, Math.min(belowHeight, this.newest.height));
  }

  #pruneNow(): void {
    if (this.prunedTo === this.#prunedOnDisk) return;
    pruneMap(this.database, this.prunedTo);
    setMeta(this.database, 'pruned', this.prunedTo);
    this.#prunedOnDisk = this.prunedTo;
  }
}
