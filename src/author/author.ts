/** An author's folder: who it is, its key files, the network it publishes to (docs/spec/author-files.md). */
import { join } from 'node:path';
import { privateKey } from '#crypto';
import { equal, fromHex, hex } from '../bytes.ts';
import type { Clock } from '../clock.ts';
import { encodeKey, thumbprint, decodeKey } from '../cose/key.ts';
import type { Curve, PrivateKey, PublicKey } from '../crypto/key.ts';
import { check, codeOf, fail } from '../errors.ts';
import type { Random } from '../random.ts';
import { preSharedKey, PSK_BYTES, PSK_ID_BYTES, type PreSharedKey } from '../registry/psk.ts';
import { parseRoot, type Root } from '../registry/root.ts';
import { openCounters, type Counters } from './counters.ts';
import { createFile, readBounded, readIfThere, renameFile, replaceFile } from './durable-file.ts';
import { isObject, listField, numberField, parseJson, textField } from './json-file.ts';
import { createKeyFile, openKeyFile, readKeyFile } from './keys.ts';
import { createPskFile, openPskFile, PSK_FILE } from './psk-file.ts';
import type { Cost } from './sealed-file.ts';

export interface RecoveryKey {
  readonly file: string;
  readonly publicKey: PublicKey;
}

/** What the folder says without any passphrase. */
export interface Author {
  readonly directory: string;
  readonly name: string;
  /** Author id, 32 bytes. */
  readonly id: Uint8Array;
  /** Of the release key that signs now; the first one's thumbprint is the author id. */
  readonly publicKey: PublicKey;
  /** Release keys that were rotated away, oldest first. */
  readonly retired: readonly PublicKey[];
  readonly recovery: readonly RecoveryKey[];
  readonly threshold: number;
  /** The key id of the PSK that a PSK author shares with its devices (T07). */
  readonly psk?: Uint8Array;
  readonly counters: Counters;
}

const TYPE = 'firmament/author/v1';
const AUTHOR_FILE = 'author.json';
export const RELEASE_KEY = 'release.key';
/** The next release key, until its rotation is on the ledger. */
export const NEXT_KEY = 'release.key.new';
/** What devices are provisioned with: the first release key, whose thumbprint is the author id. */
export const ANCHOR_FILE = 'release.pub';
const ROOT_FILE = 'root.cbor';
const MAX_AUTHOR_FILE = 65_536;
const MAX_ROOT = 1 << 20;
const MAX_RECOVERY = 8;
const MAX_RETIRED = 1024;

/**
 * Makes a new author: a release key, and recovery keys in files of their own (T01). Recovery keys belong
 * offline: whoever calls this tells the person to move them. Nothing is ever overwritten.
 * Errors: AUTHOR_FILE_EXISTS, AUTHOR_INVALID, AUTHOR_PASSPHRASE_EMPTY.
 */
export async function createAuthor(options: {
  readonly directory: string;
  readonly name: string;
  readonly curve?: Curve;
  readonly recoveryKeys?: number;
  readonly threshold?: number;
  /** The release key, when another device holds it: no key file is made for it. */
  readonly releaseKey?: PublicKey;
  /** Makes a PSK author (T07), with a PSK in a file of its own. */
  readonly psk?: boolean;
  readonly passphrase: string;
  /** Of the recovery keys; the release key's unless given. */
  readonly recoveryPassphrase?: string;
  readonly random: Random;
  readonly clock: Clock;
  readonly cost?: Cost;
}): Promise<Author> {
  const { directory, name, curve = 'P-256', recoveryKeys = 1, passphrase, random } = options;
  const threshold = options.threshold ?? Math.floor(recoveryKeys / 2) + 1;
  check(
    recoveryKeys >= 1 && recoveryKeys <= MAX_RECOVERY,
    'AUTHOR_INVALID',
    '1 to 8 recovery keys',
  );
  check(threshold >= 1 && threshold <= recoveryKeys, 'AUTHOR_INVALID', 'threshold beyond the keys');
  checkName(name);
  const existing = await readIfThere(join(directory, AUTHOR_FILE), MAX_AUTHOR_FILE);
  check(existing === undefined, 'AUTHOR_FILE_EXISTS', `${directory} has an author already`);
  const sealing = { random, ...(options.cost && { cost: options.cost }) };
  let publicKey = options.releaseKey;
  if (!publicKey) {
    const key = newKey(curve, random);
    await createKeyFile(join(directory, RELEASE_KEY), key, passphrase, sealing);
    ({ publicKey } = key);
  }
  const recovery: RecoveryKey[] = [];
  for (let i = 1; i <= recoveryKeys; i++) {
    const file = `recovery-${i}.key`;
    const spare = newKey(curve, random);
    const own = options.recoveryPassphrase ?? passphrase;
    await createKeyFile(join(directory, file), spare, own, sealing);
    recovery.push({ file, publicKey: spare.publicKey });
  }
  await createFile(join(directory, ANCHOR_FILE), encodeKey(publicKey), 0o644);
  let psk: Uint8Array | undefined;
  if (options.psk === true) {
    const shared = preSharedKey(random(PSK_BYTES));
    await createPskFile(join(directory, PSK_FILE), shared, passphrase, sealing);
    psk = shared.keyId;
  }
  const id = thumbprint(publicKey);
  const fields = { name, id, publicKey, retired: [], recovery, threshold };
  const text = authorJson({ ...fields, ...(psk && { psk }) });
  await createFile(join(directory, AUTHOR_FILE), text);
  return openAuthor(directory, options.clock);
}

