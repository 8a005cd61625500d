/** The nodes that an author speaks to: named, located and pinned by its root alone (T13, docs/spec/net.md). */
import { setTimeout as sleep } from 'node:timers/promises';
import { fail, FirmamentError, type Code } from '../errors.ts';
import { createClient, type Client } from '../net/client.ts';
import { nodesOf, type NamedNode, type Role } from '../registry/policy.ts';
import type { Root } from '../registry/root.ts';

/** Dispose of it to close its connections. */
export interface Network extends AsyncDisposable {
  readonly root: Root;
  readonly client: Client;
  /** Milliseconds before another try, at most: the first tries come sooner. */
  readonly pause: number;
}

/** How long something is waited for. */
export interface Patience {
  /** Milliseconds from now. */
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
}

export function openNetwork(root: Root, options: { readonly pause?: number } = {}): Network {
  const pins = new Map(nodesOf(root.policy).map(({ node }) => [originOf(node.url), node.spki]));
  const client = createClient({ pins: (origin) => pins.get(origin) });
  return {
    root,
    client,
    pause: options.pause ?? 500,
    [Symbol.asyncDispose]: () => client[Symbol.asyncDispose](),
  };
}

function originOf(url: string): string {
  return URL.parse(url)?.origin ?? fail('POLICY_MALFORMED', 'a node URL that is none');
}

/** The nodes of a role, in the order of the policy. Errors: NET_UNREACHABLE when there is none. */
export function nodesWithRole(root: Root, role: Role): readonly NamedNode[] {
  const found = nodesOf(root.policy).filter(({ node }) => node.roles.includes(role));
  return found.length > 0 ? found : fail('NET_UNREACHABLE', `the network has no ${role} node`);
}

// What says nothing about the request itself: another node, or the same one later, may do better.
const PASSING: readonly Code[] = [
  'AUTHOR_NODE_LIES',
  'DATABASE_FULL',
  'DATABASE_IO',
  'INTERNAL',
  'LEDGER_BUSY',
  'LEDGER_CLOSED',
  'LEDGER_HALTED',
  'LEDGER_UNORDERED',
  'NET_NOT_FOUND',
  'NET_PIN_MISMATCH',
  'NET_RATE_LIMITED',
  'NODE_OVERLOADED',
  'STORE_UNAVAILABLE',
  'NET_REMOTE_REFUSED',
  'NET_TIMEOUT',
  'NET_TOO_LARGE',
  'NET_UNREACHABLE',
  'NODE_BEHIND',
  'NODE_HALTED',
  'NODE_NO_QUORUM',
  'NODE_ORDERER_UNREACHABLE',
  'NODE_PEER_UNKNOWN',
  'NODE_RECEIPT_PENDING',
  'NODE_ROLE',
  'STORE_FULL',
  'STORE_IO',
];

// What takes a node long to say, or is true of it for a while: for so many milliseconds the others are asked first.
const AWAY: readonly Code[] = [
  'LEDGER_UNORDERED',
  'NET_TIMEOUT',
  'NET_UNREACHABLE',
  'NODE_BEHIND',
  'NODE_ORDERER_UNREACHABLE',
];
const AWAY_MS = 60_000;

/** Until when each node counts as away, by its name. */
const away = new WeakMap<Network, Map<string, number>>();

function awayOf(network: Network): Map<string, number> {
  const known = away.get(network) ?? new Map<string, number>();
  away.set(network, known);
  return known;
}

const FIRST_PAUSE_MS = 50;

export function isPassing(error: unknown): error is FirmamentError {
  return error instanceof FirmamentError && PASSING.includes(error.code);
}

/**
 * Asks one node after the other until one answers something else than undefined; a refusal that is about the
 * request ends it at once. Begins anew until the time is over. Nodes that were away a moment ago come last.
 * Errors: the refusal; AUTHOR_TIMEOUT with the last passing error as its cause; NET_ABORTED.
 */
export async function askUntil<T>(
  network: Network,
  nodes: readonly NamedNode[],
  patience: Patience,
  ask: (node: NamedNode) => Promise<T | undefined>,
): Promise<T> {
  const end = performance.now() + patience.timeoutMs;
  const until = awayOf(network);
  let last: FirmamentError | undefined;
  // What is waited for mostly takes a tenth of a second: the first tries come sooner than the later ones.
  let pause = Math.min(FIRST_PAUSE_MS, network.pause);
  for (;;) {
    const now = performance.now();
    const isAway = ({ name }: NamedNode): number => Number((until.get(name) ?? 0) > now);
    for (const node of nodes.toSorted((a, b) => isAway(a) - isAway(b))) {
      if (patience.signal?.aborted) fail('NET_ABORTED');
      try {
        const answer = await ask(node);
        if (answer !== undefined) return answer;
      } catch (error) {
        if (!isPassing(error)) throw error;
        if (AWAY.includes(error.code)) until.set(node.name, performance.now() + AWAY_MS);
        // What a node answered says more than that another is away.
        if (!last || AWAY.includes(last.code) || !AWAY.includes(error.code)) last = error;
      }
    }
    if (performance.now() >= end) {
      const why = last && `${last.code}: ${last.message}`;
      return fail(
        'AUTHOR_TIMEOUT',
        why && `no node did it in time; the last said ${why}`,
        {},
        last,
      );
    }
    await sleep(pause);
    pause = Math.min(pause * 2, network.pause);
  }
}
