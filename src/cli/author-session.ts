/** What the author's commands begin with: the folder, the unlocked key, the network. */
import { openAuthor, requireRoot, unlockAuthor, type Author } from '../author/author.ts';
import { classIdOf, vendorIdOf } from '../author/identifiers.ts';
import { openAuthorNetwork } from '../author/policies.ts';
import type { Session } from '../author/publish.ts';
import { outsideKey, readPublicKey } from '../author/outside-signer.ts';
import { describeReceipted, type Receipted } from '../author/registration.ts';
import { equal } from '../bytes.ts';
import { thumbprint } from '../cose/key.ts';
import type { SigningKey } from '../crypto/key.ts';
import { check } from '../errors.ts';
import { lineOf, parseLineText, type Line } from '../registry/line.ts';
import type { Root } from '../registry/root.ts';
import { wrong, type Arguments } from './arguments.ts';
import { passphraseOf } from './passphrase.ts';

/** POSIX seconds of this machine. */
export const systemClock = (): number => Math.floor(Date.now() / 1000);

export function openFolder(given: Arguments): Promise<Author> {
  return openAuthor(given.text('dir') ?? 'author', systemClock);
}

/** Unlocks the author and runs with its connections open. */
export async function withSession<T>(
  given: Arguments,
  run: (session: Session, root: Root) => Promise<T>,
): Promise<T> {
  const opened = await openFolder(given);
  await requireRoot(opened);
  const key = await signingKey(given, opened);
  await using network = await openAuthorNetwork(opened);
  return run({ author: opened, network, key, patience: patienceOf(given) }, network.root);
}

/** The options of every command that signs as an author. */
export const SIGNING: readonly string[] = ['dir', 'passphrase-file', 'signer', 'signer-key'];

/** The author's release key: of its key file, or held by the program that --signer names. */
export async function signingKey(given: Arguments, opened: Author): Promise<SigningKey> {
  const command = given.text('signer');
  const keyFile = given.text('signer-key');
  if (command === undefined && keyFile === undefined) {
    const passphrase = await passphraseOf(given, `Passphrase of ${opened.name}: `);
    return (await unlockAuthor(opened, passphrase)).key;
  }
  if (command === undefined) return wrong('--signer-key is for --signer');
  const publicKey = keyFile === undefined ? opened.publicKey : await readPublicKey(keyFile);
  const own = equal(thumbprint(publicKey), thumbprint(opened.publicKey));
  check(own, 'AUTHOR_FILE_INVALID', 'the signer key is not the release key of this author');
  return outsideKey(command, publicKey);
}

export function patienceOf(given: Arguments): Session['patience'] {
  return { timeoutMs: given.count('timeout', 120) * 1000 };
}

/** The author's line that --vendor, --class and --track name, or any by its text in --line. */
export function lineOption(given: Arguments, id: Uint8Array): Line {
  const text = given.text('line');
  if (text !== undefined) return parseLineText(text);
  const vendor = vendorIdOf(given.required('vendor'));
  const track = given.text('track') ?? 'stable';
  return lineOf({ author: id, vendor, class: classIdOf(vendor, given.required('class')), track });
}

/** A line for people about a statement that is on the ledger. */
export function receiptedLine(entry: Receipted): string {
  const { kind, index, size } = describeReceipted(entry);
  return `${kind}: entry ${index} of the ledger, receipt verified (size ${size})`;
}
