/** The consortium engine's side of a replica: it decides a block, commits it, and knows how far its chain got. */
import { transaction } from '../database.ts';
import { check, fail } from '../errors.ts';
import type { RawTransaction } from '../registry/group.ts';
import { consortiumOf, validatorUpdates, type Vote } from '../registry/orderer.ts';
import { policyInForce } from '../registry/state.ts';
import type { Transaction } from '../registry/statement.ts';
import { runGroups, type BlockRun, type Place, type RunContext } from './block-run.ts';
import { adoptRows } from './adopt-rows.ts';
import * as tables from './block-tables.ts';
import { closeBlock, writeBlock, writeHead, type Closed, type Head } from './close-block.ts';
import type { Placement } from './committed-ledger.ts';
import { bareBlock, repeated, ROOM, type Decision, type Open, type Outcome } from './decision.ts';
import { forgetPosition, readPosition, writePosition } from './engine-position.ts';
import { pruneMap } from './map-tables.ts';
import { appHashOfHead, consortiumInForce, ProvenLedger } from './proven-ledger.ts';
import { setMeta } from './schema.ts';

interface Tried {
  readonly upon: Head;
  readonly time: number;
  readonly groups: readonly (readonly Transaction[])[];
  readonly run: BlockRun;
}

export abstract class DecidingLedger extends ProvenLedger {
  #open: Open | undefined;
  /** The last run: a block is proposed, voted for and decided with the same groups. */
  #tried: Tried | undefined;
  #prunedOnDisk = this.prunedTo;

  /** Errors: LEDGER_HALTED. */
  protected abstract checkRunning(): void;

  /**
   * What would become of these groups as the next block, as `decide` has it; nothing follows from it. Undefined while
   * the engine repeats blocks that are here. Errors: LEDGER_ENGINE, LEDGER_HALTED.
   */
  trial(groups: readonly (readonly Transaction[])[], time: number): readonly Outcome[] | undefined {
    this.checkRunning();
    const { chain } = consortiumInForce(this);
    if (this.#before(chain).height < this.newest.height) return undefined;
    const context = this.context(Math.max(time, this.newest.time));
    return this.outcomes(this.#run(groups, context), context);
  }

  /**
   * What follows from these groups, in this order, each as a whole or not at all; at `time` (POSIX seconds), or that of
   * the block before if it is later. The same on every node that has the same newest block. Nothing is written, and
   * nothing can be read of it, until `commitDecided`; a decision before this one is dropped. Groups that the engine
   * repeats because it lost its own data lead to the blocks that are here.
   * Errors: LEDGER_ENGINE, LEDGER_HALTED, LEDGER_REPLAY; never for what a group holds.
   */
  decide(groups: readonly (readonly Transaction[])[], time: number): Decision {
    this.abandonDecided();
    this.checkRunning();
    const { chain } = consortiumInForce(this);
    const before = this.#before(chain);
    this.#open =
      before.height < this.newest.height
        ? this.#repeat(chain, before, groups, time)
        : this.#derive(chain, groups, time);
    return this.#open.decision;
  }

  /**
   * Puts what was decided last on disk, and with it that the engine's block `height` is applied. Returns the head after
   * it. Errors: LEDGER_UNDECIDED, LEDGER_OUT_OF_ORDER when it is not the engine's next block, DATABASE_*.
   */
  commitDecided(engine: { readonly chain: number; readonly height: number }): Head {
    const { chain, height } = engine;
    const open = this.#open ?? fail('LEDGER_UNDECIDED');
    check(open.block === null || open.upon === this.newest, 'LEDGER_UNDECIDED');
    const position = readPosition(this.database, chain);
    const next = (position?.height ?? 0) + 1;
    check(chain === open.chain && height === next, 'LEDGER_OUT_OF_ORDER', undefined, {
      height,
      expected: next,
    });
    const { head } = open.decision;
    const { block } = open;
    transaction(this.database, () => {
      if (block && head) this.write(block.closed, head, block.bytes);
      writePosition(this.database, chain, { height, ledger: open.ledger });
    });
    this.#open = undefined;
    this.#tried = undefined;
    if (block && head) this.written(block.closed, head);
    return this.headAt(open.ledger);
  }

  /** Drops what was decided and not committed, if anything was. */
  abandonDecided(): void {
    this.#open = undefined;
  }

  /**
   * How far this CometBFT chain was applied: its height, and our head after it, which is below the newest while the
   * engine repeats. Undefined before its first block.
   */
  enginePosition(chain: number): { readonly height: number; readonly head: Head } | undefined {
    const position = readPosition(this.database, chain);
    return position && { height: position.height, head: this.headAt(position.ledger) };
  }

  /** The engine has nothing of its own any more, and begins with its first block again. */
  forgetEngine(): void {
    this.abandonDecided();
    transaction(this.database, () => forgetPosition(this.database));
  }

  /**
   * Goes on from a restored snapshot in the file at `path` (SnapshotImport), of after the engine's block
   * `engineHeight`. Errors: SNAPSHOT_FORK, LEDGER_HALTED, DATABASE_*.
   */
  adopt(path: string, engineHeight: number): Head {
    this.checkRunning();
    this.abandonDecided();
    adoptRows(this.database, path, engineHeight);
    this.reload();
    this.#prunedOnDisk = this.prunedTo;
    this.advance(this.newest);
    return this.newest;
  }

  #before(chain: number): Head {
    return this.enginePosition(chain)?.head ?? this.chainStart(chain);
  }

  #derive(chain: number, groups: readonly (readonly Transaction[])[], time: number): Open {
    const upon = this.newest;
    const context = this.context(Math.max(time, upon.time));
    const run = this.#run(groups, context);
    const outcomes = this.outcomes(run, context);
    if (run.transactions.length === 0) {
      const decision = { head: null, outcomes, appHash: appHashOfHead(upon), validatorUpdates: [] };
      return { decision, chain, upon, ledger: upon.height, block: null };
    }
    const closed = closeBlock(this.database, upon, { ...context, ...run });
    const { bytes, head } = bareBlock(closed, this.genesis.networkId, upon);
    const decision = {
      head,
      outcomes,
      appHash: appHashOfHead(head),
      validatorUpdates: validatorUpdates(
        consortiumInForce(this),
        consortiumOf(policyInForce(run.state).policy.orderer),
      ),
    };
    return { decision, chain, upon, ledger: head.height, block: { closed, bytes } };
  }

