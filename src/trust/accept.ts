/**
 * T17: what a reader accepts. Pure: bytes, clock reading and memory in; a verdict and the next memory out,
 * or a coded refusal. The memory changes only when every check has passed.
 */
import { equal } from '../bytes.ts';
import { thumbprint } from '../cose/key.ts';
import { check, fail } from '../errors.ts';
import { challengeWitnesses, type Challenge } from './challenge.ts';
import { judgeAge, judgeChallenge, type Age, type ClockName, type Freshness } from './freshness.ts';
import { anchoredChain, checkKeyKnown, extendChain, trustedKeys, type Chain } from './links.ts';
import {
  applies,
  fitsClaims,
  isConfirmed,
  offeredAs,
  offerOf,
  type Offered,
  type Wish,
} from './offer.ts';
import type { Root } from '../registry/root.ts';
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
export interface Choice extends Offered {
  readonly judged: JudgedLine;
}

/**
 * Checks a `latest` answer's proof for the followed line at `position` and learns from it.
 * `now` in POSIX seconds, by the clock that is named; what k operators answered to `challenge` about the proof's head stands
 * above it. Errors: TRUST_* and LOG_COSIGNATURE_INVALID; nothing is learned then.
 */
export function acceptProof(
  provision: Provision,
  state: TrustState,
  position: number,
  proof: Uint8Array,
  now: number,
  clock: ClockName = 'own clock',
  challenge?: Challenge,
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
  const age =
    challengedAge(provision.root, proven, challenge) ??
    judgeAge(provision.root.policy, proven, now, state.floor, clock);
  return {
    judged: { followed, proven, freshness: age.freshness, chain },
    state: {
      ...state,
      head: { size: proven.head.size, root: proven.head.root },
      // T14, T18: a floor only rises, and only by a proof that is fresh. A head has no clock in it: a stale one rises too.
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

// T14: only the head inside the answers counts, and that is the proof's own.
function challengedAge(
  root: Root,
  proven: ProvenLine,
  challenge: Challenge | undefined,
): Age | undefined {
  const answered = challenge && challengeWitnesses(root, proven.head, challenge);
  return answered && judgeChallenge(root.policy, proven, answered);
}

// T02: the links in the proof go on where the reader's chain ends; what was checked once is not asked for again.
function chainOf(
  provision: Provision,
  state: TrustState,
  position: number,
  proven: ProvenLine,
): Chain {
  const { line, anchor } = provision.lines[position] ?? fail('TRUST_UNPROVISIONED');
  check(
    equal(thumbprint(anchor), line.author),
    'TRUST_KEY_UNLINKED',
    'the anchor is not that of who declared the line',
  );
  const known = state.chains[position] ?? anchoredChain(anchor);
  const chain = extendChain(known, line, provision.root.networkId, proven.links);
  // More links than one proof carries may stand between the reader and the keys of today.
  const complete = proven.links.length === 0;
  check(!complete || trustedKeys(chain, proven).length > 0, 'TRUST_KEY_UNLISTED');
  return chain;
}

/**
 * The releases to try, in the order of the followed lines (T16, T17): the first is the one to install. Empty when the
 * reader is up to date. Errors: TRUST_NOT_APPLICABLE.
 */
export function choicesOf(
  lines: readonly JudgedLine[],
  confirmed: Confirmed | null,
  wish: Wish = {},
): readonly Choice[] {
  const choices: Choice[] = [];
  let noWay = false;
  for (const judged of lines) {
    // T18: on a stale proof nothing is installed but what is newer.
    const reinstall = wish.reinstall === true && judged.freshness.kind === 'fresh';
    const offer = offerOf(judged.proven.value, confirmed, { ...wish, reinstall });
    if (offer === 'no way') noWay = true;
    else if (offer) choices.push({ judged, ...offer });
  }
  check(choices.length > 0 || !noWay, 'TRUST_NOT_APPLICABLE');
  return choices;
}

/** The first of `choicesOf`. Errors: TRUST_NOT_APPLICABLE. */
export function chooseRelease(
  lines: readonly JudgedLine[],
  confirmed: Confirmed | null,
  wish: Wish = {},
): Choice | undefined {
  return choicesOf(lines, confirmed, wish)[0];
}

/**
 * T17 for one release: its envelope is the author's, it is the one that the line's map entry offers, and it may be
 * installed over what was confirmed last.
 * `imageInHand` says that the verified image is here already, which is what allows a pending release.
 * Errors: TRUST_*, SUIT_*.
 */
export function acceptRelease(
  judged: JudgedLine,
  envelope: Uint8Array,
  confirmed: Confirmed | null,
  imageInHand = false,
): VerifiedRelease {
  const release = readOffered(judged, envelope);
  checkMayInstall(judged, release, confirmed, imageInHand);
  return release;
}

/**
 * The release in an envelope, its author's and offered by the line's map entry; who gave it away and what the
 * reader runs is not asked. `digest`: the one that was asked for. Errors: TRUST_*, SUIT_*.
 */
export function readOffered(
  judged: JudgedLine,
  envelope: Uint8Array,
  digest?: Uint8Array,
): VerifiedRelease {
  const { followed, proven, chain } = judged;
  const release = verifyRelease({
    proven,
    keys: trustedKeys(chain, proven),
    envelope,
    checkKeyId: (keyId) => checkKeyKnown(chain, proven, keyId),
    psk: followed.psk,
  });
  const { sequence } = release;
  const { newest, pending, lowest } = proven.value;
  check(sequence >= lowest, 'TRUST_WITHDRAWN', undefined, { sequence, lowest });
  const asked = digest === undefined || equal(digest, release.digest);
  check(asked, 'TRUST_NOT_NEWEST', 'another release than the one asked for');
  const as = offeredAs(proven.value, release.digest);
  check(as !== undefined, 'TRUST_NOT_NEWEST', undefined, { sequence });
  const offer = as === 'newest' ? newest : as === 'pending' ? pending : null;
  check(
    offer === null || (offer.sequence === sequence && fitsClaims(offer, release.claims)),
    'TRUST_CLAIM_MISMATCH',
    'the map says otherwise',
  );
  return release;
}

/**
 * May this reader install it now (T16, T17, T18)? It says nothing against whoever gave the envelope.
 * Errors: TRUST_NOT_NEWEST, TRUST_SEQUENCE_ROLLBACK, TRUST_NOT_APPLICABLE.
 */
export function checkMayInstall(
  judged: JudgedLine,
  release: VerifiedRelease,
  confirmed: Confirmed | null,
  imageInHand = false,
): void {
  const { value } = judged.proven;
  const { sequence } = release;
  const as = offeredAs(value, release.digest);
  check(
    as !== 'pending' || imageInHand,
    'TRUST_NOT_NEWEST',
    'pending, and its image is not in hand',
    { sequence },
  );
  // A waypoint is for those who can't take the newest.
  const needed = as !== 'via' || (value.newest !== null && !applies(value.newest, confirmed));
  check(needed, 'TRUST_NOT_NEWEST', 'a waypoint that is not needed', { sequence });
  checkSequence(judged, release, confirmed);
  const again = isConfirmed(release.digest, confirmed);
  check(again || applies(release.claims, confirmed), 'TRUST_NOT_APPLICABLE', undefined, {
    sequence,
  });
}

// A sequence merely seen refuses nothing: only a confirmed one does. T18: on a stale proof it has to be higher.
function checkSequence(
  { freshness }: JudgedLine,
  release: VerifiedRelease,
  confirmed: Confirmed | null,
): void {
  if (!confirmed) return;
  const same = isConfirmed(release.digest, confirmed) && freshness.kind === 'fresh';
  const { sequence } = release;
  check(
    sequence > confirmed.sequence || (same && sequence === confirmed.sequence),
    'TRUST_SEQUENCE_ROLLBACK',
    undefined,
    { sequence, confirmed: confirmed.sequence },
  );
}
