/** Debian's Mosquitto as a gateway's external broker, configured as docs/operations.md says. */
import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { createServerCertificate } from '../net/authority.ts';
import { readAuthority } from './gateway-edge.ts';

export const MOSQUITTO = ['/usr/sbin/mosquitto', '/usr/bin/mosquitto'].find((path) => {
  try {
    execFileSync(path, ['-h'], { stdio: 'ignore' });
    return true;
  } catch (error) {
    return (error as { readonly code?: string }).code !== 'ENOENT';
  }
});

export interface MosquittoOptions {
  readonly folder: string;
  readonly port: number;
  /** Folder of the gateway's authority. */
  readonly authority: string;
  /** The gateway's own CN. */
  readonly gateway: string;
  /** A listener of its own for pre-shared keys: hex, by device id. */
  readonly psk?: { readonly port: number; readonly keys: ReadonlyMap<string, string> };
}

const UPWARD = ['hello', 'ask', 'status', 'report'];

/** Listens when this resolves. */
export async function startMosquitto(options: MosquittoOptions): Promise<Mosquitto> {
  const { folder, port, authority, gateway, psk } = options;
  const path = (name: string, content: string): string => {
    writeFileSync(join(folder, name), content);
    return join(folder, name);
  };
  const root = readAuthority(authority);
  const now = Math.floor(Date.now() / 1000);
  const server = await createServerCertificate(root, 'mosquitto', ['127.0.0.1'], 90, now);
  const patterns = [
    ...['offer', 'time'].map((channel) => `pattern read firmament/v1/%u/${channel}`),
    ...UPWARD.map((channel) => `pattern write firmament/v1/%u/${channel}`),
  ];
  const lines = [
    `listener ${port} 127.0.0.1`,
    `cafile ${path('ca.crt', root.certificatePem)}`,
    `certfile ${path('broker.crt', server.certificatePem)}`,
    `keyfile ${path('broker.key', server.privateKeyPem)}`,
    'require_certificate true',
    'use_identity_as_username true',
    'allow_anonymous false',
    `acl_file ${path('acl', `user ${gateway}\ntopic readwrite firmament/v1/#\n\n${patterns.join('\n')}\n`)}`,
    'max_packet_size 65536',
    'persistence false',
    ...(psk
      ? [
          `psk_file ${path('psk', [...psk.keys].map((pair) => `${pair.join(':')}\n`).join(''))}`,
          `listener ${psk.port} 127.0.0.1`,
          'psk_hint firmament',
          'use_identity_as_username true',
        ]
      : []),
    ...(process.getuid?.() === 0 ? ['user root'] : []),
  ];
  const mosquitto = new Mosquitto(path('mosquitto.conf', `${lines.join('\n')}\n`), port);
  await mosquitto.start();
  return mosquitto;
}

export class Mosquitto implements AsyncDisposable {
  readonly #config: string;
  readonly #port: number;
  #child: ChildProcess | undefined;

  constructor(config: string, port: number) {
    this.#config = config;
    this.#port = port;
  }

  get pid(): number {
    return this.#child?.pid ?? 0;
  }

  async start(): Promise<void> {
    this.#child = spawn(MOSQUITTO ?? 'mosquitto', ['-c', this.#config], { stdio: 'ignore' });
    for (let i = 0; i < 100; i++) {
      if (await answers(this.#port)) return;
      await sleep(30);
    }
    throw new Error('mosquitto does not answer');
  }

  /** SIGKILL: what it retained is gone. */
  async kill(): Promise<void> {
    const child = this.#child;
    this.#child = undefined;
    if (!child) return;
    const exit = once(child, 'exit');
    child.kill('SIGKILL');
    await exit;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.kill();
  }
}

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
    socket.once('connect', () => socket.destroy());
  });
}
