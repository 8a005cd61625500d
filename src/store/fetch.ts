/**
 * Gathers an image from several holders at once: each block is asked of one of them and verified before it is
 * kept; a holder that lies is banned, one that fails rests; when nothing is left to ask for, blocks that are
 * slow to come are asked of another one too. See docs/spec/store.md.
 */
import { createHash } from '#crypto';
import { equal } from '../bytes.ts';
import { check, codeOf, fail, FirmamentError } from '../errors.ts';
import { cidText, rawCid, verifyBlock } from './cid.ts';
import type { Holder } from './holder.ts';
import { readImage } from './read.ts';
import type { Store } from './store.ts';
import { checkLayout, chunkSize } from './unixfs.ts';
import type { ImageDescription } from './unixfs.ts';

export interface FetchLimits {
  /** Blocks asked of one holder at a time. */
  readonly perHolder: number;
  /** Milliseconds that one block may take from one holder. */
  readonly block: number;
  /** Milliseconds after which a block under way may be asked of another holder too. */
  readonly hedge: number;
  /** Milliseconds of rest after a first failure; doubled by each further one in a row. */
  readonly rest: number;
  /** Failures in a row after which a holder is left alone. */
  readonly failures: number;
}

export const DEFAULT_FETCH_LIMITS: FetchLimits = {
  perHolder: 6,
  block: 20_000,
  hedge: 1_500,
  rest: 100,
  failures: 5,
};

export interface FetchProgress {
  /** Bytes of the image that are in the store, and its size. */
  readonly done: number;
  readonly total: number;
  /** Who gave the last block; undefined: it was there. */
  readonly holder?: string;
}

export interface FetchOptions extends ImageDescription {
  readonly holders: readonly Holder[];
  readonly store: Store;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: (progress: FetchProgress) => void;
  /** A holder answered with bytes that are not the block: it is asked for nothing more. */
  readonly onLie?: (holder: string, cid: string) => void;
  readonly limits?: Partial<FetchLimits>;
}

export interface FetchResult {
  /** Blocks that the store had, and that each holder gave. */
  readonly reused: number;
  readonly given: ReadonlyMap<string, number>;
  /** Names of the holders that lied. */
  readonly banned: readonly string[];
}

/** A block to get: once, however often the image has it. */
interface Job {
  readonly cid: Uint8Array;
  readonly size: number;
  /** Bytes of the image that it fills: its size, for each place where it stands. */
  fills: number;
  done: boolean;
  /** When it was last asked of somebody, milliseconds; undefined: not under way. */
  askedAt: number | undefined;
  readonly askedOf: Set<Source>;
  readonly refusedBy: Set<Source>;
  /** Ends the other requests for it once one has succeeded. */
  readonly won: AbortController;
}

interface Source {
  readonly holder: Holder;
  failures: number;
  restsUntil: number;
  /** Banned, or failed too often. */
  out: boolean;
}

/**
 * Returns once every block of the image is durable in the store and the image's own digest is checked. Blocks
 * that the store has are not fetched, those fetched before an error are kept. Errors: STORE_UNAVAILABLE (with the
 * number of missing blocks, the first of them and why each holder is out), STORE_LAYOUT_MISMATCH, STORE_DIGEST_MISMATCH
 * (the blocks are right, the image's digest is not theirs), STORE_IO, NET_ABORTED.
 */
export async function fetchImage(options: FetchOptions): Promise<FetchResult> {
  const { store, signal } = options;
  const { nodes } = checkLayout(options);
  check(!signal?.aborted, 'NET_ABORTED');
  const jobs = await missingJobs(options);
  const gathering = new Gathering(options, jobs.missing);
  await gathering.run();
  for (const node of nodes) await store.put(node.cid, node.bytes);
  const whole = createHash('SHA-256');
  for await (const bytes of readImage(store, options.chunks)) {
    check(!signal?.aborted, 'NET_ABORTED');
    whole.update(bytes);
  }
  check(
    equal(whole.digest(), options.digest),
    'STORE_DIGEST_MISMATCH',
    'the image is not that of its digest',
  );
  return { reused: jobs.reused, given: gathering.given, banned: gathering.banned };
}

