/**
 * Fetches an image into a file from several sources, none of which is trusted: what is on the storage
 * is resumed, the digest decides, and a source that lied is named and not asked again.
 */
import { createHash } from '#crypto';
import { hex } from '../bytes.ts';
import { codeOf, fail } from '../errors.ts';
import type { Files } from './files.ts';

/** Bytes of the image from `offset` on, `length` of them. Ends early or throws when it can't. */
export interface ImageSource {
  readonly name: string;
  read(offset: number, length: number, signal: AbortSignal): AsyncIterable<Uint8Array>;
}

export interface DownloadOptions {
  readonly files: Files;
  readonly file: string;
  /** Bytes. */
  readonly size: number;
  /** 64 hex digits. */
  readonly sha256: string;
  /** In order of preference. */
  readonly sources: readonly ImageSource[];
  readonly signal?: AbortSignal;
  readonly onProgress?: (done: number, source: string) => void;
  /** Milliseconds without a byte after which a source is given up. */
  readonly idleMs?: number;
  /** Bytes a second, averaged over more than `idleMs`, below which a source is given up. */
  readonly slowest?: number;
}

export interface DownloadReport {
  /** Where this download went on. */
  readonly resumedAt: number;
  /** Bytes by source, of the attempt that succeeded. */
  readonly taken: ReadonlyMap<string, number>;
  /** Sources that alone gave an image with another digest. */
  readonly liars: readonly string[];
  /** What went wrong on the way. */
  readonly faults: readonly { readonly source: string; readonly reason: string }[];
}

const ROUNDS = 3;
const SYNC_EVERY = 4 * 1024 * 1024;
const CHUNK = 256 * 1024;

/**
 * The file holds the image, synced, when this returns; the caller reads it back before use.
 * Errors: DEVICE_DOWNLOAD_FAILED (the part that came stays, to be resumed), DEVICE_DOWNLOAD_MISMATCH
 * (nothing stays), DEVICE_CANCELLED.
 */
export async function downloadImage(options: DownloadOptions): Promise<DownloadReport> {
  const { files, file, size, sha256, sources } = options;
  const faults: { source: string; reason: string }[] = [];
  const liars = new Set<string>();
  const part = await openPart(files, file, size);
  const resumedAt = part.at;
  let mixed = part.at > 0; // bytes in the part that no source of this attempt answers for
  let alone = false; // after a mixed image was wrong every source has to give all of it

  for (let round = 0; round < ROUNDS;) {
    for (const source of sources) {
      if (liars.has(source.name) || part.at === size) continue;
      if (alone && part.at > 0 && !part.taken.has(source.name)) await part.reset();
      const reason = await take(part, source, options);
      if (reason !== undefined) faults.push({ source: source.name, reason });
    }
    if (part.at < size) {
      round++;
      continue;
    }
    await files.sync(file);
    if (part.digest() === sha256) {
      return { resumedAt, taken: part.taken, liars: [...liars], faults };
    }
    const [only] = part.taken.keys();
    if (!mixed && part.taken.size === 1 && only !== undefined) liars.add(only);
    else alone = true;
    mixed = false;
    faults.push({ source: [...part.taken.keys()].join(', '), reason: 'DEVICE_DOWNLOAD_MISMATCH' });
    await part.reset();
    if (sources.every((source) => liars.has(source.name))) break;
  }
  const details = { size, have: part.at, faults: summary(faults) };
  if (liars.size > 0 && sources.every((source) => liars.has(source.name)))
    return fail('DEVICE_DOWNLOAD_MISMATCH', undefined, details);
  await files.sync(file);
  return fail('DEVICE_DOWNLOAD_FAILED', undefined, details);
}

interface Part {
  readonly at: number;
  readonly taken: ReadonlyMap<string, number>;
  append(bytes: Uint8Array, source: string): Promise<void>;
  /** SHA-256 in hex of what is there; call it once, at the end. */
  digest(): string;
  reset(): Promise<void>;
}

async function openPart(files: Files, file: string, size: number): Promise<Part> {
  let hash = createHash('SHA-256');
  let at = (await files.size(file)) ?? 0;
  let synced = 0;
  const taken = new Map<string, number>();
  const reset = async (): Promise<void> => {
    await files.truncate(file, 0);
    await files.sync(file);
    hash = createHash('SHA-256');
    at = 0;
    synced = 0;
    taken.clear();
  };
  if (at > size) await reset();
  for (let from = 0; from < at; from += CHUNK)
    hash.update(await files.read(file, from, Math.min(CHUNK, at - from)));
  return {
    get at() {
      return at;
    },
    taken,
    async append(bytes, source) {
      await files.write(file, at, bytes);
      hash.update(bytes);
      at += bytes.length;
      taken.set(source, (taken.get(source) ?? 0) + bytes.length);
      if (at - synced >= SYNC_EVERY) {
        await files.sync(file);
        synced = at;
      }
    },
    digest: () => hex(hash.digest()),
    reset,
  };
}

/** Takes from one source what it gives; returns why it stopped early, if it did. */
async function take(
  part: Part,
  source: ImageSource,
  options: DownloadOptions,
): Promise<string | undefined> {
  const { size, signal, idleMs = 15_000, slowest = 1024 } = options;
  const stop = new AbortController();
  const combined = signal ? AbortSignal.any([signal, stop.signal]) : stop.signal;
  const began = performance.now();
  const from = part.at;
  let chunks: AsyncIterator<Uint8Array> | undefined;
  let ourFault = false;
  try {
    refuseIfCancelled(signal);
    chunks = source.read(part.at, size - part.at, combined)[Symbol.asyncIterator]();
    while (part.at < size) {
      const next = await within(chunks.next(), idleMs, combined);
      if (next.done) return 'it ended early';
      if (next.value.length === 0) return 'it sent nothing';
      // Never more than the image has, whatever the source sends.
      const bytes = next.value.subarray(0, size - part.at);
      ourFault = true;
      await part.append(bytes, source.name);
      ourFault = false;
      options.onProgress?.(part.at, source.name);
      // A source that drips would hold an update back for ever.
      const elapsed = performance.now() - began;
      if (elapsed > idleMs && ((part.at - from) * 1000) / elapsed < slowest)
        return 'it is too slow';
    }
    return undefined;
  } catch (error) {
    if (ourFault) throw error;
    refuseIfCancelled(signal);
    return codeOf(error) ?? (error instanceof Error ? error.message : 'unknown');
  } finally {
    stop.abort();
    chunks?.return?.().catch(() => undefined);
  }
}

function refuseIfCancelled(signal: AbortSignal | undefined): void {
  if (signal?.aborted) fail('DEVICE_CANCELLED');
}

async function within<T>(promise: Promise<T>, ms: number, signal: AbortSignal): Promise<T> {
  promise.catch(() => undefined); // it may lose the race and fail later
  let give = (_reason: string): void => undefined;
  const end = new Promise<never>((_, reject) => {
    give = (reason) => reject(new Error(reason));
  });
  const idle = setTimeout(() => give('it gave nothing in time'), ms);
  const stopped = (): void => give('stopped');
  signal.addEventListener('abort', stopped, { once: true });
  if (signal.aborted) stopped();
  try {
    return await Promise.race([promise, end]);
  } finally {
    clearTimeout(idle);
    signal.removeEventListener('abort', stopped);
  }
}

function summary(faults: readonly { source: string; reason: string }[]): string {
  return faults
    .slice(-8)
    .map(({ source, reason }) => `${source}: ${reason}`)
    .join('; ');
}
