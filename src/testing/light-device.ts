/**
 * A small device of a test: it speaks the gateway's protocol for real, over TLS, and like the smallest ones it checks an
 * image by the offer's digest alone. Nothing of it is on a disk.
 */
import { sha256, privateKey } from '#crypto';
import { randomBytes } from 'node:crypto';
import type { Offer } from '../api/downlink.ts';
import { hex } from '../bytes.ts';
import { codeOf } from '../errors.ts';
import { requestEnrolment, type Enrolment, type Hardware } from '../device/enrolment.ts';
import { OfferFollower, type OfferEvent, type Running, type Verdict } from '../device/offers.ts';
import { certificateSha256 } from '../net/authority.ts';
import { createClient, type Client } from '../net/client.ts';

export interface LightDeviceOptions extends Hardware {
  readonly tier?: 'certificate' | 'psk';
  readonly mode?: 'force' | 'self';
  /** Milliseconds between questions. */
  readonly interval?: number;
  /** Milliseconds: first and longest pause between two connections. */
  readonly pauses?: readonly [number, number];
  /** Milliseconds: likewise, before a postponed attempt is made again. */
  readonly retry?: readonly [number, number];
  readonly battery?: () => number | undefined;
  /** A download waits for this. */
  readonly gate?: Promise<void>;
  /** What becomes of a verified image; `installed` unless said otherwise. */
  readonly outcome?: (offer: Offer) => Verdict;
  readonly onEvent?: (event: OfferEvent) => void;
}

const NOTHING: Running = { digest: '', sequence: '0', version: '', sha256: '' };

/** Enrols with a bundle's text: a fresh key, or a pre-shared one. Errors: ENROLMENT_*, NET_*. */
export function enrolLight(bundle: string, options: LightDeviceOptions): Promise<Enrolment> {
  const { type, model, hardware, tier = 'certificate' } = options;
  const secret = new Uint8Array(randomBytes(32));
  const key = tier === 'certificate' ? privateKey('P-256', secret) : undefined;
  return requestEnrolment({ bundle, type, model, hardware, key });
}

export class LightDevice implements AsyncDisposable {
  readonly enrolment: Enrolment;
  readonly events: OfferEvent[] = [];
  readonly #options: LightDeviceOptions;
  readonly #client: Client;
  readonly #follower: OfferFollower;
  #running: Running;
  #changed = Promise.withResolvers<void>();

  constructor(enrolment: Enrolment, options: LightDeviceOptions, running: Running = NOTHING) {
    this.enrolment = enrolment;
    this.#options = options;
    this.#running = running;
    const { mode = 'force', interval, pauses, retry, battery } = options;
    this.#client = createClient({ pins: { root: certificateSha256(enrolment.rootPem) } });
    this.#follower = new OfferFollower({
      enrolment,
      mode,
      running: () => this.#running,
      install: (offer, tell) => this.#install(offer, tell),
      onEvent: (event) => {
        this.events.push(event);
        options.onEvent?.(event);
        this.#changed.resolve();
        this.#changed = Promise.withResolvers();
      },
      ...(interval !== undefined && { interval }),
      ...(pauses && { pauses }),
      ...(retry && { retry }),
      ...(battery && { battery }),
    });
  }

  get id(): string {
    return this.enrolment.device;
  }

  get running(): Running {
    return this.#running;
  }

  /** Resolves once an event fits, of those from `from` on. Rejects after `timeoutMs`. */
  async event(
    fits: (event: OfferEvent) => boolean,
    timeoutMs = 30_000,
    from = 0,
  ): Promise<OfferEvent> {
    const end = performance.now() + timeoutMs;
    for (;;) {
      const found = this.events.slice(from).find(fits);
      if (found) return found;
      const left = end - performance.now();
      if (left <= 0)
        throw new Error(`${this.id}: no such event; ${JSON.stringify(this.events.slice(-5))}`);
      const timer = Promise.withResolvers<void>();
      const handle = setTimeout(timer.resolve, left);
      await Promise.race([this.#changed.promise, timer.promise]);
      clearTimeout(handle);
    }
  }

  /** Until it runs this version. */
  async runs(version: string, timeoutMs = 30_000): Promise<void> {
    await this.event(
      (event) =>
        event.type === 'attempt' &&
        event.state === 'installed' &&
        this.#running.version === version,
      timeoutMs,
    );
  }

  async #install(
    offer: Offer,
    tell: (state: 'downloading' | 'installing', done: number, total: number) => void,
  ): Promise<Verdict> {
    try {
      await this.#options.gate;
      tell('downloading', 0, offer.size);
      const { body } = await this.#client.request({
        url: `https://${this.enrolment.https}${offer.image}`,
        maxBytes: offer.size,
      });
      if (hex(sha256(body)) !== offer.sha256) return refused('DEVICE_DOWNLOAD_MISMATCH');
    } catch (error) {
      const code = codeOf(error);
      if (!code) throw error;
      return { state: 'postponed', detail: code };
    }
    tell('installing', offer.size, offer.size);
    const verdict = this.#options.outcome?.(offer) ?? { state: 'installed', detail: '' };
    if (verdict.state === 'installed') {
      const { digest, sequence, version } = offer;
      this.#running = { digest, sequence, version, sha256: offer.sha256 };
    }
    return verdict;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#follower[Symbol.asyncDispose]();
    await this.#client[Symbol.asyncDispose]();
  }
}

function refused(detail: string): Verdict {
  return { state: 'refused', detail };
}
