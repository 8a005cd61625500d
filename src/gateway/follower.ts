/** Follows the owner's lines: asks several nodes, believes none of them, and keeps what `trust/` accepts. */
import { hex } from '../bytes.ts';
import type { Clock } from '../clock.ts';
import { check, codeOf, FirmamentError } from '../errors.ts';
import { followPolicies, type PinnedRoot } from '../reader/follow-policies.ts';
import type { NodeAccess } from '../reader/nodes.ts';
import { lineText } from '../registry/line.ts';
import type { Root } from '../registry/root.ts';
import { acceptProof, readOffered, type JudgedLine } from '../trust/accept.ts';
import { freshnessText, judgeAge } from '../trust/freshness.ts';
import { verifyProof } from '../trust/proof.ts';
import { firstState, type Provision, type TrustState } from '../trust/state.ts';
import type { FollowedByOwner, NetworkConfig } from './config.ts';
import type { Events } from './events.ts';
import type { Releases, StoredRelease } from './releases.ts';

export interface FollowerParts {
  readonly network: NetworkConfig;
  readonly releases: Releases;
  readonly events: Events;
  /** The nodes to ask under a root. */
  readonly nodes: (root: Root) => readonly NodeAccess[];
  readonly staleInstall: Provision['staleInstall'];
  readonly clock: Clock;
}

/** Seconds for which a node whose answer was refused, or that did not answer, is asked last. */
const DISTRUST = 900;
const UNREACHABLE = 30;

export class Follower {
  readonly #parts: FollowerParts;
  readonly #asideUntil = new Map<string, number>();
  #root: Root;
  #state: TrustState;
  #turn = 0;

  constructor(parts: FollowerParts) {
    this.#parts = parts;
    const { network, releases, clock } = parts;
    const stored = releases.network(network.root.networkId);
    // A root that the owner configured anew stands above an older one that was kept.
    const newer = stored && stored.root.policy.version >= network.root.policy.version;
    this.#root = newer ? stored.root : network.root;
    this.#state = stored?.state ?? firstState(this.#provision(), clock() - 1);
  }

  get root(): Root {
    return this.#root;
  }

  get lines(): readonly FollowedByOwner[] {
    return this.#parts.network.lines;
  }

