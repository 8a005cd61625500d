/**
 * What a device makes of its gateway's offers (docs/spec/mqtt.md): one at a time, told step by step, answered once,
 * and the answer kept until the gateway has it. Whether and what is installed is decided by `install`.
 */
import {
  decodeOffer,
  encodePayload,
  type AttemptState,
  type AttemptStatus,
  type GatewayTime,
  type Hello,
  type Offer,
} from '../api/downlink.ts';
import { codeOf } from '../errors.ts';
import type { Enrolment } from './enrolment.ts';
import { GatewayLink } from './gateway-link.ts';

export type Running = Pick<Hello, 'digest' | 'sequence' | 'version' | 'sha256'>;

/** What became of an attempt. A postponed one is tried again while its offer stands. */
export interface Verdict {
  readonly state: Extract<AttemptState, 'installed' | 'rolled-back' | 'refused' | 'postponed'>;
  readonly detail: string;
  /** The signed report of the attempt. */
  readonly report?: Uint8Array;
}

export type OfferEvent =
  | { readonly type: 'gateway-connected' }
  | { readonly type: 'gateway-lost'; readonly reason: string }
  | {
      readonly type: 'offer';
      readonly offer: string;
      readonly mode: string;
      readonly digest: string;
    }
  | { readonly type: 'offer-withdrawn'; readonly offer: string }
  | { readonly type: 'offer-malformed' }
  | {
      readonly type: 'attempt';
      readonly offer: string;
      readonly state: AttemptState;
      readonly detail: string;
    };

export interface OfferOptions {
  readonly enrolment: Enrolment;
  /** `self`: asks at its own interval too; `force`: waits to be told. */
  readonly mode: 'force' | 'self';
  /** Milliseconds between two questions. */
  readonly interval?: number;
  readonly running: () => Running;
  /** Percent; undefined with mains. */
  readonly battery?: () => number | undefined;
  /** Percent below which nothing is begun. */
  readonly leastBattery?: number;
  readonly install: (
    offer: Offer,
    tell: (state: 'downloading' | 'installing', done: number, total: number) => void,
  ) => Promise<Verdict>;
  readonly onTime?: (time: GatewayTime) => void;
  readonly onEvent?: (event: OfferEvent) => void;
  /** Milliseconds: the first and the longest pause between two connections. */
  readonly pauses?: readonly [number, number];
  /** Likewise, before a postponed attempt is made again. */
  readonly retry?: readonly [number, number];
}

const INTERVAL = 5_000;
const LEAST_BATTERY = 20;
const TELL_MS = 1_000;
const RETRY = [5_000, 300_000] as const;
// Answers wait here for a connection; a device has one attempt at a time.
const MAX_WAITING = 32;

