/**
 * A device's MQTT connection to its gateway (docs/spec/mqtt.md): TLS under the gateway's root, one clean session after
 * the other, more and more slowly while none comes about. What is sent counts once the broker has acknowledged it.
 */
import { randomInt } from 'node:crypto';
import { checkServerIdentity, type ConnectionOptions, type PeerCertificate } from 'node:tls';
import { connect, type IClientOptions, type MqttClient } from 'mqtt';
import {
  decodeTime,
  MAX_PACKET,
  parseTopic,
  topic,
  type Channel,
  type GatewayTime,
} from '../api/downlink.ts';
import { text } from '../bytes.ts';
import { codeOf, FirmamentError } from '../errors.ts';
import { p256PrivatePem } from '../net/certificate-request.ts';
import type { Enrolment } from './enrolment.ts';

export interface LinkHandler {
  /** The retained offer, or its absence: an empty text. */
  offer(payload: string): void;
  time(time: GatewayTime): void;
  /** Subscribed, and ready to be spoken to. */
  connected(): void;
  disconnected(reason: string): void;
}

export interface LinkOptions {
  readonly enrolment: Pick<Enrolment, 'device' | 'credential' | 'rootPem' | 'mqtt'>;
  readonly handler: LinkHandler;
  /** Milliseconds: the first pause between two connections, which doubles, and the longest. */
  readonly pauses?: readonly [number, number];
}

type TlsOptions = IClientOptions &
  Pick<ConnectionOptions, 'minVersion' | 'ciphers' | 'pskCallback' | 'checkServerIdentity'>;

const PAUSES = [1_000, 60_000] as const;
const CONNECT_MS = 15_000;
const KEEPALIVE_S = 60;
// docs/spec/mqtt.md, "Connections": the suites that go with a pre-shared key, in TLS 1.3 and 1.2.
const PSK_SUITES = 'TLS_AES_128_GCM_SHA256:ECDHE-PSK-CHACHA20-POLY1305:PSK-AES128-GCM-SHA256';

/** Connects, and goes on doing so until it is disposed of. */
export class GatewayLink implements AsyncDisposable {
  readonly #options: LinkOptions;
  readonly #tls: TlsOptions;
  #client: MqttClient | undefined;
  #connected = false;
  #stopped = false;
  #failures = 0;
  #again: NodeJS.Timeout | undefined;

  constructor(options: LinkOptions) {
    this.#options = options;
    this.#tls = tlsOptions(options.enrolment);
    this.#open();
  }

  get connected(): boolean {
    return this.#connected;
  }

  /** Resolves once the broker has it. Errors: NET_UNREACHABLE when the connection ends before. */
  async publish(
    channel: Exclude<Channel, 'offer' | 'time'>,
    payload: string | Uint8Array,
  ): Promise<void> {
    const client = this.#client;
    if (!client || !this.#connected) throw new FirmamentError('NET_UNREACHABLE', 'not connected');
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const lost = (): void => reject(new FirmamentError('NET_UNREACHABLE', 'the connection ended'));
    client.once('close', lost);
    try {
      const name = topic(this.#options.enrolment.device, channel);
      const bytes = typeof payload === 'string' ? payload : Buffer.from(payload);
      client.publish(name, bytes, { qos: 1 }, (error) => (error ? lost() : resolve()));
      await promise;
    } finally {
      client.off('close', lost);
    }
  }

  #open(): void {
    const { enrolment, handler } = this.#options;
    const [, host, port] = /^(.*):(\d+)$/.exec(enrolment.mqtt) ?? [];
    const client = connect({
      ...this.#tls,
      protocol: 'mqtts',
      host: (host ?? '').replace(/^\[|\]$/g, ''),
      port: Number(port),
      clientId: enrolment.device,
      clean: true,
      protocolVersion: 4,
      keepalive: KEEPALIVE_S,
      connectTimeout: CONNECT_MS,
      reconnectPeriod: 0,
      resubscribe: false,
    });
    this.#client = client;
    boundPackets(client);
    let reason = 'closed';
    client.on('error', (error) => {
      reason = 'code' in error ? String(error.code) : error.message;
      client.end(true);
    });
    client.on('connect', () => {
      const own = (['offer', 'time'] as const).map((channel) => topic(enrolment.device, channel));
      client.subscribe(own, { qos: 1 }, (error, granted) => {
        if (error || granted?.some(({ qos }) => qos === 128)) {
          reason = 'the broker refused the subscription';
          client.end(true);
          return;
        }
        this.#connected = true;
        this.#failures = 0;
        handler.connected();
      });
    });
    client.on('message', (name, payload) => {
      if (payload.length <= MAX_PACKET) hear(enrolment.device, name, payload, handler);
    });
    client.on('close', () => this.#closed(client, reason));
  }

  #closed(client: MqttClient, reason: string): void {
    if (this.#client !== client) return;
    client.end(true);
    this.#client = undefined;
    this.#connected = false;
    this.#options.handler.disconnected(reason);
    if (this.#stopped) return;
    const [first, longest] = this.#options.pauses ?? PAUSES;
    const pause = Math.min(first * 2 ** Math.min(this.#failures++, 16), longest);
    // Spread, or a house full of devices comes back at one moment after the gateway's restart.
    this.#again = setTimeout(() => this.#open(), pause * (0.5 + randomInt(1000) / 1000));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#again);
    const client = this.#client;
    this.#client = undefined;
    this.#connected = false;
    await client?.endAsync(true).catch(() => undefined);
  }
}

function tlsOptions({ device, credential, rootPem }: LinkOptions['enrolment']): TlsOptions {
  if (credential.tier === 'certificate')
    return {
      ca: rootPem,
      key: p256PrivatePem(credential.key),
      cert: credential.certificatePem,
      minVersion: 'TLSv1.2',
    };
  return {
    ca: rootPem,
    minVersion: 'TLSv1.2',
    ciphers: PSK_SUITES,
    pskCallback: () => ({ identity: device, psk: credential.psk }),
    // Whoever completes the handshake has the key: without a certificate there is no name to compare.
    checkServerIdentity: (host: string, certificate: PeerCertificate | undefined) =>
      certificate?.raw ? checkServerIdentity(host, certificate) : undefined,
  };
}

/** A gateway's topic of this device; anything else, and what is not of the documented form, says nothing. */
function hear(device: string, name: string, payload: Uint8Array, handler: LinkHandler): void {
  const parsed = parseTopic(name);
  if (parsed?.device !== device) return;
  try {
    if (parsed.channel === 'offer') handler.offer(text(payload));
    else if (parsed.channel === 'time') handler.time(decodeTime(text(payload)));
  } catch (error) {
    if (!codeOf(error)) throw error;
  }
}

// The MQTT library gathers a packet of any announced length: a gateway may not fill the device's memory with one.
function boundPackets(client: MqttClient): void {
  let since = 0;
  client.on('packetreceive', () => (since = 0));
  client.stream.on('data', (chunk: Uint8Array) => {
    since += chunk.length;
    if (since > 4 * MAX_PACKET) client.stream.destroy();
  });
}
