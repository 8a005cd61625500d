/** The snapshots that this node gives: the newest two, each in a folder of its own, written every so many blocks. */
import { mkdirSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fromHex, hex, text, utf8 } from '../../bytes.ts';
import { codeOf } from '../../errors.ts';
import type { Logger } from '../../logger.ts';
import { readIfThere, replaceDurably } from '../durable-file.ts';
import type { Replica } from '../replica.ts';
import { readChunk, writeSnapshot } from '../snapshot-export.ts';

export interface GivenSnapshot {
  /** The engine's height after which it was made, and ours. */
  readonly height: number;
  readonly ledger: number;
  /** SHA-256 of each chunk. */
  readonly digests: readonly Uint8Array[];
  readonly folder: string;
}

export interface SnapshotFolderOptions {
  readonly path: string;
  readonly chain: number;
  readonly replica: Replica;
  readonly logger: Logger;
  /** Our blocks from one to the next. */
  readonly every: number;
}

const KEPT = 2;
const FACTS = /^([0-9]{1,9})\.json$/;

export class SnapshotFolder {
  readonly #options: SnapshotFolderOptions;
  /** Newest first. */
  #given: readonly GivenSnapshot[];
  #next: number;
  #writing: Promise<void> | undefined;

  constructor(options: SnapshotFolderOptions) {
    this.#options = options;
    mkdirSync(options.path, { recursive: true, mode: 0o700 });
    const numbers = readdirSync(options.path)
      .map((name) => Number(FACTS.exec(name)?.[1] ?? Number.NaN))
      .filter((number) => !Number.isNaN(number))
      .toSorted((a, b) => b - a);
    this.#next = (numbers[0] ?? 0) + 1;
    this.#given = numbers
      .map((number) => this.#read(number))
      .filter((snapshot) => snapshot !== undefined);
    this.#tidy();
  }

  /** Newest first. */
  all(): readonly GivenSnapshot[] {
    return this.#given;
  }

  /** Undefined when there is none, or no longer. */
  chunk(height: number, index: number): Uint8Array | undefined {
    const snapshot = this.#given.find((each) => each.height === height);
    if (!snapshot || index < 0 || index >= snapshot.digests.length) return undefined;
    return readChunk(snapshot.folder, index);
  }

  /** After a block of ours: writes one when it is time, while everything else goes on. */
  committed(height: number): void {
    const last = this.#given[0]?.ledger ?? 0;
    if (this.#writing || height < last + this.#options.every) return;
    this.#writing = this.#write().finally(() => (this.#writing = undefined));
  }

  /** After what is being written. */
  async settled(): Promise<void> {
    await this.#writing;
  }

  async #write(): Promise<void> {
    const { path, replica, logger, chain } = this.#options;
    const number = this.#next++;
    const folder = join(path, String(number));
    try {
      const { height, head, chunks } = await writeSnapshot(replica, folder);
      const facts = { chain, height, ledger: head.height, digests: chunks.map(hex) };
      replaceDurably(join(path, `${number}.json`), utf8(JSON.stringify(facts)));
      this.#given = [{ height, ledger: head.height, digests: chunks, folder }, ...this.#given];
      this.#tidy();
      logger.info('snapshot written', { height: head.height, chunks: chunks.length });
    } catch (error) {
      logger.warn('no snapshot could be written', { code: codeOf(error), error });
    }
  }

  #read(number: number): GivenSnapshot | undefined {
    const { path, chain } = this.#options;
    const bytes = readIfThere(join(path, `${number}.json`));
    const folder = join(path, String(number));
    try {
      const facts = JSON.parse(text(bytes ?? new Uint8Array(0))) as Record<string, unknown>;
      const digests = (facts['digests'] as readonly string[]).map((each) => fromHex(each, 32));
      const [height, ledger] = [Number(facts['height']), Number(facts['ledger'])];
      const whole = digests.every((_, index) => readChunk(folder, index) !== undefined);
      return facts['chain'] === chain && whole ? { height, ledger, digests, folder } : undefined;
    } catch {
      // A snapshot is only ever a copy: what cannot be read is written again in time.
      return undefined;
    }
  }

  #tidy(): void {
    this.#given = this.#given.slice(0, KEPT);
    const kept = new Set(this.#given.map(({ folder }) => folder));
    for (const name of readdirSync(this.#options.path)) {
      const folder = join(this.#options.path, name.replace(/\..*$/, ''));
      if (!kept.has(folder))
        rmSync(join(this.#options.path, name), { recursive: true, force: true });
    }
  }
}
