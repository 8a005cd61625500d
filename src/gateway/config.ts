/** A gateway's configuration file, checked field by field. Paths in it are relative to the file's own folder. */
import { readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { fromHex } from '../bytes.ts';
import { decodeKey, thumbprint } from '../cose/key.ts';
import type { PublicKey } from '../crypto/key.ts';
import { check, fail, FirmamentError } from '../errors.ts';
import { lineOf, type Line } from '../registry/line.ts';
import { parseRoot, type Root } from '../registry/root.ts';
import { policyFromJson } from './policy-json.ts';
import type { GroupPolicy } from './policy.ts';

/** Hardware that a line's releases are for. */
export interface Compatible {
  readonly type: string;
  readonly model: string;
  readonly hardware: readonly string[];
}

/** A line that the owner follows. The anchor comes from the maker, never from a network (T29). */
export interface FollowedByOwner {
  readonly name: string;
  readonly line: Line;
  readonly anchor: PublicKey;
  readonly compatible: readonly Compatible[];
  /** The author's own servers, a fallback (T30). */
  readonly urls: readonly string[];
}

export interface NetworkConfig {
  readonly root: Root;
  readonly lines: readonly FollowedByOwner[];
}

export interface Listener {
  readonly host: string;
  readonly port: number;
}

export type BrokerConfig =
  | { readonly kind: 'embedded'; readonly listen: Listener }
  | {
      readonly kind: 'external';
      /** mqtts://HOST:PORT. */
      readonly url: string;
      readonly ca: string;
      readonly certificate: string | null;
      readonly key: string | null;
      readonly username: string | null;
      readonly password: string | null;
    };

export interface GatewayConfig {
  readonly name: string;
  readonly data: string;
  /** Names and addresses under which devices reach the gateway, for its certificate. */
  readonly hosts: readonly string[];
  readonly networks: readonly NetworkConfig[];
  /** Seconds. */
  readonly poll: number;
  readonly https: Listener;
  readonly api: Listener;
  readonly tokenFile: string;
  readonly broker: BrokerConfig;
  readonly sntp: { readonly listen: Listener; readonly clock: 'kernel' | 'local' } | null;
  /** Bytes of the local repository. */
  readonly storage: number;
  readonly staleInstall: 'never' | 'consent' | 'allow';
  readonly groups: ReadonlyMap<string, GroupPolicy>;
  /** Author URLs may be private addresses (T30). */
  readonly allowPrivateUrls: boolean;
  /** Seconds that an enrolment code lives. */
  readonly codeLifetime: number;
  readonly wifi: { readonly ssid: string; readonly passphrase: string } | null;
}

const MAX_FILE = 1 << 20;

/** Errors: GATEWAY_CONFIG. */
export function readGatewayConfig(path: string): GatewayConfig {
  const folder = dirname(path);
  const top = object(parsed(readBounded(path)), 'configuration', [
    'name',
    'data',
    'hosts',
    'networks',
    'poll',
    'https',
    'api',
    'tokenFile',
    'broker',
    'sntp',
    'storage',
    'staleInstall',
    'groups',
    'allowPrivateUrls',
    'codeLifetime',
    'wifi',
  ]);
  const groups = top['groups'] === undefined ? {} : record(top['groups'], 'groups');
  return {
    name: text(top['name'], 'name'),
    data: resolve(folder, text(top['data'], 'data')),
    hosts: optionalList(top['hosts'], 'hosts').map((host) => text(host, 'host')),
    networks: list(top['networks'], 'networks').map((network) => networkOf(network, folder)),
    poll: whole(top['poll'] ?? 300, 'poll', 1),
    https: listener(top['https'], 'https'),
    api: listener(top['api'], 'api'),
    tokenFile: resolve(folder, text(top['tokenFile'], 'tokenFile')),
    broker: brokerOf(top['broker'], folder),
    sntp: sntpOf(top['sntp']),
    storage: whole(top['storage'] ?? 4 * 2 ** 30, 'storage', 1),
    staleInstall: choice(
      top['staleInstall'] ?? 'consent',
      ['never', 'consent', 'allow'],
      'staleInstall',
    ),
    groups: new Map(Object.entries(groups).map(([name, policy]) => [name, policyFromJson(policy)])),
    allowPrivateUrls: flag(top['allowPrivateUrls'] ?? false, 'allowPrivateUrls'),
    codeLifetime: whole(top['codeLifetime'] ?? 900, 'codeLifetime', 1),
    wifi: wifiOf(top['wifi']),
  };
}

function networkOf(value: unknown, folder: string): NetworkConfig {
  const network = object(value, 'network', ['root', 'lines']);
  return {
    root: shaped('root', () =>
      parseRoot(readBytes(resolve(folder, text(network['root'], 'root')))),
    ),
    lines: list(network['lines'], 'lines').map((line) => lineOfConfig(line, folder)),
  };
}

function lineOfConfig(value: unknown, folder: string): FollowedByOwner {
  const line = object(value, 'line', ['name', 'anchor', 'vendor', 'class', 'track', 'for', 'urls']);
  const anchorText = text(line['anchor'], 'anchor');
  const anchorBytes = /^(?:[0-9a-f]{2})+$/.test(anchorText)
    ? fromHex(anchorText)
    : readBytes(resolve(folder, anchorText));
  const anchor = shaped('anchor', () => decodeKey(anchorBytes));
  return {
    name: text(line['name'], 'line name'),
    anchor,
    line: shaped('line', () =>
      lineOf({
        author: thumbprint(anchor),
        vendor: uuid(line['vendor'], 'vendor'),
        class: uuid(line['class'], 'class'),
        track: line['track'] === undefined ? 'stable' : text(line['track'], 'track'),
      }),
    ),
    compatible: list(line['for'], 'for').map((entry) => {
      const hardware = object(entry, 'for', ['type', 'model', 'hardware']);
      return {
        type: text(hardware['type'], 'type'),
        model: text(hardware['model'], 'model'),
        hardware: list(hardware['hardware'], 'hardware').map((version) =>
          text(version, 'hardware'),
        ),
      };
    }),
    urls: optionalList(line['urls'], 'urls').map((url) => text(url, 'url')),
  };
}

function brokerOf(value: unknown, folder: string): BrokerConfig {
  const broker = record(value, 'broker');
  if (broker['kind'] === 'embedded')
    return {
      kind: 'embedded',
      listen: listener(object(broker, 'broker', ['kind', 'listen'])['listen'], 'broker.listen'),
    };
  const external = object(broker, 'broker', [
    'kind',
    'url',
    'ca',
    'certificate',
    'key',
    'username',
    'password',
  ]);
  check(external['kind'] === 'external', 'GATEWAY_CONFIG', '"broker.kind" is embedded or external');
  const url = text(external['url'], 'broker.url');
  check(/^mqtts:\/\/[^/?#\s]+$/.test(url), 'GATEWAY_CONFIG', '"broker.url" is mqtts://HOST:PORT');
  const file = (field: string): string | null =>
    external[field] === undefined ? null : resolve(folder, text(external[field], field));
  const word = (field: string): string | null =>
    external[field] === undefined ? null : text(external[field], field);
  return {
    kind: 'external',
    url,
    ca: file('ca') ?? fail('GATEWAY_CONFIG', '"broker.ca" is missing'),
    certificate: file('certificate'),
    key: file('key'),
    username: word('username'),
    password: word('password'),
  };
}

function sntpOf(value: unknown): GatewayConfig['sntp'] {
  if (value === undefined || value === null) return null;
  const sntp = object(value, 'sntp', ['host', 'port', 'clock']);
  return {
    listen: listener({ host: sntp['host'], port: sntp['port'] }, 'sntp'),
    clock: choice(sntp['clock'] ?? 'kernel', ['kernel', 'local'], 'sntp.clock'),
  };
}

function wifiOf(value: unknown): GatewayConfig['wifi'] {
  if (value === undefined || value === null) return null;
  const wifi = object(value, 'wifi', ['ssid', 'passphrase']);
  return { ssid: text(wifi['ssid'], 'ssid'), passphrase: text(wifi['passphrase'], 'passphrase') };
}

type Json = Readonly<Record<string, unknown>>;

function readBytes(path: string): Uint8Array {
  return shaped(path, () => {
    const bytes = new Uint8Array(readFileSync(path));
    check(bytes.length <= MAX_FILE, 'GATEWAY_CONFIG', `${path} is too large`);
    return bytes;
  });
}

function readBounded(path: string): string {
  const content = readFileSync(path, 'utf8');
  check(content.length <= MAX_FILE, 'GATEWAY_CONFIG', `${path} is too large`);
  return content;
}

function parsed(content: string): unknown {
  return shaped('configuration', () => JSON.parse(content) as unknown);
}

function shaped<T>(what: string, read: () => T): T {
  try {
    return read();
  } catch (cause) {
    if (cause instanceof FirmamentError && cause.code === 'GATEWAY_CONFIG') throw cause;
    return fail(
      'GATEWAY_CONFIG',
      `${what}: ${cause instanceof Error ? cause.message : 'not readable'}`,
      {},
      cause,
    );
  }
}

function record(value: unknown, what: string): Json {
  check(
    typeof value === 'object' && value !== null && !Array.isArray(value),
    'GATEWAY_CONFIG',
    `"${what}" is no object`,
  );
  return value as Json;
}

function object(value: unknown, what: string, fields: readonly string[]): Json {
  const json = record(value, what);
  const unknown = Object.keys(json).find((field) => !fields.includes(field));
  check(
    unknown === undefined,
    'GATEWAY_CONFIG',
    `"${what}" has an unknown field "${unknown}"; known: ${fields.join(', ')}`,
  );
  return json;
}

function list(value: unknown, what: string): readonly unknown[] {
  return Array.isArray(value) && value.length > 0
    ? (value as readonly unknown[])
    : fail('GATEWAY_CONFIG', `"${what}" is a list of at least one`);
}

function optionalList(value: unknown, what: string): readonly unknown[] {
  return value === undefined ? [] : list(value, what);
}

function text(value: unknown, what: string): string {
  return typeof value === 'string' && value.length > 0
    ? value
    : fail('GATEWAY_CONFIG', `"${what}" is missing or no text`);
}

function uuid(value: unknown, what: string): Uint8Array {
  const hex = text(value, what).replaceAll('-', '').toLowerCase();
  check(/^[0-9a-f]{32}$/.test(hex), 'GATEWAY_CONFIG', `"${what}" is a UUID`);
  return fromHex(hex);
}

function whole(value: unknown, what: string, least: number): number {
  check(
    typeof value === 'number' && Number.isSafeInteger(value) && value >= least,
    'GATEWAY_CONFIG',
    `"${what}" is a whole number of at least ${least}`,
  );
  return value;
}

function flag(value: unknown, what: string): boolean {
  return typeof value === 'boolean' ? value : fail('GATEWAY_CONFIG', `"${what}" is true or false`);
}

function choice<const T extends string>(value: unknown, options: readonly T[], what: string): T {
  return (
    options.find((option) => option === value) ??
    fail('GATEWAY_CONFIG', `"${what}" is one of ${options.join(', ')}`)
  );
}

function listener(value: unknown, what: string): Listener {
  const at = object(value, what, ['host', 'port']);
  const port = whole(at['port'], `${what}.port`, 0);
  check(port < 65_536, 'GATEWAY_CONFIG', `"${what}.port" is at most 65535`);
  return { host: text(at['host'], `${what}.host`), port };
}
