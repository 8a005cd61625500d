/** `firmament release create|publish|withdraw|status|export|import`: an author's releases. */
import { createReadStream } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { openAuthor, requireRoot, unlockPsk } from '../author/author.ts';
import { createFile } from '../author/durable-file.ts';
import { openImage, type ImageFile } from '../author/image-file.ts';
import { openAuthorNetwork, openFollowed } from '../author/policies.ts';
import { publishRelease, type PublishEvents } from '../author/publish.ts';
import { describeReceipted } from '../author/registration.ts';
import { buildRelease, componentNamed, nextSequence, rememberSequence } from '../author/release.ts';
import { holdersOf, releaseStatus, type ReleaseStatus } from '../author/status.ts';
import { withdrawRelease } from '../author/withdraw.ts';
import { fromHex, hex } from '../bytes.ts';
import { fail } from '../errors.ts';
import { lineText, parseLineText } from '../registry/line.ts';
import { descriptionLines } from '../registry/release-description.ts';
import { parseRoot } from '../registry/root.ts';
import { MAX_ENVELOPE_BYTES } from '../suit/envelope.ts';
import { cidText } from '../store/cid.ts';
import { describeImage, type ImageDescription } from '../store/unixfs.ts';
import { ARCHIVE_USAGE, exportArchive, importArchive } from './archive.ts';
import {
  answer,
  noPositionals,
  onlyPositional,
  readArguments,
  runVerb,
  wrong,
  type Arguments,
} from './arguments.ts';
import {
  lineOption,
  openFolder,
  patienceOf,
  receiptedLine,
  SIGNING,
  signingKey,
  systemClock,
  withSession,
} from './author-session.ts';
import type { Io } from './io.ts';
import { passphraseOf } from './passphrase.ts';
import { createProgress, size, type Progress } from './progress.ts';
import { claimsOf, sequenceOption } from './release-options.ts';

const USAGE = `Usage: firmament release VERB [--dir DIR] [--passphrase-file FILE | --signer COMMAND] [--json]

  create IMAGE --version TEXT (--vendor DOMAIN|UUID --class NAME|UUID | --line LINE) --out FILE [--sequence N|auto] [--track stable]
         [--kind functional|security] [--applies LOW-HIGH] [--via DIGEST] [--support-until DATE] [--component NAME]
         [--document type=TYPE,file=FILE,where=URL[,sha256=HEX]]... [--for-publishing [--network ROOT_FILE]]
      builds and signs a release of one image. It is a test build, which no network registers, unless it is
      made --for-publishing: then the signature names the author's network, which is the consent to publish
  publish ENVELOPE --image FILE... [--no-wait] [--timeout SECONDS]
      registers the release, verifies the receipts, uploads the image, waits until others hold it;
      may be given again after it was cut off
  withdraw --digest DIGEST --reason TEXT [--line AUTHOR/VENDOR/CLASS/TRACK] [--lowest N] [--timeout SECONDS]
      nobody installs the release any more, nor anything below the sequence N
  status DIGEST [--network ROOT_FILE] [--timeout SECONDS]
      what the nodes say of a release, and who holds it
${ARCHIVE_USAGE}`;

const COMMON = SIGNING;
const PROMPT = 'Passphrase of the PSK: ';

/** Exit codes: 0 done; 1 refused; 2 usage, or no such file. */
export async function release(args: readonly string[], io: Io): Promise<number> {
  const archive = { export: exportArchive, import: importArchive };
  return runVerb('release', USAGE, { create, publish, withdraw, status, ...archive }, args, io);
}

async function create(args: readonly string[], io: Io): Promise<void> {
  const given = readArguments(args, [
    ...COMMON,
    'version',
    'vendor',
    'class',
    'track',
    'line',
    'out',
    'sequence',
    'kind',
    'applies',
    'via',
    'support-until',
    'component',
    'document*',
    'for-publishing?',
    'network',
  ]);
  const file = onlyPositional(given, 'image');
  const out = given.required('out');
  const folder = await openAuthor(given.text('dir') ?? 'author', systemClock);
  const networkId = await consent(given);
  const line = lineOption(given, folder.id);
  const claims = await claimsOf(given);
  const component = given.text('component');
  const image = await describe(file, createProgress(io));
  const asked = sequenceOption(given);
  const sequence = asked ?? (await nextSequence(folder, line, systemClock));
  const psk = folder.psk && (await unlockPsk(folder, await passphraseOf(given, PROMPT)));
  const built = buildRelease(
    { key: await signingKey(given, folder), author: folder.id, networkId },
    {
      line,
      sequence,
      image,
      claims,
      psk,
      ...(component !== undefined && { componentId: componentNamed(component) }),
    },
  );
  await createFile(out, built.envelope, 0o644);
  if (networkId) await rememberSequence(folder, line, sequence);
  const { version } = claims;
  const lines = [
    `release ${hex(built.digest)}`,
    `line ${lineText(line)}, sequence ${sequence}, version ${version}`,
    `image ${hex(image.digest)}, ${size(image.size)}, ${cidText(image.root)}`,
    networkId
      ? `signed for network ${hex(networkId)}: release publish ${out} --image ${file}`
      : 'a test build: no network registers it (--for-publishing makes one that is)',
  ];
  answer(io, given, lines, {
    digest: hex(built.digest),
    line: lineText(line),
    sequence: sequence.toString(),
    version,
    image: { sha256: hex(image.digest), size: image.size, cid: cidText(image.root) },
    network: networkId ? hex(networkId) : null,
    file: out,
  });
}

