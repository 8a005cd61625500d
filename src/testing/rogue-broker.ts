/** A broker in a hostile gateway's hands: it lets any device in, and sends whatever bytes a test likes. */
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { createServer, type TLSSocket } from 'node:tls';
import { concat, text, utf8 } from '../bytes.ts';
import type { TlsCredentials } from '../net/tls.ts';

export interface RogueBroker extends AsyncDisposable {
  readonly port: number;
  /** `TOPIC PAYLOAD` of what devices published, in order. */
  readonly heard: readonly string[];
  /** Sessions that were begun. */
  readonly sessions: () => number;
  /** Bytes of endless greetings. */
  readonly sent: () => number;
  /** A message to every device, of QoS 0, whatever it subscribed to. */
  publish(topic: string, payload: string | Uint8Array): void;
  /** Any bytes; false once nobody takes them any more. */
  write(bytes: Uint8Array): boolean;
  /** Resolves once something that was published fits, of what comes from the `from`th on. */
  until(fits: (heard: string) => boolean, from?: number): Promise<string>;
}

export interface RogueBrokerOptions {
  readonly tls: TlsCredentials;
  readonly port?: number;
  /** In the place of CONNACK: a packet without end. */
  readonly greeting?: 'endless';
  /** Answered to a subscription: 1, granted, unless said otherwise. */
  readonly grant?: number;
}

const WAIT_MS = 20_000;

/** Listens on loopback. */
export async function startRogueBroker(options: RogueBrokerOptions): Promise<RogueBroker> {
  const { tls, grant = 1, port = 0, greeting } = options;
  const sockets = new Set<TLSSocket>();
  const heard: string[] = [];
  const waiting = new Set<() => void>();
  let sessions = 0;
  let sent = 0;
  const server = createServer(
    {
      key: tls.privateKeyPem,
      cert: tls.certificatePem,
      requestCert: true,
      rejectUnauthorized: false,
    },
    (socket) => {
      socket.on('error', () => undefined);
      socket.once('close', () => sockets.delete(socket));
      let rest: Uint8Array = new Uint8Array();
      socket.on('data', (chunk: Uint8Array) => {
        rest = concat(rest, chunk);
        for (let packet = firstPacket(rest); packet; packet = firstPacket(rest)) {
          rest = rest.subarray(packet.length);
          answer(socket, packet);
        }
      });
    },
  );
  const answer = (socket: TLSSocket, { type, body }: Packet): void => {
    if (type === 0x10) {
      sessions++;
      if (greeting) {
        flood(socket, (bytes) => (sent += bytes));
        return;
      }
      socket.write(Uint8Array.of(0x20, 2, 0, 0));
    } else if (type === 0x82) {
      sockets.add(socket);
      socket.write(Uint8Array.of(0x90, 4, body[0] ?? 0, body[1] ?? 0, grant, grant));
    } else if (type === 0xc0) socket.write(Uint8Array.of(0xd0, 0));
    else if (type >> 4 === 3) {
      const length = ((body[0] ?? 0) << 8) | (body[1] ?? 0);
      const acknowledged = (type & 6) === 0 ? 0 : 2;
      const at = 2 + length;
      if (acknowledged) socket.write(Uint8Array.of(0x40, 2, body[at] ?? 0, body[at + 1] ?? 0));
      const payload = new TextDecoder().decode(body.subarray(at + acknowledged));
      heard.push(`${text(body.subarray(2, at))} ${payload}`);
      for (const wake of waiting) wake();
    }
  };
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  const write = (bytes: Uint8Array): boolean => {
    for (const socket of sockets) socket.write(bytes);
    return sockets.size > 0;
  };
  return {
    port: (server.address() as AddressInfo).port,
    heard,
    sessions: () => sessions,
    sent: () => sent,
    publish: (topic, payload) => void write(publishPacket(topic, payload)),
    write,
    async until(fits, from = 0) {
      const end = performance.now() + WAIT_MS;
      for (;;) {
        const found = heard.slice(from).find(fits);
        if (found !== undefined) return found;
        if (performance.now() > end) throw new Error(`not heard: ${heard.slice(-5).join('\n')}`);
        const { promise, resolve } = Promise.withResolvers<void>();
        const timer = setTimeout(resolve, 100);
        waiting.add(resolve);
        await promise;
        clearTimeout(timer);
        waiting.delete(resolve);
      }
    },
    async [Symbol.asyncDispose]() {
      const closed = once(server, 'close');
      server.close();
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}

/** A packet of the greatest length that there is, until nobody takes it. */
function flood(socket: TLSSocket, onSent: (bytes: number) => void): void {
  const chunk = new Uint8Array(65_536);
  socket.write(Uint8Array.of(0x30, 0xff, 0xff, 0xff, 0x7f));
  const more = (): void => {
    while (!socket.destroyed && socket.write(chunk)) onSent(chunk.length);
    onSent(chunk.length);
  };
  socket.on('drain', more);
  more();
}

interface Packet {
  /** The first byte: type and flags. */
  readonly type: number;
  readonly body: Uint8Array;
  readonly length: number;
}

function firstPacket(bytes: Uint8Array): Packet | undefined {
  let size = 0;
  for (let i = 1; i <= 4 && i < bytes.length; i++) {
    const byte = bytes[i] ?? 0;
    size += (byte & 127) * 128 ** (i - 1);
    if (byte >= 128) continue;
    const length = 1 + i + size;
    if (bytes.length < length) return undefined;
    return { type: bytes[0] ?? 0, body: bytes.subarray(1 + i, length), length };
  }
  return undefined;
}

/** MQTT 3.1.1, QoS 0. */
export function publishPacket(topic: string, payload: string | Uint8Array): Uint8Array {
  const name = utf8(topic);
  const content = typeof payload === 'string' ? utf8(payload) : payload;
  const size = 2 + name.length + content.length;
  return concat(
    Uint8Array.of(0x30, ...remainingLength(size), name.length >> 8, name.length & 255),
    name,
    content,
  );
}

/** The length of what follows, as MQTT writes it. */
export function remainingLength(size: number): readonly number[] {
  const bytes: number[] = [];
  for (let left = size; ;) {
    const low = left % 128;
    left = Math.floor(left / 128);
    bytes.push(left > 0 ? low | 128 : low);
    if (left === 0) return bytes;
  }
}
