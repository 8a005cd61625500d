/**
 * Sizes of MQTT packets, read beside the broker's parser, which would gather whatever a length announces (up to 256 MiB):
 * the first packet must be a small CONNECT, the others have a bound.
 */
import { check } from '../errors.ts';

const CONNECT = 1;
const MAX_LENGTH_BYTES = 4;

export interface PacketBounds {
  /** Bytes of the first packet's remaining length. */
  readonly connect: number;
  /** Of every other's. */
  readonly packet: number;
}

/** One connection's position in its stream of packets (MQTT 3.1.1 section 2.2). */
export class PacketGuard {
  readonly #bounds: PacketBounds;
  #first = true;
  #state: 'type' | 'length' | 'body' = 'type';
  #length = 0;
  #lengthBytes = 0;

  constructor(bounds: PacketBounds) {
    this.#bounds = bounds;
  }

  /** Takes the next bytes of the stream. Errors: GATEWAY_BROKER_REFUSED, for good. */
  take(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length;) {
      if (this.#state === 'body') {
        const step = Math.min(this.#length, bytes.length - at);
        this.#length -= step;
        at += step;
        if (this.#length === 0) this.#state = 'type';
      } else this.#header(bytes[at++] ?? 0);
    }
  }

  #header(byte: number): void {
    if (this.#state === 'type') {
      check(!this.#first || byte >> 4 === CONNECT, 'GATEWAY_BROKER_REFUSED', 'no CONNECT');
      this.#state = 'length';
      this.#length = 0;
      this.#lengthBytes = 0;
      return;
    }
    this.#length |= (byte & 0x7f) << (7 * this.#lengthBytes);
    this.#lengthBytes += 1;
    const { connect, packet } = this.#bounds;
    const bound = this.#first ? connect : packet;
    check(this.#length <= bound, 'GATEWAY_BROKER_REFUSED', 'packet too large');
    if (byte & 0x80) {
      check(this.#lengthBytes < MAX_LENGTH_BYTES, 'GATEWAY_BROKER_REFUSED', 'malformed length');
      return;
    }
    this.#first = false;
    this.#state = this.#length === 0 ? 'type' : 'body';
  }
}
