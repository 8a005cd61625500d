/**
 * Tells each device what is on offer for it: always what the database says when the message goes out, one message a device
 * at a time, so that an old one never comes after a newer one. Nobody waits for a broker here.
 */
import { encodePayload, type Offer } from '../api/downlink.ts';
import { imagePath, latestPath, releasePath } from '../api/retrieval.ts';
import { fromHex } from '../bytes.ts';
import { codeOf } from '../errors.ts';
import type { Logger } from '../logger.ts';
import { parseLineText } from '../registry/line.ts';
import type { Devices } from './devices.ts';
import type { Downlink } from './downlink-port.ts';
import type { Offers, StoredOffer } from './offers.ts';
import type { Releases, StoredRelease } from './releases.ts';

export interface AnnouncerParts {
  readonly devices: Devices;
  readonly offers: Offers;
  readonly releases: Releases;
  readonly downlink: Pick<Downlink, 'publish'>;
  readonly logger: Logger;
}

export class Announcer {
  readonly #parts: AnnouncerParts;
  readonly #due = new Set<string>();
  readonly #underWay = new Set<string>();
  readonly #again = new Set<string>();

  constructor(parts: AnnouncerParts) {
    this.#parts = parts;
  }

  /** The device's retained offer becomes what it should be, in the next turn: what it says is on disk by then. */
  tell(device: string): void {
    if (this.#due.size === 0) setImmediate(() => this.#tellDue());
    this.#due.add(device);
  }

  /** Every open offer, again: a broker that was restarted has forgotten them. */
  tellAll(): void {
    for (const { device } of this.#parts.offers.allOpen()) this.tell(device);
  }

  // All in one turn: nobody's download comes between, however soon the first device begins with its own.
  #tellDue(): void {
    const due = [...this.#due].filter((device) => !this.#underWay.has(device));
    for (const device of this.#due) if (this.#underWay.has(device)) this.#again.add(device);
    this.#due.clear();
    const payload = this.#payloads();
    for (const device of due) void this.#publish(device, payload);
  }

  async #publish(device: string, payload: (device: string) => string): Promise<void> {
    this.#underWay.add(device);
    try {
      await this.#parts.downlink.publish(device, 'offer', payload(device), { retain: true });
    } catch (error) {
      // The device is told when it connects next, or asks; the offer itself is in the database.
      this.#parts.logger.warn('an offer was not published', { device, code: codeOf(error), error });
    } finally {
      this.#underWay.delete(device);
      if (this.#again.delete(device)) this.tell(device);
    }
  }

  /** What a device is to be told, now: empty when there is no offer. */
  #payloads(): (device: string) => string {
    const { devices, offers, releases } = this.#parts;
    const known = new Map<string, StoredRelease | undefined>();
    return (device) => {
      if (devices.get(device)?.status !== 'active') return '';
      const offer = offers.open(device);
      if (!offer) return '';
      if (!known.has(offer.digest)) known.set(offer.digest, releases.release(offer.digest));
      const release = known.get(offer.digest);
      return release ? encodePayload(payloadOf(offer, release)) : '';
    };
  }
}

function payloadOf(offer: StoredOffer, release: StoredRelease): Offer {
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
    proof: latestPath(parseLineText(release.line)),
    envelope: releasePath(fromHex(release.digest)),
    image: imagePath(fromHex(release.sha256)),
    time: offer.made,
  };
}
