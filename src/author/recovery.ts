/** Changing an author's keys (T01): what is asked of the recovery keys, and what its folder holds afterwards. */
import { join } from 'node:path';
import { equal, hex } from '../bytes.ts';
import { decode } from '../cbor/decode.ts';
import { asMap } from '../cbor/read.ts';
import { decodeKey, thumbprint } from '../cose/key.ts';
import type { Curve, PublicKey } from '../crypto/key.ts';
import { check, codeOf, fail } from '../errors.ts';
import type { Random } from '../random.ts';
import { parseRotation } from '../registry/rules/key-rotate.ts';
import {
  NEXT_KEY,
  newKey,
  placeKey,
  RELEASE_KEY,
  saveAuthor,
  type Author,
  type RecoveryKey,
} from './author.ts';
import { createFile, readBounded, readIfThere, removeFile } from './durable-file.ts';
import {
  newRequest,
  signedStatements,
  type KeyChange,
  type KeyRequest,
  type RecoverySet,
} from './key-changes.ts';
import { encodeRequest, readRequest, writeRequest } from './key-request-file.ts';
import { createKeyFile, openKeyFile } from './keys.ts';
import type { Cost } from './sealed-file.ts';
import type { Network, Patience } from './network.ts';
import { register, type Receipted, type RegistrationEvents } from './registration.ts';

const MAX_KEY_FILE = 8192;
const UNDER_WAY = 'key-request.json';

/** How new key files are made. */
export interface KeyMaking {
  readonly passphrase: string;
  readonly random: Random;
  readonly curve?: Curve;
  readonly cost?: Cost;
}

/**
 * The public key of the next release key: in a file of its own, which takes the place of the present one when
 * its rotation is on the ledger. One that is there from a rotation that was cut off is used again.
 * Errors: AUTHOR_PASSPHRASE_WRONG, AUTHOR_PASSPHRASE_EMPTY.
 */
export async function prepareReleaseKey(author: Author, making: KeyMaking): Promise<PublicKey> {
  await placeKey(author);
  const path = join(author.directory, NEXT_KEY);
  if (await readIfThere(path, MAX_KEY_FILE))
    return (await openKeyFile(path, making.passphrase)).publicKey;
  const key = newKey(making.curve ?? author.publicKey.curve, making.random);
  await createKeyFile(path, key, making.passphrase, making);
  return key.publicKey;
}

/** New recovery keys, each in a file that is named after its key. Errors: AUTHOR_INVALID. */
export async function prepareRecovery(
  author: Author,
  count: number,
  threshold: number,
  making: KeyMaking,
): Promise<RecoverySet> {
  check(count >= 1 && count <= 8, 'AUTHOR_INVALID', '1 to 8 recovery keys');
  check(threshold >= 1 && threshold <= count, 'AUTHOR_INVALID', 'threshold beyond the keys');
  const keys: PublicKey[] = [];
  for (let i = 0; i < count; i++) {
    const key = newKey(making.curve ?? author.publicKey.curve, making.random);
    const path = join(author.directory, recoveryFile(key.publicKey));
    await createKeyFile(path, key, making.passphrase, making);
    keys.push(key.publicKey);
  }
  return { keys, threshold };
}

export function recoveryFile(key: PublicKey): string {
  return `recovery-${hex(thumbprint(key)).slice(0, 8)}.key`;
}

/** A request for the author's changes, with fresh counters; nobody has approved it yet. */
export async function requestChanges(
  author: Author,
  networkId: Uint8Array,
  changes: readonly KeyChange[],
): Promise<KeyRequest> {
  const { recovery, threshold } = author;
  const keys = recovery.map(({ publicKey }) => publicKey);
  const counters = await author.counters.next(changes.length);
  return newRequest(author.id, networkId, { keys, threshold }, changes, counters);
}

/** A request that was being submitted when something cut it off. */
export async function requestUnderWay(author: Author): Promise<KeyRequest | undefined> {
  const path = join(author.directory, UNDER_WAY);
  return (await readIfThere(path, 1 << 18)) && readRequest(path);
}

/**
 * Puts an approved request on the ledger, all its statements in one block, and then has the folder follow.
 * Given again after it was cut off it posts the same statements.
 * Errors: RECOVERY_THRESHOLD, AUTHOR_NETWORK, AUTHOR_REQUEST_UNFINISHED, refusals of the registry, AUTHOR_TIMEOUT.
 */
export async function submitRequest(
  author: Author,
  network: Network,
  request: KeyRequest,
  patience: Patience,
  events: RegistrationEvents = {},
): Promise<readonly Receipted[]> {
  const own = request.author === hex(author.id);
  check(own, 'AUTHOR_FILE_INVALID', 'the request is for another author');
  check(request.network === hex(network.root.networkId), 'AUTHOR_NETWORK');
  const group = signedStatements(request).map((statement) => ({ statement, attachment: null }));
  const path = join(author.directory, UNDER_WAY);
  const before = await requestUnderWay(author);
  const same = !before || encodeRequest(before) === encodeRequest(request);
  check(same, 'AUTHOR_REQUEST_UNFINISHED');
  await writeRequest(path, request);
  try {
    const { entries } = await register(network, group, patience, events);
    await settle(author, request);
    await removeFile(path);
    return entries;
  } catch (error) {
    const code = codeOf(error);
    const open = code === undefined || code === 'AUTHOR_TIMEOUT' || code === 'NET_ABORTED';
    // Refused: it is on no ledger and never will be.
    if (!open) await removeFile(path);
    throw error;
  }
}

/** Has the folder follow the rotations of a request. Each step may have been done before. */
async function settle(author: Author, request: KeyRequest): Promise<void> {
  for (const { kind, body } of request.changes) {
    if (kind !== 'key.rotate') continue;
    const rotation = parseRotation(asMap(decode(body, { maxBytes: 8192 }), 'body'));
    const publicKey = decodeKey(rotation.keys[0] ?? fail('AUTHOR_FILE_INVALID'));
    const recovery = rotation.next
      ? rotation.next.recovery.map((key): RecoveryKey => named(decodeKey(key)))
      : author.recovery;
    const threshold = rotation.next?.threshold ?? author.threshold;
    await settleRotation({ ...author, publicKey, recovery, threshold }, author);
  }
}

function named(publicKey: PublicKey): RecoveryKey {
  return { file: recoveryFile(publicKey), publicKey };
}

async function settleRotation(next: Author, before: Author): Promise<void> {
  const { directory } = before;
  const changed = !equal(thumbprint(next.publicKey), thumbprint(before.publicKey));
  const retired = changed ? [...before.retired, before.publicKey] : before.retired;
  const current = await readIfThere(join(directory, RELEASE_KEY), MAX_KEY_FILE);
  if (changed && current)
    await keepOld(join(directory, `release.key.old-${retired.length}`), current);
  await saveAuthor({ ...next, retired });
  await placeKey({ ...next, retired });
}

// Kept and not used: whoever asks which key signed an old release finds it.
async function keepOld(path: string, bytes: Uint8Array): Promise<void> {
  try {
    await createFile(path, bytes);
  } catch (error) {
    if (codeOf(error) !== 'AUTHOR_FILE_EXISTS') throw error;
    check(
      equal(await readBounded(path, MAX_KEY_FILE), bytes),
      'AUTHOR_FILE_EXISTS',
      `${path} is another key`,
    );
  }
}
