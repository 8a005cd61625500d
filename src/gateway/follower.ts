/** Follows the owner's lines: asks several nodes, believes none of them, and keeps what `trust/` accepts. */
import { hex } from '../bytes.ts';
import type { Clock } from '../clock.ts';
import { codeOf, fail } from '../errors.ts';
import { followPolicies, type PinnedRoot } from '../reader/follow-policies.ts';
import type { NodeAccess } from '../reader/nodes.ts';
import { lineText } from '../registry/line.ts';
import type { Root } from '../registry/root.ts';
import { acceptProof, type JudgedLine } from '../trust/accept.ts';
import { freshnessText, judgeAge } from '../trust/freshness.ts';
import { verifyProof, type ProvenLine } from '../trust/proof.ts';
import { firstState, type Provision, type TrustState } from '../trust/state.ts';
import type { FollowedByOwner, NetworkConfig } from './config-lines.ts';
import type { Events } from './events.ts';
import type { GatewayFaultPoint } from './fault.ts';
import type { PolicyChanges } from './policy-changes.ts';
import { fetchHistory, hasHistory } from './policy-history.ts';
import { inOrderOf } from './line-order.ts';
import { takeReleases } from './offered-release.ts';
import type { Releases } from './releases.ts';

export interface FollowerParts {
  readonly network: NetworkConfig;
  readonly releases: Releases;
  readonly policyChanges: Pick<PolicyChanges, 'save' | 'has'>;
  readonly events: Events;
  /** The nodes to ask under a root. */
  readonly nodes: (root: Root) => readonly NodeAccess[];
  /** The genesis as the node of this name gives it. */
  readonly genesis: (root: Root, node: string) => Promise<Uint8Array>;
  readonly staleInstall: Provision['staleInstall'];
  readonly clock: Clock;
  readonly faultPoint?: GatewayFaultPoint | undefined;
}

/** Seconds for which a node whose answer was refused, or that did not answer, is asked last. */
const DISTRUST = 900;
const UNREACHABLE = 30;
// Each answer brings one link at least, and no line has more than this many.
const MAX_ROUNDS = 512;
const NO_NODE_FAULT = /^(?:DATABASE|DEVICE_STORAGE|GATEWAY)_/;

export class Follower {
  readonly #parts: FollowerParts;
  readonly #asideUntil = new Map<string, number>();
  /** The last accepted proof of each line, checked; in the order of the lines. */
  readonly #proven: (ProvenLine | undefined)[] = [];
  /** Releases of a form that no gateway offers: not fetched again. */
  readonly #unsupported = new Set<string>();
  #root: Root;
  #state: TrustState;
  #turn = 0;
  /** Who is asked first in the next round. */
  #preferred: string | undefined;
  #first: string | undefined;
  /** The root whose policy changes are all kept. */
  #historyOf: Root | undefined;

  constructor(parts: FollowerParts) {
    this.#parts = parts;
    const { network, releases, clock } = parts;
    const stored = releases.network(network.root.networkId);
    // A root that the owner configured anew stands above an older one that was kept.
    const newer = stored && stored.root.policy.version >= network.root.policy.version;
    this.#root = newer ? stored.root : network.root;
    const first = firstState(this.#provision(), clock() - 1);
    this.#state = stored
      ? inOrderOf(this.#lineTexts(), stored.lines, stored.state, network)
      : first;
    this.#proven = this.lines.map((_, position) => this.#provenBefore(position));
  }

  get root(): Root {
    return this.#root;
  }

  get lines(): readonly FollowedByOwner[] {
    return this.#parts.network.lines;
  }

  #lineTexts(): readonly string[] {
    return this.lines.map(({ line }) => lineText(line));
  }

  #provision(): Provision {
    const { network, staleInstall } = this.#parts;
    return {
      root: this.#root,
      lines: network.lines.map(({ line, anchor }) => ({ line, anchor })),
      staleInstall,
    };
  }

