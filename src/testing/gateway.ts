/** A gateway of a test network: its configuration, started in this process or as one of its own, and its owner. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { encodeKey } from '../cose/key.ts';
import type { PublicKey } from '../crypto/key.ts';
import { hex, text, utf8 } from '../bytes.ts';
import { readGatewayConfig } from '../gateway/config.ts';
import { startGateway, type Gateway, type GatewayOptions } from '../gateway/gateway.ts';
import { DEFAULT_POLICY, type GroupPolicy } from '../gateway/policy.ts';
import type { Logger } from '../logger.ts';
import { certificateSha256 } from '../net/authority.ts';
import { createClient, type Client } from '../net/client.ts';
import type { Line } from '../registry/line.ts';
import { freePorts } from './free-ports.ts';
import type { TestNetwork } from './network.ts';

export interface FollowedLine {
  readonly line: Line;
  readonly anchor: PublicKey;
  readonly type: string;
  readonly model: string;
  readonly hardware: readonly string[];
  /** Reports go to the author under this key. */
  readonly reportKey?: PublicKey;
}

export interface TestGatewayOptions {
  readonly lines: readonly FollowedLine[];
  /** By group; `default` is everyone's. Everything is automatic unless said otherwise. */
  readonly groups?: Readonly<Record<string, Partial<GroupPolicy>>>;
  /** Seconds; 3600: tests say when. */
  readonly poll?: number;
  /** To a node's stream; false: tests say when. */
  readonly listen?: boolean;
  /** Of an external broker; embedded otherwise. */
  readonly broker?: Readonly<Record<string, unknown>>;
  /** More of the configuration. */
  readonly more?: Readonly<Record<string, unknown>>;
}

export interface GatewayPlace {
  readonly folder: string;
  readonly config: string;
  /** Fixed, so that it comes back where it was. */
  readonly ports: { readonly https: number; readonly api: number; readonly mqtt: number };
}

export const AUTOMATIC: GroupPolicy = { ...DEFAULT_POLICY, functional: 'automatic' };
const TOKEN = 'a token of a test, and of no one else';
const SILENT: Logger = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
};
let made = 0;

/** Writes the configuration; nothing is started. */
export async function planGateway(
  network: Pick<TestNetwork, 'folder' | 'rootFile'>,
  options: TestGatewayOptions,
): Promise<GatewayPlace> {
  const folder = join(network.folder, `gateway-${++made}`);
  mkdirSync(folder);
  const [https = 0, api = 0, mqtt = 0] = await freePorts(3);
  const config = join(folder, 'gateway.json');
  writeFileSync(join(folder, 'token'), TOKEN);
  const groups = { default: {}, ...options.groups };
  const value = {
    name: `gateway-${made}`,
    data: 'data',
    hosts: ['127.0.0.1'],
    networks: [
      {
        root: network.rootFile,
        lines: options.lines.map(({ line, anchor, type, model, hardware, reportKey }, i) => ({
          name: `line-${i}`,
          anchor: hex(encodeKey(anchor)),
          vendor: hex(line.vendor),
          class: hex(line.class),
          track: line.track,
          for: [{ type, model, hardware }],
          ...(reportKey && { reportKey: hex(encodeKey(reportKey)) }),
        })),
      },
    ],
    poll: options.poll ?? 3600,
    listen: options.listen ?? false,
    https: { host: '127.0.0.1', port: https },
    api: { host: '127.0.0.1', port: api },
    tokenFile: 'token',
    broker: options.broker ?? { kind: 'embedded', listen: { host: '127.0.0.1', port: mqtt } },
    groups: Object.fromEntries(
      Object.entries(groups).map(([name, policy]) => [name, { ...AUTOMATIC, ...policy }]),
    ),
    ...options.more,
  };
  writeFileSync(config, JSON.stringify(value, null, 2));
  return { folder, config, ports: { https, api, mqtt } };
}

/** Another broker, from the next start on. */
export function setBroker(place: GatewayPlace, broker: Readonly<Record<string, unknown>>): void {
  const config = JSON.parse(readFileSync(place.config, 'utf8')) as Record<string, unknown>;
  writeFileSync(place.config, JSON.stringify({ ...config, broker }, null, 2));
}

/** Answers SNTP on this port and calls its own clock right, from the next start on. */
export function setSntp(place: GatewayPlace, port: number): void {
  const config = JSON.parse(readFileSync(place.config, 'utf8')) as Record<string, unknown>;
  const sntp = { host: '127.0.0.1', port, clock: 'local' };
  writeFileSync(place.config, JSON.stringify({ ...config, sntp }, null, 2));
}

/** Runs it in this process. */
export function runGateway(
  place: GatewayPlace,
  clock: TestNetwork['clock'],
  options: Partial<GatewayOptions> = {},
): Promise<Gateway> {
  return startGateway(readGatewayConfig(place.config), { clock, logger: SILENT, ...options });
}

/** The owner, with the token. It knows the gateway by its root, which lies in the gateway's folder once that ran. */
export class Owner implements AsyncDisposable {
  readonly #client: Client;
  readonly #url: string;

  constructor({ folder, ports }: GatewayPlace) {
    const root = readFileSync(join(folder, 'data', 'authority', 'root.pem'), 'utf8');
    this.#client = createClient({ pins: { root: certificateSha256(root) } });
    this.#url = `https://127.0.0.1:${ports.api}`;
  }

  async call(method: 'GET' | 'POST' | 'PUT', path: string, body?: unknown): Promise<unknown> {
    const { body: answer } = await this.#client.request({
      method,
      url: this.#url + path,
      headers: { authorization: `Bearer ${TOKEN}`, 'content-type': 'application/json' },
      maxBytes: 16 << 20,
      ...(method !== 'GET' && { body: utf8(JSON.stringify(body ?? {})) }),
    });
    return JSON.parse(text(answer));
  }

  /** The text of an enrolment bundle. */
  async bundle(model?: string): Promise<string> {
    const { bundle } = (await this.call('POST', '/v1/enrolment-codes', { model })) as {
      readonly bundle: string;
    };
    return bundle;
  }

  async poll(): Promise<void> {
    await this.call('POST', '/v1/poll');
  }

  async list<T = Readonly<Record<string, unknown>>>(what: string): Promise<readonly T[]> {
    return (await this.call('GET', `/v1/${what}`)) as readonly T[];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#client[Symbol.asyncDispose]();
  }
}
