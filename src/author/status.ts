/** What nodes say of a release: registered, available or withdrawn, and who holds its images. */
import { releasePath } from '../api/retrieval.ts';
import { fromHex, hex, text } from '../bytes.ts';
import { codeOf, fail } from '../errors.ts';
import { printable } from '../registry/claims.ts';
import { nodesOf, type NamedNode } from '../registry/policy.ts';
import type { ReleaseDescription } from '../registry/release-description.ts';
import { isObject, listField, numberField, textField, type JsonObject } from './json-file.ts';
import { askUntil, type Network, type Patience } from './network.ts';

export interface Holder {
  /** OPERATOR/NODE. */
  readonly node: string;
  readonly operator: string;
  /** Height at which its lease ends. */
  readonly until: number;
}

export interface ImageStatus {
  readonly sha256: string;
  readonly size: number;
  readonly anchored: boolean;
  readonly holders: readonly Holder[];
}

/** One node's word, not a proof: `proof verify` is what proves. */
export interface ReleaseStatus {
  readonly line: string;
  /** Decimal. */
  readonly sequence: string;
  readonly version: string;
  readonly urgency: string;
  readonly description: ReleaseDescription;
  readonly status: 'registered' | 'available' | 'withdrawn';
  readonly newest: boolean;
  /** Decimal. */
  readonly lowest: string;
  readonly index: number;
  readonly images: readonly ImageStatus[];
}

const MAX_STATUS = 1 << 20;

/** Asks one node after the other. Errors: RELEASE_UNKNOWN, AUTHOR_TIMEOUT. */
export async function releaseStatus(
  network: Network,
  digest: Uint8Array,
  patience: Patience,
): Promise<ReleaseStatus> {
  let unknown: unknown;
  try {
    return await askUntil(network, answering(network), patience, async (node) => {
      try {
        return await askStatus(network, node, digest, patience);
      } catch (error) {
        if (codeOf(error) !== 'RELEASE_UNKNOWN') throw error;
        unknown = error;
        return undefined;
      }
    });
  } catch (error) {
    // A node that lags does not know what another does; when none does, that is the answer.
    if (codeOf(error) === 'AUTHOR_TIMEOUT' && unknown !== undefined) throw unknown;
    throw error;
  }
}

/**
 * Waits until a node says that the release is available. `onStatus` hears of each change.
 * Errors: RELEASE_WITHDRAWN, AUTHOR_TIMEOUT.
 */
export async function waitAvailable(
  network: Network,
  digest: Uint8Array,
  patience: Patience,
  onStatus?: (status: ReleaseStatus) => void,
): Promise<ReleaseStatus> {
  let said = '';
  return askUntil(network, answering(network), patience, async (node) => {
    try {
      const status = await askStatus(network, node, digest, patience);
      if (status.status === 'withdrawn') fail('RELEASE_WITHDRAWN');
      const news = JSON.stringify([status.status, status.images]);
      if (news !== said) onStatus?.(status);
      said = news;
      return status.status === 'available' ? status : undefined;
    } catch (error) {
      if (codeOf(error) === 'RELEASE_UNKNOWN') return undefined;
      throw error;
    }
  });
}

function answering({ root }: Network): readonly NamedNode[] {
  const nodes = nodesOf(root.policy);
  const retrieval = ({ node }: NamedNode): boolean => node.roles.includes('retrieval');
  return nodes.some(retrieval) ? nodes.filter(retrieval) : nodes;
}

async function askStatus(
  network: Network,
  { node }: NamedNode,
  digest: Uint8Array,
  { signal }: Patience,
): Promise<ReleaseStatus> {
  const url = `${node.url}${releasePath(digest)}/status`;
  const answer = await network.client.request({ url, maxBytes: MAX_STATUS, signal });
  return parseStatus(answer.body);
}

/** Errors: AUTHOR_NODE_LIES. */
export function parseStatus(body: Uint8Array): ReleaseStatus {
  try {
    const json: unknown = JSON.parse(text(body));
    if (!isObject(json)) return fail('AUTHOR_NODE_LIES', 'not a status');
    return {
      line: textField(json, 'line'),
      sequence: decimal(json, 'sequence'),
      version: textField(json, 'version'),
      urgency: textField(json, 'urgency'),
      description: parseDescription(json['description']),
      status: statusField(json),
      newest: json['newest'] === true,
      lowest: decimal(json, 'lowest'),
      index: numberField(json, 'index', 0, Number.MAX_SAFE_INTEGER),
      images: listField(json, 'images').map(parseImage),
    };
  } catch (cause) {
    return fail('AUTHOR_NODE_LIES', 'not a status of the documented shape', {}, cause);
  }
}

function parseDescription(value: unknown): ReleaseDescription {
  if (!isObject(value)) return fail('AUTHOR_NODE_LIES', 'no description');
  const { applies, via, supportUntil } = value;
  const kind = textField(value, 'kind');
  const range = applies === null ? null : listField(value, 'applies').map(decimalText);
  const documents = listField(value, 'documents').map((document) => {
    if (!isObject(document)) return fail('AUTHOR_NODE_LIES', 'not a document');
    return {
      type: printable(textField(document, 'type'), 'type'),
      sha256: hex(fromHex(textField(document, 'sha256'), 32)),
      where: printable(textField(document, 'where'), 'where'),
    };
  });
  return {
    version: printable(textField(value, 'version'), 'version'),
    kind: kind === 'security' || kind === 'functional' ? kind : fail('AUTHOR_NODE_LIES', kind),
    applies: range && [range[0] ?? decimalText(null), range[1] ?? decimalText(null)],
    via: via === null ? null : hex(fromHex(textField(value, 'via'), 32)),
    supportUntil:
      supportUntil === null ? null : numberField(value, 'supportUntil', 0, Number.MAX_SAFE_INTEGER),
    documents,
  };
}

function parseImage(value: unknown): ImageStatus {
  if (!isObject(value)) return fail('AUTHOR_NODE_LIES', 'not an image');
  return {
    sha256: textField(value, 'sha256'),
    size: numberField(value, 'size', 1, Number.MAX_SAFE_INTEGER),
    anchored: value['anchored'] === true,
    holders: listField(value, 'holders').map((holder) => {
      if (!isObject(holder)) return fail('AUTHOR_NODE_LIES', 'not a holder');
      return {
        node: textField(holder, 'node'),
        operator: textField(holder, 'operator'),
        until: numberField(holder, 'until', 0, Number.MAX_SAFE_INTEGER),
      };
    }),
  };
}

function statusField(json: JsonObject): ReleaseStatus['status'] {
  const status = textField(json, 'status');
  const known = ['registered', 'available', 'withdrawn'] as const;
  return known.find((one) => one === status) ?? fail('AUTHOR_NODE_LIES', 'unknown status');
}

function decimal(json: JsonObject, name: string): string {
  return decimalText(textField(json, name));
}

function decimalText(value: unknown): string {
  const fits = typeof value === 'string' && /^\d{1,20}$/.test(value);
  return fits ? value : fail('AUTHOR_NODE_LIES', 'not a number');
}

/** The operators that hold every image of the release, sorted. */
export function holdersOf(status: ReleaseStatus): readonly string[] {
  const [first, ...rest] = status.images.map((image) => image.holders.map(({ node }) => node));
  const all = (first ?? []).filter((node) => rest.every((nodes) => nodes.includes(node)));
  return all.toSorted();
}
