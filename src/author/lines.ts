/** An author's lines: declaring one, and what the network proves about one (T03, T16). */
import { decodeLatest, latestPath, MAX_LATEST } from '../api/retrieval.ts';
import { lineKey, lineText, type Line } from '../registry/line.ts';
import { verifyProof, type ProvenLine } from '../trust/proof.ts';
import { askUntil, nodesWithRole, type Network, type Patience } from './network.ts';
import { postOne, signerOf, type Session } from './publish.ts';
import { rememberLine } from './records.ts';
import type { Receipted, RegistrationEvents } from './registration.ts';
import { declareStatement } from './statements.ts';

/** Errors: LINE_EXISTS, LINE_LIMIT, LINE_VENDOR_UNPROVEN, AUTHOR_UNKNOWN, AUTHOR_TIMEOUT. */
export async function declareLine(
  session: Session,
  line: Line,
  events: RegistrationEvents = {},
): Promise<Receipted> {
  const receipted = await postOne(session, lineKey(line), events, (counter) =>
    declareStatement(signerOf(session), counter, line),
  );
  await rememberLine(session.author, lineText(line), { declared: true });
  return receipted;
}

/** What k operators say of the line, verified; how old it is stays open. Errors: LINE_UNKNOWN, TRUST_*, AUTHOR_TIMEOUT. */
export async function provenLine(
  network: Network,
  line: Line,
  patience: Patience,
): Promise<ProvenLine> {
  return askUntil(network, nodesWithRole(network.root, 'retrieval'), patience, async ({ node }) => {
    const answer = await network.client.request({
      url: `${node.url}${latestPath(line)}`,
      headers: { 'firmament-transaction': '4' },
      maxBytes: MAX_LATEST,
      signal: patience.signal,
    });
    return verifyProof(network.root, line, decodeLatest(answer.body).proof);
  });
}
