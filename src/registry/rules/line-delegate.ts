/** line.delegate: a line's owner lets another key sign its releases, or ends that (T01, T02). */
import { equal } from '../../bytes.ts';
import { asBool, asBytes, onlyKeys } from '../../cbor/read.ts';
import type { Cbor } from '../../cbor/value.ts';
import { decodeKey } from '../../cose/key.ts';
import { check } from '../../errors.ts';
import { keyIdOf } from '../key-id.ts';
import { publishAuthor, publishLine } from '../newest.ts';
import { recoveryBody, shaped } from '../recovery.ts';
import type { AuthorRecord, LineRecord } from '../state.ts';
import type { Statement } from '../statement.ts';
import type { View } from '../view.ts';
import { MAX_LINKS } from './key-rotate.ts';
import { delegateOf, ownedLine } from './owned-line.ts';

export interface Delegation {
  /** COSE_Key bytes of the delegate's key. */
  readonly key: Uint8Array;
  /** False ends it: its releases stand, it signs no more. */
  readonly granted: boolean;
}

const MAX_DELEGATES = 8;
export const MAX_DELEGATIONS = 32;

/** Errors: STATEMENT_MALFORMED. */
export function parseDelegation(body: ReadonlyMap<Cbor, Cbor>): Delegation {
  return shaped(() => {
    onlyKeys(body, [1, 2], 'line.delegate');
    const key = asBytes(body.get(1) ?? null, 'delegate key', { max: 256 });
    decodeKey(key);
    return { key, granted: asBool(body.get(2) ?? null, 'granted') };
  });
}

export function delegateLine(
  view: View,
  statement: Statement,
  author: AuthorRecord,
  index: number,
): void {
  const { key: line, record } = ownedLine(view, statement);
  const { key, granted } = parseDelegation(recoveryBody(statement, author));
  const before = delegateOf(record, keyIdOf(key));
  check(granted !== (before !== undefined), 'DELEGATION_INVALID');
  const own = [...author.keys, ...author.retired, ...author.recovery];
  check(
    !own.some((known) => equal(known, key)),
    'DELEGATION_INVALID',
    'a key of the author itself',
  );
  const delegates = granted
    ? [
        ...record.delegates,
        { key, entry: statement.entry, counter: counterOf(record, key), inForce: true },
      ]
    : record.delegates.map((each) => (each === before ? { ...each, inForce: false } : each));
  // One that ended stays listed: what its key signed while it was in force stands, and the registry takes no more.
  const delegations = granted ? [...author.delegations, statement.entry] : author.delegations;
  check(
    delegates.filter(({ inForce }) => inForce).length <= MAX_DELEGATES &&
      delegations.length <= MAX_DELEGATIONS &&
      record.links.length < MAX_LINKS,
    'DELEGATION_INVALID',
    'too many delegations',
  );
  publishLine(view, line, { ...record, delegates, links: [...record.links, index] });
  publishAuthor(view, { ...author, delegations });
}

// A key that is let in again goes on counting where it was.
function counterOf(record: LineRecord, key: Uint8Array): bigint {
  return record.delegates.findLast((each) => equal(each.key, key))?.counter ?? 0n;
}
