/** Brings verified releases to devices: who is compatible, what each may have, and when it is told. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Hello, OfferMode } from '../api/downlink.ts';
import type { Clock } from '../clock.ts';
import { transaction, type Database } from '../database.ts';
import { codeOf } from '../errors.ts';
import type { Logger } from '../logger.ts';
import type { Announcer } from './announcer.ts';
import type { Decisions, Word } from './decisions.ts';
import type { Devices, RegisteredDevice } from './devices.ts';
import type { Downloads } from './downloads.ts';
import type { Events } from './events.ts';
import type { GatewayFaultPoint } from './fault.ts';
import type { Follower } from './follower.ts';
import type { Offers, StoredOffer } from './offers.ts';
import { decide, withdraws, type WaitReason } from './policy.ts';
import { prospectOf, type Candidate, type Prospect } from './prospect.ts';
import { ReviewMemo } from './review-memo.ts';
import type { Releases, StoredRelease } from './releases.ts';

export interface CampaignParts {
  readonly database: Database;
  readonly followers: readonly Follower[];
  readonly devices: Devices;
  readonly releases: Releases;
  readonly downloads: Downloads;
  readonly offers: Offers;
  readonly decisions: Decisions;
  readonly events: Events;
  readonly announcer: Announcer;
  readonly staleInstall: 'never' | 'consent' | 'allow';
  readonly clock: Clock;
  readonly logger: Logger;
  /** The hour of the day where the gateway is, 0 to 23. */
  readonly hour: () => number;
  readonly faultPoint?: GatewayFaultPoint | undefined;
}

/** What a device could have now, and why it does not get it yet. */
export interface Outlook {
  readonly release: StoredRelease;
  readonly wait: WaitReason | 'stale' | 'download' | null;
}

/** Devices between two turns of the event loop, and in one commit: a sync of a slow disk costs more than they do. */
const AT_ONCE = 200;

export class Campaign {
  readonly #parts: CampaignParts;
  /** Devices whose offer changed since the last commit. */
  readonly #changed = new Set<string>();
  #memo: ReviewMemo;
  /** For listings: of this turn, and of no look that decides. */
  #listing: ReviewMemo | undefined;
  #pass: Promise<void> | undefined;
  #wanted = false;
  /** An attempt ended in a group that goes by phases. */
  #resume = false;

  constructor(parts: CampaignParts) {
    this.#parts = parts;
    this.#memo = new ReviewMemo(parts);
  }

  /** Looks at every device; resolves after a look that began later than this call. */
  reviewAll(): Promise<void> {
    this.#wanted = true;
    return (this.#pass ??= this.#passes());
  }

  /** `reviewAll`, for whoever does not wait for it. */
  reviewSoon(): void {
    this.reviewAll().catch((error: unknown) =>
      this.#parts.logger.error('devices were not looked at', { code: codeOf(error), error }),
    );
  }

  async #passes(): Promise<void> {
    try {
      while (this.#wanted) {
        this.#wanted = false;
        await nextTurn();
        await this.#lookAtAll();
      }
    } finally {
      // In the same turn as the last look at `wanted`: nobody's wish falls between.
      this.#pass = undefined;
    }
  }

