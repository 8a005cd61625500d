/** As much of MQTT 3.1.1 as a cheap load generator needs: packets to bytes, and a stream of bytes to packets. */
const PROTOCOL = Uint8Array.of(0, 4, 77, 81, 84, 84, 4);
const CLEAN = 2;
const KEEPALIVE_S = 600;

export const CONNACK = 2;
export const PUBLISH = 3;
export const PUBACK = 4;
export const SUBACK = 9;

export interface MqttPacket {
  readonly type: number;
  /** Of a PUBLISH; 0 otherwise. */
  readonly qos: number;
  readonly body: Buffer;
}

function packet(first: number, ...parts: readonly Uint8Array[]): Buffer {
  const body = Buffer.concat(parts);
  const length: number[] = [];
  let rest = body.length;
  do {
    length.push((rest & 0x7f) | (rest > 0x7f ? 0x80 : 0));
    rest >>>= 7;
  } while (rest > 0);
  return Buffer.concat([Uint8Array.of(first, ...length), body]);
}

function number(value: number): Uint8Array {
  return Uint8Array.of(value >> 8, value & 0xff);
}

function words(text: string): Uint8Array {
  const bytes = Buffer.from(text);
  return Buffer.concat([number(bytes.length), bytes]);
}

export function connectPacket(clientId: string): Buffer {
  return packet(0x10, PROTOCOL, Uint8Array.of(CLEAN), number(KEEPALIVE_S), words(clientId));
}

/** QoS 1 for each. */
export function subscribePacket(id: number, topics: readonly string[]): Buffer {
  const filters = topics.flatMap((topic) => [words(topic), Uint8Array.of(1)]);
  return packet(0x82, number(id), ...filters);
}

/** QoS 1. */
export function publishPacket(id: number, topic: string, payload: string, retain = false): Buffer {
  return packet(retain ? 0x33 : 0x32, words(topic), number(id), Buffer.from(payload));
}

export function pubackPacket(id: number): Buffer {
  return packet(0x40, number(id));
}

/** Topic, payload and (of QoS 1) packet id of a PUBLISH. */
export function readPublish({ qos, body }: MqttPacket): {
  readonly topic: string;
  readonly payload: string;
  readonly id: number;
} {
  const end = 2 + body.readUInt16BE(0);
  return {
    topic: body.toString('utf8', 2, end),
    payload: body.toString('utf8', end + (qos > 0 ? 2 : 0)),
    id: qos > 0 ? body.readUInt16BE(end) : 0,
  };
}

/** Takes pieces of a stream in order. */
export function packetReader(onPacket: (packet: MqttPacket) => void): (chunk: Buffer) => void {
  let kept: Buffer = Buffer.alloc(0);
  return (chunk) => {
    kept = kept.length === 0 ? chunk : Buffer.concat([kept, chunk]);
    for (;;) {
      let at = 1;
      let length = 0;
      let more = true;
      for (let shift = 0; more && at < kept.length; shift += 7) {
        const byte = kept[at++] ?? 0;
        length |= (byte & 0x7f) << shift;
        more = byte > 0x7f;
      }
      if (more || kept.length < at + length) return;
      const first = kept[0] ?? 0;
      const body = kept.subarray(at, at + length);
      kept = kept.subarray(at + length);
      onPacket({ type: first >> 4, qos: (first >> 1) & 3, body });
    }
  };
}
