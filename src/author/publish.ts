/** From an envelope and its images to a release that others hold: transactions 1 to 3 in their order. */
import { equal, hex } from '../bytes.ts';
import { check, codeOf, fail, type Code } from '../errors.ts';
import type { RawTransaction } from '../registry/block.ts';
import { lineText } from '../registry/line.ts';
import { parseStatement, type Statement } from '../registry/statement.ts';
import { checkPskAllowed, type Author } from './author.ts';
import type { ImageFile } from './image-file.ts';
import { nodesWithRole, type Network, type Patience } from './network.ts';
import { dropPosted, keepPosted, readPosted, rememberedLine, rememberLine } from './records.ts';
import { register, type Receipted, type RegistrationEvents } from './registration.ts';
import { readOwnRelease, rememberSequence, type OwnRelease } from './release.ts';
import {
  anchorStatement,
  declareStatement,
  registerStatement,
  type OperatorProof,
  type Signer,
} from './statements.ts';
import { waitProven } from './proven.ts';
import { waitAvailable, type ReleaseStatus } from './status.ts';
import { upload, type UploadProgress } from './upload.ts';

/** An open author folder on its network. `key` is unlocked. */
export interface Session {
  readonly author: Author;
  readonly network: Network;
  readonly key: Signer['key'];
  readonly patience: Patience;
}

export interface PublishEvents extends RegistrationEvents {
  readonly onReceipts?: (entries: readonly Receipted[]) => void;
  readonly onUpload?: UploadProgress;
  readonly onStatus?: (status: ReleaseStatus) => void;
}

export interface Published {
  readonly digest: Uint8Array;
  readonly line: string;
  readonly sequence: bigint;
  readonly entries: readonly Receipted[];
  /** Undefined when it was not waited for. */
  readonly status?: ReleaseStatus;
}

/**
 * Registers the release and its anchors in one block, verifies the receipts, gives the images to a node, and
 * waits until enough others hold them. May be given again at any time after it was cut off: it posts the
 * same statements and sends only the blocks that are missing.
 * Errors: AUTHOR_IMAGE_MISMATCH, AUTHOR_TEST_BUILD, AUTHOR_RELEASE_FOREIGN, AUTHOR_TIMEOUT, refusals of the registry.
 */
export async function publishRelease(
  session: Session,
  envelope: Uint8Array,
  images: readonly ImageFile[],
  events: PublishEvents = {},
  options: { readonly wait?: boolean } = {},
): Promise<Published> {
  const { author, network, patience } = session;
  const release = readOwnRelease(author, network.root.networkId, envelope);
  const needed = matchImages(release, images);
  const line = lineText(release.line);
  await rememberSequence(author, release.line, release.statement.counter);
  const { entries, node } = await registerRelease(session, release, needed, events);
  await rememberLine(author, line, { declared: true });
  events.onReceipts?.(entries);
  const nodes = nodesWithRole(network.root, 'registration');
  const order = [node, ...nodes.filter((other) => other !== node)];
  for (const { image } of needed) await upload(network, order, image, patience, events.onUpload);
  const status =
    options.wait === false
      ? undefined
      : await waitAvailable(network, release.digest, patience, events.onStatus);
  const { counter: sequence } = release.statement;
  // A receipt and a status are one node's word; the proof is that of k operators.
  if (status) {
    const { digest } = release;
    await waitProven(network, release.line, { digest, sequence }, patience);
  }
  await dropPosted(author, release.digest);
  return { digest: release.digest, line, sequence, entries, ...(status && { status }) };
}

interface NeededImage {
  readonly component: number;
  readonly image: ImageFile;
}

/** Each image of the manifest with the file that it is, and no file beside. */
function matchImages(release: OwnRelease, files: readonly ImageFile[]): readonly NeededImage[] {
  const needed = release.manifest.images.map(({ componentIndex, digest }): NeededImage => {
    const image = files.find(({ description }) => equal(description.digest, digest));
    if (!image) fail('AUTHOR_IMAGE_MISMATCH', `no file has the SHA-256 ${hex(digest)}`);
    return { component: componentIndex, image };
  });
  const stranger = files.find((file) => !needed.some(({ image }) => image === file));
  check(stranger === undefined, 'AUTHOR_IMAGE_MISMATCH', 'a file is none of the release');
  return needed;
}

// What is on the ledger already is left out, and the rest is signed anew with higher counters.
const DROPPABLE: Readonly<Partial<Record<Code, Statement['kind']>>> = {
  LINE_EXISTS: 'line.declare',
  ANCHOR_EXISTS: 'image.anchor',
};

