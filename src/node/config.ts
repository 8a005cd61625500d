/** A node's configuration file and its secrets. Paths in it are relative to the file's own folder. */
import { readFileSync, statSync } from 'node:fs';
import { dirname, relative, resolve } from 'node:path';
import { fromHex } from '../bytes.ts';
import { decodePrivateKey } from '../cose/key.ts';
import type { PrivateKey } from '../crypto/key.ts';
import { check, fail } from '../errors.ts';
import type { TlsCredentials } from '../net/tls.ts';
import type { Replicate } from './holding.ts';

/** Which requests get a line in the log. */
export type RequestLog = 'all' | 'refused' | 'none';

export interface NodeConfig {
  /** OPERATOR/NODE, as the policy lists it. */
  readonly node: string;
  readonly genesis: string;
  readonly keys: string;
  /** Folder of database and blocks. */
  readonly data: string;
  /** The cosigner's record: outside the data folder, and outside every backup (T10). */
  readonly record: string;
  readonly listen: { readonly host: string; readonly port: number };
  readonly replicate: Replicate;
  /** Requests a second from one address; null: as many as it likes. */
  readonly rate: number | null;
  /** Registrations under way at most: more are answered NODE_OVERLOADED. */
  readonly registrations: number;
  readonly requestLog: RequestLog;
  /** Seconds for which roots of reports are gathered before they go on the ledger (T25). */
  readonly reportGather: number;
  /** Who may read /metrics: this machine and the network's nodes, or everybody. */
  readonly metrics: 'local' | 'all';
  /** The consortium engine on this machine. */
  readonly engine: EngineConfig;
}

export interface EngineConfig {
  /** Folder of CometBFT's files: outside the data folder, and outside every backup. */
  readonly home: string;
  /** The program, when it is none of those that are looked for. */
  readonly binary: string | null;
  /** HOST:PORT to listen on for other members; null: the address that the policy says. */
  readonly listen: string | null;
}

const DEFAULT_RATE = 1_000;
const DEFAULT_REGISTRATIONS = 256;
const DEFAULT_GATHER = 600;

export interface NodeKeys {
  readonly tls: TlsCredentials;
  readonly cosigner: PrivateKey;
  readonly receipt: PrivateKey;
  readonly statement: PrivateKey;
  /** Of members of the consortium engine. */
  readonly engine: EngineKeys | undefined;
}

export interface EngineKeys {
  /** Signs votes on blocks. */
  readonly consensus: PrivateKey;
  /** Known to other members as the name under which this one connects. */
  readonly peer: PrivateKey;
}

const FIELDS = [
  'node',
  'genesis',
  'keys',
  'data',
  'record',
  'listen',
  'replicate',
  'rate',
  'registrations',
  'requestLog',
  'metrics',
  'reportGather',
  'engine',
];
const MAX_CONFIG = 65_536;

/** Errors: NODE_CONFIG. */
export function readNodeConfig(path: string): NodeConfig {
  const json = readJson(path);
  for (const field of Object.keys(json)) {
    check(
      FIELDS.includes(field),
      'NODE_CONFIG',
      `unknown field "${field}"; known: ${FIELDS.join(', ')}`,
    );
  }
  const at = (field: string): string => resolve(dirname(path), textOf(json, field));
  const listen = json['listen'];
  check(isRecord(listen), 'NODE_CONFIG', '"listen" is {"host", "port"}');
  const port = listen['port'];
  check(
    typeof port === 'number' && Number.isInteger(port) && port >= 0 && port < 65_536,
    'NODE_CONFIG',
    '"listen.port" is 0 to 65535',
  );
  const replicate = json['replicate'] ?? 'assigned';
  check(
    replicate === 'assigned' || replicate === 'all' || replicate === 'none',
    'NODE_CONFIG',
    '"replicate" is assigned, all or none',
  );
  const { rate = DEFAULT_RATE, registrations = DEFAULT_REGISTRATIONS, metrics = 'local' } = json;
  check(
    rate === null || (typeof rate === 'number' && rate > 0),
    'NODE_CONFIG',
    '"rate" is requests a second',
  );
  check(
    typeof registrations === 'number' && Number.isInteger(registrations) && registrations > 0,
    'NODE_CONFIG',
    '"registrations" is how many may be under way',
  );
  const requestLog = json['requestLog'] ?? 'refused';
  check(
    requestLog === 'all' || requestLog === 'refused' || requestLog === 'none',
    'NODE_CONFIG',
    '"requestLog" is all, refused or none',
  );
  check(metrics === 'local' || metrics === 'all', 'NODE_CONFIG', '"metrics" is local or all');
  const reportGather = json['reportGather'] ?? DEFAULT_GATHER;
  check(
    typeof reportGather === 'number' && Number.isInteger(reportGather) && reportGather >= 0,
    'NODE_CONFIG',
    '"reportGather" is seconds',
  );
  const node = textOf(json, 'node');
  check(/^[a-z0-9-]{1,32}\/[a-z0-9-]{1,32}$/.test(node), 'NODE_CONFIG', '"node" is OPERATOR/NODE');
  const [data, record] = [at('data'), at('record')];
  const engine = engineOf(json['engine'] ?? {}, path);
  // The data folder may be removed, or replaced by a backup. What was signed last must outlive that (T10).
  check(!isWithin(record, data), 'NODE_CONFIG', '"record" lies outside of "data"');
  check(!isWithin(engine.home, data), 'NODE_CONFIG', '"engine.home" lies outside of "data"');
  return {
    node,
    genesis: at('genesis'),
    keys: at('keys'),
    data,
    record,
    listen: { host: textOf(listen, 'host'), port },
    replicate,
    rate,
    registrations,
    requestLog,
    metrics,
    reportGather,
    engine,
  };
}

