/** What k operators say of a line, verified: no node's word is enough for an author either. */
import { decodeLatest, latestPath, MAX_LATEST } from '../api/retrieval.ts';
import { equal } from '../bytes.ts';
import { codeOf } from '../errors.ts';
import type { Line } from '../registry/line.ts';
import type { NamedNode } from '../registry/policy.ts';
import { verifyProof, type ProvenLine } from '../trust/proof.ts';
import { askUntil, nodesWithRole, type Network, type Patience } from './network.ts';

/** How old it is stays open. Errors: LINE_UNKNOWN, TRUST_*, AUTHOR_TIMEOUT. */
export async function provenLine(
  network: Network,
  line: Line,
  patience: Patience,
): Promise<ProvenLine> {
  const nodes = nodesWithRole(network.root, 'retrieval');
  return askUntil(network, nodes, patience, (node) => askProof(network, line, node, patience));
}

async function askProof(
  network: Network,
  line: Line,
  { node }: NamedNode,
  { signal }: Patience,
): Promise<ProvenLine> {
  const answer = await network.client.request({
    url: `${node.url}${latestPath(line)}`,
    headers: { 'firmament-transaction': '4' },
    maxBytes: MAX_LATEST,
    signal,
  });
  return verifyProof(network.root, line, decodeLatest(answer.body).proof);
}

/**
 * Waits until a proof shows the release as the line's newest, or one above it. A node that gives no such proof is
 * passed over: it lags, or lied when it said that the release is available. Errors: AUTHOR_TIMEOUT.
 */
export async function waitProven(
  network: Network,
  line: Line,
  release: { readonly digest: Uint8Array; readonly sequence: bigint },
  patience: Patience,
): Promise<ProvenLine> {
  const nodes = nodesWithRole(network.root, 'retrieval');
  return askUntil(network, nodes, patience, async (node) => {
    try {
      const proven = await askProof(network, line, node, patience);
      const { newest } = proven.value;
      const shown =
        newest !== null &&
        (equal(newest.digest, release.digest) || newest.sequence > release.sequence);
      return shown ? proven : undefined;
    } catch (error) {
      if (/^(?:TRUST|LOG|CBOR|LINE)_/.test(codeOf(error) ?? '')) return undefined;
      throw error;
    }
  });
}