async function registerRelease(
  session: Session,
  release: OwnRelease,
  images: readonly NeededImage[],
  events: RegistrationEvents,
): ReturnType<typeof register> {
  const { author, network, patience } = session;
  const { declared } = await rememberedLine(author, lineText(release.line));
  // A line that another author declared came here by a transfer or a delegation.
  const own = equal(release.line.author, author.id);
  const dropped = new Set<Statement['kind']>(declared || !own ? ['line.declare'] : []);
  for (;;) {
    const kept = await readPosted(author, release.digest);
    const group = kept ?? (await buildGroup(session, release, images, dropped));
    if (!kept) await keepPosted(author, release.digest, group);
    try {
      return await register(network, group, patience, events);
    } catch (error) {
      const code = codeOf(error);
      const end = code === undefined || code === 'AUTHOR_TIMEOUT' || code === 'NET_ABORTED';
      if (end) throw error;
      // The ledger refused these statements, so they are on no ledger: others may take their place.
      await dropPosted(author, release.digest);
      const drop = DROPPABLE[code];
      const again = drop !== undefined && has(group, drop) && !dropped.has(drop);
      if (drop !== undefined && again) dropped.add(drop);
      else if (!(kept && code === 'STATEMENT_COUNTER')) throw error;
    }
  }
}

function has(group: readonly RawTransaction[], kind: Statement['kind']): boolean {
  return group.some(({ statement }) => parseStatement(statement).kind === kind);
}

async function buildGroup(
  session: Session,
  release: OwnRelease,
  images: readonly NeededImage[],
  dropped: ReadonlySet<Statement['kind']>,
): Promise<readonly RawTransaction[]> {
  const { line, digest, statement, attachment } = release;
  const signer = signerOf(session);
  const [first, ...rest] = await session.author.counters.next(1 + images.length);
  const declare = dropped.has('line.declare')
    ? []
    : [alone(declareStatement(signer, first as bigint, line))];
  const anchors = dropped.has('image.anchor')
    ? []
    : images.map(({ component, image }, i) => {
        const { digest: sha256, size, root, chunks } = image.description;
        const anchor = { release: digest, image: sha256, size, root, chunks, component };
        return alone(anchorStatement(signer, rest[i] as bigint, line, anchor));
      });
  return [...declare, { statement: statement.bytes, attachment }, ...anchors];
}

/** What statements of this session are signed with. */
export function signerOf({ author, network, key }: Session): Signer {
  return { key, author: author.id, networkId: network.root.networkId };
}

function alone(statement: Statement): RawTransaction {
  return { statement: statement.bytes, attachment: null };
}

/**
 * Puts the author on the ledger, with its recovery keys (T01) and the operator that it runs, if any.
 * Errors: AUTHOR_EXISTS, AUTHOR_APPROVAL_REQUIRED, AUTHOR_OPERATOR_UNPROVEN, AUTHOR_PSK_FORBIDDEN, AUTHOR_TIMEOUT.
 */
export async function registerAuthor(
  session: Session,
  operator?: OperatorProof,
  events: RegistrationEvents = {},
): Promise<Receipted> {
  const { author, network } = session;
  // The registry says so too: nothing that names a PSK is sent where it has no place.
  checkPskAllowed(author, network.root);
  return postOne(session, author.id, events, (counter) =>
    registerStatement(signerOf(session), counter, {
      name: author.name,
      recovery: author.recovery.map(({ publicKey }) => publicKey),
      threshold: author.threshold,
      ...(operator && { operator }),
      ...(author.psk && { psk: author.psk }),
    }),
  );
}

/** Posts one statement; one that was cut off is posted again as it was. */
export async function postOne(
  session: Session,
  name: Uint8Array,
  events: RegistrationEvents,
  build: (counter: bigint) => Statement,
): Promise<Receipted> {
  const { author, network, patience } = session;
  const kept = await readPosted(author, name);
  let group = kept;
  if (!group) {
    const [counter] = await author.counters.next(1);
    group = [alone(build(counter as bigint))];
    await keepPosted(author, name, group);
  }
  try {
    const { entries } = await register(network, group, patience, events);
    await dropPosted(author, name);
    return entries[0] ?? fail('AUTHOR_NODE_LIES', 'no entry');
  } catch (error) {
    const code = codeOf(error);
    if (code === 'AUTHOR_TIMEOUT' || code === 'NET_ABORTED' || code === undefined) throw error;
    await dropPosted(author, name);
    if (kept && code === 'STATEMENT_COUNTER') return postOne(session, name, events, build);
    throw error;
  }
}
