/**
 * T02: a release key is believed by signed links from the author anchor that the reader was made with.
 * The quorum's word (the author entry) can take a key away, and can never put one in its place.
 */
import { equal } from '../bytes.ts';
import { thumbprint } from '../cose/key.ts';
import type { PublicKey } from '../crypto/key.ts';
import { check, fail } from '../errors.ts';
import type { ProvenLine } from './proof.ts';

/**
 * The release keys that links lead to from the anchor and that the author entry lists.
 * Errors: TRUST_KEY_UNLINKED, TRUST_KEY_UNLISTED.
 */
export function linkedKeys(anchor: PublicKey, proven: ProvenLine): readonly PublicKey[] {
  check(
    equal(thumbprint(anchor), proven.line.author),
    'TRUST_KEY_UNLINKED',
    "the anchor is not the line owner's",
  );
  // Rotations, delegations and transfers are not on any ledger of this version: a link is a forgery.
  check(proven.links.length === 0, 'TRUST_KEY_UNLINKED', 'a link of an unknown kind');
  const listed = [anchor].filter((key) =>
    proven.author.keys.some((kid) => equal(kid, thumbprint(key))),
  );
  return listed.length > 0 ? listed : fail('TRUST_KEY_UNLISTED');
}