function isWithin(path: string, folder: string): boolean {
  return !/^\.\.([/\\]|$)/.test(relative(folder, path));
}

function engineOf(value: unknown, path: string): EngineConfig {
  check(isRecord(value), 'NODE_CONFIG', '"engine" is {"home", "binary", "listen"}');
  const unknown = Object.keys(value).find((field) => !['home', 'binary', 'listen'].includes(field));
  check(unknown === undefined, 'NODE_CONFIG', `unknown field "engine.${unknown}"`);
  const { home = 'engine', binary = null, listen = null } = value;
  check(typeof home === 'string' && home.length > 0, 'NODE_CONFIG', '"engine.home" is a folder');
  check(binary === null || typeof binary === 'string', 'NODE_CONFIG', '"engine.binary" is a path');
  check(
    listen === null || (typeof listen === 'string' && /^\S{1,128}:\d{1,5}$/.test(listen)),
    'NODE_CONFIG',
    '"engine.listen" is HOST:PORT',
  );
  return {
    home: resolve(dirname(path), home),
    binary: binary === null ? null : resolve(dirname(path), binary),
    listen,
  };
}

/** Errors: NODE_CONFIG, also when others than the file's owner and group may read it. */
export function readNodeKeys(path: string): NodeKeys {
  const json = readJson(path);
  const { mode } = statSync(path);
  check(
    (mode & 0o007) === 0 || process.platform === 'win32',
    'NODE_CONFIG',
    `everybody on this machine may read the keys in ${path}: give it mode 600`,
  );
  const tls = json['tls'];
  check(isRecord(tls), 'NODE_CONFIG', 'the key file lacks "tls"');
  return {
    tls: { certificatePem: textOf(tls, 'certificate'), privateKeyPem: textOf(tls, 'key') },
    cosigner: keyOf(json, 'cosigner'),
    receipt: keyOf(json, 'receipt'),
    statement: keyOf(json, 'statement'),
    engine:
      json['consensus'] === undefined && json['peer'] === undefined
        ? undefined
        : { consensus: keyOf(json, 'consensus'), peer: keyOf(json, 'peer') },
  };
}

function keyOf(json: Readonly<Record<string, unknown>>, field: string): PrivateKey {
  try {
    return decodePrivateKey(fromHex(textOf(json, field)));
  } catch (cause) {
    // The cause may quote the file: it stays out of the message.
    return fail('NODE_CONFIG', `"${field}" is not a COSE private key in hex`, {}, cause);
  }
}

function readJson(path: string): Readonly<Record<string, unknown>> {
  try {
    const text = readFileSync(path, 'utf8');
    check(text.length <= MAX_CONFIG, 'NODE_CONFIG', `${path} is too large`);
    const json: unknown = JSON.parse(text);
    check(isRecord(json), 'NODE_CONFIG', `${path} holds no JSON object`);
    return json;
  } catch (cause) {
    if (cause instanceof SyntaxError) return fail('NODE_CONFIG', `${path} is not JSON`, {}, cause);
    throw cause;
  }
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function textOf(json: Readonly<Record<string, unknown>>, field: string): string {
  const value = json[field];
  return typeof value === 'string' && value.length > 0
    ? value
    : fail('NODE_CONFIG', `"${field}" is missing`);
}
