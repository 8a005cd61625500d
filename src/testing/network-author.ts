/** An author on a test network: registers, publishes and withdraws small releases in one call each. */
import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createAuthor, unlockAuthor } from '../author/author.ts';
import { openImage } from '../author/image-file.ts';
import { openNetwork } from '../author/network.ts';
import { publishRelease, registerAuthor, type Published, type Session } from '../author/publish.ts';
import { buildRelease } from '../author/release.ts';
import { declareLine } from '../author/lines.ts';
import { withdrawRelease } from '../author/withdraw.ts';
import type { Receipted } from '../author/registration.ts';
import type { PublicKey } from '../crypto/key.ts';
import type { ReleaseClaims } from '../registry/claims.ts';
import type { Line } from '../registry/line.ts';
import { fixtureLine } from './fixture.ts';
import type { TestNetwork } from './network.ts';

export interface TestRelease extends Published {
  readonly release: Line;
  readonly version: string;
  readonly envelope: Uint8Array;
  readonly image: Uint8Array;
}

export interface PublishInput {
  readonly line?: Line;
  readonly version?: string;
  /** Random bytes of this many unless the image itself is given. */
  readonly size?: number;
  readonly image?: Uint8Array;
  /** The one after the author's last unless given; those that follow go on from it. */
  readonly sequence?: bigint;
  readonly claims?: Partial<ReleaseClaims>;
  /** Until it is available: yes unless said otherwise. */
  readonly wait?: boolean;
}

export interface TestAuthor {
  readonly session: Session;
  readonly anchor: PublicKey;
  /** The line of a model. */
  line(model?: string, track?: string): Line;
  declare(model: string): Promise<Receipted>;
  publish(input?: PublishInput): Promise<TestRelease>;
  withdraw(release: TestRelease, lowest?: bigint): Promise<Receipted>;
}

const CHEAP = { N: 1024, r: 8, p: 1 };
let made = 0;

/** Registers a new author. `nodes`: the only registration nodes that it speaks to. */
export async function testAuthor(
  network: TestNetwork,
  options: { readonly name?: string; readonly timeoutMs?: number } = {},
): Promise<TestAuthor> {
  const name = options.name ?? `author-${++made}`;
  const directory = join(network.folder, name);
  const random = (length: number): Uint8Array => new Uint8Array(randomBytes(length));
  const { clock } = network;
  const author = await createAuthor({
    directory,
    name,
    passphrase: 'p',
    random,
    clock,
    cost: CHEAP,
  });
  const { key } = await unlockAuthor(author, 'p');
  const session: Session = {
    author,
    key,
    network: network.use(openNetwork(network.root, { pause: 50 })),
    patience: { timeoutMs: options.timeoutMs ?? 60_000 },
  };
  await registerAuthor(session);
  const lineOf = (model = 'lamp', track = 'stable'): Line => fixtureLine(author.id, model, track);
  let sequence = 0n;
  return {
    session,
    anchor: key.publicKey,
    line: lineOf,
    declare: (model) => declareLine(session, lineOf(model)),
    async publish(input = {}) {
      const line = input.line ?? lineOf();
      const image = input.image ?? random(input.size ?? 1000);
      sequence = input.sequence ?? sequence + 1n;
      const version = input.version ?? `1.0.${sequence}`;
      const file = join(directory, `image-${sequence}`);
      await writeFile(file, image);
      await using opened = await openImage(file);
      const { envelope } = buildRelease(
        { key, author: author.id, networkId: network.root.networkId },
        {
          line,
          sequence,
          image: opened.description,
          claims: { version, urgency: 'functional', documents: [], ...input.claims },
        },
      );
      const published = await publishRelease(
        session,
        envelope,
        [opened],
        {},
        { wait: input.wait ?? true },
      );
      return { ...published, release: line, version, envelope, image };
    },
    withdraw: (release, lowest) =>
      withdrawRelease(session, {
        line: release.release,
        release: release.digest,
        reason: 'a test',
        ...(lowest !== undefined && { lowest }),
      }),
  };
}