  async #lookAtAll(): Promise<void> {
    let next: string | undefined = this.#lookFrom('');
    while (next !== undefined) {
      const memo = this.#memo;
      await nextTurn();
      next = this.#lookFrom(next, memo);
    }
  }

  /** At some devices, those after this id; answers the last one's id. */
  #lookFrom(id: string, before?: ReviewMemo): string | undefined {
    const devices = this.#parts.devices.activeAfter(id, AT_ONCE);
    this.#commit(() => {
      for (const device of devices) this.#reviewOne(device, false);
    }, before);
    return devices.at(-1)?.id;
  }

  /** Looks at one device. `asked`: it asked by itself (self validation). */
  review(id: string, asked: boolean): void {
    this.#commit(() => this.#review(id, asked));
  }

  // Offers are on disk before anybody hears of them.
  #commit(work: () => void, before?: ReviewMemo): void {
    this.#memo = new ReviewMemo(this.#parts, before);
    this.#listing = undefined;
    transaction(this.#parts.database, work);
    if (this.#resume) this.reviewSoon();
    this.#resume = false;
    if (this.#changed.size === 0) return;
    this.#parts.faultPoint?.('offer.made');
    for (const device of this.#changed) this.#parts.announcer.tell(device);
    this.#changed.clear();
  }

  #review(id: string, asked: boolean): void {
    const device = this.#parts.devices.get(id);
    if (device?.status === 'active') this.#reviewOne(device, asked);
  }

  #reviewOne(device: RegisteredDevice, asked: boolean): void {
    const { downloads } = this.#parts;
    // What a device runs decides what it may get: one that has not said it yet waits.
    if (!device.known) return;
    const prospect = this.#prospect(device);
    const { candidate } = prospect;
    const outlook = candidate && this.#outlook(device, candidate, asked);
    const open = this.#stillOpen(device, prospect, outlook);
    if (!candidate || !outlook) return;
    if (open?.digest === candidate.release.digest) {
      // It was offered, and its image is gone since.
      if (!candidate.release.stored) downloads.want(candidate.release);
      if (asked) this.#changed.add(device.id);
      return;
    }
    if (outlook.wait === 'download') downloads.want(candidate.release);
    else if (outlook.wait === null)
      this.#offer(device, candidate.release, asked ? 'self' : 'force');
  }

  /** The device's open offer, unless it has come true or may not stand any longer. */
  #stillOpen(
    device: RegisteredDevice,
    { candidate, complete }: Prospect,
    outlook: Outlook | undefined,
  ): StoredOffer | undefined {
    const { offers } = this.#parts;
    const open = offers.open(device.id);
    if (!open) return undefined;
    if (open.digest === device.current?.digest) {
      this.#noteEnd(offers.status(device.id, open.offer, 'installed', 'it runs it'));
      return undefined;
    }
    if (open.digest !== candidate?.release.digest) {
      // T16: withdrawn, or no longer the newest.
      if (!complete && !candidate) return open;
      this.#noteEnd(offers.cancel(open.offer, 'the line offers it no more'));
      return undefined;
    }
    const reason = outlook?.wait;
    if (!reason || reason === 'stale' || reason === 'download') return open;
    if (!withdraws(reason, open.state)) return open;
    this.#noteEnd(offers.cancel(open.offer, reason));
    return undefined;
  }

  /** What stands between a device and the release that it could have; undefined when there is none. */
  outlook(device: RegisteredDevice): Outlook | 'no way' | undefined {
    this.#memo = this.#listing ??= this.#memoOfTurn();
    const { candidate, noWay } = this.#prospect(device);
    if (!candidate) return noWay ? 'no way' : undefined;
    return this.#outlook(device, candidate, false);
  }

  #memoOfTurn(): ReviewMemo {
    setImmediate(() => (this.#listing = undefined));
    return new ReviewMemo(this.#parts);
  }

  #prospect(device: RegisteredDevice): Prospect {
    return prospectOf({ followers: this.#parts.followers, releases: this.#memo }, device);
  }

  #outlook(device: RegisteredDevice, { release, judged }: Candidate, asked: boolean): Outlook {
    const { offers, staleInstall, clock, hour } = this.#parts;
    const { digest } = release;
    const line = this.#memo.line(release.line);
    // For a stale proof (T18) and a new owner (T02) a word said for every release is too old a word.
    const said = this.#memo.said(device.id, digest);
    const stands = (word: Word): boolean => said.some((each) => each.word === word);
    const toThis = said.some(({ word, toThis: named }) => word === 'consent' && named);
    const until = said.filter(({ word }) => word === 'postpone').map((each) => each.until ?? 0);
    const stale = judged.freshness.kind === 'stale';
    if (stale && (staleInstall === 'never' || (staleInstall === 'consent' && !toThis)))
      return { release, wait: 'stale' };
    const decision = decide({
      policy: this.#memo.policy(device.group),
      release,
      newOwner: line !== undefined && line.owner !== line.agreedOwner && !toThis,
      consent: stands('consent'),
      vetoed: stands('veto'),
      optedOut: stands('opt-out'),
      postponedUntil: until.length > 0 ? Math.max(...until) : null,
      now: clock(),
      hour: hour(),
      battery: device.battery,
      progress: this.#memo.progress(digest, device.group),
      attempts: offers.failures(device.id, digest),
      asked,
    });
    if (decision.kind === 'wait') return { release, wait: decision.reason };
    return { release, wait: release.stored ? null : 'download' };
  }

  #offer(device: RegisteredDevice, release: StoredRelease, mode: OfferMode): void {
    const { offers, events } = this.#parts;
    const { digest, line } = release;
    const about = { device: device.id, line, digest };
    events.add({ step: 'compatible', ...about, detail: `${device.model} ${device.hardware}` });
    const offer = offers.make(device.id, digest, mode);
    this.#memo.offered(offer, device.group);
    events.add({ step: 'offer', ...about, detail: `${mode}, attempt ${offer.attempt}` });
    this.#changed.add(device.id);
  }

  /** The owner takes an offer back, and does not want that release on that device. Errors: GATEWAY_OFFER_UNKNOWN. */
  cancel(id: string): StoredOffer {
    const { offers, decisions } = this.#parts;
    let cancelled: StoredOffer | undefined;
    this.#commit(() => {
      cancelled = offers.cancel(id);
      const { device, digest, state } = cancelled;
      if (state !== 'cancelled') return;
      decisions.say('veto', device, digest);
      this.#noteEnd(cancelled);
    });
    return cancelled as StoredOffer;
  }

  /** An attempt ended as the device said: its retained offer goes, and it is looked at again; so are those that waited. */
  ended(offer: StoredOffer): void {
    this.#commit(() => {
      this.#noteEnd(offer);
      this.#review(offer.device, false);
    });
  }

  /** The device is a stranger from now on. */
  revoked(id: string): void {
    const open = this.#parts.offers.open(id);
    if (!open) return;
    this.#commit(() => this.#noteEnd(this.#parts.offers.cancel(open.offer, 'revoked')));
  }

  #noteEnd({ device, digest, state, detail }: StoredOffer): void {
    const { events, devices, decisions } = this.#parts;
    events.add({ step: 'status', device, digest, detail: `${state} ${detail}`.trim() });
    this.#changed.add(device);
    this.#memo.ended(state);
    const group = devices.get(device)?.group;
    // Others may wait for this success.
    if (group !== undefined && decisions.policy(group).phase) this.#resume = true;
  }

  /** What a device says of itself. */
  heard(id: string, hello: Hello): void {
    this.#parts.devices.heard(id, hello, this.#parts.clock());
  }
}