/** Connects and follows offers until it is disposed of; an install that runs goes on to its end first. */
export class OfferFollower implements AsyncDisposable {
  readonly #options: OfferOptions;
  readonly #link: GatewayLink;
  readonly #waiting: {
    readonly channel: 'hello' | 'status' | 'report';
    readonly payload: string | Uint8Array;
  }[] = [];
  readonly #asking: NodeJS.Timeout | undefined;
  #sending = false;
  #offer: Offer | undefined;
  #ended: AttemptStatus | undefined;
  #working: Promise<void> | undefined;
  #wake: (() => void) | undefined;
  #stopped = false;
  #told = 0;

  constructor(options: OfferOptions) {
    this.#options = options;
    this.#link = new GatewayLink({
      enrolment: options.enrolment,
      ...(options.pauses && { pauses: options.pauses }),
      handler: {
        offer: (payload) => this.#take(payload),
        time: (time) => options.onTime?.(time),
        connected: () => {
          this.#emit({ type: 'gateway-connected' });
          const rest = this.#waiting.filter(({ channel }) => channel !== 'hello');
          this.#waiting.splice(0, Infinity, { channel: 'hello', payload: this.#hello() }, ...rest);
          void this.#send();
        },
        disconnected: (reason) => this.#emit({ type: 'gateway-lost', reason }),
      },
    });
    if (options.mode === 'self')
      this.#asking = setInterval(() => this.#ask(), options.interval ?? INTERVAL);
  }

  #hello(): string {
    const { enrolment, running, battery } = this.#options;
    const { type, model, hardware } = enrolment;
    const { digest, sequence, version, sha256 } = running();
    const percent = battery?.();
    return encodePayload({
      type,
      model,
      hardware,
      digest,
      sequence,
      version,
      sha256,
      ...(percent !== undefined && { battery: percent }),
    });
  }

  #ask(): void {
    if (this.#link.connected && !this.#offer)
      this.#link.publish('ask', this.#hello()).catch(ignored);
  }

  #take(payload: string): void {
    if (payload === '') {
      if (this.#offer) this.#emit({ type: 'offer-withdrawn', offer: this.#offer.offer });
      this.#offer = undefined;
      this.#wake?.();
      return;
    }
    let offer: Offer;
    try {
      offer = decodeOffer(payload);
    } catch (error) {
      if (!codeOf(error)) throw error;
      this.#emit({ type: 'offer-malformed' });
      return;
    }
    // The same offer is the same order; whoever sends it again has missed the answer.
    if (offer.offer === this.#ended?.offer) this.#answer(this.#ended);
    else if (offer.offer !== this.#offer?.offer) {
      const { offer: id, mode, digest } = offer;
      this.#emit({ type: 'offer', offer: id, mode, digest });
      this.#offer = offer;
      this.#wake?.();
      this.#working ??= this.#work().finally(() => (this.#working = undefined));
    }
  }

  async #work(): Promise<void> {
    let postponed = 0;
    for (let last: string | undefined; this.#offer && !this.#stopped;) {
      const offer = this.#offer;
      if (offer.offer !== last) postponed = 0;
      last = offer.offer;
      const verdict = await this.#attempt(offer, postponed === 0);
      const { state, detail } = verdict;
      this.#emit({ type: 'attempt', offer: offer.offer, state, detail });
      const status = { offer: offer.offer, state, detail, done: 0, total: offer.size };
      if (state !== 'postponed') {
        this.#ended = status;
        if (this.#offer === offer) this.#offer = undefined;
        // What it runs now goes first: an answer alone does not say it.
        this.#queue('hello', this.#hello());
        this.#answer(status);
        if (verdict.report) this.#queue('report', verdict.report);
        continue;
      }
      if (postponed === 0) this.#answer(status);
      const [first, longest] = this.#options.retry ?? RETRY;
      await this.#pause(Math.min(first * 2 ** Math.min(postponed++, 16), longest), offer);
    }
  }

  async #attempt(offer: Offer, first: boolean): Promise<Verdict> {
    const { running, battery, leastBattery = LEAST_BATTERY, install } = this.#options;
    if (running().digest === offer.digest) return { state: 'installed', detail: 'it runs it' };
    const percent = battery?.();
    if (percent !== undefined && percent < leastBattery)
      return { state: 'postponed', detail: 'DEVICE_BATTERY_LOW' };
    const { offer: id, size: total } = offer;
    if (first) this.#answer({ offer: id, state: 'accepted', detail: '', done: 0, total });
    let installing = false;
    return install(offer, (state, done, of) => {
      const now = performance.now();
      const changed = state === 'installing' && !installing;
      installing ||= changed;
      if (!this.#link.connected || (!changed && now - this.#told < TELL_MS)) return;
      this.#told = now;
      const status = encodePayload({ offer: id, state, detail: '', done, total: of });
      this.#link.publish('status', status).catch(ignored);
    });
  }

  /** Until it is time again, the offer goes, or another comes. */
  async #pause(ms: number, offer: Offer): Promise<void> {
    if (this.#offer !== offer || this.#stopped) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, ms);
    this.#wake = resolve;
    await promise;
    clearTimeout(timer);
    this.#wake = undefined;
  }

  #answer(status: AttemptStatus): void {
    this.#queue('status', encodePayload({ ...status, detail: status.detail.slice(0, 256) }));
  }

  #queue(channel: 'hello' | 'status' | 'report', payload: string | Uint8Array): void {
    this.#waiting.push({ channel, payload });
    if (this.#waiting.length > MAX_WAITING) this.#waiting.shift();
    void this.#send();
  }

  async #send(): Promise<void> {
    if (this.#sending) return;
    this.#sending = true;
    try {
      for (let next = this.#waiting[0]; next && this.#link.connected; next = this.#waiting[0]) {
        await this.#link.publish(next.channel, next.payload);
        if (this.#waiting[0] === next) this.#waiting.shift();
      }
    } catch {
      // The next connection goes on with what is left.
    } finally {
      this.#sending = false;
    }
  }

  #emit(event: OfferEvent): void {
    this.#options.onEvent?.(event);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopped = true;
    clearInterval(this.#asking);
    this.#wake?.();
    await this.#working;
    await this.#flushed();
    await this.#link[Symbol.asyncDispose]();
  }

  // A last word is worth a moment, no more.
  async #flushed(): Promise<void> {
    const end = performance.now() + TELL_MS;
    while (this.#link.connected && this.#waiting.length > 0 && performance.now() < end)
      await new Promise((resolve) => {
        setTimeout(resolve, 20);
      });
  }
}

function ignored(): void {
  // It is said again with the next connection.
}
