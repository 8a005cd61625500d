/** T08: an author's tools follow their network's policy by what its operators signed, as devices do. */
import { decodePolicies, MAX_POLICIES_ANSWER, policiesPath } from '../api/policy.ts';
import { codeOf } from '../errors.ts';
import { faulty, nodesOf, type NamedNode } from '../registry/policy.ts';
import type { Root } from '../registry/root.ts';
import { advanceRoot } from '../trust/root-chain.ts';
import { keepRoot, requireRoot, type Author } from './author.ts';
import { openNetwork, type Network } from './network.ts';

const ANSWER_MS = 3_000;

/** The network of this author under the policy in force, which its folder keeps. Errors: AUTHOR_NETWORK. */
export async function openAuthorNetwork(author: Author): Promise<Network> {
  return openFollowed(await requireRoot(author), (root) => keepRoot(author, root));
}

/** The network under the policy in force, as far as its nodes can be asked; `keep` is given a root that is newer. */
export async function openFollowed(
  pinned: Root,
  keep: (root: Root) => Promise<void> = () => Promise.resolve(),
): Promise<Network> {
  const network = openNetwork(pinned);
  try {
    const root = await newestRoot(network);
    if (root === pinned) return network;
    await keep(root);
    await network[Symbol.asyncDispose]();
    return openNetwork(root);
  } catch (error) {
    await network[Symbol.asyncDispose]();
    throw error;
  }
}

/**
 * The latest root that the nodes can show signatures for, upon the network's own. f + 1 operators are waited for, one of
 * whom is honest; of the others, and when nobody answers, what has come by then counts.
 */
export async function newestRoot({ root: pinned, client }: Network): Promise<Root> {
  const { policy } = pinned;
  const nodes = nodesOf(policy);
  const enough = faulty(policy.operators.length) + 1;
  const heard = new Set<string>();
  const done = new AbortController();
  let newest = pinned;
  const ask = async ({ operator, node }: NamedNode): Promise<void> => {
    for (let root = pinned; ;) {
      const url = node.url + policiesPath(root.policy.version + 1);
      const maxBytes = MAX_POLICIES_ANSWER;
      const { signal } = done;
      const { body } = await client.request({ url, maxBytes, timeoutMs: ANSWER_MS, signal });
      const changes = decodePolicies(body);
      root = advanceRoot(root, changes);
      if (root.policy.version > newest.policy.version) newest = root;
      if (changes.length === 0) break;
    }
    heard.add(operator.name);
    if (heard.size >= enough) done.abort();
  };
  await Promise.all(
    nodes.map((node) =>
      ask(node).catch((error: unknown) => {
        // It is gone, or lies: another one tells.
        if (!codeOf(error)) throw error;
      }),
    ),
  );
  return newest;
}
