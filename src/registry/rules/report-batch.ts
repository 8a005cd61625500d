/** report.batch: a node's Merkle root over roots of reports, and nothing else (T25). */
import { asBytes } from '../../cbor/read.ts';
import { encode } from '../../cbor/encode.ts';
import { hex } from '../../bytes.ts';
import { check } from '../../errors.ts';
import { HASH_LENGTH } from '../../log/merkle.ts';
import type { SigningKey } from '../../crypto/key.ts';
import { nodeIssuer } from '../policy.ts';
import { getBatchTime, setBatchTime } from '../state.ts';
import { createStatement, type Statement } from '../statement.ts';
import type { View } from '../view.ts';
import { parsePayload } from './payload.ts';

/** Seconds of block time between two batches of one node: how much is reported shows in no rhythm. */
export const BATCH_INTERVAL = 60;

/** The Merkle root over the gathered roots. Errors: STATEMENT_MALFORMED, STATEMENT_SUBJECT. */
export function parseReportBatch(statement: Statement): Uint8Array {
  // Whatever a signer may choose could tell of a device: the subject is the network's id.
  check(statement.subject === statement.network, 'STATEMENT_SUBJECT');
  return parsePayload(statement, [1], (get) => asBytes(get(1), 'root', HASH_LENGTH));
}

/** Changes no entry of the map. Errors: STATEMENT_MALFORMED, STATEMENT_SUBJECT, BATCH_TOO_SOON. */
export function takeBatch(view: View, statement: Statement, node: string, time: number): void {
  parseReportBatch(statement);
  const last = getBatchTime(view, node);
  check(last === undefined || time >= last + BATCH_INTERVAL, 'BATCH_TOO_SOON');
  setBatchTime(view, node, time);
}

/** `name` is OPERATOR/NODE. */
export function reportBatchStatement(
  key: SigningKey,
  name: string,
  networkId: Uint8Array,
  counter: bigint,
  root: Uint8Array,
): Statement {
  const network = hex(networkId);
  return createStatement(
    key,
    { kind: 'report.batch', issuer: nodeIssuer(name), subject: network, network, counter },
    encode(new Map([[1, root]])),
  );
}
