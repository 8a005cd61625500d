/** What a gateway ordered: to install this release, if the device accepts it, and to answer with this nonce. */
import { equal } from '../bytes.ts';
import { check } from '../errors.ts';
import type { Choice } from '../trust/accept.ts';
import type { Confirmed } from '../trust/state.ts';

export interface Order {
  /** Of the manifest. */
  readonly digest: Uint8Array;
  readonly nonce: Uint8Array;
}

/**
 * The choices that an order is about. T17, T28: it is a hint, and what no followed line offers this device is not
 * installed, whoever orders it. Errors: TRUST_NOT_NEWEST.
 */
export function ordered(
  choices: readonly Choice[],
  { digest }: Order,
  confirmed: Confirmed | null,
): readonly Choice[] {
  const wanted = choices.filter((choice) => equal(choice.digest, digest));
  const runs = choices.length === 0 && confirmed !== null && equal(confirmed.digest, digest);
  check(
    wanted.length > 0 || runs,
    'TRUST_NOT_NEWEST',
    'no line of this device offers what was ordered',
  );
  return wanted;
}
