/** The demo's author: the commands that a person at a firm would give. */
import { join } from 'node:path';
import { ANCHOR_FILE, openAuthor, unlockAuthor } from '../../author/author.ts';
import { fromHex } from '../../bytes.ts';
import { parseLineText, type Line } from '../../registry/line.ts';
import type { Json } from '../processes.ts';
import type { Commands } from './commands.ts';

/** A release that the author has published. */
export interface DemoRelease {
  readonly version: string;
  readonly line: Line;
  readonly lineText: string;
  readonly digest: Uint8Array;
  readonly sequence: bigint;
  readonly holders: readonly string[];
  readonly newest: boolean;
}

/** Of every key in the demo. */
export const PASSPHRASE = 'demo';

/** A statement that the author has a receipt for. */
export interface Acknowledged {
  readonly entry: Uint8Array;
  /** Log index. */
  readonly index: number;
}

/** What a release may be installed over, and what leads there (T16). */
export interface Over {
  readonly applies?: readonly [bigint, bigint];
  readonly via?: Uint8Array;
}

export class DemoAuthor {
  readonly vendor = 'acme.example';
  readonly #folder: string;
  readonly #commands: Commands;
  readonly #onLog: (line: string) => void;
  readonly #acknowledged: Acknowledged[] = [];

  constructor(folder: string, commands: Commands, onLog: (line: string) => void) {
    this.#folder = folder;
    this.#commands = commands;
    this.#onLog = onLog;
  }

  get #directory(): string {
    return join(this.#folder, 'author');
  }

  /** Everything that it has a receipt for. */
  get acknowledged(): readonly Acknowledged[] {
    return this.#acknowledged;
  }

  /** The public key that makers put into devices. */
  get anchor(): string {
    return join(this.#directory, ANCHOR_FILE);
  }

  /** New keys, under a passphrase; the network pinned; its name on the ledger, as an operator's author. */
  async register(rootFile: string, operator: string, operatorKey: string): Promise<Json> {
    await this.#do(['author', 'init', '--name', 'Acme']);
    const proof = ['--operator', operator, '--operator-key', operatorKey];
    const registered = await this.#do(['author', 'register', '--root', rootFile, ...proof]);
    this.#remember([registered]);
    return registered;
  }

  /** Builds, signs and publishes an image for a model; waits until it is available, unless told not to. */
  async publish(
    image: string,
    model: string,
    version: string,
    { applies, via }: Over = {},
    wait = true,
  ): Promise<DemoRelease> {
    const out = join(this.#folder, `${model}-${version}.suit`);
    const hardware = ['--vendor', this.vendor, '--class', model];
    const about = ['--version', version, '--out', out, '--for-publishing'];
    if (applies) about.push('--applies', applies.join('-'));
    if (via) about.push('--via', via.toHex());
    const created = await this.#do(['release', 'create', image, ...hardware, ...about]);
    const publish = ['release', 'publish', out, '--image', image, ...(wait ? [] : ['--no-wait'])];
    const published = await this.#do(publish);
    this.#remember(published['entries'] as readonly Json[]);
    const lineText = String(created['line']);
    return {
      version,
      line: parseLineText(lineText),
      lineText,
      digest: fromHex(String(created['digest'])),
      sequence: BigInt(String(created['sequence'])),
      holders: (published['holders'] as readonly string[] | undefined) ?? [],
      newest: published['newest'] === true,
    };
  }

  /** Builds and signs a release for the maker's own bench: without its consent to publish. Answers the envelope's file. */
  async buildForTests(image: string, model: string, version: string): Promise<string> {
    const out = join(this.#folder, `${model}-${version}.suit`);
    const hardware = ['--vendor', this.vendor, '--class', model];
    await this.#do(['release', 'create', image, ...hardware, '--version', version, '--out', out]);
    return out;
  }

  /** What a thief would have who has its key file and passphrase. */
  async releaseKey(): Promise<Awaited<ReturnType<typeof unlockAuthor>>> {
    return unlockAuthor(await openAuthor(this.#directory, () => 0), PASSPHRASE);
  }

  /** Of the policy that its folder pins. */
  async policyVersion(): Promise<number> {
    return Number((await this.#do(['author', 'show']))['policy']);
  }

  /** Withdraws a release; nothing below `lowest` is installed any more. */
  async withdraw(release: DemoRelease, lowest: bigint): Promise<Json> {
    const what = ['--digest', release.digest.toHex(), '--line', release.lineText];
    const why = ['--lowest', lowest.toString(), '--reason', 'a hole in its web server'];
    return this.#do(['release', 'withdraw', ...what, ...why]);
  }

  #remember(receipted: readonly Json[]): void {
    for (const { entry, index } of receipted)
      this.#acknowledged.push({ entry: fromHex(String(entry)), index: Number(index) });
  }

  #do(args: readonly string[]): Promise<Json> {
    return this.#commands.answer([...args, '--dir', this.#directory], { onLog: this.#onLog });
  }
}
