/** Batches of reports over HTTPS: gateways hand them over, authors fetch what is sealed to them (docs/spec/report-batch.md). */
import {
  decodeHandedBatch,
  encodeBatchProof,
  encodeSealedBatches,
  MAX_BATCH_BODY,
  REPORT_BATCHES,
  REPORT_REQUESTS,
} from '../api/report-batch.ts';
import { MAX_REPORT_REQUEST, verifyReportRequest } from '../api/report-request.ts';
import { fromHex } from '../bytes.ts';
import type { Clock } from '../clock.ts';
import { check, fail } from '../errors.ts';
import { pathOfLeaf } from '../log/padded-tree.ts';
import type { App } from '../net/server.ts';
import { storedKey } from '../registry/key-id.ts';
import { keyNamed } from '../registry/newest.ts';
import { getAuthor } from '../registry/state.ts';
import { parseStatement } from '../registry/statement.ts';
import type { ReportBatches } from './report-batches.ts';
import { isReceipted, receiptFor, type SubmissionParts } from './submission.ts';

export interface BatchRouteParts extends Pick<SubmissionParts, 'replica' | 'heads' | 'receiptKey'> {
  /** OPERATOR/NODE. */
  readonly name: string;
  readonly batches: ReportBatches;
  readonly clock: Clock;
}

export function reportBatchRoutes(app: App, parts: BatchRouteParts): void {
  const { batches, replica, clock } = parts;
  app.post(REPORT_BATCHES, { bodyLimit: MAX_BATCH_BODY }, async (request, reply) => {
    const handed = decodeHandedBatch(request.body as Uint8Array);
    check(getAuthor(replica.view(), handed.author) !== undefined, 'AUTHOR_UNKNOWN');
    batches.add(handed, clock());
    return reply.code(202).send();
  });
  app.post(REPORT_REQUESTS, { bodyLimit: MAX_REPORT_REQUEST }, async (request, reply) => {
    const { author, after } = verifyReportRequest(request.body as Uint8Array, {
      networkId: replica.genesis.networkId,
      node: parts.name,
      now: clock(),
      keyOf(id, keyId) {
        const key = keyNamed(getAuthor(replica.view(), id)?.keys ?? [], keyId);
        return key && storedKey(key);
      },
    });
    return reply
      .header('cache-control', 'no-store')
      .type('application/cbor')
      .send(encodeSealedBatches(batches.sealedFor(author, after)));
  });
  app.get<{ Params: { root: string } }>(`${REPORT_BATCHES}/:root`, async (request, reply) => {
    reply.header('cache-control', 'no-store');
    const proof = proofOf(parts, fromHex(request.params.root, 32));
    return proof ? reply.type('application/cbor').send(proof) : reply.code(202).send();
  });
}

// Undefined: on its way.
function proofOf(parts: BatchRouteParts, root: Uint8Array): Uint8Array | undefined {
  const { batches, replica } = parts;
  const place = batches.placeOf(root);
  if (place === undefined) return fail('BATCH_UNKNOWN');
  const found = place && replica.find(place.digest);
  const stored = found && replica.statement(found.index);
  if (!stored || !isReceipted(parts, found.index)) return undefined;
  return encodeBatchProof({
    index: place.index,
    size: place.leaves.length,
    path: pathOfLeaf(place.leaves, place.index),
    statement: stored.bytes,
    logIndex: found.index,
    receipt: receiptFor(parts, parseStatement(stored.bytes), found.index),
  });
}
