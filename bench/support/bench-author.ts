/** An author of a bench network, publishing as `firmament release publish` does. */
import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createAuthor, unlockAuthor } from '../../src/author/author.ts';
import { openImage } from '../../src/author/image-file.ts';
import { openNetwork } from '../../src/author/network.ts';
import {
  publishRelease,
  registerAuthor,
  type Published,
  type Session,
} from '../../src/author/publish.ts';
import { buildRelease } from '../../src/author/release.ts';
import type { PublicKey } from '../../src/crypto/key.ts';
import type { Line } from '../../src/registry/line.ts';
import { fixtureLine } from '../../src/testing/fixture.ts';
import type { BenchNetwork } from './bench-network.ts';

export interface BenchAuthor extends AsyncDisposable {
  readonly anchor: PublicKey;
  readonly line: Line;
  /** Builds and signs; answers how to publish it. */
  build(
    image: Uint8Array,
    version: string,
  ): Promise<{ publish(wait?: boolean): Promise<Published> }>;
}

const CHEAP = { N: 1024, r: 8, p: 1 };

export async function benchAuthor(bench: BenchNetwork): Promise<BenchAuthor> {
  const directory = join(bench.folder, 'author');
  const random = (length: number): Uint8Array => new Uint8Array(randomBytes(length));
  const clock = (): number => Math.floor(Date.now() / 1000);
  const author = await createAuthor({
    directory,
    name: 'acme',
    passphrase: 'p',
    random,
    clock,
    cost: CHEAP,
  });
  const { key } = await unlockAuthor(author, 'p');
  const network = openNetwork(bench.root, { pause: 50 });
  const session: Session = { author, key, network, patience: { timeoutMs: 120_000 } };
  await registerAuthor(session);
  const line = fixtureLine(author.id);
  let sequence = 0n;
  return {
    anchor: key.publicKey,
    line,
    async build(image, version) {
      sequence += 1n;
      const file = join(directory, `image-${sequence}`);
      await writeFile(file, image);
      const opened = await openImage(file);
      const claims = { version, urgency: 'functional', documents: [] } as const;
      const signer = { key, author: author.id, networkId: bench.root.networkId };
      const { envelope } = buildRelease(signer, {
        line,
        sequence,
        image: opened.description,
        claims,
      });
      return {
        async publish(wait = true) {
          await using images = opened;
          return await publishRelease(session, envelope, [images], {}, { wait });
        },
      };
    },
    [Symbol.asyncDispose]: () => network[Symbol.asyncDispose](),
  };
}
