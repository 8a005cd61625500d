/** Verified images on the gateway's disk, by SHA-256: a download becomes one only when its digest is right. */
import { join } from 'node:path';
import { readdir, stat } from 'node:fs/promises';
import { createHash } from '#crypto';
import { hex } from '../bytes.ts';
import { check } from '../errors.ts';
import { downloadImage, type ImageSource } from '../reader/download.ts';
import { diskFiles, type Files } from '../reader/files.ts';

export interface StoredImage {
  readonly size: number;
  /** The bytes from `start` to before `end`. */
  read(start: number, end: number): AsyncIterable<Uint8Array>;
}

export interface RepositoryOptions {
  readonly directory: string;
  /** Bytes that all images together may have. */
  readonly limit: number;
  readonly files?: Files;
}

export interface Fetch {
  readonly sources: readonly ImageSource[];
  /** Images that must not make room, asked when room is made. */
  readonly keep: () => ReadonlySet<string>;
  readonly signal?: AbortSignal;
  readonly onProgress?: () => void;
}

export interface Fetched {
  /** Images that made room. */
  readonly removed: readonly string[];
  /** Sources that gave another image. */
  readonly liars: readonly string[];
}

const CHUNK = 256 * 1024;
const HASH = /^[0-9a-f]{64}$/;
const PART = '.part';

export async function openRepository(options: RepositoryOptions): Promise<Repository> {
  const { files = diskFiles, directory } = options;
  await files.makeFolder(directory);
  return new Repository({ ...options, files });
}

export class Repository {
  readonly #options: Required<RepositoryOptions>;
  /** Bytes that downloads under way will have. */
  readonly #running = new Map<string, number>();
  #turn: Promise<unknown> = Promise.resolve();

  constructor(options: Required<RepositoryOptions>) {
    this.#options = options;
  }

  #path(sha256: string): string {
    check(HASH.test(sha256), 'BYTES_MALFORMED', 'not a SHA-256');
    return join(this.#options.directory, sha256);
  }

  async has(sha256: string): Promise<boolean> {
    return (await this.#options.files.size(this.#path(sha256))) !== undefined;
  }

  async open(sha256: string): Promise<StoredImage | undefined> {
    const { files } = this.#options;
    const path = this.#path(sha256);
    const size = await files.size(path);
    if (size === undefined) return undefined;
    return {
      size,
      async *read(start, end) {
        for (let at = start; at < end; at += CHUNK)
          yield await files.read(path, at, Math.min(CHUNK, end - at));
      },
    };
  }

  /** Reads an image again; one that is not what its name says is removed. */
  async isWhole(sha256: string): Promise<boolean> {
    const image = await this.open(sha256);
    if (!image) return false;
    const hash = createHash('SHA-256');
    for await (const bytes of image.read(0, image.size)) hash.update(bytes);
    if (hex(hash.digest()) === sha256) return true;
    await this.#options.files.remove(this.#path(sha256));
    return false;
  }

  /**
   * Fetches an image unless it is here; one fetch an image at a time. What a kill left half written is gone on with.
   * Errors: GATEWAY_STORAGE_FULL, DEVICE_DOWNLOAD_*, DEVICE_CANCELLED.
   */
  async fetch(
    { sha256, size }: { readonly sha256: string; readonly size: number },
    { sources, keep, signal, onProgress }: Fetch,
  ): Promise<Fetched> {
    if (await this.has(sha256)) return { removed: [], liars: [] };
    const { files, directory } = this.#options;
    const removed = await this.#oneByOne(async () => {
      const gone = await this.#makeRoom(sha256, size, keep());
      this.#running.set(sha256, size);
      return gone;
    });
    try {
      const part = this.#path(sha256) + PART;
      if ((await files.size(part)) === undefined) await files.write(part, 0, new Uint8Array());
      const { liars } = await downloadImage({
        files,
        file: part,
        size,
        sha256,
        sources,
        ...(signal && { signal }),
        ...(onProgress && { onProgress }),
      });
      await files.rename(part, this.#path(sha256));
      await files.syncFolder(directory);
      return { removed, liars };
    } finally {
      this.#running.delete(sha256);
    }
  }

  #oneByOne<T>(work: () => Promise<T>): Promise<T> {
    const mine = this.#turn.then(work);
    this.#turn = mine.catch(() => undefined);
    return mine;
  }

  // The oldest images that nobody needs go first, and before them what is left of other downloads.
  async #makeRoom(
    sha256: string,
    size: number,
    keep: ReadonlySet<string>,
  ): Promise<readonly string[]> {
    const { files, limit, directory } = this.#options;
    const listed = await this.#listed();
    const reserved = [...this.#running.values()].reduce((sum, each) => sum + each, 0);
    const others = listed.filter(({ name }) => {
      const image = name.replace(PART, '');
      return !(name.endsWith(PART) && (this.#running.has(image) || image === sha256));
    });
    let used = others.reduce((sum, each) => sum + each.size, reserved);
    const removed: string[] = [];
    for (const { name, size: each } of others) {
      if (used + size <= limit) break;
      if (keep.has(name)) continue;
      await files.remove(join(directory, name));
      used -= each;
      if (!name.endsWith(PART)) removed.push(name);
    }
    check(used + size <= limit, 'GATEWAY_STORAGE_FULL', undefined, { used, size, limit });
    return removed;
  }

  async #listed(): Promise<readonly { readonly name: string; readonly size: number }[]> {
    const { directory } = this.#options;
    const found: { name: string; size: number; at: number }[] = [];
    for (const name of await readdir(directory)) {
      if (!HASH.test(name.replace(PART, ''))) continue;
      // A part that is whole meanwhile has another name by now, and is counted among what runs.
      const there = await stat(join(directory, name)).catch(absent);
      if (there)
        found.push({ name, size: there.size, at: name.endsWith(PART) ? 0 : there.mtimeMs });
    }
    return found.toSorted((a, b) => a.at - b.at);
  }
}

function absent(error: unknown): undefined {
  if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
}
