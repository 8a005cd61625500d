/** `firmament author init|register|line|show`: who an author is. */
import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ANCHOR_FILE, createAuthor, pinRoot, pinnedRoot } from '../author/author.ts';
import { declareLine } from '../author/lines.ts';
import { registerAuthor } from '../author/publish.ts';
import { describeReceipted } from '../author/registration.ts';
import { readPublicKey } from '../author/outside-signer.ts';
import { PSK_FILE } from '../author/psk-file.ts';
import { operatorProof } from '../author/statements.ts';
import { hex } from '../bytes.ts';
import { decodePrivateKey } from '../cose/key.ts';
import { lineText } from '../registry/line.ts';
import { answer, noPositionals, readArguments, runVerb, wrong } from './arguments.ts';
import {
  lineOption,
  openFolder,
  receiptedLine,
  SIGNING,
  systemClock,
  withSession,
} from './author-session.ts';
import { keys } from './author-keys.ts';
import { reportKey, reports } from './author-reports.ts';
import { serve } from './author-serve.ts';
import type { Io } from './io.ts';
import { passphraseOf } from './passphrase.ts';
import { createProgress } from './progress.ts';

const USAGE = `Usage: firmament author VERB [--dir DIR] [--passphrase-file FILE | --signer COMMAND] [--json]

  init --name NAME [--curve P-256|Ed25519] [--recovery N] [--threshold M] [--recovery-passphrase-file FILE] [--signer-key FILE] [--psk]
      makes an author in DIR (./author): a release key and N recovery keys (1), each in a file of its own; with
      --signer-key the release key is one that another device holds (docs/operations.md); with --psk a PSK too, which
      its devices get and every release has a MAC by, for networks of mode private that allow PSK authors
  register --root FILE [--operator NAME --operator-key FILE] [--timeout SECONDS]
      pins the network of this root and puts the author on its ledger
  line --vendor DOMAIN|UUID --class NAME|UUID [--track stable] [--timeout SECONDS]
      declares a line of releases; release publish does it by itself when it is needed
  keys rotate|revoke|delegate|transfer|accept|approve|submit|show
      changes who may sign, by the recovery keys; author keys --help says more
  serve DIR [--port 8445] [--host HOST] --certificate FILE --key FILE | --own-root FILE
      serves the files of DIR that are named by their SHA-256 at https://HOST:PORT/SHA256; --own-root makes a certificate
      now and writes the root that gateways need to know (urlsCa) to FILE
  report-key
      makes the key that gateways seal reports to, under the passphrase, and prints what their owners configure
  reports [--node OPERATOR/NODE|URL]...
      what came of each release, by what gateways report: fetched from the nodes, opened, checked, proven to be on the ledger
  show
      prints who the author is

The passphrase is taken from the file's first line, from FIRMAMENT_PASSPHRASE, or typed.`;

const COMMON = SIGNING;

/** Exit codes: 0 done; 1 refused; 2 usage, or no such file. */
export async function author(args: readonly string[], io: Io): Promise<number> {
  const [verb, ...rest] = args;
  if (verb === 'keys') return keys(rest, io);
  return runVerb(
    'author',
    USAGE,
    { init, register, line, serve, 'report-key': reportKey, reports, show },
    args,
    io,
  );
}