type AuthorFields = Omit<Author, 'directory' | 'counters'>;

function authorJson(author: AuthorFields): string {
  const { name, id, publicKey, retired, recovery, threshold, psk } = author;
  const shown = (key: PublicKey): string => hex(encodeKey(key));
  const file = {
    type: TYPE,
    name,
    id: hex(id),
    publicKey: shown(publicKey),
    retired: retired.map(shown),
    recovery: recovery.map((spare) => ({ file: spare.file, publicKey: shown(spare.publicKey) })),
    threshold,
    ...(psk && { psk: hex(psk) }),
  };
  return `${JSON.stringify(file, null, 2)}\n`;
}

/** Writes what the folder says of its keys from now on. Durable once it returns. */
export async function saveAuthor(author: Author): Promise<void> {
  await replaceFile(join(author.directory, AUTHOR_FILE), authorJson(author));
}

// As the registry will read it: an author that could never register is not made.
function checkName(name: string): void {
  const fits = name.length > 0 && new TextEncoder().encode(name).length <= 64;
  check(
    fits && !/\p{C}/u.test(name),
    'AUTHOR_INVALID',
    'a name has 1 to 64 bytes, none of control',
  );
}

/** A key of this curve from chance. */
export function newKey(curve: Curve, random: Random): PrivateKey {
  for (let attempt = 0; attempt < 8; attempt++) {
    try {
      return privateKey(curve, random(32));
    } catch (error) {
      // One in 2^32 random scalars lies beyond the order of P-256.
      if (codeOf(error) === undefined) throw error;
    }
  }
  return fail('CRYPTO_KEY_INVALID');
}

/** Errors: AUTHOR_FILE_INVALID, and the file system's own when there is no such author. */
export async function openAuthor(directory: string, clock: Clock): Promise<Author> {
  const json = parseJson(await readBounded(join(directory, AUTHOR_FILE), MAX_AUTHOR_FILE), TYPE);
  try {
    const keyOf = (value: unknown): PublicKey =>
      typeof value === 'string' ? decodeKey(fromHex(value)) : fail('AUTHOR_FILE_INVALID');
    const retired = listField(json, 'retired').map(keyOf);
    check(retired.length <= MAX_RETIRED, 'AUTHOR_FILE_INVALID', 'too many keys');
    const recovery = listField(json, 'recovery').map((entry): RecoveryKey => {
      if (!isObject(entry)) return fail('AUTHOR_FILE_INVALID', 'not a recovery key');
      const file = textField(entry, 'file');
      return { file, publicKey: decodeKey(fromHex(textField(entry, 'publicKey'))) };
    });
    return {
      directory,
      name: textField(json, 'name'),
      id: fromHex(textField(json, 'id'), 32),
      publicKey: keyOf(json['publicKey']),
      retired,
      recovery,
      threshold: numberField(json, 'threshold', 1, MAX_RECOVERY),
      ...(json['psk'] !== undefined && { psk: fromHex(textField(json, 'psk'), PSK_ID_BYTES) }),
      counters: openCounters(directory, clock),
    };
  } catch (cause) {
    if (codeOf(cause) === 'AUTHOR_FILE_INVALID') throw cause;
    return fail('AUTHOR_FILE_INVALID', 'not an author file', {}, cause);
  }
}

