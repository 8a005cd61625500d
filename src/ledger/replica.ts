/**
 * One node's own copy of the ledger: every block is re-derived here and committed in one transaction
 * with its statements, log nodes, state, map and epoch leaf, so that what is on disk is always the end
 * of an epoch. Synchronous and single-writer: the database is open exclusively.
 */
import { sha256 } from '#crypto';
import { equal } from '../bytes.ts';
import type { PrivateKey } from '../crypto/key.ts';
import { transaction, type Database } from '../database.ts';
import { check, codeOf, CODES, fail, FirmamentError, type Code } from '../errors.ts';
import {
  MAX_BLOCK,
  MAX_TRANSACTIONS,
  blockIssuer,
  decodeBlock,
  openBlock,
  signBlock,
  unverifiedBlock,
  type Block,
} from '../registry/block.ts';
import { initialize, type Genesis } from '../registry/genesis.ts';
import { nodeIssuer, type NamedNode } from '../registry/policy.ts';
import { policyInForce } from '../registry/state.ts';
import type { Statement, Transaction } from '../registry/statement.ts';
import { overlay } from '../registry/view.ts';
import { isRefusal, runBlock, runGroups } from './block-run.ts';
import { newestHead } from './committed-ledger.ts';
import { closeBlock, writeBlock, writeHead, type Closed, type Head } from './close-block.ts';
import { decodeServed, isServed } from './consensus-block.ts';
import { DecidingLedger } from './deciding-ledger.ts';
import type { Outcome } from './decision.ts';
import { appointedBy, openHandOver } from './hand-over.ts';
import {
  keepEvidence,
  readEvidence,
  signedAsBlock,
  type Evidence,
  type Halt,
} from './orderer-lies.ts';
import { checkAppHash } from './proven-ledger.ts';
import { committedView } from './record-tables.ts';
import { prepareTables } from './schema.ts';

export type { Outcome } from './decision.ts';
export type { Evidence, Halt } from './orderer-lies.ts';

export interface Proposal {
  /** The committed block's head; null when no group had anything new to order. */
  readonly head: Head | null;
  /** One a group, in the order given. */
  readonly outcomes: readonly Outcome[];
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
      const closed = closeBlock(database, null, {
        height: 0,
        time: genesis.time,
        transactions: [],
        state,
      });
      writeBlock(database, closed);
      writeHead(database, { ...closed.head, hash: new Uint8Array(32) }, null);
    });
  }
  return new Replica(database, genesis);
}

const OTHER_HISTORY = 'a block upon another history';

export class Replica extends DecidingLedger {
  #halt: Halt | undefined;

  constructor(database: Database, genesis: Genesis) {
    super(database, genesis);
    this.#halt = this.evidence().at(-1);
  }

  /** Set once the orderer was found lying; nothing is committed after that. */
  halted(): Halt | undefined {
    return this.#halt;
  }

  /** What proves the orderer's lies, oldest first. */
  evidence(): readonly Evidence[] {
    return readEvidence(this.database);
  }

  /**
   * The orderer's side of the local engine: applies the groups in order, each as a whole or not at all, signs the block
   * with `key`, and returns once it is on disk. `time` is raised to the block before's. An orderer that a
   * policy.change in the first place appoints signs the block with it (T12).
   * Errors: LEDGER_NOT_ORDERER, LEDGER_HALTED, LEDGER_GROUP_INVALID when it is too much for one block.
   */
  propose(groups: readonly (readonly Transaction[])[], time: number, key: PrivateKey): Proposal {
    this.checkRunning();
    const { name, appointed } = this.#proposer(key, groups[0]?.[0]?.statement);
    const context = this.context(Math.max(time, this.newest.time));
    const run = runGroups(this.committed, groups, context);
    const outcomes = this.outcomes(run, context);
    check(!appointed || run.transactions[0] === groups[0]?.[0], 'LEDGER_NOT_ORDERER');
    if (run.transactions.length === 0) return { head: null, outcomes };
    check(run.transactions.length <= MAX_TRANSACTIONS, 'LEDGER_GROUP_INVALID');
    const closed = closeBlock(this.database, this.newest, { ...context, ...run });
    const { height, size, root } = closed.head;
    const transactions = run.transactions.map(({ statement, attachment }) => ({
      statement: statement.bytes,
      attachment,
    }));
    const bytes = signBlock(key, name, this.origin, {
      networkId: this.genesis.networkId,
      height,
      time: context.time,
      previous: this.newest.hash,
      transactions,
      size,
      root,
    });
    check(bytes.length <= MAX_BLOCK, 'LEDGER_GROUP_INVALID');
    const head = { ...closed.head, hash: sha256(bytes) };
    transaction(this.database, () => this.write(closed, head, bytes, transactions));
    this.written(closed, head);
    return { head, outcomes };
  }

