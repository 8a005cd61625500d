/** The retrieval nodes that a device may ask, none of them trusted: which to try, and what each answers. */
import {
  CHALLENGE_MEDIA,
  CHALLENGES,
  decodeChallengeReply,
  MAX_CHALLENGES,
  type ChallengeReply,
} from '../api/challenge.ts';
import { decodePolicies, MAX_POLICIES_ANSWER, policiesPath } from '../api/policy.ts';
import {
  decodeLatest,
  ENVELOPE_MEDIA,
  imagePath,
  latestPath,
  MAX_ENVELOPE,
  MAX_LATEST,
  releasePath,
  REPORT_MEDIA,
} from '../api/retrieval.ts';
import { fail } from '../errors.ts';
import type { Client } from '../net/client.ts';
import type { Line } from '../registry/line.ts';
import { lineText } from '../registry/line.ts';
import { nodesOf } from '../registry/policy.ts';
import type { Root } from '../registry/root.ts';
import type { ImageSource } from './download.ts';
import { httpImageSource } from './image-source.ts';

/** What a challenge is about: a gateway sends the line's proof along. */
export interface ChallengeAbout {
  readonly line: Line;
  readonly linksKnown: number;
}

/** One node as a device sees it. */
export interface NodeAccess {
  /** OPERATOR/NODE. */
  readonly name: string;
  /** The update proof of a line, with the links that follow the first `linksKnown`. Errors: NET_*, CBOR_*, LINE_*. */
  latest(line: Line, linksKnown: number): Promise<Uint8Array>;
  /** policy.change statements from a version on (T08). Errors: NET_*, CBOR_*. */
  policies(from: number): Promise<readonly Uint8Array[]>;
  /** A release's envelope. Errors: NET_*, RELEASE_*. */
  release(line: Line, digest: Uint8Array): Promise<Uint8Array>;
  image(sha256: Uint8Array): ImageSource;
  /** Answers to a challenge (T14), believed by nobody yet; absent where nobody can be asked. Errors: NET_*, NODE_*, COSIGNER_*, CBOR_*. */
  challenge?(hash: Uint8Array, about: ChallengeAbout): Promise<ChallengeReply>;
  /** Errors: NET_*. */
  report(bytes: Uint8Array): Promise<void>;
}

/** One that can be challenged: a node, or a gateway in the place of all nodes. */
export type Challenged = NodeAccess & Required<Pick<NodeAccess, 'challenge'>>;

const ANSWER_MS = 15_000;
/** Of a node, and of a gateway, which asks them. */
const CHALLENGE_MS = 5_000;
const RELAY_MS = 20_000;
const MAX_GENESIS = 1 << 20;

/** The retrieval nodes of the root's policy; `only` narrows them by name. */
export function retrievalNodes(
  root: Root,
  client: Client,
  deviceName: string,
  only?: readonly string[],
): readonly NodeAccess[] {
  return nodesOf(root.policy)
    .filter(({ name, node }) => node.roles.includes('retrieval') && (!only || only.includes(name)))
    .map(({ name, node }) => nodeAccess({ name, url: node.url }, client, deviceName));
}

/** Every node of the root's policy, for challenges: those whose cosigners count (T09), whatever their roles. */
export function cosigningNodes(
  root: Root,
  client: Client,
  deviceName: string,
  only?: readonly string[],
): readonly Challenged[] {
  return nodesOf(root.policy)
    .filter(({ name }) => !only || only.includes(name))
    .map(({ name, node }) => nodeAccess({ name, url: node.url }, client, deviceName));
}

/** The genesis as a node of the root's policy gives it; its hash is the network's id. Errors: NET_*. */
export async function genesisFrom(root: Root, name: string, client: Client): Promise<Uint8Array> {
  const named = nodesOf(root.policy).find((node) => node.name === name) ?? fail('NET_UNREACHABLE');
  const { body } = await client.request({
    url: `${named.node.url}/v1/genesis`,
    maxBytes: MAX_GENESIS,
    timeoutMs: ANSWER_MS,
  });
  return body;
}

/** Whoever answers as a node does: a node, or a gateway. `url` without a path; `network`: its id, for one that knows several. */
export function nodeAccess(
  {
    name,
    url,
    network,
  }: { readonly name: string; readonly url: string; readonly network?: string },
  client: Client,
  deviceName: string,
): Challenged {
  const get = async (
    path: string,
    maxBytes: number,
    headers: Record<string, string>,
  ): Promise<Uint8Array> => {
    const { body } = await client.request({
      url: url + path,
      headers,
      maxBytes,
      timeoutMs: ANSWER_MS,
    });
    return body;
  };
  return {
    name,
    async latest(line, linksKnown) {
      const headers = { 'firmament-transaction': '4', 'firmament-device': deviceName };
      return decodeLatest(await get(latestPath(line, linksKnown), MAX_LATEST, headers)).proof;
    },
    async policies(from) {
      const which = network === undefined ? '' : `&network=${network}`;
      return decodePolicies(await get(policiesPath(from) + which, MAX_POLICIES_ANSWER, {}));
    },
    release(line, digest) {
      const path = `${releasePath(digest)}?line=${encodeURIComponent(lineText(line))}`;
      return get(path, MAX_ENVELOPE, { 'firmament-transaction': '6', accept: ENVELOPE_MEDIA });
    },
    image: (sha256) =>
      httpImageSource({
        name,
        url: url + imagePath(sha256),
        client,
        headers: { 'firmament-transaction': '8' },
      }),
    async challenge(hash, { line, linksKnown }) {
      const about = `?line=${encodeURIComponent(lineText(line))}&links=${linksKnown}`;
      const { body } = await client.request({
        method: 'POST',
        url: url + CHALLENGES + (network === undefined ? '' : about),
        headers: { 'content-type': CHALLENGE_MEDIA },
        body: hash,
        maxBytes: MAX_CHALLENGES,
        timeoutMs: network === undefined ? CHALLENGE_MS : RELAY_MS,
      });
      return decodeChallengeReply(body);
    },
    async report(bytes) {
      await client.request({
        method: 'POST',
        url: `${url}/v1/reports`,
        headers: { 'content-type': REPORT_MEDIA },
        body: bytes,
        maxBytes: 4096,
        timeoutMs: ANSWER_MS,
      });
    },
  };
}
