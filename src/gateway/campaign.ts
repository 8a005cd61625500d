/** Brings verified releases to devices: who is compatible, what each may have, and when it is told. */
import { hex, fromHex } from '../bytes.ts';
import { encodePayload, type Hello, type Offer, type OfferMode } from '../api/downlink.ts';
import { imagePath, latestPath, releasePath } from '../api/retrieval.ts';
import type { Clock } from '../clock.ts';
import { codeOf } from '../errors.ts';
import { lineText } from '../registry/line.ts';
import type { JudgedLine } from '../trust/accept.ts';
import { freshnessText } from '../trust/freshness.ts';
import { offerOf } from '../trust/offer.ts';
import type { Confirmed } from '../trust/state.ts';
import type { FollowedByOwner } from './config.ts';
import type { Decisions } from './decisions.ts';
import type { Devices, RegisteredDevice } from './devices.ts';
import type { Downlink } from './downlink-port.ts';
import type { Events } from './events.ts';
import type { Follower } from './follower.ts';
import type { Offers, StoredOffer } from './offers.ts';
import { decide, type WaitReason } from './policy.ts';
import type { Releases, StoredRelease } from './releases.ts';
import type { Repository } from './repository.ts';

export interface CampaignParts {
  readonly followers: readonly Follower[];
  readonly devices: Devices;
  readonly releases: Releases;
  readonly repository: Repository;
  readonly offers: Offers;
  readonly decisions: Decisions;
  readonly events: Events;
  readonly downlink: Downlink;
  readonly staleInstall: 'never' | 'consent' | 'allow';
  readonly clock: Clock;
  /** The hour of the day where the gateway is, 0 to 23. */
  readonly hour: () => number;
}

/** What a device could have now, and why it does not get it yet. */
export interface Outlook {
  readonly release: StoredRelease;
  readonly wait: WaitReason | 'stale' | 'download' | null;
}

interface Candidate {
  readonly release: StoredRelease;
  readonly judged: JudgedLine;
  readonly follower: Follower;
}

export class Campaign {
  readonly #parts: CampaignParts;

  constructor(parts: CampaignParts) {
    this.#parts = parts;
  }

  /** After a poll, and now and then: every device is looked at. */
  async reviewAll(): Promise<void> {
    for (const device of this.#parts.devices.list()) await this.review(device.id, false);
  }

  /** Open offers, published again: a broker that was restarted has forgotten them. */
  async republish(): Promise<void> {
    for (const offer of this.#parts.offers.allOpen()) await this.#publish(offer);
  }

  /** Looks at one device. `asked`: it asked by itself (self validation). */
  async review(id: string, asked: boolean): Promise<void> {
    const device = this.#parts.devices.get(id);
    if (!device || device.status !== 'active') return;
    const candidate = this.#candidate(device);
    const open = this.#parts.offers.open(id);
    if (!candidate) {
      if (open && open.digest === device.current?.digest)
        await this.ended(this.#parts.offers.status(id, open.offer, 'installed', 'it runs it'));
      return;
    }
    if (open?.digest === candidate.release.digest) {
      if (asked) await this.#publish(open);
      return;
    }
    const outlook = this.#outlook(device, candidate, asked);
    if (outlook.wait !== null && outlook.wait !== 'download') return;
    if (!(await this.#stored(candidate))) return;
    await this.#offer(device, candidate.release, asked ? 'self' : 'force');
  }

  /** What stands between a device and the release that it could have; undefined when it is up to date. */
  outlook(device: RegisteredDevice): Outlook | undefined {
    const candidate = this.#candidate(device);
    return candidate && this.#outlook(device, candidate, false);
  }

  #outlook(device: RegisteredDevice, { release, judged }: Candidate, asked: boolean): Outlook {
    const { decisions, offers, releases, staleInstall, clock, hour } = this.#parts;
    const { digest } = release;
    const line = releases.line(release.line);
    const consent = decisions.stands('consent', device.id, digest);
    // T18: a stale proof needs the owner's word, or the owner's setting.
    const stale = judged.freshness.kind === 'stale';
    if (stale && (staleInstall === 'never' || (staleInstall === 'consent' && !consent)))
      return { release, wait: 'stale' };
    const decision = decide({
      policy: decisions.policy(device.group),
      release,
      newOwner: line !== undefined && line.owner !== line.agreedOwner,
      consent,
      vetoed: decisions.stands('veto', device.id, digest),
      optedOut: decisions.stands('opt-out', device.id, digest),
      postponedUntil: decisions.postponedUntil(device.id, digest),
      now: clock(),
      hour: hour(),
      battery: device.battery,
      progress: offers.progress(digest, device.group),
      attempts: offers.failures(device.id, digest),
      asked,
    });
    if (decision.kind === 'wait') return { release, wait: decision.reason };
    return { release, wait: release.stored ? null : 'download' };
  }

  /** The release that the first of the device's lines offers it (T16), if it was verified here. */
  #candidate(device: RegisteredDevice): Candidate | undefined {
    const confirmed = confirmedOf(device);
    for (const follower of this.#parts.followers) {
      for (const [position, followed] of follower.lines.entries()) {
        if (!isCompatible(followed, device)) continue;
        const judged = follower.judged(position);
        const offer = judged && offerOf(judged.proven.value, confirmed, {});
        if (!judged || !offer || offer === 'no way') continue;
        const release = this.#parts.releases.release(hex(offer.digest));
        if (release) return { release, judged, follower };
      }
    }
    return undefined;
  }

  async #stored({ release, follower }: Candidate): Promise<boolean> {
    const { repository, releases, events } = this.#parts;
    if (release.stored && (await repository.has(release.sha256))) return true;
    const { line, digest, sha256 } = release;
    events.add({ step: 'download', line, digest, detail: `${release.size} bytes` });
    try {
      const sources = follower.nodes().map((node) => node.image(fromHex(sha256)));
      await repository.fetch(release, sources, this.#needed());
      releases.markStored(sha256, true);
      events.add({ step: 'stored', line, digest, detail: `image ${sha256} verified` });
      return true;
    } catch (error) {
      const code = codeOf(error);
      if (!code) throw error;
      events.add({ step: 'download', line, digest, detail: `failed: ${code}` });
      return false;
    }
  }

  /** Images that must not make room: what devices run, what they ran before, and what is on offer. */
  #needed(): ReadonlySet<string> {
    const { devices, offers, releases } = this.#parts;
    const needed = new Set<string>();
    for (const device of devices.list()) {
      if (device.current) needed.add(device.current.sha256);
      const [last, before] = offers.list(device.id).filter(({ state }) => state === 'installed');
      for (const offer of [last, before, offers.open(device.id)]) {
        const release = offer && releases.release(offer.digest);
        if (release) needed.add(release.sha256);
      }
    }
    return needed;
  }

  async #offer(device: RegisteredDevice, release: StoredRelease, mode: OfferMode): Promise<void> {
    const { offers, events } = this.#parts;
    const { digest, line } = release;
    events.add({
      step: 'compatible',
      device: device.id,
      line,
      digest,
      detail: `${device.model} ${device.hardware}`,
    });
    const offer = offers.make(device.id, digest, mode);
    events.add({
      step: 'offer',
      device: device.id,
      line,
      digest,
      detail: `${mode}, attempt ${offer.attempt}`,
    });
    await this.#publish(offer);
  }

  async #publish(offer: StoredOffer): Promise<void> {
    const release = this.#parts.releases.release(offer.digest);
    if (!release) return;
    await this.#parts.downlink.publish(
      offer.device,
      'offer',
      encodePayload(this.#payload(offer, release)),
      { retain: true },
    );
  }

