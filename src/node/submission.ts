/** From a request's bytes to places on the ledger with receipts (T05, T12, T13). */
import {
  decodeGroup,
  uploadPath,
  type Registered,
  type RegisteredEntry,
} from '../api/registration.ts';
import type { Clock } from '../clock.ts';
import { check, fail } from '../errors.ts';
import type { Ledger } from '../ledger/ledger.ts';
import type { Placement } from '../ledger/committed-ledger.ts';
import { refusal } from '../ledger/refusal.ts';
import type { Replica } from '../ledger/replica.ts';
import { createReceipt } from '../log/receipt.ts';
import type { PrivateKey } from '../crypto/key.ts';
import { parseAnchor } from '../registry/rules/image-anchor.ts';
import { parseStatement, type Statement, type Transaction } from '../registry/statement.ts';
import type { Heads } from './heads.ts';
import type { UrgentStatements } from './urgent-statements.ts';

export interface SubmissionParts {
  readonly replica: Replica;
  readonly ledger: Ledger;
  readonly heads: Heads;
  /** Whether this node alone orders: then its engine's own check is the first. */
  readonly orders: () => boolean;
  readonly receiptKey: PrivateKey;
  readonly urgent: UrgentStatements;
  readonly clock: Clock;
  /** How long an author waits for k cosignatures before it is told to come back, milliseconds. */
  readonly receiptWaitMs: number;
}

type ReceiptParts = Pick<SubmissionParts, 'replica' | 'heads' | 'receiptKey'>;

export interface Submitted extends Registered {
  /** Everything was on the ledger already. */
  readonly known: boolean;
  /** Every receipt is there. */
  readonly complete: boolean;
}

const CATCH_UP_MS = 5_000;

/** Orders a group of statements in one block, or none of them. Errors: those of the registry, LEDGER_*. */
export async function submit(parts: SubmissionParts, body: Uint8Array): Promise<Submitted> {
  const group = parseGroup(body);
  if (!parts.orders()) await checkAcceptable(parts, group);
  // T11: from here on every node sees to it that the orderer does not hold it back.
  parts.urgent.keep(group, parts.clock());
  const placements = await parts.ledger.submit(group);
  check(
    placements.length === group.length,
    'NODE_ORDERER_UNREACHABLE',
    'not a place for each statement',
  );
  const complete = await cosigned(parts, group);
  return {
    entries: group.map(({ statement }, i) =>
      entryAt(parts, statement, placements[i] as Placement, complete),
    ),
    upload: uploadOf(group),
    known: placements.every((placement) => placement.known),
    complete,
  };
}

/** Errors: CBOR_*, API_GROUP_SIZE, STATEMENT_*. */
export function parseGroup(body: Uint8Array): readonly Transaction[] {
  return decodeGroup(body).map(({ statement, attachment }) => ({
    statement: parseStatement(statement),
    attachment,
  }));
}

// Nothing that is refused here travels further. Our state may lag behind the orderer's by a block, and by more after a
// start: a refusal counts only once the next block is here, or none came and nobody is known to be further. What is
// refused on a state that k operators are beyond is not for this node to refuse.
async function checkAcceptable(
  { replica, heads, clock }: SubmissionParts,
  group: readonly Transaction[],
): Promise<void> {
  const deadline = performance.now() + CATCH_UP_MS;
  let known = 0;
  for (let waited = false; ; waited = true) {
    known ||= heads.claimed();
    const refused = refusal(replica, group, clock());
    if (!refused) return;
    const late = performance.now() > deadline;
    check(!late || replica.head().size >= known, 'NODE_BEHIND');
    if (waited && (late || !isBehind(replica, heads))) throw refused;
    await nextHead(replica, 300);
  }
}

function isBehind(replica: Replica, heads: Heads): boolean {
  const { size } = replica.head();
  return !heads.hasQuorum() || heads.all().some((cosignature) => cosignature.size > size);
}

async function nextHead(replica: Replica, timeoutMs: number): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const stop = replica.onHead(() => resolve());
  const timer = setTimeout(resolve, timeoutMs);
  await promise;
  clearTimeout(timer);
  stop();
}

// T12: acknowledged once k operators stored and cosigned the block. Where a statement stands, this node's own
// replica says: the orderer's word is only that it will come.
async function cosigned(
  { replica, heads, receiptWaitMs }: SubmissionParts,
  group: readonly Transaction[],
): Promise<boolean> {
  const deadline = performance.now() + receiptWaitMs;
  const left = (): number => Math.max(1, deadline - performance.now());
  let size = 0;
  for (const { statement } of group) {
    let placement = replica.find(statement.signingDigest);
    while (!placement) {
      if (performance.now() >= deadline || replica.halted()) return false;
      await nextHead(replica, left());
      placement = replica.find(statement.signingDigest);
    }
    size = Math.max(size, replica.headAt(placement.height).size);
  }
  return heads.reach(size, left());
}

function entryAt(
  parts: ReceiptParts,
  statement: Statement,
  said: Placement,
  complete: boolean,
): RegisteredEntry {
  if (!complete) return { entry: statement.entry, index: said.index, receipt: new Uint8Array() };
  const own = parts.replica.findEntry(statement.entry);
  if (own) {
    const { entry } = statement;
    return { entry, index: own.index, receipt: receiptFor(parts, statement, own.index) };
  }
  const { index } = parts.replica.find(statement.signingDigest) ?? said;
  // A statement that was known keeps the bytes, and so the entry, that it was first ordered with (T05).
  const stored = parts.replica.statement(index);
  const ordered = stored ? parseStatement(stored.bytes) : statement;
  return { entry: ordered.entry, index, receipt: receiptFor(parts, ordered, index) };
}

/** Whether a receipt can be given for this log index: k operators, this one among them, cosigned it. */
export function isReceipted({ heads }: Pick<ReceiptParts, 'heads'>, index: number): boolean {
  return (heads.receipted()?.size ?? 0) > index;
}

/** A receipt at the newest head that k operators, this one among them, cosigned (T13). Errors: NODE_NO_QUORUM. */
export function receiptFor(
  { replica, heads, receiptKey }: ReceiptParts,
  statement: Statement,
  index: number,
): Uint8Array {
  const head = heads.receipted() ?? fail('NODE_NO_QUORUM');
  return createReceipt({
    key: receiptKey,
    origin: replica.origin,
    subject: statement.subject,
    size: head.size,
    index,
    path: replica.inclusionPath(index, head.size),
    root: head.root,
  });
}

/** The statement with this signing digest (T05), with a receipt if k operators cosigned it. */
export function lookUp(
  parts: ReceiptParts,
  signingDigest: Uint8Array,
): { readonly registered: Registered; readonly complete: boolean } | undefined {
  const placement = parts.replica.find(signingDigest);
  const stored = placement && parts.replica.statement(placement.index);
  if (!placement || !stored) return undefined;
  const complete = isReceipted(parts, placement.index);
  return {
    registered: {
      entries: [entryAt(parts, parseStatement(stored.bytes), placement, complete)],
      upload: null,
    },
    complete,
  };
}

function uploadOf(group: readonly Transaction[]): string | null {
  const anchor = group.find(({ statement }) => statement.kind === 'image.anchor')?.statement;
  return anchor ? uploadPath(parseAnchor(anchor).image) : null;
}
