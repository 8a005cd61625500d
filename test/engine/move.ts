/** What somebody does to the ledger in one random step: data only, so that a failing case can be made smaller. */
import * as fc from 'fast-check';

export const ACTS = [
  'register',
  'declare',
  'release',
  'delegate release',
  'anchor',
  'hold',
  'drop',
  'withdraw',
  'rotate',
  'revoke',
  'delegate',
  'transfer',
  'policy',
  'batch',
  'replay',
] as const;
export type Act = (typeof ACTS)[number];

export const TWISTS = [
  'none',
  'signature',
  'high s',
  'network',
  'no network',
  'counter',
  'attachment',
  'foreign',
  'huge',
  'few signers',
] as const;
export type Twist = (typeof TWISTS)[number];

export interface Move {
  readonly act: Act;
  /** Who, and whom or which. */
  readonly by: number;
  readonly about: number;
  readonly twist: Twist;
}

/** A group: moves of its own; one that was made before, again; or the next of its block, forged. */
export type GroupMove =
  | { readonly moves: readonly Move[] }
  | { readonly again: number }
  | { readonly forged: Twist };

export interface BlockMove {
  readonly groups: readonly GroupMove[];
  /** Seconds after the block before, as the orderer's clock says: it may go back. */
  readonly step: number;
}

function weighted<T>(...weights: readonly (readonly [number, T])[]): fc.Arbitrary<T> {
  return fc.oneof(...weights.map(([weight, value]) => ({ weight, arbitrary: fc.constant(value) })));
}

const move: fc.Arbitrary<Move> = fc.record({
  act: weighted<Act>(
    [1, 'register'],
    [4, 'declare'],
    [8, 'release'],
    [1, 'delegate release'],
    [5, 'anchor'],
    [8, 'hold'],
    [2, 'drop'],
    [2, 'withdraw'],
    [1, 'rotate'],
    [1, 'revoke'],
    [2, 'delegate'],
    [1, 'transfer'],
    [1, 'policy'],
    [2, 'batch'],
    [3, 'replay'],
  ),
  by: weighted(
    ...[0, 1, 2, 3, 4, 5].map((who): readonly [number, number] => [6, who]),
    [1, 6],
    [1, 7],
  ),
  about: fc.nat(999),
  twist: weighted<Twist>(
    [60, 'none'],
    ...TWISTS.slice(1).map((twist): readonly [number, Twist] => [2, twist]),
  ),
});

const group: fc.Arbitrary<GroupMove> = fc.oneof(
  { weight: 8, arbitrary: fc.record({ moves: fc.tuple(move) }) },
  { weight: 4, arbitrary: fc.record({ moves: fc.array(move, { minLength: 2, maxLength: 4 }) }) },
  { weight: 1, arbitrary: fc.record({ again: fc.nat(999) }) },
  {
    weight: 1,
    arbitrary: fc.record({
      forged: weighted<Twist>([1, 'signature'], [1, 'high s'], [1, 'attachment']),
    }),
  },
);

/** Blocks of at most so many groups. */
export function blocks(count: number, groups: number): fc.Arbitrary<readonly BlockMove[]> {
  const block = fc.record({
    groups: fc.array(group, { minLength: 1, maxLength: groups, size: 'max' }),
    step: weighted([6, 1], [3, 0], [2, 600], [1, -30]),
  });
  return fc.array(block, { minLength: 1, maxLength: count, size: 'max' });
}