  /** One round over every line. Never throws for what a node did; one round at a time. */
  async poll(): Promise<void> {
    const down = new Set<string>();
    this.#turn++;
    this.#first = this.#preferred;
    this.#preferred = undefined;
    for (const position of this.lines.keys()) {
      try {
        await this.#pollLine(position, down);
      } catch (error) {
        // Our own fault, or a release that can't be offered: the other lines go on.
        const code = codeOf(error);
        if (!code || code.startsWith('DATABASE_')) throw error;
        this.#event('refused', position, code);
      }
    }
    await this.#completeHistory(down);
  }

  // T08: for devices that pin an older root than the owner gave us.
  async #completeHistory(down: ReadonlySet<string>): Promise<void> {
    const { policyChanges, events, genesis } = this.#parts;
    const root = this.#root;
    if (this.#historyOf === root || hasHistory(policyChanges, root)) {
      this.#historyOf = root;
      return;
    }
    for (const node of this.#order(0)) {
      if (down.has(node.name)) continue;
      try {
        const { name } = node;
        const policies = (from: number): Promise<readonly Uint8Array[]> => node.policies(from);
        const source = { name, policies, genesis: () => genesis(root, name) };
        await fetchHistory(policyChanges, root, source);
        events.add({ step: 'node', detail: `policies up to ${root.policy.version} from ${name}` });
        return;
      } catch (error) {
        this.#note(node, 0, error);
      }
    }
  }

  /** What is known of a line from the last accepted proof, judged by now's clock; undefined before the first. */
  judged(position: number): JudgedLine | undefined {
    const followed = this.lines[position];
    const proven = this.#proven[position];
    const chain = this.#state.chains[position];
    if (!followed || !proven || !chain) return undefined;
    const { policy } = this.#root;
    const { freshness } = judgeAge(policy, proven, this.#parts.clock(), this.#state.floor);
    return { followed: { line: followed.line, anchor: followed.anchor }, proven, freshness, chain };
  }

  // A proof of before the root that is in force now, or of other days' anchors, says nothing any more.
  #provenBefore(position: number): ProvenLine | undefined {
    const followed = this.lines[position];
    const stored = followed && this.#parts.releases.line(lineText(followed.line));
    if (!stored) return undefined;
    try {
      return verifyProof(this.#root, followed.line, stored.proof);
    } catch (error) {
      if (codeOf(error)) return undefined;
      throw error;
    }
  }

  async #pollLine(position: number, down: Set<string>): Promise<void> {
    let stale = false;
    for (const node of this.#order(position)) {
      if (down.has(node.name)) continue;
      try {
        const judged = await this.#ask(node, position);
        await takeReleases(this.#parts, this.#unsupported, node, judged);
        if (judged.freshness.kind === 'fresh') return;
        stale = true;
      } catch (error) {
        if (this.#note(node, position, error) === 'unreachable') down.add(node.name);
      }
    }
    if (!stale) this.#event('node', position, 'no node gave an answer that holds');
  }

  async #ask(node: NodeAccess, position: number): Promise<JudgedLine> {
    let judged = await this.#askOnce(node, position);
    // T02: a proof carries only so many links; the rest follows where the chain ends now.
    for (let round = 0; judged.proven.links.length > 0 && round < MAX_ROUNDS; round++)
      judged = await this.#askOnce(node, position);
    return judged;
  }

  async #askOnce(node: NodeAccess, position: number): Promise<JudgedLine> {
    const { releases, events, clock } = this.#parts;
    const { line } = this.lines[position] ?? fail('TRUST_UNPROVISIONED');
    const linksKnown = this.#state.chains[position]?.count ?? 0;
    const proof = await node.latest(line, linksKnown);
    await this.#followPolicies(node, proof);
    const { judged, state } = acceptProof(this.#provision(), this.#state, position, proof, clock());
    const before = releases.line(lineText(line));
    const freshness = freshnessText(judged.freshness);
    const owner = hex(judged.chain.owner);
    const memory = { root: this.#root, state, lines: this.#lineTexts() };
    releases.saveProof(memory, line, proof, { owner, freshness, now: clock(), linksKnown });
    this.#parts.faultPoint?.('proof.saved');
    this.#state = state;
    this.#proven[position] = judged.proven;
    if (before && before.owner !== owner)
      events.add({
        step: 'verified',
        line: lineText(line),
        detail: `the line changed hands, to author ${owner}`,
      });
    return judged;
  }

  /** T08: what led on is kept, for devices that are still behind. */
  async #followPolicies(node: NodeAccess, proof: Uint8Array): Promise<void> {
    const changes: Uint8Array[] = [];
    const { version } = this.#root.policy;
    const policies = async (from: number): Promise<readonly Uint8Array[]> => {
      const given = await node.policies(from);
      changes.splice(from - version - 1, Infinity, ...given);
      return given;
    };
    try {
      await followPolicies(this.#pinned(), { policies }, proof);
    } finally {
      const { networkId, policy } = this.#root;
      const taken = changes.slice(0, policy.version - version);
      this.#parts.policyChanges.save(networkId, version + 1, taken);
    }
  }

  #pinned(): PinnedRoot {
    const current = (): Root => this.#root;
    return {
      get root() {
        return current();
      },
      advance: async (root) => {
        this.#parts.releases.saveNetwork({ root, state: this.#state, lines: this.#lineTexts() });
        this.#root = root;
        for (const position of this.lines.keys())
          this.#proven[position] = this.#provenBefore(position);
      },
    };
  }

  /** Nodes to ask, another first in each round and for each line; those set aside come last. */
  #order(position: number): readonly NodeAccess[] {
    const nodes = this.#parts.nodes(this.#root);
    const now = this.#parts.clock();
    const from = (this.#turn + position) % Math.max(1, nodes.length);
    const rank = ({ name }: NodeAccess): number => {
      if ((this.#asideUntil.get(name) ?? 0) > now) return 2;
      return name === this.#first ? 0 : 1;
    };
    return [...nodes.slice(from), ...nodes.slice(0, from)].toSorted((a, b) => rank(a) - rank(b));
  }

  /** The next round asks this node first: it said that something changed. */
  prefer(name: string): void {
    this.#preferred = name;
  }

  /** Sizes of the heads of the last accepted proofs, by line; 0 before the first. */
  headSizes(): readonly number[] {
    return this.lines.map((_, position) => this.#proven[position]?.head.size ?? 0);
  }

  /** A text that changes when some line's newest release does. */
  newest(): string {
    const digests = this.#proven.map((proven) => proven?.value.newest?.digest);
    return digests.map((digest) => (digest ? hex(digest) : '-')).join(' ');
  }

  /** Nodes for images, in the order of trust. */
  nodes(): readonly NodeAccess[] {
    return this.#order(this.#turn);
  }

  /** A node gave an image that is not the one: it is asked last for a while. */
  distrust(name: string): void {
    this.#asideUntil.set(name, this.#parts.clock() + DISTRUST);
  }

  // One that can't be reached says nothing; one whose answer is refused lied, or is behind.
  #note(node: NodeAccess, position: number, error: unknown): 'unreachable' | 'refused' {
    const code = codeOf(error);
    if (!(error instanceof Error) || !code || NO_NODE_FAULT.test(code)) throw error;
    const unreachable = /^(NET|NODE)_/.test(code);
    this.#asideUntil.set(node.name, this.#parts.clock() + (unreachable ? UNREACHABLE : DISTRUST));
    if (unreachable) this.#event('node', position, `${node.name}: ${code}`);
    else this.#event('refused', position, `${node.name}: ${code}: ${error.message}`);
    return unreachable ? 'unreachable' : 'refused';
  }

  #event(step: 'node' | 'refused', position: number, detail: string): void {
    const followed = this.lines[position];
    this.#parts.events.add({ step, ...(followed && { line: lineText(followed.line) }), detail });
  }
}