  #run(groups: readonly (readonly Transaction[])[], context: RunContext): BlockRun {
    const { time } = context;
    const last = this.#tried;
    if (
      last &&
      last.upon === this.newest &&
      last.time === time &&
      last.groups.length === groups.length &&
      last.groups.every((group, i) => group === groups[i])
    )
      return last.run;
    const run = runGroups(this.committed, groups, context, ROOM);
    this.#tried = { upon: this.newest, time, groups, run };
    return run;
  }

  #repeat(
    chain: number,
    before: Head,
    groups: readonly (readonly Transaction[])[],
    time: number,
  ): Open {
    const next = this.headAt(before.height + 1);
    const { head, outcomes } = repeated(before, next, groups, time, this);
    const after = head ?? before;
    const decision = {
      head,
      outcomes,
      appHash: appHashOfHead(after),
      validatorUpdates: this.#updatesBetween(before, after),
    };
    return { decision, chain, upon: this.newest, ledger: after.height, block: null };
  }

  #updatesBetween(before: Head, after: Head): readonly Vote[] {
    const [old, next] = [before.epoch.policyVersion, after.epoch.policyVersion];
    if (old === next) return [];
    return validatorUpdates(
      consortiumOf(this.policyOf(old).policy.orderer),
      consortiumOf(this.policyOf(next).policy.orderer),
    );
  }

  /** Of a block upon the newest. `time` is not before that of the newest. */
  protected context(time: number): RunContext {
    return {
      height: this.newest.height + 1,
      time,
      firstIndex: this.newest.size,
      seenAt: (digest) => tables.seenAt(this.database, digest),
    };
  }

  protected outcomes(run: BlockRun, context: RunContext): readonly Outcome[] {
    return run.groups.map((group) =>
      'refused' in group
        ? group
        : { placements: group.places.map((place) => this.#placed(place, context)) },
    );
  }

  #placed(place: Place, context: RunContext): Placement {
    const height = place.index < context.firstIndex ? this.heightOf(place.index) : context.height;
    return { ...place, height };
  }

  /** A derived block with its bytes, inside the caller's transaction; `written` follows after it. */
  protected write(
    closed: Closed,
    head: Head,
    bytes: Uint8Array,
    raw: readonly RawTransaction[] = closed.closing.transactions.map(
      ({ statement, attachment }) => ({ statement: statement.bytes, attachment }),
    ),
  ): void {
    writeBlock(this.database, closed);
    writeHead(this.database, head, tables.splitBlock(bytes, raw, head.size));
    if (this.prunedTo === this.#prunedOnDisk) return;
    pruneMap(this.database, this.prunedTo);
    setMeta(this.database, 'pruned', this.prunedTo);
    this.#prunedOnDisk = this.prunedTo;
  }

  /** After the transaction. */
  protected written(closed: Closed, head: Head): void {
    this.records.update(closed.closing.state.changes().records);
    this.advance(head);
  }

  /** The map of heights below this one is no longer needed; its rows go with the next block. */
  prune(belowHeight: number): void {
    this.prunedTo = Math.max(this.prunedTo, Math.min(belowHeight, this.newest.height));
  }
}
