/** `firmament author keys ...`: who may sign for an author, changed by its recovery keys (T01). */
import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type { Author } from '../author/author.ts';
import { pinnedRoot, requireRoot } from '../author/author.ts';
import { createFile } from '../author/durable-file.ts';
import {
  acceptTransfer,
  approveRequest,
  delegation,
  revocation,
  rotation,
  transfer,
  type KeyChange,
  type KeyRequest,
} from '../author/key-changes.ts';
import { readRequest, writeRequest } from '../author/key-request-file.ts';
import { openKeyFile } from '../author/keys.ts';
import { openAuthorNetwork } from '../author/policies.ts';
import { readPublicKey } from '../author/outside-signer.ts';
import {
  prepareRecovery,
  prepareReleaseKey,
  requestChanges,
  requestUnderWay,
  submitRequest,
  type KeyMaking,
} from '../author/recovery.ts';
import { describeReceipted } from '../author/registration.ts';
import { equal, fromHex, hex } from '../bytes.ts';
import { thumbprint } from '../cose/key.ts';
import { check } from '../errors.ts';
import { lineText, parseLineText } from '../registry/line.ts';
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
} from './author-session.ts';
import type { Io } from './io.ts';
import { describeChange } from './key-change-text.ts';
import { passphraseOf } from './passphrase.ts';

const USAGE = `Usage: firmament author keys VERB [--dir DIR] [--json]

  rotate [--new-key FILE] [--curve P-256|Ed25519] [--new-recovery N [--new-threshold M]]
      a new release key takes the place of the present one, which is kept as release.key.old-N; FILE: the public key
      of one that another device holds; with --new-recovery the recovery keys are new too
  revoke --key KID --from INDEX
      the key counts as stolen from this entry of the ledger on: its releases from there are withdrawn. When it is the
      key in use, a new one takes its place in the same block
  delegate (--vendor V --class C [--track T] | --line LINE) --to PUBLIC_KEY_FILE [--end]
      another key may sign releases of the line, or may no more
  transfer (--vendor V --class C [--track T] | --line LINE) --to AUTHOR_ID --acceptance FILE
      the line goes to another author, who accepted
  accept --line LINE [--from AUTHOR_ID] --out FILE [--passphrase-file FILE | --signer COMMAND]
      signs that this author takes the line from its owner
  approve REQUEST_FILE
      adds the recovery keys' approvals to a request, and says what it asks
  submit [REQUEST_FILE] [--timeout SECONDS]
      puts an approved request on the ledger; without a file, the one that was cut off
  show
      prints the keys of this author

rotate, revoke, delegate, transfer and approve take, as often as the threshold asks,
  --recovery-key FILE [--recovery-passphrase-file FILE]...
one passphrase file for each key or one for all. With --request FILE instead they write a request that the holders
of the recovery keys approve wherever those are, offline.`;

const RECOVERY = ['recovery-key*', 'recovery-passphrase-file*', 'request', 'timeout'];
const COMMON = ['dir', 'passphrase-file', ...RECOVERY];
const KEY_MAKING = ['new-key', 'curve'];
const LINE = ['vendor', 'class', 'track', 'line'];

/** Exit codes: 0 done; 1 refused; 2 usage, or no such file. */
export async function keys(args: readonly string[], io: Io): Promise<number> {
  const verbs = { rotate, revoke, delegate, transfer: give, accept, approve, submit, show };
  return runVerb('author keys', USAGE, verbs, args, io);
}

async function rotate(args: readonly string[], io: Io): Promise<void> {
  const given = readArguments(args, [...COMMON, ...KEY_MAKING, 'new-recovery', 'new-threshold']);
  noPositionals(given);
  const author = await openFolder(given);
  await change(given, io, author, [await nextRotation(given, author)]);
}

