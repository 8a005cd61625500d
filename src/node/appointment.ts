/**
 * T12: the promise by which another orderer can take over without losing what was acknowledged. A node that is asked by
 * the node that a valid policy.change appoints follows that one alone from then on: whatever k operators acknowledged is
 * held by one of the n - f that promised, and nothing more of the old orderer can be acknowledged.
 */
import { equal } from '../bytes.ts';
import { transaction, type Database } from '../database.ts';
import { check, codeOf } from '../errors.ts';
import { appointedBy } from '../ledger/hand-over.ts';
import type { Replica } from '../ledger/replica.ts';
import type { NamedNode } from '../registry/policy.ts';
import { policyInForce } from '../registry/state.ts';
import { parseStatement } from '../registry/statement.ts';

const SCHEMA = `
CREATE TABLE IF NOT EXISTS appointment (id INTEGER PRIMARY KEY CHECK (id = 0), statement BLOB NOT NULL);
`;

export class Appointment {
  readonly #database: Database;
  readonly #replica: Replica;
  readonly #listeners = new Set<() => void>();
  #statement: Uint8Array | undefined;
  #judged: { readonly version: number; readonly node: NamedNode | undefined } | undefined;

  constructor(database: Database, replica: Replica) {
    this.#database = database;
    this.#replica = replica;
    database.exec(SCHEMA);
    const row = database.prepare('SELECT statement FROM appointment').get();
    this.#statement = row?.['statement'] as Uint8Array | undefined;
  }

  /** The node that is followed in place of the orderer in force; undefined: none, or its policy is in force by now. */
  appointed(): NamedNode | undefined {
    if (!this.#statement) return undefined;
    const root = policyInForce(this.#replica.view());
    const { version } = root.policy;
    if (this.#judged?.version !== version) {
      const node = appointedBy(root, parseStatement(this.#statement));
      this.#judged = { version, node };
    }
    return this.#judged.node;
  }

  /**
   * Promises to follow the orderer that this policy.change appoints, if it is the one who asks (`spki`: SHA-256 of its
   * TLS key). On disk before it returns, and nothing of the old orderer is taken in after that.
   * Errors: NODE_TAKEOVER_INVALID.
   */
  promise(bytes: Uint8Array, spki: Uint8Array): void {
    const statement = statementIn(bytes);
    if (statement && this.#replica.find(statement.signingDigest)) return;
    const appointed = statement && appointedBy(policyInForce(this.#replica.view()), statement);
    check(appointed !== undefined && equal(appointed.node.spki, spki), 'NODE_TAKEOVER_INVALID');
    this.#keep(bytes);
  }

  /** The appointed node's own promise to itself. */
  accept(bytes: Uint8Array): void {
    this.#keep(bytes);
  }

  #keep(bytes: Uint8Array): void {
    if (this.#statement && equal(this.#statement, bytes)) return;
    transaction(this.#database, () =>
      this.#database.prepare('INSERT OR REPLACE INTO appointment VALUES (0, ?)').run(bytes),
    );
    this.#statement = bytes;
    this.#judged = undefined;
    for (const wake of this.#listeners) wake();
  }

  /** The policy.change that was promised. */
  statement(): Uint8Array | undefined {
    return this.#statement;
  }

  /** Calls `listener` at once when there is another. Returns how to stop. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }
}

function statementIn(bytes: Uint8Array): ReturnType<typeof parseStatement> | undefined {
  try {
    return parseStatement(bytes);
  } catch (error) {
    if (codeOf(error)) return undefined;
    throw error;
  }
}
