/** key.rotate: an author's release keys from now on, and its recovery keys if they change (T01, T02). */
import { equal } from '../../bytes.ts';
import { asArray, asBytes, asUint, onlyKeys } from '../../cbor/read.ts';
import type { Cbor } from '../../cbor/value.ts';
import { decodeKey } from '../../cose/key.ts';
import { check } from '../../errors.ts';
import { publishAuthor } from '../newest.ts';
import { recoveryBody, shaped, type RecoveryKeys } from '../recovery.ts';
import type { AuthorRecord } from '../state.ts';
import type { Statement } from '../statement.ts';
import type { View } from '../view.ts';
import { checkRecovery } from './author-register.ts';

export interface Rotation {
  /** COSE_Key bytes of the release keys that may sign from now on. */
  readonly keys: readonly Uint8Array[];
  /** The recovery keys from now on; those of before when undefined. */
  readonly next: RecoveryKeys | undefined;
}

const MAX_KEYS = 8;
const MAX_RETIRED = 40;
export const MAX_LINKS = 256;

/** Errors: STATEMENT_MALFORMED. */
export function parseRotation(body: ReadonlyMap<Cbor, Cbor>): Rotation {
  return shaped(() => {
    onlyKeys(body, [1, 2, 3], 'key.rotate');
    const recovery = body.get(2);
    return {
      keys: keyList(body.get(1) ?? null, 'release keys'),
      next:
        recovery === undefined
          ? undefined
          : {
              recovery: keyList(recovery, 'recovery keys'),
              threshold: asUint(body.get(3) ?? null, 'threshold'),
            },
    };
  });
}

function keyList(value: Cbor, what: string): readonly Uint8Array[] {
  const keys = asArray(value, what).map((key) => asBytes(key, what, { max: 256 }));
  check(
    keys.length >= 1 && keys.length <= MAX_KEYS,
    'STATEMENT_MALFORMED',
    `1 to ${MAX_KEYS} ${what}`,
  );
  for (const key of keys) decodeKey(key);
  return keys;
}

// A key that stays goes on counting where it was; a new one begins.
function counterOf(author: AuthorRecord, key: Uint8Array): bigint {
  const position = author.keys.findIndex((known) => equal(known, key));
  return author.counters[position] ?? 0n;
}

export function rotateKeys(
  view: View,
  statement: Statement,
  author: AuthorRecord,
  index: number,
): void {
  check(statement.subject === statement.issuer, 'STATEMENT_SUBJECT');
  const { keys, next } = parseRotation(recoveryBody(statement, author));
  const recovery = next ?? author;
  const known = [...author.retired, ...author.keys];
  const retired = known.filter((old) => !keys.some((key) => equal(key, old)));
  // T01: nor may a key that was a release key once, which may have been why it was retired.
  checkRecovery([...keys, ...retired], recovery);
  check(author.links.length < MAX_LINKS, 'AUTHOR_INVALID', 'too many rotations');
  publishAuthor(view, {
    ...author,
    keys,
    counters: keys.map((key) => counterOf(author, key)),
    // The oldest are listed no more: a rotation must never fail for want of room.
    retired: retired.slice(-MAX_RETIRED),
    recovery: recovery.recovery,
    threshold: recovery.threshold,
    links: [...author.links, index],
    rotations: author.rotations + 1,
  });
}