async function revoke(args: readonly string[], io: Io): Promise<void> {
  const given = readArguments(args, [...COMMON, ...KEY_MAKING, 'key', 'from']);
  noPositionals(given);
  const author = await openFolder(given);
  const keyId = fromHex(given.required('key'), 32);
  given.required('from');
  const revoked = revocation(author.id, keyId, given.count('from', 0));
  const inUse = equal(keyId, thumbprint(author.publicKey));
  const first = inUse ? [await nextRotation(given, author)] : [];
  await change(given, io, author, [...first, revoked]);
}

async function nextRotation(given: Arguments, author: Author): Promise<KeyChange> {
  const file = given.text('new-key');
  const count = given.text('new-recovery') === undefined ? 0 : given.count('new-recovery', 0);
  const curve = given.text('curve');
  if (curve !== undefined && curve !== 'P-256' && curve !== 'Ed25519')
    wrong('--curve is P-256 or Ed25519');
  const needsFiles = file === undefined || count > 0;
  const making: KeyMaking = {
    passphrase: needsFiles ? await passphraseOf(given, `Passphrase of ${author.name}: `) : '',
    random: (length) => new Uint8Array(randomBytes(length)),
    ...(curve !== undefined && { curve }),
  };
  const key =
    file === undefined ? await prepareReleaseKey(author, making) : await readPublicKey(file);
  if (given.text('new-recovery') === undefined) return rotation(author.id, [key]);
  const threshold = given.count('new-threshold', Math.floor(count / 2) + 1);
  return rotation(author.id, [key], await prepareRecovery(author, count, threshold, making));
}

async function delegate(args: readonly string[], io: Io): Promise<void> {
  const given = readArguments(args, [...COMMON, ...LINE, 'to', 'end?']);
  noPositionals(given);
  const author = await openFolder(given);
  const key = await readPublicKey(given.required('to'));
  const line = lineOption(given, author.id);
  await change(given, io, author, [delegation(line, key, !given.flag('end'))]);
}

async function give(args: readonly string[], io: Io): Promise<void> {
  const given = readArguments(args, [...COMMON, ...LINE, 'to', 'acceptance']);
  noPositionals(given);
  const author = await openFolder(given);
  const to = fromHex(given.required('to'), 32);
  const word = new Uint8Array(await readFile(given.required('acceptance')));
  check(word.length === 64, 'AUTHOR_FILE_INVALID', 'an acceptance has 64 bytes');
  await change(given, io, author, [transfer(lineOption(given, author.id), to, word)]);
}

async function accept(args: readonly string[], io: Io): Promise<void> {
  const given = readArguments(args, [...SIGNING, 'line', 'from', 'out']);
  noPositionals(given);
  const author = await openFolder(given);
  const { networkId } = await requireRoot(author);
  const line = parseLineText(given.required('line'));
  const from = given.text('from');
  const owner = from === undefined ? line.author : fromHex(from, 32);
  const out = given.required('out');
  const key = await signingKey(given, author);
  await createFile(out, acceptTransfer(key, networkId, line, owner, author.id), 0o644);
  const id = hex(author.id);
  answer(io, given, [`author ${id} takes line ${lineText(line)} from ${hex(owner)}: ${out}`], {
    line: lineText(line),
    from: hex(owner),
    to: id,
    file: out,
  });
}

async function approve(args: readonly string[], io: Io): Promise<void> {
  // Needs no author folder and no network: the holder of a recovery key has neither.
  const given = readArguments(args, [...RECOVERY, 'dir']);
  const file = onlyPositional(given, 'request file');
  if (given.list('recovery-key').length === 0) wrong('--recovery-key is needed');
  const request = await readRequest(file);
  // Before any passphrase is asked for: this is what the key would sign.
  if (!given.json) for (const line of described(request)) io.stdout(line);
  const approved = await approvedBy(given, request);
  await writeRequest(file, approved);
  answer(io, given, [state(approved)], requestJson(approved, file));
}