async function init(args: readonly string[], io: Io): Promise<void> {
  const given = readArguments(args, [
    ...COMMON,
    'name',
    'curve',
    'recovery',
    'threshold',
    'recovery-passphrase-file',
    'psk?',
  ]);
  noPositionals(given);
  const directory = given.text('dir') ?? 'author';
  const name = given.required('name');
  const curve = given.text('curve') ?? 'P-256';
  if (curve !== 'P-256' && curve !== 'Ed25519') wrong('--curve is P-256 or Ed25519');
  const recoveryKeys = given.count('recovery', 1);
  const signerKey = given.text('signer-key');
  const passphrase = await passphraseOf(given, `A passphrase for the keys of ${name}: `, {
    twice: true,
  });
  const made = await createAuthor({
    directory,
    name,
    curve,
    recoveryKeys,
    threshold: given.count('threshold', Math.floor(recoveryKeys / 2) + 1),
    ...(signerKey !== undefined && { releaseKey: await readPublicKey(signerKey) }),
    psk: given.flag('psk'),
    passphrase,
    ...(given.text('recovery-passphrase-file') !== undefined && {
      recoveryPassphrase: await passphraseOf(given, '', { option: 'recovery-passphrase-file' }),
    }),
    random: (length) => new Uint8Array(randomBytes(length)),
    clock: systemClock,
  });
  const files = made.recovery.map(({ file }) => join(directory, file));
  answer(
    io,
    given,
    [
      `author ${made.name}: ${hex(made.id)}`,
      `release key: ${signerKey ?? join(directory, 'release.key')}`,
      `for device provision --author: ${join(directory, ANCHOR_FILE)}`,
      ...(made.psk ? [`for device provision --psk-file: ${join(directory, PSK_FILE)}`] : []),
      `recovery keys, any ${made.threshold} of ${files.length}: ${files.join(', ')}`,
      'Move the recovery keys to media that stay offline, and delete them here: they are all that can',
      'take the author back from whoever steals the release key.',
    ],
    {
      id: hex(made.id),
      name: made.name,
      directory,
      anchor: join(directory, ANCHOR_FILE),
      recovery: files,
      threshold: made.threshold,
      psk: made.psk ? hex(made.psk) : null,
    },
  );
}

async function register(args: readonly string[], io: Io): Promise<void> {
  const given = readArguments(args, [...COMMON, 'root', 'operator', 'operator-key', 'timeout']);
  noPositionals(given);
  const rootFile = given.text('root');
  const operator = given.text('operator');
  const operatorKey = given.text('operator-key');
  if ((operator === undefined) !== (operatorKey === undefined))
    wrong('--operator and --operator-key belong together');
  const folder = await openFolder(given);
  if (rootFile !== undefined) await pinRoot(folder, new Uint8Array(await readFile(rootFile)));
  const progress = createProgress(io);
  await withSession(given, async (session, { networkId }) => {
    const proof =
      operator === undefined || operatorKey === undefined
        ? undefined
        : operatorProof(
            operator,
            decodePrivateKey(new Uint8Array(await readFile(operatorKey))),
            networkId,
            session.author.id,
          );
    const entry = await registerAuthor(session, proof, {
      onOrdered: (node, _indexes, complete) => {
        if (!complete) progress.line(`${node} has ordered it; waiting for k operators`);
      },
    });
    const id = hex(session.author.id);
    answer(io, given, [receiptedLine(entry), `author ${id} is registered`], {
      id,
      network: hex(networkId),
      ...describeReceipted(entry),
    });
  });
}

async function line(args: readonly string[], io: Io): Promise<void> {
  const given = readArguments(args, [...COMMON, 'vendor', 'class', 'track', 'timeout']);
  noPositionals(given);
  await withSession(given, async (session) => {
    const declared = lineOption(given, session.author.id);
    const entry = await declareLine(session, declared);
    const text = lineText(declared);
    answer(io, given, [receiptedLine(entry), `line ${text}`], {
      line: text,
      ...describeReceipted(entry),
    });
  });
}

async function show(args: readonly string[], io: Io): Promise<void> {
  const given = readArguments(args, COMMON);
  noPositionals(given);
  const opened = await openFolder(given);
  const root = await pinnedRoot(opened);
  const network = root && hex(root.networkId);
  const policy = root?.policy.version;
  const { name, publicKey, recovery, threshold, psk } = opened;
  answer(
    io,
    given,
    [
      `author ${name}: ${hex(opened.id)}`,
      `key: ${publicKey.curve}, recovery ${threshold} of ${recovery.length}`,
      ...(psk ? [`PSK: ${hex(psk)}`] : []),
      network === undefined ? 'network: none pinned' : `network: ${network}, policy ${policy}`,
    ],
    {
      id: hex(opened.id),
      name,
      curve: publicKey.curve,
      threshold,
      psk: psk ? hex(psk) : null,
      network: network ?? null,
      policy: policy ?? null,
    },
  );
}
