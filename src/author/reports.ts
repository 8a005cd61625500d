/** An author reads what came of its releases: batches from the nodes, opened, checked, proven to be on the ledger (T25). */
import {
  batchPath,
  decodeBatchProof,
  decodeSealedBatches,
  MAX_BATCH_PROOF,
  MAX_SEALED_ANSWER,
  REPORT_REQUESTS,
  SEALED_AT_ONCE,
  type SealedBatch,
} from '../api/report-batch.ts';
import { createReportRequest } from '../api/report-request.ts';
import { equal, hex } from '../bytes.ts';
import type { Clock } from '../clock.ts';
import type { PrivateKey, SigningKey } from '../crypto/key.ts';
import { check, codeOf, fail } from '../errors.ts';
import type { NamedNode } from '../registry/policy.ts';
import { readBatch, type Batch } from '../reports/batch.ts';
import { checkBatchProof, type BatchOnLedger } from '../reports/ledger-proof.ts';
import { openSealedBatch } from '../reports/sealing.ts';
import { Tally, type BatchTally, type ReleaseTally } from '../reports/tally.ts';
import { nodesWithRole, type Network } from './network.ts';

export interface ReportReader {
  readonly network: Network;
  /** Author id. */
  readonly author: Uint8Array;
  /** Its release key: nodes give sealed batches to nobody else. */
  readonly key: SigningKey;
  readonly reportKey: PrivateKey;
  readonly clock: Clock;
  /** OPERATOR/NODE or URLs; all retrieval nodes unless said. */
  readonly only?: readonly string[];
}

/** `code`: why nothing of the batch counts. */
export type AuthorBatch = { readonly root: string; readonly node: string } & (
  | (BatchTally & BatchOnLedger)
  | { readonly code: string }
);

export interface AuthorReports {
  readonly releases: readonly ReleaseTally[];
  readonly batches: readonly AuthorBatch[];
  /** Nodes that gave no answer that holds, with the code. */
  readonly unheard: Readonly<Record<string, string>>;
}

const ANSWER_MS = 30_000;
// A node that says ever more is left at some time.
const MAX_ROUNDS = 1_000;

/** Only records of batches that are proven to be on the ledger count. Errors: NET_UNREACHABLE without any node to ask. */
export async function readReports(reader: ReportReader): Promise<AuthorReports> {
  const { network, only } = reader;
  const nodes = nodesWithRole(network.root, 'retrieval').filter(
    ({ name, node }) => !only || only.includes(name) || only.includes(node.url),
  );
  check(nodes.length > 0, 'NET_UNREACHABLE', 'none of these is a retrieval node of the network');
  const tally = new Tally();
  const batches = new Map<string, AuthorBatch>();
  const unheard: Record<string, string> = {};
  for (const node of nodes) {
    try {
      for await (const sealed of sealedAt(reader, node)) {
        const root = hex(sealed.root);
        const before = batches.get(root);
        // The same batch at a second node, after the first gave it up.
        if (before && !('code' in before)) continue;
        batches.set(root, await readOne(reader, node, sealed, tally));
      }
    } catch (error) {
      unheard[node.name] = codeOf(error) ?? fail('INTERNAL', undefined, {}, error);
    }
  }
  return { releases: tally.releases(), batches: [...batches.values()], unheard };
}

async function* sealedAt(
  { network, author, key, clock }: ReportReader,
  { name, node }: NamedNode,
): AsyncGenerator<SealedBatch> {
  const { networkId } = network.root;
  let after = 0;
  for (let round = 0; round < MAX_ROUNDS; round++) {
    const asked = { networkId, node: name, author, time: clock(), after };
    const { body } = await network.client.request({
      method: 'POST',
      url: node.url + REPORT_REQUESTS,
      headers: { 'content-type': 'application/cose' },
      body: createReportRequest(key, asked),
      maxBytes: MAX_SEALED_ANSWER,
      timeoutMs: ANSWER_MS,
    });
    const batches = decodeSealedBatches(body);
    for (const batch of batches) {
      check(batch.number > after, 'AUTHOR_NODE_LIES', 'batches out of order');
      after = batch.number;
      yield batch;
    }
    if (batches.length < SEALED_AT_ONCE) return;
  }
}

async function readOne(
  reader: ReportReader,
  node: NamedNode,
  sealed: SealedBatch,
  tally: Tally,
): Promise<AuthorBatch> {
  const named = { root: hex(sealed.root), node: node.name };
  try {
    const batch = await openBatch(reader, sealed);
    const onLedger = await proofOf(reader, node, sealed.root);
    return { ...tally.add(batch), ...onLedger, ...named };
  } catch (error) {
    return { ...named, code: codeOf(error) ?? fail('INTERNAL', undefined, {}, error) };
  }
}

/** Errors: BATCH_SEALED, BATCH_MALFORMED, BATCH_ROOT_MISMATCH, BATCH_FOREIGN. */
export async function openBatch(
  { network, author, reportKey }: Pick<ReportReader, 'network' | 'author' | 'reportKey'>,
  { root, sealed }: Omit<SealedBatch, 'number'>,
): Promise<Batch> {
  const { networkId } = network.root;
  const batch = readBatch(
    networkId,
    root,
    await openSealedBatch(reportKey, { networkId, root }, sealed),
  );
  check(equal(batch.author, author), 'BATCH_FOREIGN');
  return batch;
}

async function proofOf(
  { network }: ReportReader,
  { node }: NamedNode,
  root: Uint8Array,
): Promise<BatchOnLedger> {
  const { status, body } = await network.client.request({
    url: node.url + batchPath(root),
    maxBytes: MAX_BATCH_PROOF,
    timeoutMs: ANSWER_MS,
  });
  check(status === 200, 'BATCH_PENDING');
  return checkBatchProof(network.root, root, decodeBatchProof(body));
}
