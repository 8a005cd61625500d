/** What ties a batch's root to the ledger: the path to a node's statement, and the statement's receipt (T13, T25). */
import { equal, hex } from '../bytes.ts';
import type { BatchProof } from '../api/report-batch.ts';
import { KID } from '../cose/claims.ts';
import { thumbprint } from '../cose/key.ts';
import { decodeSign1 } from '../cose/sign1.ts';
import { check, fail, FirmamentError } from '../errors.ts';
import { originOf } from '../log/checkpoint.ts';
import { leafHash, verifyInclusion } from '../log/merkle.ts';
import { verifyReceipt } from '../log/receipt.ts';
import type { PublicKey } from '../crypto/key.ts';
import { nodesOf } from '../registry/policy.ts';
import type { Root } from '../registry/root.ts';
import { parseReportBatch } from '../registry/rules/report-batch.ts';
import { parseStatement } from '../registry/statement.ts';

export interface BatchOnLedger {
  /** Who put it there: `operator/NAME/node/NODE`. */
  readonly issuer: string;
  readonly logIndex: number;
  /** Size of the log that the receipt is under. */
  readonly size: number;
}

/**
 * The root was on the ledger when the receipt was made. Whose the statement is, the ledger's rule has checked.
 * Errors: BATCH_UNPROVEN.
 */
export function checkBatchProof(root: Root, batch: Uint8Array, proof: BatchProof): BatchOnLedger {
  try {
    return proven(root, batch, proof);
  } catch (cause) {
    if (!(cause instanceof FirmamentError) || cause.code === 'BATCH_UNPROVEN') throw cause;
    return fail('BATCH_UNPROVEN', `${cause.code}: ${cause.message}`, {}, cause);
  }
}

function proven(root: Root, batch: Uint8Array, proof: BatchProof): BatchOnLedger {
  const { index, size, path, receipt } = proof;
  const statement = parseStatement(proof.statement);
  check(statement.kind === 'report.batch', 'BATCH_UNPROVEN', 'another kind of statement');
  check(statement.network === hex(root.networkId), 'BATCH_UNPROVEN', 'of another network');
  const above = parseReportBatch(statement);
  verifyInclusion({ leafHash: leafHash(batch), index, size, path, root: above });
  const found = verifyReceipt(receipt, {
    key: receiptKey(root, receipt),
    leafHash: leafHash(statement.entry),
  });
  check(found.issuer === originOf(root.networkId), 'BATCH_UNPROVEN', 'a receipt of another log');
  check(found.index === proof.logIndex, 'BATCH_UNPROVEN', 'another index than its receipt');
  return { issuer: statement.issuer, logIndex: found.index, size: found.size };
}

function receiptKey(root: Root, receipt: Uint8Array): PublicKey {
  const { header } = decodeSign1(receipt, { maxBytes: 8192, sorted: false });
  const kid = header.get(KID);
  const signer = nodesOf(root.policy).find(
    ({ node }) => kid instanceof Uint8Array && equal(thumbprint(node.receipt), kid),
  );
  return signer?.node.receipt ?? fail('BATCH_UNPROVEN', 'a receipt by no node of the network');
}
