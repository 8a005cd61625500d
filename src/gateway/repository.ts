/** Verified images on the gateway's disk, by SHA-256: a download becomes one only when its digest is right. */
import { join } from 'node:path';
import { readdir } from 'node:fs/promises';
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

const CHUNK = 256 * 1024;
const HASH = /^[0-9a-f]{64}$/;

export async function openRepository(options: RepositoryOptions): Promise<Repository> {
  const { files = diskFiles, directory } = options;
  await files.makeFolder(directory);
  return new Repository({ ...options, files });
}

export class Repository {
  readonly #options: Required<RepositoryOptions>;
  readonly #running = new Map<string, Promise<void>>();

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

  /**
   * Fetches an image unless it is here. What a kill left half written is gone on with. `keep`: images that must not
   * make room. Errors: GATEWAY_STORAGE_FULL, DEVICE_DOWNLOAD_*.
   */
  async fetch(
    image: { readonly sha256: string; readonly size: number },
    sources: readonly ImageSource[],
    keep: ReadonlySet<string>,
  ): Promise<void> {
    const running = this.#running.get(image.sha256) ?? this.#fetch(image, sources, keep);
    this.#running.set(image.sha256, running);
    try {
      await running;
    } finally {
      this.#running.delete(image.sha256);
    }
  }

  async #fetch(
    { sha256, size }: { readonly sha256: string; readonly size: number },
    sources: readonly ImageSource[],
    keep: ReadonlySet<string>,
  ): Promise<void> {
    if (await this.has(sha256)) return;
    const { files, directory } = this.#options;
    await this.#makeRoom(size, keep);
    const part = `${this.#path(sha256)}.part`;
    if ((await files.size(part)) === undefined) await files.write(part, 0, new Uint8Array());
    await downloadImage({ files, file: part, size, sha256, sources });
    await files.rename(part, this.#path(sha256));
    await files.syncFolder(directory);
  }

  // The oldest images that nobody needs go first.
  async #makeRoom(size: number, keep: ReadonlySet<string>): Promise<void> {
    const { files, limit, directory } = this.#options;
    const images = (await readdir(directory)).filter((name) => HASH.test(name));
    const sizes = new Map<string, number>();
    for (const name of images) sizes.set(name, (await files.size(this.#path(name))) ?? 0);
    let used = [...sizes.values()].reduce((sum, each) => sum + each, 0);
    for (const [name, each] of sizes) {
      if (used + size <= limit) break;
      if (keep.has(name)) continue;
      await files.remove(this.#path(name));
      used -= each;
    }
    check(used + size <= limit, 'GATEWAY_STORAGE_FULL', undefined, { used, size, limit });
  }
}
