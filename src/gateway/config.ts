/** A gateway's configuration file, checked field by field. Paths in it are relative to the file's own folder. */
import { dirname, resolve } from 'node:path';
import { certificateSha256 } from '../net/authority.ts';
import { brokerOf, type BrokerConfig } from './config-broker.ts';
import {
  choice,
  flag,
  list,
  listener,
  object,
  optionalList,
  parsed,
  readBounded,
  record,
  shaped,
  text,
  whole,
  type Listener,
} from './config-fields.ts';
import { networkOf, type NetworkConfig } from './config-lines.ts';
import { policyFromJson } from './policy-json.ts';
import type { GroupPolicy } from './policy.ts';

export interface GatewayConfig {
  readonly name: string;
  readonly data: string;
  /** Names and addresses under which devices reach the gateway, for its certificate. */
  readonly hosts: readonly string[];
  readonly networks: readonly NetworkConfig[];
  /** Seconds. */
  readonly poll: number;
  /** Seconds over which reports are batched for their authors (T25). */
  readonly reportPeriod: number;
  /** To a node's stream of changes, between the rounds. */
  readonly listen: boolean;
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
    'reportPeriod',
    'listen',
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
    reportPeriod: whole(top['reportPeriod'] ?? 3600, 'reportPeriod', 60),
    listen: flag(top['listen'] ?? true, 'listen'),
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

function vendorOf(value: unknown, folder: string): GatewayConfig['vendors'][number] {
  const vendor = object(value, 'vendor', ['name', 'ca']);
  const file = resolve(folder, text(vendor['ca'], 'ca'));
  const certificatePem = readBounded(file);
  shaped(file, () => certificateSha256(certificatePem));
  return { name: text(vendor['name'], 'name'), certificatePem };
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