  #provision(): Provision {
    const { network, staleInstall } = this.#parts;
    return {
      root: this.#root,
      lines: network.lines.map(({ line, anchor }) => ({ line, anchor })),
      staleInstall,
    };
  }

  /** One round over every line. Never throws for what a node did. */
  async poll(): Promise<void> {
    for (const position of this.lines.keys()) await this.#pollLine(position);
  }

  /** What is known of a line from the last accepted proof, judged by now's clock; undefined before the first. */
  judged(position: number): JudgedLine | undefined {
    const followed = this.lines[position];
    const stored = followed && this.#parts.releases.line(lineText(followed.line));
    const chain = this.#state.chains[position];
    if (!followed || !stored || !chain) return undefined;
    const proven = verifyProof(this.#root, followed.line, stored.proof);
    const { freshness } = judgeAge(
      this.#root.policy,
      proven,
      this.#parts.clock(),
      this.#state.floor,
    );
    return { followed: { line: followed.line, anchor: followed.anchor }, proven, freshness, chain };
  }

  async #pollLine(position: number): Promise<void> {
    let stale = false;
    for (const node of this.#order()) {
      try {
        const judged = await this.#ask(node, position);
        await this.#takeReleases(node, judged);
        if (judged.freshness.kind === 'fresh') return;
        stale = true;
      } catch (error) {
        this.#note(node, position, error);
      }
    }
    if (!stale) this.#event('node', position, 'no node gave an answer that holds');
  }

  async #ask(node: NodeAccess, position: number): Promise<JudgedLine> {
    const { releases, events, clock } = this.#parts;
    const followed = this.lines[position];
    check(followed !== undefined, 'TRUST_UNPROVISIONED');
    const proof = await node.latest(followed.line, this.#state.chains[position]?.count ?? 0);
    await followPolicies(this.#pinned(), node, proof);
    const { judged, state } = acceptProof(this.#provision(), this.#state, position, proof, clock());
    const before = releases.line(lineText(followed.line));
    const freshness = freshnessText(judged.freshness);
    const owner = hex(judged.chain.owner);
    releases.saveProof(this.#root, state, followed.line, proof, { owner, freshness, now: clock() });
    this.#state = state;
    if (before?.owner !== undefined && before.owner !== owner)
      events.add({
        step: 'verified',
        line: lineText(followed.line),
        detail: `the line changed hands, to author ${owner}`,
      });
    return judged;
  }

  #pinned(): PinnedRoot {
    const current = (): Root => this.#root;
    return {
      get root() {
        return current();
      },
      advance: async (next) => {
        this.#parts.releases.saveNetwork(next, this.#state);
        this.#root = next;
      },
    };
  }

  // Newest, and the waypoint that some device may need before it.
  async #takeReleases(node: NodeAccess, judged: JudgedLine): Promise<void> {
    const { newest } = judged.proven.value;
    const digests = newest ? [newest.digest, ...(newest.via ? [newest.via] : [])] : [];
    for (const digest of digests) {
      if (this.#parts.releases.release(hex(digest))) continue;
      const line = lineText(judged.followed.line);
      this.#parts.events.add({
        step: 'announcement',
        line,
        digest: hex(digest),
        detail: `from ${node.name}`,
      });
      const envelope = await node.release(judged.followed.line, digest);
      const release = this.#read(judged, envelope, digest);
      this.#parts.releases.saveRelease(release, this.#parts.clock());
      this.#parts.events.add({
        step: 'verified',
        line,
        digest: release.digest,
        detail: `version ${release.version}, ${release.urgency}, ${freshnessText(judged.freshness)}`,
      });
    }
  }

  #read(
    judged: JudgedLine,
    envelope: Uint8Array,
    digest: Uint8Array,
  ): Omit<StoredRelease, 'stored'> {
    const release = readOffered(judged, envelope, digest);
    const [image, ...others] = release.envelope.manifest.images.filter(
      ({ componentIndex }) => componentIndex === 0,
    );
    const single =
      image !== undefined && others.every((other) => hex(other.digest) === hex(image.digest));
    check(single && image.size !== undefined, 'GATEWAY_RELEASE_UNSUPPORTED');
    return {
      digest: hex(release.digest),
      line: lineText(judged.followed.line),
      sequence: release.sequence,
      version: release.claims.version,
      urgency: release.claims.urgency,
      envelope,
      sha256: hex(image.digest),
      size: image.size,
    };
  }

  /** Nodes to ask, another first each time; those set aside come last. */
  #order(): readonly NodeAccess[] {
    const nodes = this.#parts.nodes(this.#root);
    const now = this.#parts.clock();
    const from = this.#turn++ % Math.max(1, nodes.length);
    const aside = (node: NodeAccess): number =>
      Number((this.#asideUntil.get(node.name) ?? 0) > now);
    return [...nodes.slice(from), ...nodes.slice(0, from)].toSorted((a, b) => aside(a) - aside(b));
  }

  /** Nodes for images, in the order of trust. */
  nodes(): readonly NodeAccess[] {
    return this.#order();
  }

  // One that can't be reached says nothing; one whose answer is refused lied, or is behind.
  #note(node: NodeAccess, position: number, error: unknown): void {
    const code = codeOf(error);
    if (!(error instanceof FirmamentError) || !code) throw error;
    const unreachable = /^(NET|NODE)_/.test(code);
    this.#asideUntil.set(node.name, this.#parts.clock() + (unreachable ? UNREACHABLE : DISTRUST));
    if (unreachable) this.#event('node', position, `${node.name}: ${code}`);
    else this.#event('refused', position, `${node.name}: ${code}: ${error.message}`);
  }

  #event(step: 'node' | 'refused', position: number, detail: string): void {
    const followed = this.lines[position];
    this.#parts.events.add({ step, ...(followed && { line: lineText(followed.line) }), detail });
  }
}
