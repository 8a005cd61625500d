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
export const MAX_RETIRED = 40;
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

export function rotateKeys(
  view: View,
  statement: Statement,
  author: AuthorRecord,
  index: number,
): void {
  check(statement.subject === statement.issuer, 'STATEMENT_SUBJECT');
  const { keys, next } = parseRotation(recoveryBody(statement, author));
  const recovery = next ?? author;
  checkRecovery(keys, recovery);
  const known = [...author.retired, ...author.keys];
  const retired = known.filter((old) => !keys.some((key) => equal(key, old)));
  check(
    retired.length <= MAX_RETIRED && author.links.length < MAX_LINKS,
    'AUTHOR_INVALID',
    'too many keys or rotations',
  );
  publishAuthor(view, {
    ...author,
    keys,
    retired,
    recovery: recovery.recovery,
    threshold: recovery.threshold,
    links: [...author.links, index],
    rotations: author.rotations + 1,
  });
}
