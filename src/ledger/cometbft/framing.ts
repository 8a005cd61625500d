/** Frames on an ABCI socket: an unsigned varint with the length, then the protobuf message. */
import { check } from '../../errors.ts';
import { MAX_BLOCK } from '../../registry/block.ts';

/** A whole block of the largest size, with what stands around it. */
export const MAX_FRAME = MAX_BLOCK + (1 << 20);
const NOTHING = new Uint8Array(0);
// MAX_FRAME takes 4 bytes of seven bits each.
const MAX_PREFIX = 4;

/** A message as it goes over the socket. */
export function frame(message: Uint8Array): Uint8Array {
  const prefix: number[] = [];
  let rest = message.length;
  for (; rest >= 0x80; rest >>>= 7) prefix.push((rest & 0x7f) | 0x80);
  prefix.push(rest);
  const framed = new Uint8Array(prefix.length + message.length);
  framed.set(prefix);
  framed.set(message, prefix.length);
  return framed;
}

/** Cuts a stream into messages. Memory is taken only for bytes that have come, and for one frame at most. */
export class FrameReader {
  readonly #maxFrame: number;
  /** The start of a length that is not complete. */
  #prefix: number[] = [];
  #body: Uint8Array[] = [];
  /** How many bytes of the message are still to come; undefined while its length is read. */
  #missing: number | undefined;

  constructor(maxFrame = MAX_FRAME) {
    this.#maxFrame = maxFrame;
  }

  /** The messages that end in this chunk. Errors: ENGINE_FRAME_INVALID. */
  push(chunk: Uint8Array): readonly Uint8Array[] {
    const messages: Uint8Array[] = [];
    let at = 0;
    while (at < chunk.length) {
      if (this.#missing === undefined) {
        this.#missing = this.#length(chunk[at++] as number);
        if (this.#missing !== 0) continue;
      }
      const part = chunk.subarray(at, at + this.#missing);
      this.#body.push(part);
      at += part.length;
      this.#missing -= part.length;
      if (this.#missing > 0) break;
      messages.push(joined(this.#body));
      this.#body = [];
      this.#missing = undefined;
    }
    return messages;
  }

  #length(byte: number): number | undefined {
    this.#prefix.push(byte);
    if (byte >= 0x80) {
      check(this.#prefix.length < MAX_PREFIX, 'ENGINE_FRAME_INVALID', 'a length of too many bytes');
      return undefined;
    }
    check(byte !== 0 || this.#prefix.length === 1, 'ENGINE_FRAME_INVALID', 'a padded length');
    const length = this.#prefix.reduceRight((sum, each) => sum * 128 + (each & 0x7f), 0);
    check(length <= this.#maxFrame, 'ENGINE_FRAME_INVALID', 'a frame above the bound', { length });
    this.#prefix = [];
    return length;
  }
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  if (parts.length === 1) return parts[0] ?? NOTHING;
  const whole = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
