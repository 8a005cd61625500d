/** The embedded MQTT broker (docs/spec/mqtt.md): each session is one device's, by its key, and reaches its own topics. */
import type { AddressInfo, Socket } from 'node:net';
import { Readable } from 'node:stream';
import type { Server, TLSSocket } from 'node:tls';
import { Aedes, type Client, type PublishPacket } from 'aedes';
import { parseTopic, topic, type Channel } from '../api/downlink.ts';
import { codeOf, fail, FirmamentError } from '../errors.ts';
import type { Logger } from '../logger.ts';
import { clientAddress, createRateLimiter, type RateLimit } from '../net/limits.ts';
import type { TlsCredentials } from '../net/tls.ts';
import { createDeviceTlsServer, deviceOf, replaceDeviceCertificate } from './device-tls.ts';
import type { Devices } from './devices.ts';
import type { Downlink, DownlinkHandler } from './downlink-port.ts';
import { MessageQueue, type Message } from './message-queue.ts';
import { guardBacklog, guardSizes } from './socket-guards.ts';

export interface BrokerLimits {
  readonly maxConnections: number;
  /** From one address, so that it can't take all. */
  readonly perAddress: number;
  /** Milliseconds until the TLS handshake is done, and then until CONNECT. */
  readonly handshake: number;
  readonly connect: number;
  /** Bytes that wait for a device that does not read; more, and its session ends. */
  readonly backlog: number;
  /** Messages of one device. */
  readonly messages: RateLimit;
  /** Sessions that one device may begin. */
  readonly sessions: RateLimit;
}

export const DEFAULT_BROKER_LIMITS: BrokerLimits = {
  maxConnections: 4096,
  perAddress: 2048,
  handshake: 10_000,
  connect: 10_000,
  backlog: 256 * 1024,
  messages: { perSecond: 20, burst: 200 },
  sessions: { perSecond: 1, burst: 20 },
};

export interface EmbeddedBrokerOptions {
  readonly host: string;
  /** 0: any free port. */
  readonly port: number;
  readonly tls: TlsCredentials;
  readonly rootPem: string;
  readonly devices: Devices;
  readonly logger: Logger;
  readonly limits?: Partial<BrokerLimits>;
}

/** Messages of QoS 2 that a device may leave half done. */
const MAX_HALF_DONE = 16;
const MAX_LEVELS = 6;
const UPWARD: readonly Channel[] = ['hello', 'ask', 'status', 'report'];
const DOWNWARD: readonly Channel[] = ['offer', 'time'];

/** `handler` gets every message before it is acknowledged: what a device need not send again was taken. */
export async function openEmbeddedBroker(options: EmbeddedBrokerOptions): Promise<EmbeddedBroker> {
  const broker = new EmbeddedBroker(options);
  await broker.open();
  return broker;
}

// What aedes has no types for: its sessions by client id, a session's filters, and where retained messages come from.
interface Session extends Client {
  readonly subscriptions: Readonly<Record<string, unknown>>;
}
interface Inside {
  readonly clients: Readonly<Record<string, Session>>;
  readonly persistence: { createRetainedStreamCombi: (topics: readonly string[]) => Readable };
}

/** Owns the listener and the sessions. Retained offers are in memory only: whoever opens it publishes them again. */
export class EmbeddedBroker implements Downlink {
  readonly #options: EmbeddedBrokerOptions;
  readonly #limits: BrokerLimits;
  readonly #aedes: Aedes;
  readonly #server: Server;
  readonly #identities = new WeakMap<object, string>();
  readonly #sockets = new Set<Socket>();
  readonly #addresses = new Map<string, number>();
  readonly #messages;
  readonly #sessions;
  /** By topic. Looked up by name: aedes' own store compares every retained message with every subscription. */
  readonly #retained = new Map<string, string>();
  readonly #queue = new MessageQueue(() => this.#handler);
  readonly #unlisten: () => void;
  #handler: DownlinkHandler | undefined;