async function missingJobs(
  options: FetchOptions,
): Promise<{ readonly missing: Job[]; readonly reused: number }> {
  const jobs = new Map<string, Job>();
  options.chunks.forEach((digest, index) => {
    const key = digest.toHex();
    const size = chunkSize(options.size, index);
    const job = jobs.get(key);
    // equal digests of different sizes can't be: the layout's last chunk would lie about its size
    check(!job || job.size === size, 'STORE_LAYOUT_MISMATCH');
    if (job) job.fills += size;
    else jobs.set(key, newJob(rawCid(digest), size));
  });
  const missing: Job[] = [];
  let done = 0;
  for (const job of jobs.values()) {
    check(!options.signal?.aborted, 'NET_ABORTED');
    // read and hashed, not only looked for: a damaged block is fetched again
    const bytes = await options.store.get(job.cid);
    if (!bytes) missing.push(job);
    else {
      check(bytes.length === job.size, 'STORE_LAYOUT_MISMATCH');
      done += job.fills;
    }
  }
  if (done > 0) options.onProgress?.({ done, total: options.size });
  return { missing, reused: jobs.size - missing.length };
}

function newJob(cid: Uint8Array, size: number): Job {
  return {
    cid,
    size,
    fills: size,
    done: false,
    askedAt: undefined,
    askedOf: new Set(),
    refusedBy: new Set(),
    won: new AbortController(),
  };
}

/** The state of one gathering: what is missing, who is asked for what, who is out. */
class Gathering {
  readonly given = new Map<string, number>();
  readonly banned: string[] = [];
  readonly #options: FetchOptions;
  readonly #limits: FetchLimits;
  readonly #jobs: readonly Job[];
  readonly #sources: readonly Source[];
  readonly #reasons: string[] = [];
  /** Ends everything: the caller gave up, or the store failed. */
  readonly #stop = new AbortController();
  #changed = Promise.withResolvers<void>();
  #done: number;
  #next = 0;

