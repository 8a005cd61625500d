/** Versions as arrays of integers, and what a manifest asks of them (update-management 5.4). */
import type { Cbor } from '../cbor/value.ts';
import { fail } from '../errors.ts';
import { asArray, asInteger } from './item-read.ts';
import type { Item } from './item.ts';
import { COMPARISON, nameOf } from './label.ts';

export type Comparison = keyof typeof COMPARISON;

export interface VersionMatch {
  readonly comparison: Comparison;
  /** Negative: a pre-release, -1 rc, -2 beta, -3 alpha. */
  readonly version: readonly number[];
}

const MAX_PARTS = 16;

/** [+ int]. Errors: SUIT_TYPE. */
export function readVersion(item: Item, what: string): readonly number[] {
  const { items } = asArray(item, what);
  if (items.length === 0 || items.length > MAX_PARTS)
    return fail('SUIT_TYPE', `${what} at byte ${item.start}: 1 to ${MAX_PARTS} integers`, {
      offset: item.start,
    });
  return items.map((part) => asInteger(part, what));
}

/** [comparison, version]. Errors: SUIT_TYPE. */
export function readVersionMatch(item: Item, what: string): VersionMatch {
  const { items } = asArray(item, what);
  const [type, version] = items;
  const comparison =
    type === undefined ? undefined : nameOf(COMPARISON, asInteger(type, `${what}: comparison`));
  if (comparison === undefined || version === undefined || items.length !== 2)
    return fail('SUIT_TYPE', `${what} at byte ${item.start} must be [1 to 5, version]`, {
      offset: item.start,
    });
  return { comparison, version: readVersion(version, what) };
}

export function versionMatchToCbor({ comparison, version }: VersionMatch): Cbor {
  return [COMPARISON[comparison], version];
}

/**
 * Whether `version` is as asked. Parts are compared one by one until the manifest has no more or
 * two differ; a part that `version` lacks counts as 0, so that 1.2 is 1.2.0 and above 1.2-rc.
 */
export function versionMatches(asked: VersionMatch, version: readonly number[]): boolean {
  let order = 0;
  for (const [at, wanted] of asked.version.entries()) {
    order = Math.sign((version[at] ?? 0) - wanted);
    if (order !== 0) break;
  }
  switch (asked.comparison) {
    case 'greater':
      return order > 0;
    case 'greater-equal':
      return order >= 0;
    case 'equal':
      return order === 0;
    case 'lesser-equal':
      return order <= 0;
    case 'lesser':
    default:
      return order < 0;
  }
}
