/**
 * Certificates of this node's own blocks: the CometBFT header that carries the app hash of a head is the one after
 * the block that made it, and the votes for that header prove the head (docs/spec/commit-certificate.md).
 */
import { equal, fromHex } from '../../bytes.ts';
import { check, codeOf } from '../../errors.ts';
import type { Logger } from '../../logger.ts';
import { certificateFromRpc } from '../../light/rpc-json.ts';
import type { Head } from '../close-block.ts';
import { appHashOfHead } from '../proven-ledger.ts';
import type { Replica } from '../replica.ts';
import type { EngineRpc } from './rpc.ts';

export interface CertificatesOptions {
  readonly replica: Replica;
  readonly rpc: EngineRpc;
  readonly logger: Logger;
  /** The engine's height that this replica stands at. */
  readonly position: () => number;
  /** Whether the engine answers; while it catches up it has better things to do. */
  readonly isReady: () => boolean;
}

// How many headers the engine gives at once.
const HEADERS = 20;
const RETRY_MS = 1_000;

export class Certificates {
  readonly #options: CertificatesOptions;
  /** The engine's height that made our block, by our height: what was seen in this run and has no certificate. */
  readonly #made = new Map<number, number>();
  #newest: Uint8Array | undefined;
  #working: Promise<void> | undefined;
  #again = false;
  #closed = false;
  #retry: NodeJS.Timeout | undefined;

  constructor(options: CertificatesOptions) {
    this.#options = options;
  }

  /** SignedHeader of the engine's newest block here, with the votes for it. */
  newest(): Uint8Array | undefined {
    return this.#newest;
  }

  /** A block of the engine is on this node's disk. */
  committed(height: number, head: Head | null): void {
    // While the engine repeats its blocks they have theirs.
    if (head && head.height > this.#options.replica.certified().height)
      this.#made.set(head.height, height);
    void this.fetch();
  }

  /** Fetches what is missing, now and as long as more comes. Never rejects. */
  fetch(): Promise<void> {
    if (this.#closed || !this.#options.isReady()) return Promise.resolve();
    this.#again = true;
    this.#working ??= this.#work().finally(() => (this.#working = undefined));
    return this.#working;
  }

  /** After what is under way; nothing more is fetched then. */
  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#retry);
    await this.#working;
  }

  async #work(): Promise<void> {
    const { replica, logger, position } = this.#options;
    while (this.#again) {
      this.#again = false;
      try {
        for (;;) {
          const waiting = replica.uncertified();
          if (waiting.length === 0 || !(await this.#certified(waiting))) break;
        }
        const height = position();
        if (height > 0) this.#newest = await this.#commit(height);
      } catch (error) {
        // The next block may be long in coming.
        if (!this.#closed) {
          clearTimeout(this.#retry);
          this.#retry = setTimeout(() => void this.fetch(), RETRY_MS).unref();
        }
        const level = codeOf(error) === 'ENGINE_RPC' ? 'debug' : 'error';
        logger[level]('no certificate', { code: codeOf(error), error });
        return;
      }
    }
  }

  /** Whether all of these got theirs. */
  async #certified(heads: readonly Head[]): Promise<boolean> {
    const { replica, position } = this.#options;
    for (const head of heads) {
      const made = this.#made.get(head.height) ?? (await this.#found(head));
      // The header after it comes with the next block.
      if (made === undefined || made >= position()) return false;
      replica.certify(head.height, await this.#commit(made + 1));
      this.#made.delete(head.height);
    }
    return true;
  }

  async #commit(height: number): Promise<Uint8Array> {
    return certificateFromRpc(await this.#options.rpc.call('commit', { height: String(height) }));
  }

  // After a restart: the first header with the head's app hash, searched from the newest down to a certified head's.
  async #found(head: Head): Promise<number | undefined> {
    const { replica, rpc, position } = this.#options;
    const wanted = appHashOfHead(head);
    const proven = appHashOfHead(replica.certified());
    let found: number | undefined;
    for (let top = position() + 1; top >= 1; top -= HEADERS) {
      const bottom = Math.max(1, top - HEADERS + 1);
      const answer = await rpc.call('blockchain', {
        minHeight: String(bottom),
        maxHeight: String(top),
      });
      const headers = headersOf(answer);
      for (const { height, appHash } of headers) {
        if (equal(appHash, wanted)) found = height - 1;
        if (equal(appHash, proven)) return found;
      }
      // An engine that began with a snapshot has no older ones.
      if (headers.at(-1)?.height !== bottom) break;
    }
    return found;
  }
}

/** Newest first. Errors: ENGINE_RPC. */
function headersOf(
  answer: unknown,
): readonly { readonly height: number; readonly appHash: Uint8Array }[] {
  const { block_metas: metas } = (answer ?? {}) as { block_metas?: unknown };
  check(Array.isArray(metas), 'ENGINE_RPC', 'no headers');
  return metas.map((meta: unknown) => {
    const { header } = (meta ?? {}) as { header?: { height?: unknown; app_hash?: unknown } };
    const { height, app_hash: hash } = header ?? {};
    check(
      typeof height === 'string' &&
        /^[0-9]{1,15}$/.test(height) &&
        typeof hash === 'string' &&
        /^(?:[0-9A-Fa-f]{2}){0,64}$/.test(hash),
      'ENGINE_RPC',
      'not a header',
    );
    return { height: Number(height), appHash: fromHex(hash.toLowerCase()) };
  });
}
