/** What a reader is made with and what it remembers (T14, T17, T29). */
import { equal } from '../bytes.ts';
import type { PublicKey } from '../crypto/key.ts';
import { check } from '../errors.ts';
import type { Line } from '../registry/line.ts';
import type { PreSharedKey } from '../registry/psk.ts';
import type { Root } from '../registry/root.ts';
import { anchoredChain, type Chain } from './links.ts';
import type { ProvenLine } from './proof.ts';

/** A line that a reader follows, and the key that its author was known by when the reader was made. */
export interface FollowedLine {
  readonly line: Line;
  readonly anchor: PublicKey;
  /** What the author shares with its devices: no release is accepted without a MAC by it (T07). */
  readonly psk?: PreSharedKey;
}

/** Comes from the maker only; nothing of it is ever taken from a network (T29). */
export interface Provision {
  readonly root: Root;
  /** Tracks in the order in which they are tried. */
  readonly lines: readonly FollowedLine[];
  readonly staleInstall: 'never' | 'consent' | 'allow';
}

export interface Head {
  readonly size: number;
  readonly root: Uint8Array;
}

export interface Confirmed {
  readonly sequence: bigint;
  readonly digest: Uint8Array;
}

export interface TrustState {
  readonly head: Head | null;
  /** POSIX seconds. */
  readonly floor: number;
  /** The links checked so far for each followed line, in the order of the provision. */
  readonly chains: readonly Chain[];
  /** The highest `lowest` seen for each followed line, in the order of the provision. */
  readonly lowest: readonly bigint[];
  /** The release that was installed and confirmed last. */
  readonly confirmed: Confirmed | null;
}

/** What a reader remembers that has seen nothing yet. */
export function firstState(provision: Provision, floor: number): TrustState {
  return {
    head: null,
    floor,
    chains: provision.lines.map(({ anchor }) => anchoredChain(anchor)),
    lowest: provision.lines.map(() => 0n),
    confirmed: null,
  };
}

/**
 * The head is not older than the stored one, and of the same size only when it is the same.
 * Errors: TRUST_HEAD_ROLLBACK, TRUST_HEAD_FORK.
 */
export function checkHead(stored: Head | null, proven: ProvenLine): void {
  if (!stored) return;
  check(proven.head.size >= stored.size, 'TRUST_HEAD_ROLLBACK', undefined, {
    stored: stored.size,
    offered: proven.head.size,
  });
  check(proven.head.size > stored.size || equal(proven.head.root, stored.root), 'TRUST_HEAD_FORK');
}