/**
 * Pins the network that this author publishes to; another one is never put in its place.
 * Errors: POLICY_*, AUTHOR_NETWORK, AUTHOR_PSK_FORBIDDEN.
 */
export async function pinRoot(author: Author, bytes: Uint8Array): Promise<Root> {
  const root = parseRoot(bytes);
  const pinned = await pinnedRoot(author);
  if (!pinned) {
    checkPskAllowed(author, root);
    await createFile(join(author.directory, ROOT_FILE), bytes);
    return root;
  }
  check(equal(pinned.networkId, root.networkId), 'AUTHOR_NETWORK', 'another network is pinned');
  // An earlier one leads to the pinned one; a later one is taken only by its governance's signatures (T08).
  check(
    root.policy.version < pinned.policy.version || equal(pinned.bytes, root.bytes),
    'AUTHOR_NETWORK',
    'another policy of this network is pinned',
  );
  return pinned;
}

/** A PSK author has no place in a network without PSK authors (T07). Errors: AUTHOR_PSK_FORBIDDEN. */
export function checkPskAllowed({ psk }: Pick<Author, 'psk'>, { policy }: Root): void {
  check(
    psk === undefined || policy.pskAuthors,
    'AUTHOR_PSK_FORBIDDEN',
    'the author was made with --psk, and this network has no PSK authors: only one of mode private may allow them',
  );
}

/** Keeps a root that follows the pinned one (T08): only ever forward. Durable once it returns. Errors: AUTHOR_NETWORK. */
export async function keepRoot(author: Author, root: Root): Promise<void> {
  const pinned = await requireRoot(author);
  check(equal(pinned.networkId, root.networkId), 'AUTHOR_NETWORK', 'another network is pinned');
  if (root.policy.version > pinned.policy.version)
    await replaceFile(join(author.directory, ROOT_FILE), root.bytes);
}

/** The pinned root, or undefined before `pinRoot`. Errors: POLICY_*. */
export async function pinnedRoot(author: Author): Promise<Root | undefined> {
  const bytes = await readIfThere(join(author.directory, ROOT_FILE), MAX_ROOT);
  return bytes && parseRoot(bytes);
}

/** The pinned root. Errors: AUTHOR_NETWORK. */
export async function requireRoot(author: Author): Promise<Root> {
  return (
    (await pinnedRoot(author)) ?? fail('AUTHOR_NETWORK', 'no network is pinned: register first')
  );
}

/** Errors: AUTHOR_PASSPHRASE_WRONG, AUTHOR_FILE_INVALID. */
export async function unlockAuthor(
  author: Author,
  passphrase: string,
): Promise<{ readonly key: PrivateKey; readonly author: Uint8Array }> {
  await placeKey(author);
  const key = await openKeyFile(join(author.directory, RELEASE_KEY), passphrase);
  const own = equal(thumbprint(key.publicKey), thumbprint(author.publicKey));
  check(own, 'AUTHOR_FILE_INVALID', 'the release key is not that of this author');
  return { key, author: author.id };
}

/** The PSK of a PSK author; undefined: it is none. Errors: AUTHOR_PASSPHRASE_WRONG, AUTHOR_FILE_INVALID. */
export async function unlockPsk(
  author: Author,
  passphrase: string,
): Promise<PreSharedKey | undefined> {
  if (!author.psk) return undefined;
  const psk = await openPskFile(join(author.directory, PSK_FILE), passphrase);
  check(equal(psk.keyId, author.psk), 'AUTHOR_FILE_INVALID', 'the PSK is not that of this author');
  return psk;
}

/** The last step of a rotation, which may have been cut off: the next key is the key once the author file says so. */
export async function placeKey(author: Author): Promise<void> {
  const next = join(author.directory, NEXT_KEY);
  if (!(await readIfThere(next, MAX_AUTHOR_FILE))) return;
  const { publicKey } = await readKeyFile(next);
  if (equal(thumbprint(publicKey), thumbprint(author.publicKey)))
    await renameFile(next, join(author.directory, RELEASE_KEY));
}
