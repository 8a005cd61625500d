/**
 * An MQTT broker that the owner runs already: the gateway is one of its clients, with rights on firmament/v1/#. Who may
 * use which device's topics is then the broker's to enforce (docs/operations.md has the configuration).
 */
import { readFileSync } from 'node:fs';
import { connect, type IClientOptions, type IPublishPacket, type MqttClient } from 'mqtt';
import { MAX_PACKET, parseTopic, topic, type Channel } from '../api/downlink.ts';
import { text } from '../bytes.ts';
import { codeOf, fail } from '../errors.ts';
import type { Logger } from '../logger.ts';
import type { BrokerConfig } from './config-broker.ts';
import type { Devices } from './devices.ts';
import type { Downlink, DownlinkHandler } from './downlink-port.ts';

export interface ExternalBrokerOptions {
  readonly broker: Extract<BrokerConfig, { readonly kind: 'external' }>;
  /** Names the session that the broker keeps while the gateway is away. */
  readonly name: string;
  readonly devices: Devices;
  readonly logger: Logger;
  /** Milliseconds that a device counts as online after it was heard last. */
  readonly quiet?: number;
  /** Milliseconds between two tries to connect. */
  readonly retry?: number;
}

const QUIET_MS = 600_000;
const RETRY_MS = 2_000;
const UPWARD: readonly Channel[] = ['hello', 'ask', 'status', 'report'];
const ALL_OFFERS = 'firmament/v1/+/offer';

/** Connects in the background, for as long as it is open. Errors: GATEWAY_CONFIG when a file can not be read. */
export function openExternalBroker(options: ExternalBrokerOptions): ExternalBroker {
  return new ExternalBroker(options);
}

export class ExternalBroker implements Downlink {
  readonly #options: ExternalBrokerOptions;
  readonly #client: MqttClient;
  /** What is to be retained, by device: a broker that lost it gets it again. */
  readonly #retained = new Map<string, string>();
  /** When each device was heard last, milliseconds. */
  readonly #heard = new Map<string, number>();
  readonly #unlisten: () => void;
  readonly #sweep: NodeJS.Timeout;
  #handler: DownlinkHandler | undefined;

