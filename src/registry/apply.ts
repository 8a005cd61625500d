/**
 * The replicated application: what one statement does to the state. Deterministic: no clock, no chance,
 * no I/O beyond the view. Rules stand in rules/, one function each; what holds for every kind is here.
 */
import { isLowS } from '#crypto';
import { equal, fromHex, hex } from '../bytes.ts';
import { curveOf } from '../cose/algorithm.ts';
import { decodeKey, thumbprint } from '../cose/key.ts';
import { verifySign1 } from '../cose/sign1.ts';
import type { PublicKey } from '../crypto/key.ts';
import { check, fail } from '../errors.ts';
import type { Kind } from './claims.ts';
import { releaseKey } from './newest.ts';
import { nodeIssuer, nodesOf } from './policy.ts';
import { parseRegistration, registerAuthor } from './rules/author-register.ts';
import { anchorImage } from './rules/image-anchor.ts';
import { dropImage, holdImage } from './rules/image-hold.ts';
import { declareLine } from './rules/line-declare.ts';
import { registerRelease } from './rules/release-register.ts';
import { withdrawRelease } from './rules/release-withdraw.ts';
import {
  getAuthor,
  getNodeCounter,
  policyInForce,
  setAuthor,
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
  if (statement.kind === 'author.register') {
    authenticate(statement, parseRegistration(statement).key);
    return registerAuthor(view, statement, networkId);
  }
  const author = signingAuthor(view, statement);
  if (statement.kind === 'release') {
    return registerRelease(view, statement, attachment ?? fail('ATTACHMENT_MISSING'), block.index);
  }
  check(statement.counter > author.counter, 'STATEMENT_COUNTER');
  setAuthor(view, { ...author, counter: statement.counter });
  if (statement.kind === 'line.declare') return declareLine(view, statement);
  if (statement.kind === 'image.anchor') return anchorImage(view, statement, block.index);
  return withdrawRelease(view, statement);
}

const OF_NODES: readonly Kind[] = ['image.hold', 'image.drop'];

function applyOfNode(view: View, statement: Statement, block: BlockContext): void {
  const { policy } = policyInForce(view);
  const signer =
    nodesOf(policy).find(({ name }) => nodeIssuer(name) === statement.issuer) ??
    fail('STATEMENT_SIGNER_UNKNOWN');
  authenticate(statement, signer.node.statement);
  check(statement.counter > getNodeCounter(view, signer.name), 'STATEMENT_COUNTER');
  setNodeCounter(view, signer.name, statement.counter);
  if (statement.kind === 'image.hold') holdImage(view, statement, signer.name, block.height);
  else dropImage(view, statement, signer.name);
}

// A release key in force of the author that the issuer names; the claims cannot name another's line (T03).
function signingAuthor(view: View, statement: Statement): AuthorRecord {
  const issuer = /^[0-9a-f]{64}$/.test(statement.issuer) ? fromHex(statement.issuer) : undefined;
  const author = (issuer && getAuthor(view, issuer)) ?? fail('AUTHOR_UNKNOWN');
  const key = releaseKey(author, statement.keyId) ?? fail('STATEMENT_SIGNER_UNKNOWN');
  check(author.status === 0, 'STATEMENT_SIGNER_UNKNOWN', 'the author is revoked');
  authenticate(statement, decodeKey(key));
  check(statement.subject.startsWith(`${statement.issuer}/`), 'LINE_FOREIGN');
  return author;
}

// A signature is checked once for a parsed statement and key, however often it is applied (dry run, proposal).
const authenticated = new WeakMap<Statement, string>();

/** Errors: COSE_SIGNATURE_INVALID, STATEMENT_SIGNER_UNKNOWN, STATEMENT_HIGH_S. */
export function authenticate(statement: Statement, key: PublicKey): void {
  const keyId = thumbprint(key);
  if (authenticated.get(statement) === hex(keyId)) return;
  check(
    equal(statement.keyId, keyId),
    'STATEMENT_SIGNER_UNKNOWN',
    'the kid is not that of the signer',
  );
  verifySign1(statement.sign1, key);
  // T05: one signature a statement; anybody could turn a low s into a high one.
  check(
    curveOf(statement.sign1.algorithm) !== 'P-256' || isLowS(statement.sign1.signature),
    'STATEMENT_HIGH_S',
  );
  authenticated.set(statement, hex(keyId));
}