  /**
   * A follower's side: re-derives a block as it is handed on and returns once it is on disk. A block that is here
   * already changes nothing. A block that its orderer signed, and that these rules or an earlier block of the same
   * orderer contradict, is kept as evidence and halts the replica for good; one of the consortium comes with the
   * certificate that proves it, and what contradicts that is refused.
   * Errors: LEDGER_ORDERER_LIES, LEDGER_HALTED, LEDGER_OUT_OF_ORDER, BLOCK_MALFORMED, BLOCK_SIGNER,
   * LEDGER_CERTIFICATE, COMMIT_*.
   */
  append(bytes: Uint8Array): Head {
    this.checkRunning();
    return isServed(bytes) ? this.#appendCertified(bytes) : this.#appendSigned(bytes);
  }

  #appendSigned(bytes: Uint8Array): Head {
    const block = this.#openSigned(bytes);
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
    try {
      const { closed, head } = this.#derived(bytes, block);
      transaction(this.database, () => this.write(closed, head, bytes, block.transactions));
      this.written(closed, head);
      return head;
    } catch (error) {
      // What another orderer signed, which was followed by nobody else, contradicts this one without a lie of its own.
      check(!this.#isOthersEnd(block), 'LEDGER_OUT_OF_ORDER', OTHER_HISTORY);
      if (isRefusal(error)) return this.#lie(bytes, block.height, error);
      throw error;
    }
  }

  #appendCertified(bytes: Uint8Array): Head {
    const served = decodeServed(bytes);
    const block = decodeBlock(served.block);
    const next = this.certified().height + 1;
    if (block.height <= this.newest.height) {
      const known = block.height > 0 && equal(this.headAt(block.height).hash, sha256(served.block));
      check(known, 'BLOCK_SIGNER', OTHER_HISTORY);
      this.certify(block.height, served.certificate);
      return this.newest;
    }
    check(block.height === next, 'LEDGER_OUT_OF_ORDER', undefined, {
      height: block.height,
      expected: next,
    });
    const before = policyInForce(this.committed);
    check(before.policy.orderer.engine === 'cometbft', 'BLOCK_SIGNER', 'one node orders');
    // The votes first: what nobody agreed to is not run.
    const signed = this.signedAppHash(before, served.certificate);
    const { closed, head } = this.#derived(served.block, block);
    checkAppHash(signed, head);
    transaction(this.database, () => {
      this.write(closed, head, served.block, block.transactions);
      this.keepCertificate(head.height, served.certificate);
    });
    this.written(closed, head);
    this.certifiedTo(head.height);
    return head;
  }

  #proposer(
    key: PrivateKey,
    first: Statement | undefined,
  ): { readonly name: string; readonly appointed: boolean } {
    const isKey = ({ node }: NamedNode): boolean =>
      equal(node.statement.bytes, key.publicKey.bytes);
    const inForce = this.orderer() ?? fail('LEDGER_NOT_ORDERER', 'a consortium orders');
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
    const orderer = this.orderer();
    if (height === 0 || !orderer) return height === 0;
    return blockIssuer(this.block(height)) === nodeIssuer(orderer.name);
  }

  #derived(bytes: Uint8Array, block: Block): { readonly closed: Closed; readonly head: Head } {
    check(
      equal(block.networkId, this.genesis.networkId),
      'BLOCK_MALFORMED',
      'a block of another network',
    );
    check(equal(block.previous, this.newest.hash), 'BLOCK_MALFORMED', OTHER_HISTORY);
    check(block.time >= this.newest.time, 'BLOCK_MALFORMED', 'the time goes backwards');
    const context = this.context(block.time);
    const run = runBlock(this.committed, block.transactions, context);
    const closed = closeBlock(this.database, this.newest, { ...context, ...run });
    const { size, root } = closed.head;
    check(block.size === size, 'BLOCK_MALFORMED', 'another log size than derived here');
    check(equal(block.root, root), 'BLOCK_MALFORMED', 'another log root than derived here');
    return { closed, head: { ...closed.head, hash: sha256(bytes) } };
  }

  #openSigned(bytes: Uint8Array): Block {
    const orderer = this.orderer();
    // Once a consortium orders, only what was signed before it is known here.
    if (!orderer) return this.#openOther(bytes, new FirmamentError('BLOCK_SIGNER'));
    const { name, node } = orderer;
    try {
      return openBlock(bytes, node.statement, name, this.origin);
    } catch (error) {
      if (codeOf(error) === 'BLOCK_SIGNER') return this.#openOther(bytes, error as FirmamentError);
      // Bytes that anybody can make prove nothing; malformed bytes under the orderer's signature do.
      if (codeOf(error) === 'BLOCK_MALFORMED' && signedAsBlock(bytes, node.statement))
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
    this.checkRunning();
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
      this.policyOf(before.epoch.policyVersion),
      this.origin,
    );
    check(opened !== undefined, 'BLOCK_SIGNER');
    return this.#halted(bytes, block.height, 'LEDGER_SUPERSEDED', CODES.LEDGER_SUPERSEDED);
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
    keepEvidence(this.database, { ...halt, bytes });
    this.#halt = halt;
  }

  protected override checkRunning(): void {
    if (this.#halt)
      fail('LEDGER_HALTED', undefined, { height: this.#halt.height, reason: this.#halt.code });
  }
}