// T04: the network in the claims is the author's consent to publish.
async function consent(given: Arguments): Promise<Uint8Array | undefined> {
  const network = given.text('network');
  if (!given.flag('for-publishing')) {
    if (network !== undefined) wrong('--network is for releases made --for-publishing');
    return undefined;
  }
  if (network !== undefined) return parseRoot(new Uint8Array(await readFile(network))).networkId;
  return (await requireRoot(await openFolder(given))).networkId;
}

async function describe(file: string, progress: Progress): Promise<ImageDescription> {
  let done = 0;
  const description = await describeImage(createReadStream(file), ({ bytes }) => {
    done += bytes.length;
  });
  progress.line(`read ${file}: ${size(done)}`);
  return description;
}

async function publish(args: readonly string[], io: Io): Promise<void> {
  const given = readArguments(args, [...COMMON, 'image*', 'no-wait?', 'timeout']);
  const envelopeFile = onlyPositional(given, 'envelope');
  const files = given.list('image');
  if (files.length === 0) wrong('--image is needed');
  const envelope = new Uint8Array(await readFile(envelopeFile));
  if (envelope.length > MAX_ENVELOPE_BYTES) fail('SUIT_TOO_LARGE', 'the envelope is too large');
  await using open = new AsyncDisposableStack();
  const images: ImageFile[] = [];
  for (const file of files) images.push(open.use(await openImage(file)));
  const progress = createProgress(io);
  const wait = !given.flag('no-wait');
  await withSession(given, async (session) => {
    const events = publishEvents(progress);
    const published = await publishRelease(session, envelope, images, events, { wait });
    const { digest, line, sequence, entries, status: end } = published;
    answer(io, given, publishedLines(hex(digest), line, end), {
      digest: hex(digest),
      line,
      sequence: sequence.toString(),
      entries: entries.map(describeReceipted),
      status: end?.status ?? 'registered',
      newest: end?.newest ?? false,
      holders: end ? holdersOf(end) : [],
    });
  });
}

function publishEvents(progress: Progress): PublishEvents {
  return {
    onOrdered(node, _indexes, complete) {
      if (!complete) progress.line(`${node} has ordered it; waiting for k operators`);
    },
    onReceipts(entries) {
      for (const entry of entries) progress.line(receiptedLine(entry));
    },
    onUpload: (node, done, total) => progress.bytes(`image to ${node}`, done, total),
    onStatus(now) {
      const holders = holdersOf(now);
      progress.line(
        `${now.status}; held by ${holders.length === 0 ? 'nobody' : holders.join(', ')}`,
      );
    },
  };
}

function publishedLines(digest: string, line: string, end: ReleaseStatus | undefined): string[] {
  if (!end) return [`release ${digest} is registered on line ${line}`];
  const newest = end.newest ? ', the newest of its line' : '';
  return [
    `release ${digest} is available${newest}`,
    `line ${line}, sequence ${end.sequence}, version ${end.version}`,
    `held by ${holdersOf(end).join(', ')}`,
  ];
}

async function withdraw(args: readonly string[], io: Io): Promise<void> {
  const given = readArguments(args, [...COMMON, 'line', 'digest', 'lowest', 'reason', 'timeout']);
  noPositionals(given);
  const digest = fromHex(given.required('digest'), 32);
  const reason = given.required('reason');
  const lowest = given.text('lowest');
  if (lowest !== undefined && !/^\d{1,20}$/.test(lowest)) wrong('--lowest is a whole number');
  const progress = createProgress(io);
  await withSession(given, async (session) => {
    const { network, patience } = session;
    const text = given.text('line') ?? (await releaseStatus(network, digest, patience)).line;
    const entry = await withdrawRelease(
      session,
      {
        line: parseLineText(text),
        release: digest,
        reason,
        ...(lowest !== undefined && { lowest: BigInt(lowest) }),
      },
      {
        onOrdered: (node, _indexes, complete) => {
          if (!complete) progress.line(`${node} has ordered it; waiting for k operators`);
        },
      },
    );
    answer(io, given, [receiptedLine(entry), `release ${hex(digest)} is withdrawn`], {
      digest: hex(digest),
      line: text,
      status: 'withdrawn',
      ...describeReceipted(entry),
    });
  });
}

async function status(args: readonly string[], io: Io): Promise<void> {
  const given = readArguments(args, [...COMMON, 'network', 'timeout']);
  const digest = fromHex(onlyPositional(given, 'digest'), 32);
  const file = given.text('network');
  await using network =
    file === undefined
      ? await openAuthorNetwork(await openFolder(given))
      : await openFollowed(parseRoot(new Uint8Array(await readFile(file))));
  const patience = given.text('timeout') === undefined ? { timeoutMs: 0 } : patienceOf(given);
  const found = await releaseStatus(network, digest, patience);
  const holders = holdersOf(found);
  answer(
    io,
    given,
    [
      `release ${hex(digest)}: ${found.status}${found.newest ? ', the newest of its line' : ''}`,
      `line ${found.line}, sequence ${found.sequence}`,
      ...descriptionLines(found.description),
      `held by ${holders.length === 0 ? 'nobody' : holders.join(', ')}`,
      'One node said so; proof verify checks what k operators signed.',
    ],
    { digest: hex(digest), ...found },
  );
}
