/** T16, T17: what a line's entry in the map offers to a reader, by what it has confirmed. */
import { equal } from '../bytes.ts';
import type { ReleaseClaims } from '../registry/claims.ts';
import type { LineValue, ReleaseOffer } from '../registry/map-value.ts';
import type { Confirmed } from './state.ts';

export type OfferedAs = 'newest' | 'via' | 'pending';

export interface Offered {
  readonly digest: Uint8Array;
  readonly as: OfferedAs;
}

export interface Wish {
  /** Manifest digest of a release whose verified image is here already: it may be taken while it is pending. */
  readonly imageInHand?: Uint8Array | undefined;
  /** The confirmed release is no longer what boots here: the same one may be installed again (T17). */
  readonly reinstall?: boolean;
}

/**
 * What to install of the line; undefined: nothing that is newer; `no way`: there is something newer that may not be
 * installed over the confirmed one, and it names no waypoint that the reader has not confirmed already.
 */
export function offerOf(
  { newest, pending, lowest }: LineValue,
  confirmed: Confirmed | null,
  { imageInHand, reinstall = false }: Wish,
): Offered | 'no way' | undefined {
  if (pending && imageInHand && equal(pending.digest, imageInHand)) {
    const fits = pending.sequence >= lowest && isAbove(pending, confirmed);
    if (fits && applies(pending, confirmed)) return { digest: pending.digest, as: 'pending' };
  }
  if (!newest || newest.sequence < lowest) return undefined;
  if (reinstall && isConfirmed(newest.digest, confirmed))
    return { digest: newest.digest, as: 'newest' };
  if (!isAbove(newest, confirmed)) return undefined;
  if (applies(newest, confirmed)) return { digest: newest.digest, as: 'newest' };
  if (newest.via && !isConfirmed(newest.via, confirmed)) return { digest: newest.via, as: 'via' };
  return 'no way';
}

/** As what the map offers a release with this digest, whoever asks; undefined: it does not. */
export function offeredAs(
  { newest, pending }: LineValue,
  digest: Uint8Array,
): OfferedAs | undefined {
  if (newest && equal(newest.digest, digest)) return 'newest';
  if (newest?.via && equal(newest.via, digest)) return 'via';
  if (pending && equal(pending.digest, digest)) return 'pending';
  return undefined;
}

function isAbove(offer: ReleaseOffer, confirmed: Confirmed | null): boolean {
  return !confirmed || offer.sequence > confirmed.sequence;
}

/** The digest is that of the release confirmed last. */
export function isConfirmed(digest: Uint8Array, confirmed: Confirmed | null): boolean {
  return confirmed !== null && equal(digest, confirmed.digest);
}

/** May it be installed over the confirmed release? A factory-new reader has nothing that it could not be put over. */
export function applies(
  { applies: range }: { readonly applies?: readonly [bigint, bigint] | null },
  confirmed: Confirmed | null,
): boolean {
  if (!range || !confirmed) return true;
  return range[0] <= confirmed.sequence && confirmed.sequence <= range[1];
}

/** The map says of the release what its author signed; a waypoint that was withdrawn is no longer offered. */
export function fitsClaims(offer: ReleaseOffer, claims: ReleaseClaims): boolean {
  const [low, high] = offer.applies ?? [];
  const [claimedLow, claimedHigh] = claims.applies ?? [];
  const via = offer.via === null || (claims.via !== undefined && equal(offer.via, claims.via));
  return low === claimedLow && high === claimedHigh && via;
}
