/** What an archive is made of, asked of nodes and checked (docs/spec/archive.md). */
import { decodePolicies, MAX_POLICIES_ANSWER, policiesPath } from '../api/policy.ts';
import {
  decodeLatest,
  latestPath,
  MAX_ENVELOPE,
  MAX_LATEST,
  releasePath,
} from '../api/retrieval.ts';
import type { PublicKey } from '../crypto/key.ts';
import { codeOf, fail } from '../errors.ts';
import { lineText, type Line } from '../registry/line.ts';
import type { NamedNode } from '../registry/policy.ts';
import type { Root } from '../registry/root.ts';
import { parseRegistration } from '../registry/rules/author-register.ts';
import { parseStatement } from '../registry/statement.ts';
import { readOffered, type JudgedLine } from '../trust/accept.ts';
import { judgeAge } from '../trust/freshness.ts';
import { anchoredChain, extendChain } from '../trust/links.ts';
import { decodeProof, encodeProof, verifyProof } from '../trust/proof.ts';
import type { VerifiedRelease } from '../trust/release.ts';
import { advanceRoot, MAX_POLICIES } from '../trust/root-chain.ts';
import { isPassing, type Network, type Patience } from './network.ts';

/** What k operators say of the line, every link of it, and the release that they offer, all checked. */
export interface Gathered {
  /** The pinned one, moved on by the policies. */
  readonly root: Root;
  /** Every policy change from the second version on (T08). */
  readonly policies: readonly Uint8Array[];
  readonly judged: JudgedLine;
  readonly proof: Uint8Array;
  readonly links: readonly Uint8Array[];
  readonly envelope: Uint8Array;
  readonly release: VerifiedRelease;
}

const MAX_ROUNDS = 512;
/** The version that the first policy.change brings: genesis brings 1. */
const FIRST_CHANGE = 2;

/** Asks each node once: what one of them made up is no reason not to believe another. Errors: the first refusal. */
export async function firstThatHolds<T>(
  nodes: readonly NamedNode[],
  ask: (node: NamedNode) => Promise<T>,
): Promise<T> {
  let refusal: unknown;
  for (const node of nodes) {
    try {
      return await ask(node);
    } catch (error) {
      if (codeOf(error) === undefined || codeOf(error) === 'NET_ABORTED') throw error;
      if (refusal === undefined || isPassing(refusal)) refusal = error;
    }
  }
  throw refusal;
}

/**
 * Asks one node for all of it, so that the answers fit each other, and checks them under the pinned root.
 * Errors: TRUST_*, SUIT_*, RELEASE_*, NET_*, AUTHOR_NODE_LIES.
 */
export async function gather(
  network: Network,
  { node }: NamedNode,
  asked: {
    readonly line: Line;
    readonly digest: Uint8Array;
    readonly patience: Patience;
    readonly now: number;
  },
): Promise<Gathered> {
  const { line, digest, now } = asked;
  const get = async (path: string, maxBytes: number): Promise<Uint8Array> => {
    const { signal } = asked.patience;
    return (await network.client.request({ url: node.url + path, maxBytes, signal })).body;
  };
  const policies = await everyPolicy(get);
  const root = movedOn(network.root, policies);
  const links: Uint8Array[] = [];
  for (let round = 0; round < MAX_ROUNDS; round++) {
    const answer = decodeLatest(await get(latestPath(line, links.length), MAX_LATEST));
    const proven = verifyProof(root, line, answer.proof);
    links.push(...proven.links);
    if (proven.links.length > 0) continue;
    const anchor = anchorOf(links[0] ?? fail('AUTHOR_NODE_LIES', 'a line without links'));
    const chain = extendChain(anchoredChain(anchor), line, root.networkId, links);
    const { freshness } = judgeAge(root.policy, proven, now, 0);
    const path = `${releasePath(digest)}?line=${encodeURIComponent(lineText(line))}`;
    const judged = { followed: { line, anchor }, proven, freshness, chain };
    const envelope = await get(path, MAX_ENVELOPE);
    return {
      root,
      policies,
      judged,
      proof: encodeProof({ ...decodeProof(answer.proof), links: [] }),
      links,
      envelope,
      release: readOffered(judged, envelope, digest),
    };
  }
  return fail('AUTHOR_NODE_LIES', 'links without end');
}

async function everyPolicy(
  get: (path: string, maxBytes: number) => Promise<Uint8Array>,
): Promise<readonly Uint8Array[]> {
  const policies: Uint8Array[] = [];
  for (let round = 0; round < MAX_ROUNDS; round++) {
    const path = policiesPath(policies.length + FIRST_CHANGE);
    const more = decodePolicies(await get(path, MAX_POLICIES_ANSWER));
    if (more.length === 0) break;
    policies.push(...more);
  }
  return policies;
}

/** Errors: TRUST_POLICY_CHAIN_INVALID. */
function movedOn(pinned: Root, policies: readonly Uint8Array[]): Root {
  let root = pinned;
  for (let at = pinned.policy.version - 1; at < policies.length; at += MAX_POLICIES)
    root = advanceRoot(root, policies.slice(at, at + MAX_POLICIES));
  return root;
}

// The first link is the registration; its key's thumbprint is the line's author, which the chain checks.
function anchorOf(link: Uint8Array): PublicKey {
  return parseRegistration(parseStatement(link)).key;
}
