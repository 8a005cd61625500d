/** Transactions 1 and 2: posting statements, and believing the receipts that come back (T12, T13). */
import { equal, hex } from '../bytes.ts';
import {
  decodeRegistered,
  encodeGroup,
  entryPath,
  MAX_REGISTRATION,
  REGISTRATIONS,
  type Registered,
  type RegisteredEntry,
} from '../api/registration.ts';
import { KID } from '../cose/claims.ts';
import { thumbprint } from '../cose/key.ts';
import { decodeSign1 } from '../cose/sign1.ts';
import { check, codeOf, fail } from '../errors.ts';
import { originOf } from '../log/checkpoint.ts';
import { leafHash } from '../log/merkle.ts';
import { verifyReceipt } from '../log/receipt.ts';
import type { RawTransaction } from '../registry/block.ts';
import { nodesOf, type NamedNode } from '../registry/policy.ts';
import type { Root } from '../registry/root.ts';
import { parseStatement, type Statement } from '../registry/statement.ts';
import { askUntil, nodesWithRole, type Network, type Patience } from './network.ts';

/** A statement on the ledger, with a receipt that was verified. */
export interface Receipted {
  readonly statement: Statement;
  /** Log index. */
  readonly index: number;
  /** Size of the log whose head the receipt is under. */
  readonly size: number;
  readonly receipt: Uint8Array;
}

export interface Registration {
  readonly entries: readonly Receipted[];
  /** The node that took the group. */
  readonly node: NamedNode;
}

export interface RegistrationEvents {
  /** The group is ordered by the word of the node; `receipts` is false while they are waited for. */
  readonly onOrdered?: (node: string, indexes: readonly number[], receipts: boolean) => void;
}

const MAX_RECEIPT = 8192;

/**
 * Posts a group to the registration nodes, one after the other, until one takes it; waits for the receipts and
 * verifies each. The group may be on the ledger already: it is answered the same.
 * Errors: what the registry refuses it with; AUTHOR_TIMEOUT.
 */
export async function register(
  network: Network,
  group: readonly RawTransaction[],
  patience: Patience,
  events: RegistrationEvents = {},
): Promise<Registration> {
  const statements = group.map(({ statement }) => parseStatement(statement));
  const nodes = nodesWithRole(network.root, 'registration');
  const body = encodeGroup(group);
  const { node, registered } = await askUntil(network, nodes, patience, async (each) => {
    const answer = await network.client.request({
      method: 'POST',
      url: `${each.node.url}${REGISTRATIONS}`,
      headers: { 'content-type': 'application/cbor', 'firmament-transaction': '1' },
      body,
      maxBytes: MAX_REGISTRATION,
      signal: patience.signal,
    });
    return { node: each, registered: answered(answer.body, statements) };
  });
  const indexes = registered.entries.map(({ index }) => index);
  const complete = registered.entries.every(({ receipt }) => receipt.length > 0);
  events.onOrdered?.(node.name, indexes, complete);
  const order = [node, ...nodes.filter((other) => other !== node)];
  const entries: Receipted[] = [];
  for (const [i, statement] of statements.entries()) {
    const entry = registered.entries[i] as RegisteredEntry;
    entries.push(await receipted(network, order, patience, statement, entry));
  }
  return { entries, node };
}

function answered(body: Uint8Array, statements: readonly Statement[]): Registered {
  const registered = lied(() => decodeRegistered(body));
  check(registered.entries.length === statements.length, 'AUTHOR_NODE_LIES', 'not as many entries');
  return registered;
}

async function receipted(
  network: Network,
  nodes: readonly NamedNode[],
  patience: Patience,
  statement: Statement,
  entry: RegisteredEntry,
): Promise<Receipted> {
  if (entry.receipt.length > 0) return checkReceipt(network.root, statement, entry);
  return askUntil(network, nodes, patience, async ({ node }) => {
    const answer = await network.client
      .request({
        url: `${node.url}${entryPath(statement.signingDigest)}`,
        maxBytes: MAX_REGISTRATION,
        signal: patience.signal,
      })
      .catch((error: unknown) => {
        // A node that has not followed to the block yet does not know it.
        if (codeOf(error) === 'RELEASE_UNKNOWN') return undefined;
        throw error;
      });
    if (!answer || answer.status === 202) return undefined;
    const [found] = lied(() => decodeRegistered(answer.body)).entries;
    if (!found || found.receipt.length === 0) return undefined;
    return checkReceipt(network.root, statement, found);
  });
}

/**
 * The receipt is a listed node's, for this statement on this network's log.
 * Errors: AUTHOR_NODE_LIES, with what is wrong as its cause.
 */
export function checkReceipt(
  root: Root,
  statement: Statement,
  { entry, index, receipt }: RegisteredEntry,
): Receipted {
  return lied(() => {
    const key = receiptKey(root, receipt);
    const proven = verifyReceipt(receipt, { key, leafHash: leafHash(entry) });
    check(proven.issuer === originOf(root.networkId), 'LOG_RECEIPT_INVALID', 'another log');
    check(proven.subject === statement.subject, 'LOG_RECEIPT_INVALID', 'another subject');
    // The same statement under an earlier signature (T05) has another entry: nothing here proves that it is the same.
    check(
      equal(entry, statement.entry),
      'LOG_RECEIPT_INVALID',
      'another statement, or another signature',
    );
    check(proven.index === index, 'LOG_RECEIPT_INVALID', 'another index');
    return { statement, index, size: proven.size, receipt };
  });
}

function receiptKey(root: Root, receipt: Uint8Array): NamedNode['node']['receipt'] {
  const { header } = decodeSign1(receipt, { maxBytes: MAX_RECEIPT, sorted: false });
  const kid = header.get(KID);
  const signer = nodesOf(root.policy).find(
    ({ node }) => kid instanceof Uint8Array && equal(thumbprint(node.receipt), kid),
  );
  return signer?.node.receipt ?? fail('LOG_RECEIPT_INVALID', 'by no node of the network');
}

function lied<T>(read: () => T): T {
  try {
    return read();
  } catch (cause) {
    const code = codeOf(cause);
    if (code === undefined || code === 'AUTHOR_NODE_LIES') throw cause;
    return fail('AUTHOR_NODE_LIES', `${code}: ${(cause as Error).message}`, { cause: code }, cause);
  }
}

/** Where a statement stands, for people and scripts. */
export function describeReceipted({ statement, index, size }: Receipted): {
  readonly kind: string;
  readonly entry: string;
  readonly index: number;
  readonly size: number;
} {
  return { kind: statement.kind, entry: hex(statement.entry), index, size };
}
