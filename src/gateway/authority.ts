/**
 * The gateway's own certificate authority, on disk: `authority.pem` (root key and certificate, made at the first start,
 * never replaced), `root.pem` (the certificate alone, for devices), `server.pem` (key and chain, renewed by itself).
 */
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { hex, text, utf8 } from '../bytes.ts';
import type { Clock } from '../clock.ts';
import { fail } from '../errors.ts';
import { readIfThere, replaceDurably } from '../ledger/durable-file.ts';
import {
  certificateSha256,
  coversHosts,
  createClientCertificate,
  createRootCertificate,
  createServerCertificate,
  type CertificateRequest,
} from '../net/authority.ts';
import type { TlsCredentials } from '../net/tls.ts';

const ROOT_DAYS = 3652;
const SERVER_DAYS = 90;
const RENEW_DAYS = 30;
const DEVICE_DAYS = 825;
const LOOPBACK = ['localhost', '127.0.0.1', '::1'];

export interface AuthorityOptions {
  readonly directory: string;
  readonly name: string;
  /** Names and addresses under which devices reach the gateway; loopback always is one. */
  readonly hosts: readonly string[];
  readonly clock: Clock;
}

/** Opens the authority, or makes it at the first start. Errors: NET_CERTIFICATE_INVALID when its files are damaged. */
export async function openAuthority(options: AuthorityOptions): Promise<Authority> {
  const { directory, name, clock } = options;
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const file = join(directory, 'authority.pem');
  let root = readCredentials(file);
  if (!root) {
    root = await createRootCertificate(`${name} root`, ROOT_DAYS, clock());
    writeCredentials(file, root);
    // Left over from a root that is gone.
    rmSync(join(directory, 'server.pem'), { force: true });
  }
  replaceDurably(join(directory, 'root.pem'), utf8(root.certificatePem));
  const authority = new Authority(options, root);
  await authority.renew();
  return authority;
}

/** Owns the files of the folder; one at a time. */
export class Authority {
  readonly rootPem: string;
  /** SHA-256 of the root certificate (DER), hex: what an enrolment bundle carries. */
  readonly rootHash: string;
  readonly #options: AuthorityOptions;
  readonly #root: TlsCredentials;
  readonly #serverFile: string;
  #server: TlsCredentials | undefined;

  constructor(options: AuthorityOptions, root: TlsCredentials) {
    this.#options = options;
    this.#root = root;
    this.#serverFile = join(options.directory, 'server.pem');
    this.rootPem = root.certificatePem;
    this.rootHash = hex(certificateSha256(root.certificatePem));
    this.#server = readCredentials(this.#serverFile);
  }

  /** The certificate in force, with the root behind it. */
  get server(): TlsCredentials {
    return this.#server ?? fail('NET_CERTIFICATE_INVALID', 'no server certificate was made yet');
  }

  /** Makes a new server certificate when there is none for these hosts, or a third of its life is left. Says whether. */
  async renew(): Promise<boolean> {
    const { hosts, clock, name } = this.#options;
    const all = [...hosts, ...LOOPBACK];
    const { certificatePem = '' } = this.#server ?? {};
    if (coversHosts(certificatePem, this.rootPem, all, RENEW_DAYS, clock())) return false;
    const made = await createServerCertificate(this.#root, name, all, SERVER_DAYS, clock());
    writeCredentials(this.#serverFile, made);
    this.#server = made;
    return true;
  }

  /** A certificate for a device's key, PEM: CN = device id, clients only, whatever the request asks for. */
  issue(request: CertificateRequest): Promise<string> {
    const id = deviceIdOf(request.spkiSha256);
    return createClientCertificate(this.#root, request, id, DEVICE_DAYS, this.#options.clock());
  }
}

/** docs/spec/mqtt.md, "Identity": the first 16 bytes of SHA-256 of the key, hex. */
export function deviceIdOf(spkiSha256: Uint8Array): string {
  return hex(spkiSha256.subarray(0, 16));
}

function writeCredentials(file: string, { privateKeyPem, certificatePem }: TlsCredentials): void {
  replaceDurably(file, utf8(privateKeyPem + certificatePem));
}

function readCredentials(file: string): TlsCredentials | undefined {
  const bytes = readIfThere(file);
  if (!bytes) return undefined;
  const content = text(bytes);
  const end = content.indexOf('-----BEGIN CERTIFICATE-----');
  if (end <= 0 || !content.startsWith('-----BEGIN PRIVATE KEY-----'))
    fail('NET_CERTIFICATE_INVALID', 'not a private key with its certificate', { file });
  return { privateKeyPem: content.slice(0, end), certificatePem: content.slice(end) };
}
