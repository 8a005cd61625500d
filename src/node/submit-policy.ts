/** Hands a policy.change to a network's nodes and waits until it is in force. */
import { setTimeout as sleep } from 'node:timers/promises';
import { encodeGroup, REGISTRATIONS } from '../api/registration.ts';
import { codeOf, fail, FirmamentError } from '../errors.ts';
import { createClient, type Client } from '../net/client.ts';
import { nodesOf, type NamedNode } from '../registry/policy.ts';
import { ordererOf } from '../registry/policy-change.ts';
import { parseRoot, type Root } from '../registry/root.ts';
import type { Statement } from '../registry/statement.ts';

export interface PolicySubmission {
  readonly from: Root;
  readonly to: Root;
  readonly statement: Statement;
  readonly timeoutMs: number;
}

const ANSWER_MS = 30_000;
const AGAIN_MS = 250;

/**
 * Every registration node of the policy in force is told, the appointed orderer first; those who are told tell the others.
 * Answers which nodes have the new policy in force.
 * Errors: what a node refuses the change with; NODE_ORDERER_UNREACHABLE when it is not in force in time.
 */
export async function submitPolicy(submission: PolicySubmission): Promise<readonly string[]> {
  const { from, to, timeoutMs } = submission;
  const known = [...nodesOf(to.policy), ...nodesOf(from.policy)];
  await using client = createClient({
    pins: (origin) => known.find(({ node }) => new URL(node.url).origin === origin)?.node.spki,
  });
  const end = performance.now() + timeoutMs;
  const appointed = ordererOf(to.policy)?.name;
  const nodes = nodesOf(from.policy)
    .filter(({ node }) => node.roles.includes('registration'))
    .toSorted((a, b) => Number(b.name === appointed) - Number(a.name === appointed));
  let last: unknown;
  for (;;) {
    for (const node of nodes) last = (await tell(client, node, submission.statement)) ?? last;
    const heard = await inForce(client, nodesOf(to.policy), to);
    if (heard.length > 0) return heard;
    if (performance.now() >= end)
      return fail(
        'NODE_ORDERER_UNREACHABLE',
        'the policy did not come into force in time',
        {},
        last,
      );
    await sleep(AGAIN_MS);
  }
}

// Errors that say nothing of the change itself are given back; it may come into force all the same.
async function tell(client: Client, { node }: NamedNode, { bytes }: Statement): Promise<unknown> {
  try {
    await client.request({
      method: 'POST',
      url: node.url + REGISTRATIONS,
      headers: { 'content-type': 'application/cbor', 'firmament-transaction': '1' },
      body: encodeGroup([{ statement: bytes, attachment: null }]),
      maxBytes: 1 << 16,
      timeoutMs: ANSWER_MS,
    });
    return undefined;
  } catch (error) {
    const code = codeOf(error) ?? '';
    // A version that is not the next may be this very change, in force by now.
    if (error instanceof FirmamentError && /^(POLICY_(?!VERSION)|STATEMENT|COSE|CBOR)/.test(code))
      throw error;
    return error;
  }
}

async function inForce(
  client: Client,
  nodes: readonly NamedNode[],
  to: Root,
): Promise<readonly string[]> {
  const answers = await Promise.all(
    nodes.map(async ({ name, node }) => {
      try {
        const url = `${node.url}/v1/root`;
        const { body } = await client.request({ url, maxBytes: 1 << 20, timeoutMs: 5_000 });
        return parseRoot(body).policy.version >= to.policy.version ? [name] : [];
      } catch (error) {
        if (!codeOf(error)) throw error;
        return [];
      }
    }),
  );
  return answers.flat();
}
