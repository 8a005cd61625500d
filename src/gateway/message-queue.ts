/**
 * Messages that come at about the same time, taken together: a house full of devices speaks at once after a power cut, and
 * a sync of the disk for each would make the last wait long for its acknowledgement.
 */
import type { Channel } from '../api/downlink.ts';
import type { DownlinkHandler } from './downlink-port.ts';

export interface Message {
  readonly device: string;
  readonly channel: Exclude<Channel, 'offer' | 'time'>;
  readonly payload: Uint8Array;
  /** Without an error: it is on disk, and may be acknowledged. */
  readonly taken: (error: unknown) => void;
}

/** Milliseconds that the first one waits for others. */
const GATHER_MS = 10;
// So many wait for one sync; more go in parts.
const AT_ONCE = 256;

export class MessageQueue {
  readonly #handler: () => DownlinkHandler | undefined;
  #waiting: Message[] = [];

  constructor(handler: () => DownlinkHandler | undefined) {
    this.#handler = handler;
  }

  add(message: Message): void {
    if (this.#waiting.push(message) === 1) setTimeout(() => this.flush(), GATHER_MS);
  }

  /** Hands everything over now. */
  flush(): void {
    const messages = this.#waiting;
    this.#waiting = [];
    for (let at = 0; at < messages.length; at += AT_ONCE)
      this.#takeAll(messages.slice(at, at + AT_ONCE));
  }

  #takeAll(messages: readonly Message[]): void {
    const handler = this.#handler();
    if (!handler?.together || messages.length === 1) {
      for (const message of messages) this.#takeOne(message);
      return;
    }
    try {
      handler.together(() => {
        for (const { device, channel, payload } of messages)
          handler.message(device, channel, payload);
      });
    } catch {
      // Nothing of it was kept. One that can't be taken must not keep the others out.
      for (const message of messages) this.#takeOne(message);
      return;
    }
    for (const { taken } of messages) taken(undefined);
  }

  #takeOne({ device, channel, payload, taken }: Message): void {
    try {
      this.#handler()?.message(device, channel, payload);
    } catch (error) {
      taken(error);
      return;
    }
    taken(undefined);
  }
}