  #payload(offer: StoredOffer, release: StoredRelease): Offer {
    const [author = '', vendor = '', cls = '', track = ''] = release.line.split('/');
    const line = { author: fromHex(author), vendor: fromHex(vendor), class: fromHex(cls), track };
    return {
      offer: offer.offer,
      mode: offer.mode,
      line: release.line,
      digest: release.digest,
      sequence: String(release.sequence),
      version: release.version,
      urgency: release.urgency,
      size: release.size,
      sha256: release.sha256,
      nonce: offer.nonce,
      proof: latestPath(line),
      envelope: releasePath(fromHex(release.digest)),
      image: imagePath(fromHex(release.sha256)),
      time: offer.made,
    };
  }

  /** An attempt ended: the retained offer goes, and the device is looked at again. */
  async ended(offer: StoredOffer): Promise<void> {
    await this.#parts.downlink.publish(offer.device, 'offer', '', { retain: true });
    const { events } = this.#parts;
    events.add({
      step: 'status',
      device: offer.device,
      digest: offer.digest,
      detail: `${offer.state} ${offer.detail}`.trim(),
    });
  }

  /** What a device says of itself. */
  heard(id: string, hello: Hello): void {
    this.#parts.devices.heard(id, hello, this.#parts.clock());
  }
}

function confirmedOf(device: RegisteredDevice): Confirmed | null {
  const { current } = device;
  return current && { sequence: BigInt(current.sequence), digest: fromHex(current.digest, 32) };
}

/** Type, model and hardware version as the owner wrote them down for the line. */
export function isCompatible(followed: FollowedByOwner, device: RegisteredDevice): boolean {
  return followed.compatible.some(
    ({ type, model, hardware }) =>
      type === device.type && model === device.model && hardware.includes(device.hardware),
  );
}

/** For listings. */
export function describeLine(judged: JudgedLine): Readonly<Record<string, unknown>> {
  const { proven, freshness } = judged;
  const { newest } = proven.value;
  return {
    line: lineText(proven.line),
    freshness: freshnessText(freshness),
    newest: newest && { digest: hex(newest.digest), sequence: String(newest.sequence) },
    head: proven.head.size,
  };
}
