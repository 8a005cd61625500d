/** An author who publishes releases, each until k operators prove that it is the newest. */
import { randomBytes } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { sha256 } from '#crypto';
import { createAuthor, unlockAuthor, type Author } from '../../author/author.ts';
import { openImage } from '../../author/image-file.ts';
import { openNetwork } from '../../author/network.ts';
import { publishRelease, registerAuthor, type Session } from '../../author/publish.ts';
import { buildRelease } from '../../author/release.ts';
import { hex } from '../../bytes.ts';
import type { PrivateKey } from '../../crypto/key.ts';
import { codeOf } from '../../errors.ts';
import type { Line } from '../../registry/line.ts';
import { fixtureLine } from '../fixture.ts';
import type { Acknowledgements } from './acknowledgements.ts';
import type { FaultNetwork } from './network.ts';
import type { Violations } from './violations.ts';

const CHEAP = { N: 1024, r: 8, p: 1 };
const PACE_MS = 3_000;
const ATTEMPT_MS = 20_000;
const IMAGE = 2_000;

export interface PublishedRelease {
  readonly sequence: bigint;
  /** Of the image, hex. */
  readonly sha256: string;
}

export class Publisher {
  readonly line: Line;
  readonly anchor: PrivateKey['publicKey'];
  /** By version: everything that it ever began to publish. */
  readonly releases = new Map<string, PublishedRelease>();
  /** The newest that was available to the author's knowledge. */
  available = 0n;
  readonly #network: FaultNetwork;
  readonly #author: Author;
  readonly #key: PrivateKey;

  private constructor(network: FaultNetwork, author: Author, key: PrivateKey) {
    this.#network = network;
    this.#author = author;
    this.#key = key;
    this.anchor = key.publicKey;
    this.line = fixtureLine(author.id);
  }

  static async create(network: FaultNetwork): Promise<Publisher> {
    const author = await createAuthor({
      directory: join(network.folder, 'publisher'),
      name: 'publisher',
      passphrase: 'p',
      random: (length) => new Uint8Array(randomBytes(length)),
      clock: () => Math.floor(Date.now() / 1000),
      cost: CHEAP,
    });
    const { key } = await unlockAuthor(author, 'p');
    await mkdir(join(network.folder, 'images'));
    return new Publisher(network, author, key);
  }

  /** Goes on until the signal is aborted. Never rejects. */
  async run(
    acknowledgements: Acknowledgements,
    violations: Violations,
    signal: AbortSignal,
  ): Promise<void> {
    await using network = openNetwork(this.#network.root, { pause: 200 });
    const patience = { timeoutMs: ATTEMPT_MS, signal };
    const session = { author: this.#author, key: this.#key, network, patience };
    try {
      await again(signal, () => registerAuthor(session));
      for (let sequence = 1n; !signal.aborted; sequence++) {
        const publish = await this.#prepared(session, sequence);
        const published = await again(signal, publish);
        if (!published) return;
        acknowledgements.add(...published.entries);
        this.available = sequence;
        await sleep(PACE_MS, undefined, { signal }).catch(() => undefined);
      }
    } catch (error) {
      violations.add(`the publisher was refused: ${codeOf(error) ?? ''} ${String(error)}`);
    }
  }

  async #prepared(
    session: Session,
    sequence: bigint,
  ): Promise<() => ReturnType<typeof publishRelease>> {
    const { root, folder } = this.#network;
    const image = new Uint8Array(randomBytes(IMAGE));
    const file = join(folder, 'images', String(sequence));
    await writeFile(file, image);
    const version = `1.0.${sequence}`;
    this.releases.set(version, { sequence, sha256: hex(sha256(image)) });
    const signer = { key: this.#key, author: this.#author.id, networkId: root.networkId };
    await using described = await openImage(file);
    const { envelope } = buildRelease(signer, {
      line: this.line,
      sequence,
      image: described.description,
      claims: { version, urgency: 'functional', documents: [] },
    });
    return async () => {
      await using opened = await openImage(file);
      return await publishRelease(session, envelope, [opened]);
    };
  }
}

/** Undefined when the signal came first. */
async function again<T>(signal: AbortSignal, attempt: () => Promise<T>): Promise<T | undefined> {
  while (!signal.aborted) {
    try {
      return await attempt();
    } catch (error) {
      const code = codeOf(error);
      if (code !== 'AUTHOR_TIMEOUT' && code !== 'NET_ABORTED') throw error;
    }
  }
  return undefined;
}
