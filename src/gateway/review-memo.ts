/** What is the same for many devices while they are looked at, read from the database once. */
import { ALL, type Decisions, type Said } from './decisions.ts';
import type { Offers, OfferState, Progress, StoredOffer } from './offers.ts';
import type { GroupPolicy } from './policy.ts';
import type { Releases, StoredLine, StoredRelease } from './releases.ts';

export interface MemoParts {
  readonly offers: Pick<Offers, 'progress' | 'revision'>;
  readonly decisions: Pick<Decisions, 'policy' | 'about'>;
  readonly releases: Pick<Releases, 'release' | 'line'>;
}

/** Good for one piece of synchronous work: nothing else may write meanwhile. */
export class ReviewMemo {
  readonly #parts: MemoParts;
  readonly #releases = new Map<string, StoredRelease | undefined>();
  readonly #lines = new Map<string, StoredLine | undefined>();
  readonly #policies = new Map<string, GroupPolicy>();
  #progress = new Map<string, Progress>();
  readonly #said = new Map<string, ReadonlyMap<string, readonly Said[]>>();

  #revision: number;

  /** `before`: of the same look at all devices. What it counted goes on while nobody else changed an offer. */
  constructor(parts: MemoParts, before?: ReviewMemo) {
    this.#parts = parts;
    this.#revision = parts.offers.revision;
    if (before && before.#revision === this.#revision) this.#progress = before.#progress;
  }

  release(digest: string): StoredRelease | undefined {
    return kept(this.#releases, digest, () => this.#parts.releases.release(digest));
  }

  line(line: string): StoredLine | undefined {
    return kept(this.#lines, line, () => this.#parts.releases.line(line));
  }

  policy(group: string): GroupPolicy {
    return kept(this.#policies, group, () => this.#parts.decisions.policy(group));
  }

  progress(digest: string, group: string): Progress {
    const read = (): Progress => this.#parts.offers.progress(digest, group);
    return kept(this.#progress, `${digest} ${group}`, read);
  }

  /** What the owner said of this release, or of all, to this device or to all. */
  said(device: string, digest: string): readonly Said[] {
    const all = kept(this.#said, digest, () =>
      Map.groupBy(this.#parts.decisions.about(digest), (said) => said.device),
    );
    return [...(all.get(device) ?? []), ...(all.get(ALL) ?? [])];
  }

  /** An offer was made to a device of this group. */
  offered({ digest, attempt }: StoredOffer, group: string): void {
    this.#revision = this.#parts.offers.revision;
    const key = `${digest} ${group}`;
    const before = this.#progress.get(key);
    if (before && attempt === 1)
      this.#progress.set(key, { ...before, started: before.started + 1 });
  }

  /** An attempt ended. */
  ended(state: OfferState): void {
    this.#revision = this.#parts.offers.revision;
    if (state !== 'cancelled') this.#progress.clear();
  }
}

function kept<T>(map: Map<string, T>, key: string, read: () => T): T {
  if (!map.has(key)) map.set(key, read());
  return map.get(key) as T;
}