  constructor(options: EmbeddedBrokerOptions) {
    this.#options = options;
    this.#limits = { ...DEFAULT_BROKER_LIMITS, ...options.limits };
    const { messages, sessions, handshake, maxConnections, connect } = this.#limits;
    this.#messages = createRateLimiter(messages, () => performance.now());
    this.#sessions = createRateLimiter(sessions, () => performance.now());
    this.#aedes = new Aedes({
      connectTimeout: connect,
      maxInflightInbound: MAX_HALF_DONE,
      maxTopicLevels: MAX_LEVELS,
      // What may be sent to whom is decided below; sessions end with their connection, so nothing is queued.
      preConnect: (client, packet, done) => {
        const id = this.#identities.get(client.conn);
        if (id === undefined || !this.#mayWill(id, packet.will?.topic))
          return done(refused(), false);
        packet.clientId = id;
        packet.clean = true;
        return done(null, true);
      },
      authenticate: (client, _user, _password, done) =>
        this.#isLive(client) ? done(null, true) : done(null, false),
      authorizeSubscribe: (client, subscription, done) =>
        done(null, isOwn(client.id, subscription.topic, DOWNWARD) ? subscription : null),
      authorizePublish: (client, packet, done) => this.#take(client, packet, done),
      // The second wall: what is not the device's own is not handed to it, however it came to be subscribed.
      authorizeForward: (client, packet) =>
        isOwn(client.id, packet.topic, DOWNWARD) ? packet : null,
    });
    this.#aedes.on('clientReady', (client) => this.#ready(client));
    this.#aedes.on('clientDisconnect', (client) => this.#handler?.disconnected(client.id));
    this.#aedes.on('clientError', (client, error) =>
      options.logger.debug('a session ended', { device: client.id, reason: error.message }),
    );
    const { tls, rootPem, devices } = options;
    this.#server = createDeviceTlsServer({ tls, rootPem, devices, handshake, maxConnections });
    this.#server.on('connection', (socket: Socket) => this.#count(socket));
    this.#server.on('secureConnection', (socket) => this.#accept(socket));
    this.#unlisten = devices.onRevoked((id) => this.disconnect(id));
  }

  /** Listens. Errors: NET_LISTEN_FAILED. */
  async open(): Promise<void> {
    const { host, port } = this.#options;
    await this.#aedes.listen();
    this.#inside.persistence.createRetainedStreamCombi = (topics) =>
      Readable.from(topics.flatMap((name) => this.#retainedPacket(name)));
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#server.once('error', reject);
    this.#server.listen(port, host, resolve);
    await promise.catch((cause: unknown) =>
      fail('NET_LISTEN_FAILED', `can not listen on ${host}:${port}`, { host, port }, cause),
    );
    this.#server.off('error', reject).on('error', () => {});
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  listen(handler: DownlinkHandler): void {
    this.#handler = handler;
  }

  publish(
    device: string,
    channel: 'offer' | 'time',
    payload: string,
    { retain }: { readonly retain: boolean },
  ): Promise<void> {
    const name = topic(device, channel);
    if (retain && payload === '') this.#retained.delete(name);
    else if (retain) this.#retained.set(name, payload);
    const client = this.#client(device);
    // Straight to the one session that may have it; who subscribes later gets what is retained.
    if (!client?.subscriptions[name]) return Promise.resolve();
    const { promise, resolve } = Promise.withResolvers<void>();
    client.publish({ ...packetOf(name, payload), retain: false }, () => resolve());
    return promise;
  }

  online(device: string): boolean {
    return this.#client(device) !== undefined;
  }

  disconnect(device: string): void {
    const client = this.#client(device);
    client?.close();
    client?.conn.destroy();
  }

  /** New connections meet this certificate. */
  replaceCertificate(tls: TlsCredentials): void {
    replaceDeviceCertificate(this.#server, tls, this.#options.rootPem);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#unlisten();
    this.#queue.flush();
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    await new Promise<void>((resolve) => this.#aedes.close(() => resolve()));
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  get #inside(): Inside {
    return this.#aedes as unknown as Inside;
  }

  #client(device: string): Session | undefined {
    return this.#inside.clients[device];
  }

  #retainedPacket(name: string): readonly object[] {
    const payload = this.#retained.get(name);
    return payload === undefined ? [] : [{ ...packetOf(name, payload), retain: true }];
  }

  #count(socket: Socket): void {
    const address = clientAddress(socket.remoteAddress ?? '');
    const count = (this.#addresses.get(address) ?? 0) + 1;
    if (count > this.#limits.perAddress) {
      socket.destroy();
      return;
    }
    this.#addresses.set(address, count);
    this.#sockets.add(socket);
    socket.once('close', () => {
      this.#sockets.delete(socket);
      const left = (this.#addresses.get(address) ?? 1) - 1;
      if (left > 0) this.#addresses.set(address, left);
      else this.#addresses.delete(address);
    });
  }

  #accept(socket: TLSSocket): void {
    const device = deviceOf(socket, this.#options.devices);
    if (device === undefined || this.#sessions.take(device) > 0) {
      socket.on('error', () => {}).destroy();
      return;
    }
    socket.setNoDelay(true).setKeepAlive(true, 60_000);
    this.#identities.set(socket, device);
    guardSizes(socket);
    guardBacklog(socket, this.#limits.backlog);
    this.#aedes.handle(socket);
  }

  #isLive(client: Client): boolean {
    const id = this.#identities.get(client.conn);
    return id !== undefined && this.#options.devices.get(id)?.status === 'active';
  }

  #ready(client: Client): void {
    // Revoked while it connected: there was no session to end yet.
    if (!this.#isLive(client)) {
      client.close();
      return;
    }
    this.#handler?.connected(client.id);
  }

  #mayWill(device: string, will: string | undefined): boolean {
    return will === undefined || isOwn(device, will, UPWARD);
  }

  #take(
    client: Client | null,
    packet: { topic: string; payload: string | Uint8Array; retain: boolean },
    done: (error: Error | null) => void,
  ): void {
    const target = parseTopic(packet.topic);
    if (!client || !target || !isOwn(client.id, packet.topic, UPWARD)) return done(refused());
    if (this.#messages.take(client.id) > 0) return done(refused());
    // Nothing of a device's is kept for others.
    packet.retain = false;
    const { payload } = packet;
    // An empty hello is a will that says "gone", for brokers that don't tell.
    if (target.channel === 'hello' && payload.length === 0) return done(null);
    const bytes = typeof payload === 'string' ? new TextEncoder().encode(payload) : payload;
    const { device, channel } = target as Pick<Message, 'device' | 'channel'>;
    this.#queue.add({
      device,
      channel,
      payload: new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length),
      taken: (error) => {
        if (error === undefined) return done(null);
        const code = codeOf(error);
        this.#options.logger.warn('a message was not taken', { device, channel, code, error });
        // Not acknowledged: the device sends it again when it is back.
        return done(refused());
      },
    });
  }
}

function packetOf(
  name: string,
  payload: string,
): Pick<PublishPacket, 'cmd' | 'topic' | 'payload' | 'qos' | 'dup'> {
  const qos = name.endsWith('/offer') ? 1 : 0;
  return { cmd: 'publish', topic: name, payload, qos, dup: false };
}

function isOwn(device: string, text: string, channels: readonly Channel[]): boolean {
  const target = parseTopic(text);
  return target?.device === device && channels.includes(target.channel);
}

function refused(): FirmamentError {
  return new FirmamentError('GATEWAY_BROKER_REFUSED');
}
