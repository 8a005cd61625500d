/**
 * The replicated application: what one statement does to the state. Deterministic: no clock, no chance,
 * no I/O beyond the view. Rules stand in rules/, one function each; what holds for every kind is here.
 */
import { fromHex, hex } from '../bytes.ts';
import { check, fail } from '../errors.ts';
import { authenticate } from './authenticate.ts';
import type { Kind } from './claims.ts';
import { storedKey } from './key-id.ts';
import { lineKey, parseLineText } from './line.ts';
import { keyNamed } from './newest.ts';
import { nodeIssuer, nodesOf } from './policy.ts';
import { parseRegistration, registerAuthor } from './rules/author-register.ts';
import { anchorImage } from './rules/image-anchor.ts';
import { dropImage, holdImage } from './rules/image-hold.ts';
import { revokeKey } from './rules/key-revoke.ts';
import { rotateKeys } from './rules/key-rotate.ts';
import { declareLine } from './rules/line-declare.ts';
import { delegateLine } from './rules/line-delegate.ts';
import { changePolicy } from './rules/policy-change.ts';
import { transferLine } from './rules/line-transfer.ts';
import { delegateOf, OF_DELEGATES } from './rules/owned-line.ts';
import { registerRelease } from './rules/release-register.ts';
import { takeBatch } from './rules/report-batch.ts';
import { withdrawRelease } from './rules/release-withdraw.ts';
import {
  getAuthor,
  getLine,
  getNodeCounter,
  policyInForce,
  setAuthor,
  setLine,
  setNodeCounter,
  type AuthorRecord,
} from './state.ts';
import type { Statement, Transaction } from './statement.ts';
import type { View } from './view.ts';

/** Where in the ledger a statement stands. `index` is the log index it gets. */
export interface BlockContext {
  readonly height: number;
  readonly time: number;
  readonly index: number;
}

/**
 * Applies one transaction, or throws a coded error; the view may then be half-written, so it is always
 * an overlay that the caller drops.
 */
export function apply(view: View, transaction: Transaction, block: BlockContext): void {
  const { statement, attachment } = transaction;
  const { networkId } = policyInForce(view);
  check(statement.network === hex(networkId), 'STATEMENT_NETWORK');
  check((attachment !== null) === (statement.kind === 'release'), 'ATTACHMENT_MISSING');
  if (OF_NODES.includes(statement.kind)) return applyOfNode(view, statement, block);
  if (statement.kind === 'policy.change') return changePolicy(view, statement, block.index);
  if (statement.kind === 'author.register') {
    authenticate(statement, parseRegistration(statement).key);
    return registerAuthor(view, statement, networkId, block.index);
  }
  if (OF_RECOVERY.includes(statement.kind)) return applyOfRecovery(view, statement, block);
  const takeCounter = signer(view, statement);
  if (statement.kind === 'release')
    return registerRelease(view, statement, attachment ?? fail('ATTACHMENT_MISSING'), block.index);
  takeCounter();
  if (statement.kind === 'line.declare') return declareLine(view, statement);
  if (statement.kind === 'image.anchor') return anchorImage(view, statement, block.index);
  return withdrawRelease(view, statement);
}

const OF_NODES: readonly Kind[] = ['image.hold', 'image.drop', 'report.batch'];
const OF_RECOVERY: readonly Kind[] = ['key.rotate', 'key.revoke', 'line.delegate', 'line.transfer'];

function applyOfNode(view: View, statement: Statement, block: BlockContext): void {
  const { policy } = policyInForce(view);
  const node =
    nodesOf(policy).find(({ name }) => nodeIssuer(name) === statement.issuer) ??
    fail('STATEMENT_SIGNER_UNKNOWN');
  authenticate(statement, node.node.statement);
  check(statement.counter > getNodeCounter(view, node.name), 'STATEMENT_COUNTER');
  setNodeCounter(view, node.name, statement.counter);
  if (statement.kind === 'report.batch') takeBatch(view, statement, node.name, block.time);
  else if (statement.kind === 'image.hold') holdImage(view, statement, node.name, block.height);
  else dropImage(view, statement, node.name);
}

// T01: a release key alone can do none of these; each rule asks for the recovery keys itself.
function applyOfRecovery(view: View, statement: Statement, block: BlockContext): void {
  const author = issuingAuthor(view, statement) ?? fail('AUTHOR_UNKNOWN');
  // Apart from the release keys' counters: whoever holds one of those must not be able to use these up (T01).
  check(statement.counter > author.recoveryCounter, 'STATEMENT_COUNTER');
  const counted = { ...author, recoveryCounter: statement.counter };
  if (statement.kind === 'key.rotate') return rotateKeys(view, statement, counted, block.index);
  if (statement.kind === 'key.revoke') return revokeKey(view, statement, counted, block.index);
  if (statement.kind === 'line.delegate')
    return delegateLine(view, statement, counted, block.index);
  return transferLine(view, statement, counted, block.index);
}

/**
 * Finds and checks who signed: the author that the issuer names, with a release key in force, or a delegate of
 * the line's owner (T01). Returns how to take its counter.
 */
function signer(view: View, statement: Statement): () => void {
  const author = issuingAuthor(view, statement);
  const key = author && keyNamed(author.keys, statement.keyId);
  if (author && key) {
    check(author.status === 0, 'STATEMENT_SIGNER_UNKNOWN', 'the author is revoked');
    authenticate(statement, storedKey(key));
    checkSubject(statement);
    return () => {
      const position = author.keys.indexOf(key);
      check(statement.counter > (author.counters[position] ?? 0n), 'STATEMENT_COUNTER');
      setAuthor(view, { ...author, counters: author.counters.with(position, statement.counter) });
    };
  }
  const takeCounter = OF_DELEGATES.includes(statement.kind) && delegate(view, statement);
  return takeCounter || fail(author ? 'STATEMENT_SIGNER_UNKNOWN' : 'AUTHOR_UNKNOWN');
}

function issuingAuthor(view: View, statement: Statement): AuthorRecord | undefined {
  return /^[0-9a-f]{64}$/.test(statement.issuer)
    ? getAuthor(view, fromHex(statement.issuer))
    : undefined;
}

// T03: the claims cannot name another's line. Whether a line that changed hands is the issuer's, its rule asks.
function checkSubject(statement: Statement): void {
  const { issuer, subject, kind } = statement;
  if (kind === 'line.declare') check(subject.startsWith(`${issuer}/`), 'LINE_FOREIGN');
}

function delegate(view: View, statement: Statement): (() => void) | undefined {
  const key = lineKey(parseLineText(statement.subject));
  const line = getLine(view, key) ?? fail('LINE_UNKNOWN');
  const known = delegateOf(line, statement.keyId);
  if (!known || statement.issuer !== hex(statement.keyId)) return undefined;
  authenticate(statement, storedKey(known.key));
  return () => {
    check(statement.counter > known.counter, 'STATEMENT_COUNTER');
    const delegates = line.delegates.map((each) =>
      each === known ? { ...known, counter: statement.counter } : each,
    );
    setLine(view, key, { ...line, delegates });
  };
}