  constructor(options: ExternalBrokerOptions) {
    this.#options = options;
    const { broker, devices, logger } = options;
    this.#client = connect(broker.url, clientOptions(options));
    // Called before a message is acknowledged: what the broker need not keep was taken.
    this.#client.handleMessage = (packet, done) => done(this.#take(packet));
    this.#client.on('connect', () => {
      logger.info('connected to the broker', { url: broker.url });
      this.#begin().catch((error: unknown) => this.#lost(error));
    });
    this.#client.on('error', (error) => this.#lost(error));
    this.#unlisten = devices.onRevoked((id) => this.disconnect(id));
    this.#sweep = setInterval(() => this.#forgetQuiet(), this.#quiet / 10).unref();
  }

  get connected(): boolean {
    return this.#client.connected;
  }

  get #quiet(): number {
    return this.#options.quiet ?? QUIET_MS;
  }

  listen(handler: DownlinkHandler): void {
    this.#handler = handler;
  }

  /** Without a connection a retained message waits for one, and any other is lost. */
  async publish(
    device: string,
    channel: 'offer' | 'time',
    payload: string,
    { retain }: { readonly retain: boolean },
  ): Promise<void> {
    if (retain && channel === 'offer') {
      if (payload === '') this.#retained.delete(device);
      else this.#retained.set(device, payload);
    }
    if (this.#client.connected) await this.#send(topic(device, channel), payload, retain);
  }

  online(device: string): boolean {
    return (
      (this.#heard.get(device) ?? 0) + this.#quiet > performance.now() && this.#heard.has(device)
    );
  }

  /** The session is the broker's: here the device's messages count no more, and its offer is taken away. */
  disconnect(device: string): void {
    this.#gone(device);
    this.publish(device, 'offer', '', { retain: true }).catch((error: unknown) =>
      this.#lost(error),
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#sweep);
    this.#unlisten();
    await this.#client.endAsync(!this.#client.connected);
  }

  async #begin(): Promise<void> {
    const filters = UPWARD.map((channel) => `firmament/v1/+/${channel}`);
    // Offers too: what the broker still holds of an earlier life, or from somebody else, is taken away.
    const granted = await this.#client.subscribeAsync([...filters, ALL_OFFERS], { qos: 1 });
    if (granted.some(({ qos }) => qos > 2))
      fail('GATEWAY_BROKER_REFUSED', 'the broker does not let the gateway subscribe');
    // Only now: what a device answers to an offer that it has carried out meanwhile would be acknowledged and lost.
    for (const [device, payload] of this.#retained)
      await this.#send(topic(device, 'offer'), payload, true);
  }

  async #send(to: string, payload: string, retain: boolean): Promise<void> {
    await this.#client.publishAsync(to, payload, { qos: to.endsWith('/offer') ? 1 : 0, retain });
  }

  #take(packet: IPublishPacket): Error | undefined {
    const target = parseTopic(packet.topic);
    const { payload } = packet;
    if (!target || payload.length > MAX_PACKET || typeof payload === 'string') return undefined;
    const { device, channel } = target;
    if (channel === 'offer') {
      if (packet.retain) this.#correct(device, payload);
      return undefined;
    }
    // Nothing of a device's is retained: what comes so is a ghost.
    if (channel === 'time' || packet.retain) return undefined;
    if (this.#options.devices.get(device)?.status !== 'active') return undefined;
    if (channel === 'hello' && payload.length === 0) {
      this.#gone(device);
      return undefined;
    }
    try {
      const known = this.online(device);
      this.#heard.set(device, performance.now());
      if (!known) this.#handler?.connected(device);
      const bytes = new Uint8Array(payload.buffer, payload.byteOffset, payload.length);
      this.#handler?.message(device, channel, bytes);
      return undefined;
    } catch (error) {
      this.#options.logger.warn('a message was not taken', {
        device,
        channel,
        code: codeOf(error),
        error,
      });
      return error instanceof Error ? error : new Error('not taken');
    }
  }

  #correct(device: string, payload: Uint8Array): void {
    const ours = this.#retained.get(device) ?? '';
    if (textOf(payload) === ours) return;
    this.#send(topic(device, 'offer'), ours, true).catch((error: unknown) => this.#lost(error));
  }

  #forgetQuiet(): void {
    for (const device of this.#heard.keys()) if (!this.online(device)) this.#gone(device);
  }

  #gone(device: string): void {
    if (this.#heard.delete(device)) this.#handler?.disconnected(device);
  }

  #lost(error: unknown): void {
    this.#options.logger.warn('the broker can not be used', {
      url: this.#options.broker.url,
      code: codeOf(error),
      reason: error instanceof Error ? error.message : undefined,
    });
  }
}

function textOf(payload: Uint8Array): string | undefined {
  try {
    return text(payload);
  } catch {
    return undefined;
  }
}

function clientOptions({ broker, name, retry }: ExternalBrokerOptions): IClientOptions {
  const { certificate, key, username, password } = broker;
  return {
    protocolVersion: 4,
    clientId: `firmament-gateway-${name}`,
    // What devices say while the gateway is away waits at the broker.
    clean: false,
    reconnectPeriod: retry ?? RETRY_MS,
    connectTimeout: 10_000,
    resubscribe: false,
    queueQoSZero: false,
    rejectUnauthorized: true,
    ca: readFile(broker.ca),
    ...(certificate !== null && { cert: readFile(certificate) }),
    ...(key !== null && { key: readFile(key) }),
    ...(username !== null && { username }),
    ...(password !== null && { password }),
  };
}

function readFile(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    return fail('GATEWAY_CONFIG', `${path} can not be read`, {}, cause);
  }
}