async function submit(args: readonly string[], io: Io): Promise<void> {
  const given = readArguments(args, ['dir', 'timeout']);
  const [file, ...rest] = given.positionals;
  if (rest.length > 0) wrong('one request file is needed');
  const author = await openFolder(given);
  const request = file === undefined ? await requestUnderWay(author) : await readRequest(file);
  if (!request) return wrong('nothing was cut off: a request file is needed');
  await send(given, io, author, request);
}

async function show(args: readonly string[], io: Io): Promise<void> {
  const given = readArguments(args, ['dir']);
  noPositionals(given);
  const author = await openFolder(given);
  const id = (key: Author['publicKey']): string => hex(thumbprint(key));
  const { publicKey, retired, recovery, threshold } = author;
  const network = await pinnedRoot(author);
  answer(
    io,
    given,
    [
      `author ${hex(author.id)}`,
      `release key ${id(publicKey)} (${publicKey.curve})`,
      ...retired.map((key) => `retired key ${id(key)}`),
      ...recovery.map((key) => `recovery key ${id(key.publicKey)} ${key.file}`),
      `any ${threshold} of ${recovery.length} recovery keys change these`,
    ],
    {
      id: hex(author.id),
      key: id(publicKey),
      retired: retired.map(id),
      recovery: recovery.map((key) => ({ key: id(key.publicKey), file: key.file })),
      threshold,
      network: network ? hex(network.networkId) : null,
    },
  );
}

/** Asks for the changes: of the recovery keys that are given here, or in a request file. */
async function change(
  given: Arguments,
  io: Io,
  author: Author,
  changes: readonly KeyChange[],
): Promise<void> {
  const { networkId } = await requireRoot(author);
  const request = await requestChanges(author, networkId, changes);
  const file = given.text('request');
  if (file !== undefined) {
    await writeRequest(file, request);
    const next = `each holder of a recovery key: author keys approve ${file} --recovery-key FILE`;
    return answer(io, given, [...described(request), next], requestJson(request, file));
  }
  if (given.list('recovery-key').length === 0) wrong('--recovery-key or --request is needed');
  await send(given, io, author, await approvedBy(given, request));
}

async function approvedBy(given: Arguments, request: KeyRequest): Promise<KeyRequest> {
  const files = given.list('recovery-key');
  const passphrases = given.list('recovery-passphrase-file');
  if (passphrases.length > 1 && passphrases.length !== files.length)
    wrong('one --recovery-passphrase-file for each key, or one for all');
  let approved = request;
  for (const [i, file] of files.entries()) {
    const option = passphrases.length > 1 ? passphrases[i] : passphrases[0];
    const passphrase = await passphraseOf(
      { ...given, text: () => option },
      `Passphrase of ${file}: `,
    );
    approved = approveRequest(approved, await openKeyFile(file, passphrase));
  }
  return approved;
}

async function send(given: Arguments, io: Io, author: Author, request: KeyRequest): Promise<void> {
  await using network = await openAuthorNetwork(author);
  const entries = await submitRequest(author, network, request, patienceOf(given));
  const { publicKey } = await openFolder(given);
  answer(io, given, [...described(request), ...entries.map(receiptedLine)], {
    id: request.author,
    key: hex(thumbprint(publicKey)),
    entries: entries.map(describeReceipted),
  });
}

function described({ changes }: KeyRequest): readonly string[] {
  return changes.map((each) => describeChange(each));
}

function signersOf({ changes, threshold }: KeyRequest): number {
  return Math.min(...changes.map((each) => (each.statement ? threshold : each.approvals.length)));
}

function state(request: KeyRequest): string {
  const signers = signersOf(request);
  return signers >= request.threshold
    ? 'approved by enough recovery keys: author keys submit puts it on the ledger'
    : `approved by ${signers} of ${request.threshold} recovery keys that it takes`;
}

function requestJson(request: KeyRequest, file: string): Readonly<Record<string, unknown>> {
  const kinds = request.changes.map(({ kind }) => kind);
  const { author, threshold } = request;
  return { author, changes: kinds, approved: signersOf(request), threshold, file };
}
