/** The edge of a gateway for tests: authority, codes, devices and the embedded broker, without lines or nodes. */
import { randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect, type IClientOptions, type MqttClient } from 'mqtt';
import { privateKey } from '#crypto';
import { fromHex } from '../bytes.ts';
import type { Database } from '../database.ts';
import { openAuthority, type Authority } from '../gateway/authority.ts';
import { openEmbeddedBroker, type BrokerLimits, type EmbeddedBroker } from '../gateway/broker.ts';
import { Devices } from '../gateway/devices.ts';
import type { Downlink } from '../gateway/downlink-port.ts';
import { EnrolmentCodes } from '../gateway/enrolment-codes.ts';
import { enrol, type EnrolmentParts } from '../gateway/enrolment.ts';
import { openState } from '../gateway/state.ts';
import type { Logger } from '../logger.ts';
import { createCertificateRequest, p256PrivatePem } from '../net/certificate-request.ts';
import type { TlsCredentials } from '../net/tls.ts';

export interface Edge extends AsyncDisposable {
  readonly directory: string;
  readonly database: Database;
  readonly authority: Authority;
  readonly devices: Devices;
  readonly codes: EnrolmentCodes;
  readonly parts: EnrolmentParts;
  /** The clock's seconds; tests may turn it. */
  now: number;
}

export interface EdgeDevice {
  readonly id: string;
  /** What the device proves itself with. */
  readonly proof:
    | { readonly kind: 'certificate'; readonly credentials: TlsCredentials }
    | { readonly kind: 'psk'; readonly psk: Uint8Array };
}

/** What a broker said of its devices: `connected D`, `hello D PAYLOAD`. */
export interface Heard {
  readonly events: readonly string[];
  /** Resolves once so many events begin with this text. */
  until(start: string, count?: number): Promise<void>;
}

export const silent: Logger = { debug() {}, info() {}, warn() {}, error() {} };
const LABELS = { type: 'lamp', model: 'L1', hardware: '1.0' };

export async function openEdge(): Promise<Edge> {
  const directory = mkdtempSync(join(tmpdir(), 'firmament-edge-'));
  const time = { now: Math.floor(Date.now() / 1000) };
  const clock = (): number => time.now;
  const random = (length: number): Uint8Array => new Uint8Array(randomBytes(length));
  const authority = await openAuthority({ directory, name: 'test', hosts: ['gw.test'], clock });
  const database = openState(':memory:');
  const devices = new Devices(database);
  const codes = new EnrolmentCodes(database, clock, random);
  const addresses = { mqtt: '127.0.0.1:0', https: '127.0.0.1:0' };
  const parts = { authority, codes, devices, clock, random, addresses };
  return {
    directory,
    database,
    authority,
    devices,
    codes,
    parts,
    get now() {
      return time.now;
    },
    set now(seconds) {
      time.now = seconds;
    },
    async [Symbol.asyncDispose]() {
      database.close();
      rmSync(directory, { recursive: true });
    },
  };
}

/** A device with a certificate, enrolled by a code like any other. */
export async function certificateDevice(
  edge: Edge,
  key = privateKey('P-256', new Uint8Array(randomBytes(32))),
): Promise<EdgeDevice> {
  const csr = await createCertificateRequest(key, 'whatever');
  const code = edge.codes.make('L1', 900);
  const answer = await enrol(edge.parts, { code, csr, ...LABELS }, null);
  const certificatePem = answer.certificate ?? '';
  return {
    id: answer.device,
    proof: {
      kind: 'certificate',
      credentials: { certificatePem, privateKeyPem: p256PrivatePem(key) },
    },
  };
}

/** The root with its key, as a thief of the gateway's disk has it. */
export function readAuthority(directory: string): TlsCredentials {
  const content = readFileSync(join(directory, 'authority.pem'), 'utf8');
  const end = content.indexOf('-----BEGIN CERTIFICATE-----');
  return { privateKeyPem: content.slice(0, end), certificatePem: content.slice(end) };
}

export async function pskDevice(edge: Edge): Promise<EdgeDevice> {
  const code = edge.codes.make(null, 900);
  const answer = await enrol(edge.parts, { code, tier: 'psk', ...LABELS }, null);
  return { id: answer.device, proof: { kind: 'psk', psk: fromHex(answer.psk ?? '') } };
}

export function edgeBroker(
  edge: Edge,
  limits: Partial<BrokerLimits> = {},
): Promise<EmbeddedBroker> {
  const { authority, devices } = edge;
  return openEmbeddedBroker({
    host: '127.0.0.1',
    port: 0,
    tls: authority.server,
    rootPem: authority.rootPem,
    devices,
    logger: silent,
    limits,
  });
}

export function hear(downlink: Downlink): Heard {
  const events: string[] = [];
  const waiting = new Set<() => void>();
  const say = (event: string): void => {
    events.push(event);
    for (const wake of waiting) wake();
  };
  downlink.listen({
    message: (device, channel, payload) =>
      say(`${channel} ${device} ${new TextDecoder().decode(payload)}`),
    connected: (device) => say(`connected ${device}`),
    disconnected: (device) => say(`disconnected ${device}`),
  });
  return {
    events,
    until(start, count = 1) {
      const { promise, resolve } = Promise.withResolvers<void>();
      const look = (): void => {
        if (events.filter((event) => event.startsWith(start)).length < count) return;
        waiting.delete(look);
        resolve();
      };
      waiting.add(look);
      look();
      return promise;
    },
  };
}

/** How a device reaches a broker at this port. The client comes back by itself only if it is told to. */
export function mqttOptions(edge: Edge, device: EdgeDevice, port: number): IClientOptions {
  const { proof } = device;
  return {
    protocolVersion: 4,
    protocol: 'mqtts',
    host: '127.0.0.1',
    port,
    clientId: 'as I like',
    reconnectPeriod: 0,
    connectTimeout: 5_000,
    ca: edge.authority.rootPem,
    ...(proof.kind === 'certificate'
      ? { cert: proof.credentials.certificatePem, key: proof.credentials.privateKeyPem }
      : {
          ciphers: 'TLS_AES_128_GCM_SHA256:ECDHE-PSK-CHACHA20-POLY1305',
          checkServerIdentity: () => undefined,
          pskCallback: () => ({ identity: device.id, psk: proof.psk }),
        }),
  };
}

/** Connects; rejects when the broker does not let it. */
export async function mqttConnect(options: IClientOptions): Promise<MqttClient> {
  const client = connect(options);
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  client.once('connect', () => resolve());
  client.once('close', () => reject(new Error('closed before it was connected')));
  client.on('error', reject);
  try {
    await promise;
  } catch (error) {
    client.end(true);
    throw error;
  }
  return client;
}

/** Resolves when the broker has ended the client's connection. */
export function ended(client: MqttClient): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  if (client.connected) client.once('close', () => resolve());
  else resolve();
  return promise;
}