  constructor(options: FetchOptions, jobs: readonly Job[]) {
    this.#options = options;
    this.#limits = { ...DEFAULT_FETCH_LIMITS, ...options.limits };
    this.#jobs = jobs;
    this.#sources = options.holders.map((holder) => ({
      holder,
      failures: 0,
      restsUntil: 0,
      out: false,
    }));
    this.#done = options.size - jobs.reduce((sum, job) => sum + job.fills, 0);
  }

  async run(): Promise<void> {
    const { signal } = this.#options;
    const onAbort = (): void => this.#fail(new FirmamentError('NET_ABORTED'));
    signal?.addEventListener('abort', onAbort);
    try {
      const workers = this.#sources.flatMap((source) =>
        Array.from({ length: this.#limits.perHolder }, () => this.#work(source)),
      );
      await Promise.all(workers);
    } finally {
      signal?.removeEventListener('abort', onAbort);
    }
    if (this.#stop.signal.aborted) throw this.#stop.signal.reason;
    const missing = this.#jobs.filter((job) => !job.done);
    const first = missing[0];
    if (!first) return;
    fail('STORE_UNAVAILABLE', undefined, {
      missing: missing.length,
      first: cidText(first.cid),
      holders: this.#sources.length,
      reasons: this.#reasons.slice(0, 8).join('; '),
    });
  }

  /** One of a holder's workers: asks for one block after the other until there is nothing left to ask of it. */
  async #work(source: Source): Promise<void> {
    while (!this.#stop.signal.aborted && !source.out) {
      const rest = source.restsUntil - performance.now();
      if (rest > 0) {
        if (!this.#mayHelp(source)) return;
        await this.#wait(rest);
        continue;
      }
      const job = this.#pick(source);
      if (job) await this.#ask(source, job);
      else if (this.#mayHelp(source)) await this.#wait(this.#untilHedge(source));
      else return;
    }
  }

  #mayHelp(source: Source): boolean {
    return this.#jobs.some((job) => !job.done && !job.refusedBy.has(source));
  }

  #pick(source: Source): Job | undefined {
    const jobs = this.#jobs;
    while (this.#next < jobs.length && isTaken(jobs[this.#next] as Job)) this.#next += 1;
    const waiting = (job: Job): boolean => !isTaken(job) && !job.refusedBy.has(source);
    for (let at = this.#next; at < jobs.length; at++) if (waiting(jobs[at] as Job)) return jobs[at];
    // nothing waits: hedge the block that is longest under way
    const before = performance.now() - this.#limits.hedge;
    let slowest: Job | undefined;
    for (const job of this.#hedgeable(source))
      if (
        (job.askedAt as number) <= before &&
        !((slowest?.askedAt ?? Infinity) <= (job.askedAt as number))
      )
        slowest = job;
    return slowest;
  }

  #hedgeable(source: Source): Job[] {
    return this.#jobs.filter(
      (job) =>
        !job.done &&
        job.askedAt !== undefined &&
        !job.askedOf.has(source) &&
        !job.refusedBy.has(source),
    );
  }

  /** Milliseconds until this source may hedge something. */
  #untilHedge(source: Source): number {
    let soonest = Infinity;
    for (const job of this.#hedgeable(source))
      soonest = Math.min(soonest, (job.askedAt as number) + this.#limits.hedge - performance.now());
    return Math.max(1, soonest);
  }

  async #ask(source: Source, job: Job): Promise<void> {
    job.askedAt = performance.now();
    job.askedOf.add(source);
    try {
      const bytes = await this.#getBlock(source, job);
      if (job.done) return;
      if (!this.#isHonest(source, job, bytes)) return;
      await this.#keep(source, job, bytes);
    } catch (error) {
      if (!job.done && !this.#stop.signal.aborted) this.#failed(source, job, error);
    } finally {
      job.askedOf.delete(source);
      if (job.askedOf.size === 0) {
        job.askedAt = undefined;
        if (!job.done) this.#next = 0;
      }
      this.#wake();
    }
  }

  /** The holder's answer, or an error: also when the holder does not heed the signal. */
  async #getBlock(source: Source, job: Job): Promise<Uint8Array> {
    const over = new AbortController();
    const late = setTimeout(
      () => over.abort(new FirmamentError('NET_TIMEOUT', 'the block did not come in time')),
      this.#limits.block,
    );
    const signal = AbortSignal.any([over.signal, job.won.signal, this.#stop.signal]);
    const ended = Promise.withResolvers<never>();
    const onAbort = (): void => ended.reject(signal.reason);
    signal.addEventListener('abort', onAbort);
    try {
      return await Promise.race([source.holder.getBlock(job.cid, job.size, signal), ended.promise]);
    } finally {
      clearTimeout(late);
      signal.removeEventListener('abort', onAbort);
    }
  }

  #isHonest(source: Source, job: Job, bytes: Uint8Array): boolean {
    try {
      verifyBlock(job.cid, bytes);
      check(bytes.length === job.size, 'STORE_DIGEST_MISMATCH');
      return true;
    } catch {
      this.#ban(source, job);
      return false;
    }
  }

  #ban(source: Source, job: Job): void {
    if (source.out) return;
    const { name } = source.holder;
    source.out = true;
    this.banned.push(name);
    this.#reasons.push(`${name}: STORE_DIGEST_MISMATCH`);
    this.#options.onLie?.(name, cidText(job.cid));
  }

  async #keep(source: Source, job: Job, bytes: Uint8Array): Promise<void> {
    try {
      await this.#options.store.put(job.cid, bytes);
    } catch (error) {
      // our own disk: nobody else can help
      this.#fail(error);
      return;
    }
    if (job.done) return;
    job.done = true;
    job.won.abort(new FirmamentError('NET_ABORTED'));
    source.failures = 0;
    this.#done += job.fills;
    const { name } = source.holder;
    this.given.set(name, (this.given.get(name) ?? 0) + 1);
    this.#options.onProgress?.({ done: this.#done, total: this.#options.size, holder: name });
  }

  #failed(source: Source, job: Job, error: unknown): void {
    const code = codeOf(error);
    if (code === 'STORE_BLOCK_MISSING') {
      job.refusedBy.add(source);
      return;
    }
    // workers of one holder that fail together count once
    if (source.out || source.restsUntil > performance.now()) return;
    source.failures += 1;
    source.restsUntil = performance.now() + this.#limits.rest * 2 ** (source.failures - 1);
    if (source.failures < this.#limits.failures) return;
    source.out = true;
    this.#reasons.push(`${source.holder.name}: ${code ?? 'failed'}`);
  }

  #fail(error: unknown): void {
    this.#stop.abort(error);
    this.#wake();
  }

  #wake(): void {
    this.#changed.resolve();
    this.#changed = Promise.withResolvers<void>();
  }

  /** Waits for a change, at most so many milliseconds. */
  async #wait(ms: number): Promise<void> {
    const late = Promise.withResolvers<void>();
    const timer = Number.isFinite(ms) ? setTimeout(late.resolve, ms) : undefined;
    await Promise.race([this.#changed.promise, late.promise]);
    clearTimeout(timer);
  }
}

function isTaken(job: Job): boolean {
  return job.done || job.askedAt !== undefined;
}
