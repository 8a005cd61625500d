/** Gets images into the local repository, one attempt an image at a time and with a pause after a failed one. */
import type { Clock } from '../clock.ts';
import { codeOf } from '../errors.ts';
import type { Logger } from '../logger.ts';
import type { ImageSource } from '../reader/download.ts';
import type { Devices } from './devices.ts';
import type { Events } from './events.ts';
import type { GatewayFaultPoint } from './fault.ts';
import type { Follower } from './follower.ts';
import type { Offers } from './offers.ts';
import type { Releases, StoredRelease } from './releases.ts';
import type { Repository } from './repository.ts';

export interface DownloadParts {
  readonly repository: Repository;
  readonly releases: Releases;
  readonly devices: Devices;
  readonly offers: Offers;
  readonly events: Events;
  readonly logger: Logger;
  readonly clock: Clock;
  /** Who follows a line; undefined when the owner's configuration names it no more. */
  readonly followerOf: (line: string) => Follower | undefined;
  /** Nodes first, then the author's own servers. */
  readonly sources: (release: StoredRelease) => readonly ImageSource[];
  readonly faultPoint?: GatewayFaultPoint | undefined;
}

const FIRST_PAUSE = 30;
const LONGEST_PAUSE = 3_600;
/** Seconds between two looks at one image that a device found damaged. */
const LOOK_AGAIN = 600;

export class Downloads {
  readonly #parts: DownloadParts;
  readonly #underWay = new Map<string, Promise<void>>();
  readonly #failed = new Map<string, { readonly times: number; readonly until: number }>();
  readonly #looked = new Map<string, number>();
  readonly #stop = new AbortController();
  #onStored: () => void = () => undefined;

  constructor(parts: DownloadParts) {
    this.#parts = parts;
  }

  /** Called when an image has come. */
  onStored(listener: () => void): void {
    this.#onStored = listener;
  }

  /** What the database says is here, is: somebody may have been at the folder while the gateway was away. */
  async check(): Promise<void> {
    const { repository, releases } = this.#parts;
    for (const { sha256, stored } of releases.images()) {
      const here = await repository.has(sha256);
      if (here !== stored) releases.markStored(sha256, here);
    }
  }

  /** Begins unless it is under way or failed a short while ago. */
  want(release: StoredRelease): void {
    const { sha256 } = release;
    if (this.#stop.signal.aborted || this.#underWay.has(sha256)) return;
    if ((this.#failed.get(sha256)?.until ?? 0) > this.#parts.clock()) return;
    const work = this.#fetch(release).finally(() => this.#underWay.delete(sha256));
    this.#underWay.set(sha256, work);
  }

  /** Resolves when none is under way. */
  async idle(): Promise<void> {
    while (this.#underWay.size > 0) await Promise.all(this.#underWay.values());
  }

  /**
   * A device says that the image is not the one, or finds none: our copy is read again. One that is damaged or gone is
   * fetched anew.
   */
  async doubt(release: StoredRelease): Promise<void> {
    const { repository, releases, events, clock } = this.#parts;
    const { sha256, line, digest } = release;
    const here = await repository.has(sha256);
    if (here && (this.#looked.get(sha256) ?? 0) + LOOK_AGAIN > clock()) return;
    if (here) this.#looked.set(sha256, clock());
    if (here && (await repository.isWhole(sha256))) return;
    // Whoever asked meanwhile has seen to it already.
    if (this.#underWay.has(sha256)) return;
    releases.markStored(sha256, false);
    const detail = `image ${sha256} was ${here ? 'damaged' : 'missing'} here`;
    events.add({ step: 'download', line, digest, detail });
    this.want(release);
  }

  async #fetch(release: StoredRelease): Promise<void> {
    const { repository, releases, events, logger, sources, faultPoint } = this.#parts;
    const { line, digest, sha256 } = release;
    try {
      events.add({ step: 'download', line, digest, detail: `${release.size} bytes` });
      const { removed, liars } = await repository.fetch(release, {
        sources: sources(release),
        keep: () => this.#needed(),
        signal: this.#stop.signal,
        onProgress: () => faultPoint?.('image.part'),
      });
      for (const gone of removed) releases.markStored(gone, false);
      for (const name of liars) this.#blame(name, release);
      faultPoint?.('image.stored');
      releases.markStored(sha256, true);
      this.#failed.delete(sha256);
      events.add({ step: 'stored', line, digest, detail: `image ${sha256} verified` });
      this.#onStored();
    } catch (error) {
      if (this.#stop.signal.aborted) return;
      const code = codeOf(error);
      this.#pause(sha256);
      if (!code || code.startsWith('DATABASE_')) logger.error('a download failed', { code, error });
      else events.add({ step: 'download', line, digest, detail: `failed: ${code}` });
    }
  }

  #blame(name: string, { line, digest }: StoredRelease): void {
    this.#parts.followerOf(line)?.distrust(name);
    this.#parts.events.add({ step: 'refused', line, digest, detail: `${name}: another image` });
  }

  #pause(sha256: string): void {
    const times = (this.#failed.get(sha256)?.times ?? 0) + 1;
    const pause = Math.min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** (times - 1));
    this.#failed.set(sha256, { times, until: this.#parts.clock() + pause });
  }

  /** Images that must not make room: what devices run, what they ran before, and what is on offer. */
  #needed(): ReadonlySet<string> {
    const { devices, offers, releases } = this.#parts;
    const needed = new Set<string>();
    const digests = new Set(offers.allOpen().map(({ digest }) => digest));
    for (const { id, status, current } of devices.list()) {
      if (status !== 'active') continue;
      if (current) needed.add(current.sha256);
      const before = offers.lastInstalled(id).filter((digest) => digest !== current?.digest);
      if (before[0] !== undefined) digests.add(before[0]);
    }
    for (const digest of digests) {
      const release = releases.release(digest);
      if (release) needed.add(release.sha256);
    }
    return needed;
  }

  /** Ends what is under way; the parts stay, to be gone on with. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.idle();
  }
}
