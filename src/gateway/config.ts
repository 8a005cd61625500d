/** A gateway's configuration file, checked field by field. Paths in it are relative to the file's own folder. */
import { dirname, resolve } from 'node:path';
import { fromHex } from '../bytes.ts';
import { decodeKey, thumbprint } from '../cose/key.ts';
import type { PublicKey } from '../crypto/key.ts';
import { check, fail } from '../errors.ts';
import { certificateSha256 } from '../net/authority.ts';
import { lineOf, type Line } from '../registry/line.ts';
import { parseRoot, type Root } from '../registry/root.ts';
import {
  choice,
  flag,
  list,
  listener,
  object,
  optionalList,
  parsed,
  readBounded,
  readBytes,
  record,
  shaped,
  text,
  uuid,
  whole,
  type Listener,
} from './config-fields.ts';
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
  /** Certificate authorities (PEM) of these servers, instead of the system's; null: the system's. */
  readonly urlsCa: string | null;
}

export interface NetworkConfig {
  readonly root: Root;
  readonly lines: readonly FollowedByOwner[];
}

export type { Listener };

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
  /** Vendors' device CAs: what they signed is recorded as a claim. */
  readonly vendors: readonly { readonly name: string; readonly certificatePem: string }[];
}

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
    'vendors',
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
    vendors: optionalList(top['vendors'], 'vendors').map((vendor) => vendorOf(vendor, folder)),
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
  const line = object(value, 'line', [
    'name',
    'anchor',
    'vendor',
    'class',
    'track',
    'for',
    'urls',
    'urlsCa',
  ]);
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
    urls: optionalList(line['urls'], 'urls').map((url) => httpsUrl(url)),
    urlsCa:
      line['urlsCa'] === undefined
        ? null
        : readBounded(resolve(folder, text(line['urlsCa'], 'urlsCa'))),
  };
}

function httpsUrl(value: unknown): string {
  const url = URL.parse(text(value, 'url'));
  check(
    url?.protocol === 'https:' && url.username === '' && url.search === '' && url.hash === '',
    'GATEWAY_CONFIG',
    '"urls" are https URLs of folders',
  );
  return url.href.replace(/\/$/, '');
}

function vendorOf(value: unknown, folder: string): GatewayConfig['vendors'][number] {
  const vendor = object(value, 'vendor', ['name', 'ca']);
  const file = resolve(folder, text(vendor['ca'], 'ca'));
  const certificatePem = readBounded(file);
  shaped(file, () => certificateSha256(certificatePem));
  return { name: text(vendor['name'], 'name'), certificatePem };
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
