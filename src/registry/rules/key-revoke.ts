/** key.revoke: a key counts as stolen from a log index on; its releases from there on are withdrawn (T01). */
import { equal } from '../../bytes.ts';
import { asBytes, asUint, onlyKeys } from '../../cbor/read.ts';
import type { Cbor } from '../../cbor/value.ts';
import { check, fail } from '../../errors.ts';
import { keyIdOf } from '../key-id.ts';
import { publishAuthor, refreshLine } from '../newest.ts';
import { recoveryBody, shaped } from '../recovery.ts';
import { getAuthorLine, getLine, getRelease, setRelease, type AuthorRecord } from '../state.ts';
import type { Statement } from '../statement.ts';
import type { View } from '../view.ts';
import { MAX_LINKS } from './key-rotate.ts';

export interface Revocation {
  /** Thumbprint. */
  readonly keyId: Uint8Array;
  /** Log index from which the key counts as stolen; 0: it was never to be trusted. */
  readonly from: number;
}

/** Errors: STATEMENT_MALFORMED. */
export function parseRevocation(body: ReadonlyMap<Cbor, Cbor>): Revocation {
  return shaped(() => {
    onlyKeys(body, [1, 2], 'key.revoke');
    return {
      keyId: asBytes(body.get(1) ?? null, 'kid', 32),
      from: asUint(body.get(2) ?? null, 'log index'),
    };
  });
}

export function revokeKey(
  view: View,
  statement: Statement,
  author: AuthorRecord,
  index: number,
): void {
  check(statement.subject === statement.issuer, 'STATEMENT_SUBJECT');
  const { keyId, from } = parseRevocation(recoveryBody(statement, author));
  const isRevoked = (key: Uint8Array): boolean => equal(keyIdOf(key), keyId);
  const revoked =
    [...author.keys, ...author.retired].find(isRevoked) ??
    fail('STATEMENT_SUBJECT', 'not a release key of this author');
  const keys = author.keys.filter((key) => !isRevoked(key));
  check(keys.length > 0, 'AUTHOR_INVALID', 'an author keeps a release key: rotate before revoking');
  check(author.links.length < MAX_LINKS, 'AUTHOR_INVALID', 'too many rotations');
  const others = author.retired.filter((key) => !isRevoked(key));
  const revokedAuthor = {
    ...author,
    keys,
    counters: author.counters.filter((_, i) => !isRevoked(author.keys[i] as Uint8Array)),
    // A key that was good once stays listed for what it signed then; one that never was does not (T02).
    retired: from === 0 ? others : [...others, revoked],
    links: [...author.links, index],
    rotations: author.rotations + 1,
  };
  publishAuthor(view, revokedAuthor);
  for (let position = 0; position < author.lines; position++)
    withdrawFrom(view, author.id, getAuthorLine(view, author.id, position), { keyId, from });
}

// Releases stand in the order of their log index, so the walk ends at the first that is older.
function withdrawFrom(
  view: View,
  author: Uint8Array,
  line: Uint8Array,
  { keyId, from }: Revocation,
): void {
  const record = getLine(view, line) ?? fail('LINE_UNKNOWN');
  const owned = equal(record.owner, author);
  let digest = record.last?.digest ?? null;
  let changed = false;
  while (digest) {
    const release = getRelease(view, line, digest) ?? fail('RELEASE_UNKNOWN');
    if (release.index < from) break;
    // On a line that it gave away an author takes back only what it signed itself, by whatever name the key goes.
    const own = equal(release.keyId, keyId) && (owned || equal(release.issuer, author));
    if (own && release.status !== 'withdrawn') {
      setRelease(view, line, { ...release, status: 'withdrawn' });
      changed = true;
    }
    digest = release.previous;
  }
  if (changed) refreshLine(view, line, record);
}
