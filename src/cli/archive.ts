/** `firmament release export|import`: a release in one file, carried by hand. */
import { readFile } from 'node:fs/promises';
import { exportRelease, restoreImages } from '../author/archive.ts';
import { openFollowed } from '../author/policies.ts';
import { fromHex, hex } from '../bytes.ts';
import { lineText, parseLineText } from '../registry/line.ts';
import { nodesOf } from '../registry/policy.ts';
import { parseRoot, type Root } from '../registry/root.ts';
import { openArchive } from '../store/archive.ts';
import { answer, onlyPositional, readArguments, wrong, type Arguments } from './arguments.ts';
import { patienceOf, systemClock } from './author-session.ts';
import type { Io } from './io.ts';
import { createProgress, size } from './progress.ts';

export const ARCHIVE_USAGE = `  export DIGEST --root ROOT_FILE --out FILE.car [--line AUTHOR/VENDOR/CLASS/TRACK] [--timeout SECONDS]
      the release with its proof, links and image in one file, for \`device poll --archive\`, also when no node is left
  import FILE.car --root ROOT_FILE --to-node OPERATOR/NODE [--timeout SECONDS]
      puts the blocks of the image that the node lacks back into it`;

/** `release export`. */
export async function exportArchive(args: readonly string[], io: Io): Promise<void> {
  const given = readArguments(args, ['root', 'line', 'out', 'timeout']);
  const digest = fromHex(onlyPositional(given, 'digest'), 32);
  const out = given.required('out');
  const line = given.text('line');
  const progress = createProgress(io);
  await using network = await openFollowed(await rootOf(given));
  const made = await exportRelease(network, digest, {
    out,
    ...(line !== undefined && { line: parseLineText(line) }),
    patience: patienceOf(given),
    now: systemClock(),
    onProgress: (node, done, total) => progress.bytes(`image from ${node}`, done, total),
  });
  const bytes = made.images.reduce((sum, image) => sum + image.size, 0);
  answer(
    io,
    given,
    [
      `release ${hex(digest)} is in ${out}: version ${made.version}, ${size(bytes)} of image`,
      `line ${made.line}, sequence ${made.sequence}; its proof is ${made.freshness} now and grows old`,
    ],
    {
      digest: hex(digest),
      line: made.line,
      sequence: made.sequence.toString(),
      version: made.version,
      links: made.links,
      images: made.images.map((image) => ({ sha256: hex(image.digest), size: image.size })),
      freshness: made.freshness,
      file: out,
    },
  );
}

/** `release import`. */
export async function importArchive(args: readonly string[], io: Io): Promise<void> {
  const given = readArguments(args, ['root', 'to-node', 'timeout']);
  const file = onlyPositional(given, 'archive');
  const name = given.required('to-node');
  await using network = await openFollowed(await rootOf(given));
  const node =
    nodesOf(network.root.policy).find((each) => each.name === name) ??
    wrong(`the network has no node ${name}`);
  const progress = createProgress(io);
  await using archive = await openArchive(file);
  await restoreImages(network, node, archive, patienceOf(given), (to, done, total) =>
    progress.bytes(`image to ${to}`, done, total),
  );
  answer(io, given, [`${name} has every block of release ${hex(archive.release)}`], {
    digest: hex(archive.release),
    line: lineText(archive.line),
    node: name,
    images: archive.images.map((image) => hex(image.digest)),
  });
}

async function rootOf(given: Arguments): Promise<Root> {
  return parseRoot(new Uint8Array(await readFile(given.required('root'))));
}
