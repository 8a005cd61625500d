/** T16: which release of a line is newest, which is pending, and when an image makes one available. */
import { sha256 } from '#crypto';
import { equal } from '../bytes.ts';
import { fail } from '../errors.ts';
import { keyIdOf } from './key-id.ts';
import { authorKey } from './line.ts';
import { encodeAuthorValue, encodeLineValue, type ReleaseOffer } from './map-value.ts';
import {
  getAuthor,
  getAuthorLine,
  getHolds,
  getLine,
  getRelease,
  policyInForce,
  setAuthor,
  setLine,
  setRelease,
  type AuthorRecord,
  type LineRecord,
  type ReleaseRecord,
} from './state.ts';
import type { View } from './view.ts';

/**
 * The author's value in the map. A retired key stays listed: its releases stand, and the registry takes no new
 * ones of it.
 */
export function authorValue(author: AuthorRecord): Uint8Array {
  return encodeAuthorValue({
    keys: [...author.keys, ...author.retired].map(keyIdOf),
    delegations: author.delegations,
    rotations: author.rotations,
    status: author.status,
  });
}

/** Writes an author's record and its entry in the map; its lines name that entry, so they follow (T16). */
export function publishAuthor(view: View, author: AuthorRecord): void {
  setAuthor(view, author);
  const key = authorKey(author.id);
  const value = authorValue(author);
  const before = view.getMap(key);
  if (before && equal(before, value)) return;
  view.setMap(key, value);
  for (let position = 0; position < author.lines; position++) {
    const line = getAuthorLine(view, author.id, position);
    const record = getLine(view, line);
    if (record && equal(record.owner, author.id)) publishLine(view, line, record);
  }
}

/** Writes a line's record and its entry in the map. */
export function publishLine(view: View, key: Uint8Array, line: LineRecord): void {
  const author = view.getMap(authorKey(line.owner)) ?? fail('AUTHOR_UNKNOWN');
  setLine(view, key, line);
  view.setMap(
    key,
    encodeLineValue({
      authorHash: sha256(author),
      newest: line.newest && offer(view, key, line.newest, line.lowest),
      pending: line.pending && offer(view, key, line.pending, line.lowest),
      lowest: line.lowest,
      status: line.status,
    }),
  );
}

function offer(view: View, line: Uint8Array, digest: Uint8Array, lowest: bigint): ReleaseOffer {
  const { sequence, entry, applies, via } = release(view, line, digest);
  return { sequence, digest, entry, applies, via: via && openWay(view, line, via, lowest) };
}

// A waypoint that was withdrawn, or that nobody can have yet, is no way.
function openWay(view: View, line: Uint8Array, via: Uint8Array, lowest: bigint): Uint8Array | null {
  const { status, sequence } = release(view, line, via);
  return status === 'available' && sequence >= lowest ? via : null;
}

function release(view: View, line: Uint8Array, digest: Uint8Array): ReleaseRecord {
  return getRelease(view, line, digest) ?? fail('RELEASE_UNKNOWN');
}

/**
 * Brings `newest` and `pending` in line with what was withdrawn or fell below the lowest sequence. Sequences only
 * grow, so the first available release from the top is the newest, and the first never available above it is
 * pending. Each is followed downwards from where it stood, and `previous` leads past what was withdrawn before: no
 * series of statements makes every one of them walk the whole line.
 */
export function refreshLine(view: View, key: Uint8Array, line: LineRecord): void {
  const at = (digest: Uint8Array | null): ReleaseRecord | null => {
    const found = digest && release(view, key, digest);
    return found && found.sequence >= line.lowest ? found : null;
  };
  let pending = at(line.pending);
  while (pending?.status === 'withdrawn') pending = at(pending.previous);
  // What is registered between a newest that goes and the one that follows it is pending, if nothing above it is.
  let waiting: ReleaseRecord | null = null;
  let newest = at(line.newest);
  for (; newest && newest.status !== 'available'; newest = at(newest.previous))
    if (newest.status === 'registered') waiting ??= newest;
  if (pending?.status !== 'registered') pending = waiting;
  publishLine(view, key, {
    ...line,
    newest: newest?.digest ?? null,
    pending: pending?.digest ?? null,
  });
}

/** Latches a release as available once every image of it is held widely enough (T16, T23). */
export function latchAvailability(
  view: View,
  key: Uint8Array,
  digest: Uint8Array,
  height: number,
): void {
  const found = release(view, key, digest);
  if (found.status !== 'registered') return;
  const line = getLine(view, key) ?? fail('LINE_UNKNOWN');
  const author = getAuthor(view, line.owner) ?? fail('AUTHOR_UNKNOWN');
  const held = found.images.every((image) =>
    heldWidely(view, author, { line: key, release: digest, image: image.digest }, height),
  );
  if (!held) return;
  setRelease(view, key, { ...found, status: 'available' });
  const above = (digest: Uint8Array | null): boolean =>
    digest !== null && release(view, key, digest).sequence > found.sequence;
  // Only the map's entry follows when something newer is there, or when it is allowed no more.
  if (above(line.newest) || found.sequence < line.lowest) return publishLine(view, key, line);
  const pending = above(line.pending) ? line.pending : null;
  publishLine(view, key, { ...line, newest: digest, pending });
}

// R and N count operators, not nodes (T23).
function heldWidely(
  view: View,
  author: AuthorRecord,
  image: Parameters<typeof getHolds>[1],
  height: number,
): boolean {
  const { policy } = policyInForce(view);
  const holders = new Set(
    getHolds(view, image)
      .filter((hold) => hold.until >= height)
      .map((hold) => hold.node.split('/', 1)[0]),
  );
  const operators = policy.operators.filter((operator) => holders.has(operator.name));
  const elsewhere = operators.filter((operator) =>
    policy.mode === 'private' ? operator.kind === 'non-author' : operator.name !== author.operator,
  );
  return operators.length >= policy.copies && elsewhere.length >= policy.copiesElsewhere;
}

/** The COSE_Key with this thumbprint, if it is one of the keys. */
export function keyNamed(keys: readonly Uint8Array[], keyId: Uint8Array): Uint8Array | undefined {
  return keys.find((key) => equal(keyIdOf(key), keyId));
}

/**
 * Log indexes of the statements by which a device goes from a line's author anchor to the keys of its present
 * owner, in order. The list only grows at its end.
 */
export function linksOf(view: View, key: Uint8Array): readonly number[] {
  const line = getLine(view, key) ?? fail('LINE_UNKNOWN');
  const owner = getAuthor(view, line.owner) ?? fail('AUTHOR_UNKNOWN');
  return [...line.inherited, ...[...owner.links, ...line.links].toSorted((a, b) => a - b)];
}
