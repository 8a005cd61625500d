/**
 * T17: what a reader accepts. Pure: bytes, clock reading and memory in; a verdict and the next memory out,
 * or a coded refusal. The memory changes only when every check has passed.
 */
import { equal } from '../bytes.ts';
import { encodeKey, thumbprint } from '../cose/key.ts';
import { check, fail } from '../errors.ts';
import type { ReleaseOffer } from '../registry/map-value.ts';
import { judgeAge, type Freshness } from './freshness.ts';
import { anchoredChain, checkKeyKnown, extendChain, trustedKeys, type Chain } from './links.ts';
import { verifyProof, type ProvenLine } from './proof.ts';
import { verifyRelease, type VerifiedRelease } from './release.ts';
import {
  checkHead,
  type Confirmed,
  type FollowedLine,
  type Provision,
  type TrustState,
} from './state.ts';

/** What is known of one followed line, checked. */
export interface JudgedLine {
  readonly followed: FollowedLine;
  readonly proven: ProvenLine;
  readonly freshness: Freshness;
  readonly chain: Chain;
}

/** The release to fetch, and why that one. */
export interface Choice {
  readonly judged: JudgedLine;
  readonly digest: Uint8Array;
  readonly as: 'newest' | 'via' | 'pending';
}

/**
 * Checks a `latest` answer's proof for the followed line at `position` and learns from it.
 * `now` in POSIX seconds. Errors: TRUST_* and LOG_COSIGNATURE_INVALID; nothing is learned then.
 */
export function acceptProof(
  provision: Provision,
  state: TrustState,
  position: number,
  proof: Uint8Array,
  now: number,
): { readonly judged: JudgedLine; readonly state: TrustState } {
  const followed = provision.lines[position] ?? fail('TRUST_UNPROVISIONED');
  const proven = verifyProof(provision.root, followed.line, proof);
  checkHead(state.head, proven);
  const lowest = state.lowest[position] ?? 0n;
  check(
    proven.value.lowest >= lowest,
    'TRUST_HEAD_ROLLBACK',
    'the lowest sequence allowed went down',
  );
  const chain = chainOf(provision, state, position, proven);
  const age = judgeAge(provision.root.policy, proven, now, state.floor);
  return {
    judged: { followed, proven, freshness: age.freshness, chain },
    state: {
      ...state,
      head: { size: proven.head.size, root: proven.head.root },
      // T14, T18: a floor only rises, and only by a proof that is fresh.
      floor: age.freshness.kind === 'fresh' ? Math.max(state.floor, age.time) : state.floor,
      chains: provision.lines.map((line, i) =>
        i === position ? chain : (state.chains[i] ?? anchoredChain(line.anchor)),
      ),
      lowest: provision.lines.map((_, i) =>
        i === position ? proven.value.lowest : (state.lowest[i] ?? 0n),
      ),
    },
  };
}

// T02: the links in the proof go on where the reader's chain ends; what was checked once is not asked for again.
function chainOf(
  provision: Provision,
  state: TrustState,
  position: number,
  proven: ProvenLine,
): Chain {
  const { line, anchor } = provision.lines[position] ?? fail('TRUST_UNPROVISIONED');
  const known = state.chains[position] ?? anchoredChain(anchor);
  const anchored = known.keys[0];
  check(
    anchored !== undefined &&
      equal(anchored.key, encodeKey(anchor)) &&
      equal(thumbprint(anchor), line.author),
    'TRUST_KEY_UNLINKED',
    "the anchor is not the line owner's",
  );
  const chain = extendChain(known, line, provision.root.networkId, proven.links);
  check(trustedKeys(chain, proven).length > 0, 'TRUST_KEY_UNLISTED');
  return chain;
}

/**
 * The release to install: of the first followed line that has one this reader may install (T16, T17).
 * Undefined when the reader is up to date. Errors: TRUST_NOT_APPLICABLE.
 */
export function chooseRelease(
  lines: readonly JudgedLine[],
  confirmed: Confirmed | null,
  imageInHand?: Uint8Array,
): Choice | undefined {
  let noWay = false;
  for (const judged of lines) {
    const { newest, pending, lowest } = judged.proven.value;
    if (
      pending &&
      imageInHand &&
      equal(pending.digest, imageInHand) &&
      isAbove(pending, lowest, confirmed)
    ) {
      return { judged, digest: pending.digest, as: 'pending' };
    }
    if (!newest || !isAbove(newest, lowest, confirmed)) continue;
    if (applies(newest, confirmed)) return { judged, digest: newest.digest, as: 'newest' };
    if (newest.via && !(confirmed && equal(newest.via, confirmed.digest))) {
      return { judged, digest: newest.via, as: 'via' };
    }
    noWay = true;
  }
  if (noWay) fail('TRUST_NOT_APPLICABLE');
  return undefined;
}

function isAbove(offer: ReleaseOffer, lowest: bigint, confirmed: Confirmed | null): boolean {
  return offer.sequence >= lowest && (!confirmed || offer.sequence > confirmed.sequence);
}

/** A factory-new reader may install anything that is allowed at all. */
function applies(offer: ReleaseOffer, confirmed: Confirmed | null): boolean {
  if (!offer.applies || !confirmed) return true;
  return offer.applies[0] <= confirmed.sequence && confirmed.sequence <= offer.applies[1];
}

/**
 * T17 for one release: its envelope is the author's and is the one that the line's map entry offers.
 * `imageInHand` says that the verified image is here already, which is what allows a pending release.
 * Errors: TRUST_*, SUIT_*.
 */
export function acceptRelease(
  judged: JudgedLine,
  envelope: Uint8Array,
  confirmed: Confirmed | null,
  imageInHand = false,
): VerifiedRelease {
  const { proven, chain } = judged;
  const release = verifyRelease(proven, trustedKeys(chain, proven), envelope, (keyId) =>
    checkKeyKnown(chain, proven, keyId),
  );
  const { newest, pending, lowest } = proven.value;
  check(release.sequence >= lowest, 'TRUST_WITHDRAWN', undefined, {
    sequence: release.sequence,
    lowest,
  });
  const offered =
    matches(newest?.digest, release) ||
    matches(newest?.via, release) ||
    (imageInHand && matches(pending?.digest, release));
  check(offered, 'TRUST_NOT_NEWEST', undefined, { sequence: release.sequence });
  checkSequence(release, confirmed);
  return release;
}

function matches(digest: Uint8Array | null | undefined, release: VerifiedRelease): boolean {
  return digest !== null && digest !== undefined && equal(digest, release.digest);
}

// A sequence merely seen refuses nothing: only a confirmed one does.
function checkSequence(release: VerifiedRelease, confirmed: Confirmed | null): void {
  if (!confirmed) return;
  const same = equal(release.digest, confirmed.digest);
  const { sequence } = release;
  check(
    sequence > confirmed.sequence || (same && sequence === confirmed.sequence),
    'TRUST_SEQUENCE_ROLLBACK',
    undefined,
    { sequence, confirmed: confirmed.sequence },
  );
}
