/** The same groups, cut into the same blocks, through both engines: whatever a reader could see must be equal. */
import assert from 'node:assert/strict';
import { hex } from '../../src/bytes.ts';
import { openDatabase, type Database } from '../../src/database.ts';
import type { Head } from '../../src/ledger/close-block.ts';
import { openReplica, Replica, type Outcome } from '../../src/ledger/replica.ts';
import { nodesOf, type NamedNode } from '../../src/registry/policy.ts';
import { parseStatement, type Transaction } from '../../src/registry/statement.ts';
import { certificateFor } from '../../src/testing/certificates.ts';
import type { FixtureNetwork } from '../../src/testing/fixture.ts';

/** Tables in which both engines write the same rows; the others hold blocks, signatures and certificates. */
const SHARED = [
  'statement',
  'attachment',
  'seen',
  'log_node',
  'record',
  'record_page',
  'map_value',
  'map_page',
  'map_value_undo',
  'map_page_undo',
];

/**
 * A replica for which one node orders whatever the policy says: who orders is part of the state, so two networks that
 * differ in that alone would have no hash in common.
 */
class OneOrders extends Replica {
  override orderer(): NamedNode {
    return nodesOf(this.genesis.policy).at(-1) as NamedNode;
  }
}

interface Opened {
  readonly database: Database;
  readonly replica: Replica;
}

interface Decided {
  readonly groups: readonly (readonly Transaction[])[];
  readonly time: number;
  readonly accepted: readonly boolean[];
  readonly appHash: Uint8Array;
}

export class BothEngines {
  readonly network: FixtureNetwork;
  /** How often each code was given, and `ok` for groups that were taken. */
  readonly codes: Map<string, number> = new Map();
  readonly #orderer: Opened;
  readonly #follower: Opened;
  readonly #member: Opened;
  readonly #certified: Opened;
  readonly #decided: Decided[] = [];

  constructor(network: FixtureNetwork) {
    this.network = network;
    this.#orderer = oneOrders(network);
    this.#follower = oneOrders(network);
    this.#member = consortium(network);
    this.#certified = consortium(network);
  }

  /** The local orderer's. */
  get replica(): Replica {
    return this.#orderer.replica;
  }

  /** One block by each engine and at a follower of each; `detour` has the member decide something else before. */
  block(groups: readonly (readonly Transaction[])[], time: number, detour = false): void {
    const proposal = this.replica.propose(parsedAnew(groups), time, this.network.orderer.statement);
    const member = this.#member.replica;
    const own = parsedAnew(groups);
    // Another round's proposal, which was not decided in the end, leaves no trace.
    if (detour) member.decide(own.toReversed(), time + 7);
    const decision = member.decide(own, time);
    assert.deepEqual(decision.outcomes.map(shown), proposal.outcomes.map(shown));
    for (const outcome of decision.outcomes) this.#count(outcome);
    assert.equal(decision.head === null, proposal.head === null);
    const height = this.#decided.length + 1;
    assert.deepEqual(member.head().height, this.replica.head().height - (proposal.head ? 1 : 0));
    const head = member.commitDecided({ chain: 1, height });
    this.#decided.push({
      groups,
      time,
      accepted: decision.outcomes.map((outcome) => 'placements' in outcome),
      appHash: decision.appHash,
    });
    if (!proposal.head) return;
    assert.deepEqual(unhashed(head), unhashed(proposal.head));
    this.#follow(head, height + 1);
  }

  #follow(head: Head, engineHeight: number): void {
    const { network } = this;
    const member = this.#member.replica;
    const certificate = certificateFor(network, head, { height: engineHeight });
    member.certify(head.height, certificate);
    this.#follower.replica.append(this.replica.served(head.height));
    this.#certified.replica.append(member.served(head.height));
    for (const { replica } of [this.#follower, this.#certified])
      assert.deepEqual(unhashed(replica.head()), unhashed(head));
    assert.deepEqual(this.#follower.replica.head(), this.replica.head());
    assert.deepEqual(this.#certified.replica.head(), member.head());
    const before = this.replica.headAt(head.height - 1);
    for (let index = before.size; index < head.size; index++)
      assert.deepEqual(member.entry(index), this.replica.entry(index));
  }

  /** Every row of state, map, log and statements on all four, and every head. */
  compareAll(): void {
    const all = [this.#follower, this.#member, this.#certified];
    const { database, replica } = this.#orderer;
    for (const table of SHARED) {
      const rows = rowsOf(database, table);
      for (const other of all) assert.equal(rowsOf(other.database, table), rows, table);
    }
    for (let height = 0; height <= replica.head().height; height++)
      for (const other of all)
        assert.deepEqual(unhashed(other.replica.headAt(height)), unhashed(replica.headAt(height)));
  }

  /** A member whose engine lost its data gives the answers that it gave, on which the chain's hashes rest. */
  repeat(): void {
    const { replica } = this.#member;
    replica.forgetEngine();
    for (const [at, { groups, time, accepted, appHash }] of this.#decided.entries()) {
      const again = replica.decide(parsedAnew(groups), time);
      assert.deepEqual(
        again.outcomes.map((outcome) => 'placements' in outcome),
        accepted,
      );
      assert.deepEqual(again.appHash, appHash);
      replica.commitDecided({ chain: 1, height: at + 1 });
    }
    assert.deepEqual(replica.head(), this.#certified.replica.head());
  }

  #count(outcome: Outcome): void {
    const code = 'refused' in outcome ? outcome.refused.code : 'ok';
    this.codes.set(code, (this.codes.get(code) ?? 0) + 1);
  }
}

export function oneOrders(network: FixtureNetwork): Opened {
  const { database } = consortium(network);
  return { database, replica: new OneOrders(database, network.genesis) };
}

function consortium(network: FixtureNetwork): Opened {
  const database = openDatabase(':memory:');
  return { database, replica: openReplica(database, network.genesis) };
}

/** What was verified for one engine is not known to the other. */
function parsedAnew(
  groups: readonly (readonly Transaction[])[],
): readonly (readonly Transaction[])[] {
  return groups.map((group) =>
    group.map(({ statement, attachment }) => ({
      statement: parseStatement(statement.bytes),
      attachment,
    })),
  );
}

/** A head but for the hash of its block, whose form is the engine's own. */
export function unhashed({ hash: _hash, ...head }: Head): Omit<Head, 'hash'> {
  return head;
}

function shown(outcome: Outcome): unknown {
  return 'refused' in outcome ? outcome.refused.code : outcome.placements;
}

function rowsOf(database: Database, table: string): string {
  return database
    .prepare(`SELECT * FROM ${table} ORDER BY 1, 2`)
    .all()
    .map((row) =>
      Object.values(row)
        .map((value) => (value instanceof Uint8Array ? hex(value) : String(value)))
        .join(' '),
    )
    .join('\n');
}
