/**
 * T31, under the local engine: what a follower makes of the times that an orderer gives its blocks. A block from the
 * future is not taken in, and a head that was backdated is not cosigned. All times in POSIX seconds.
 */
import type { Clock } from '../clock.ts';
import { check, codeOf } from '../errors.ts';
import type { Head } from '../ledger/close-block.ts';
import { isServed } from '../ledger/consensus-block.ts';
import { unverifiedBlock, type Block } from '../registry/block.ts';

export interface BlockTimesParts {
  readonly clock: Clock;
  /** Of the policy in force. */
  readonly skew: () => number;
  /** The newest head here. */
  readonly newest: () => Head;
  /** Size of the log that k operators say they have cosigned, whether it is here or not. */
  readonly acknowledged: () => number;
}

const MAX_BACKDATED = 1024;

export class BlockTimes {
  readonly #parts: BlockTimesParts;
  /** What the orderer said last: at `at` it had nothing above `height`. */
  #quiet: { readonly height: number; readonly at: number } | undefined;
  /** Heights of heads that are not cosigned. */
  readonly #backdated = new Set<number>();

  constructor(parts: BlockTimesParts) {
    this.#parts = parts;
  }

  /** The orderer answered what was asked at `at` by saying that it had no block above `height`. */
  heardNothing(height: number, at: number): void {
    this.#quiet = { height, at };
  }

  /** Another orderer, or none: what the one before said counts no more. */
  forget(): void {
    this.#quiet = undefined;
  }

  /**
   * The blocks of an answer up to the first that is ahead of this node's clock by more than the skew. One that k operators
   * acknowledged, or that does not move the time on, is none of those.
   * Errors: LEDGER_TIME_AHEAD when already the first one is.
   */
  usable(blocks: readonly Uint8Array[]): readonly Uint8Array[] {
    const { clock, skew, newest, acknowledged } = this.#parts;
    const latest = clock() + skew();
    let { time } = newest();
    const end = blocks.findIndex((bytes) => {
      const block = parsed(bytes);
      if (!block) return false;
      if (block.time > latest && block.time > time && block.size > acknowledged()) return true;
      ({ time } = block);
      return false;
    });
    check(end !== 0, 'LEDGER_TIME_AHEAD');
    return end === -1 ? blocks : blocks.slice(0, end);
  }

  /** To be told of each new head. */
  took(head: Head): void {
    const quiet = this.#quiet;
    if (!quiet || head.height <= quiet.height || head.time >= quiet.at - this.#parts.skew()) return;
    this.#backdated.add(head.height);
    if (this.#backdated.size > MAX_BACKDATED)
      this.#backdated.delete(this.#backdated.values().next().value as number);
  }

  /** Whether the head was made after the orderer had said that there was none, with a time from long before that. */
  isBackdated({ height }: Head): boolean {
    return this.#backdated.has(height);
  }
}

// What can't be read is for the replica to judge: under an orderer's signature it is evidence.
function parsed(bytes: Uint8Array): Block | undefined {
  if (isServed(bytes)) return undefined;
  try {
    return unverifiedBlock(bytes);
  } catch (error) {
    if (codeOf(error)) return undefined;
    throw error;
  }
}
