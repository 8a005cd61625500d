/** What the author's commands begin with: the folder, the unlocked key, the network. */
import { openAuthor, requireRoot, unlockAuthor, type Author } from '../author/author.ts';
import { classIdOf, vendorIdOf } from '../author/identifiers.ts';
import { openNetwork } from '../author/network.ts';
import type { Session } from '../author/publish.ts';
import { describeReceipted, type Receipted } from '../author/registration.ts';
import { lineOf, type Line } from '../registry/line.ts';
import type { Root } from '../registry/root.ts';
import type { Arguments } from './arguments.ts';
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
  const root = await requireRoot(opened);
  const passphrase = await passphraseOf(given, `Passphrase of ${opened.name}: `);
  const { key } = await unlockAuthor(opened, passphrase);
  await using network = openNetwork(root);
  return run({ author: opened, network, key, patience: patienceOf(given) }, root);
}

export function patienceOf(given: Arguments): Session['patience'] {
  return { timeoutMs: given.count('timeout', 120) * 1000 };
}

/** The author's line that --vendor, --class and --track name. */
export function lineOption(given: Arguments, id: Uint8Array): Line {
  const vendor = vendorIdOf(given.required('vendor'));
  const track = given.text('track') ?? 'stable';
  return lineOf({ author: id, vendor, class: classIdOf(vendor, given.required('class')), track });
}

/** A line for people about a statement that is on the ledger. */
export function receiptedLine(entry: Receipted): string {
  const { kind, index, size } = describeReceipted(entry);
  return `${kind}: entry ${index} of the ledger, receipt verified (size ${size})`;
}
