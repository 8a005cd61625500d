/**
 * Listens to one node of a network at a time, so that a release is here about a second after its head: what the node
 * says is only why a round is made now. The rounds that are made anyway show whether it is worth listening to.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Change } from '../api/changes.ts';
import { check, codeOf } from '../errors.ts';
import type { Logger } from '../logger.ts';
import { lineText } from '../registry/line.ts';
import type { Events } from './events.ts';
import type { Follower } from './follower.ts';

export interface ListeningParts {
  readonly follower: Pick<
    Follower,
    'nodes' | 'lines' | 'prefer' | 'distrust' | 'headSizes' | 'newest'
  >;
  /** The changes that a node of this name tells; ends when the node ends it. */
  readonly listen: (node: string, signal: AbortSignal) => AsyncIterable<Change>;
  /** A round over the lines, or the end of one that is under way. Never rejects. */
  readonly round: () => Promise<void>;
  readonly events: Pick<Events, 'add'>;
  readonly logger: Logger;
  readonly timing?: Partial<ListeningTiming>;
}

export interface ListeningTiming {
  /** Milliseconds between two rounds that a node causes; doubled by each one beyond `vain` that brought nothing. */
  readonly gap: number;
  readonly longestGap: number;
  /** For how long a node that could not be reached, or that ended the stream, is left; doubled each time. */
  readonly unreachable: number;
  /** And one that lied or kept silent. */
  readonly distrusted: number;
}

const TIMING: ListeningTiming = {
  gap: 1_000,
  longestGap: 30_000,
  unreachable: 1_000,
  distrusted: 900_000,
};
/** Rounds in vain after which a node's words count for less: a release is several statements. */
const VAIN = 8;
/** Heads that a node announced and then did not have. */
const LIES = 3;
const LONGEST_PAUSE = 300_000;

export class Listening implements AsyncDisposable {
  readonly #parts: ListeningParts;
  readonly #timing: ListeningTiming;
  readonly #stop = new AbortController();
  readonly #leftUntil = new Map<string, number>();
  readonly #failures = new Map<string, number>();
  readonly #running: Promise<void>;
  /** The node that is listened to. */
  #node: string | undefined;
  #leave: AbortController | undefined;
  /** Size of the newest head that it told. */
  #told = 0;
  #sizeBefore = 0;
  #vain = 0;
  #lies = 0;

  constructor(parts: ListeningParts) {
    this.#parts = parts;
    this.#timing = { ...TIMING, ...parts.timing };
    this.#running = this.#run();
  }

  /** The node that is listened to just now. */
  get node(): string | undefined {
    return this.#node;
  }

  /** After a round that nobody caused: a node that had not told by now of what the round before knew keeps silent. */
  roundEnded(): void {
    const silent = this.#node !== undefined && this.#told < this.#sizeBefore;
    this.#sizeBefore = this.#headSize();
    if (silent) this.#leave?.abort();
  }

  #headSize(): number {
    return Math.max(0, ...this.#parts.follower.headSizes());
  }

  async #run(): Promise<void> {
    const { signal } = this.#stop;
    while (!signal.aborted) {
      const now = performance.now();
      const names = this.#parts.follower.nodes().map(({ name }) => name);
      const node = names.find((name) => (this.#leftUntil.get(name) ?? 0) <= now);
      if (node !== undefined) await this.#follow(node);
      else {
        const soonest = Math.min(...names.map((name) => this.#leftUntil.get(name) ?? 0));
        await sleep(Math.min(Math.max(soonest - now, 10), LONGEST_PAUSE), undefined, {
          signal,
        }).catch(() => undefined);
      }
    }
  }

  /** Until the node is not worth it any more. */
  async #follow(node: string): Promise<void> {
    const { logger } = this.#parts;
    const leave = new AbortController();
    const signal = AbortSignal.any([this.#stop.signal, leave.signal]);
    this.#leave = leave;
    this.#told = 0;
    this.#sizeBefore = 0;
    this.#vain = 0;
    this.#lies = 0;
    let hinting: Promise<void> | undefined;
    let failure: unknown;
    let next: Change | undefined;
    const hint = async (): Promise<void> => {
      for (let change = next; change && !signal.aborted; change = next) {
        next = undefined;
        await this.#hint(node, change);
        await sleep(this.#gap(), undefined, { signal }).catch(() => undefined);
      }
      // In the same turn as the last look: nothing that is told falls between.
      hinting = undefined;
    };
    this.#node = node;
    try {
      for await (const change of this.#parts.listen(node, signal)) {
        if (signal.aborted) break;
        this.#told = Math.max(this.#told, change.size);
        if (!this.#concerns(change)) continue;
        next = change;
        hinting ??= hint().catch((error: unknown) => {
          failure = error;
          leave.abort();
        });
      }
    } catch (error) {
      failure ??= error;
    }
    this.#node = undefined;
    await hinting;
    if (this.#stop.signal.aborted) return;
    if (failure !== undefined && !codeOf(failure))
      logger.error('listening failed', { node, error: failure });
    this.#left(node, codeOf(failure));
  }

  #concerns({ lines }: Change): boolean {
    const { follower } = this.#parts;
    return lines === null || follower.lines.some(({ line }) => lines.includes(lineText(line)));
  }

  async #hint(node: string, { size }: Change): Promise<void> {
    const { follower, round } = this.#parts;
    const newest = follower.newest();
    // A round that is under way may have asked before the change.
    for (let rounds = 0; rounds < 2 && (rounds === 0 || this.#headSize() < size); rounds++) {
      follower.prefer(node);
      await round();
    }
    if (follower.newest() !== newest) this.#vain = 0;
    else this.#vain += 1;
    this.#lies = this.#headSize() < size ? this.#lies + 1 : 0;
    check(this.#lies < LIES, 'GATEWAY_HINT_FALSE');
  }

  #gap(): number {
    const { gap, longestGap } = this.#timing;
    return Math.min(longestGap, gap * 2 ** Math.max(0, Math.min(this.#vain - VAIN, 16)));
  }

  #left(node: string, code: string | undefined): void {
    const { follower, events } = this.#parts;
    const { unreachable, distrusted } = this.#timing;
    const lied = code === 'GATEWAY_HINT_FALSE' || code === 'API_STREAM_MALFORMED';
    const silent = code === 'NET_ABORTED';
    const failures = (this.#failures.get(node) ?? 0) + 1;
    this.#failures.set(node, this.#told > 0 ? 1 : failures);
    const pause =
      lied || silent
        ? distrusted
        : Math.min(unreachable * 2 ** Math.min(failures - 1, 16), LONGEST_PAUSE);
    this.#leftUntil.set(node, performance.now() + pause);
    if (lied) follower.distrust(node);
    const why = silent ? 'it keeps silent' : (code ?? 'it ended the stream');
    // One that stays away for long is told of once.
    if (this.#told > 0 || failures === 1)
      events.add({ step: 'node', detail: `${node} is not listened to: ${why}` });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }
}
