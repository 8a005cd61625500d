/** line.transfer: a line goes to another author, who agreed (T01, T02). Its address on the map stays. */
import { verify } from '#crypto';
import { concat, equal, hex, utf8 } from '../../bytes.ts';
import { asBytes, onlyKeys } from '../../cbor/read.ts';
import type { Cbor } from '../../cbor/value.ts';
import { decodeKey } from '../../cose/key.ts';
import { check, fail } from '../../errors.ts';
import { linksOf, publishAuthor, publishLine } from '../newest.ts';
import { recoveryBody, shaped } from '../recovery.ts';
import { getAuthor, policyInForce, setAuthor, setAuthorLine, type AuthorRecord } from '../state.ts';
import type { Statement } from '../statement.ts';
import type { View } from '../view.ts';
import { MAX_LINKS } from './key-rotate.ts';
import { MAX_LINES } from './line-declare.ts';
import { MAX_DELEGATIONS } from './line-delegate.ts';
import { ownedLine } from './owned-line.ts';

export interface Transfer {
  /** Author id. */
  readonly to: Uint8Array;
  /** By a release key of the new owner over `transferAcceptance`. */
  readonly acceptance: Uint8Array;
}

// Fewer than an author may have retired: what comes with lines leaves room for its own rotations.
const MAX_INHERITED = 24;

/** Errors: STATEMENT_MALFORMED. */
export function parseTransfer(body: ReadonlyMap<Cbor, Cbor>): Transfer {
  return shaped(() => {
    onlyKeys(body, [1, 2], 'line.transfer');
    return {
      to: asBytes(body.get(1) ?? null, 'new owner', 32),
      acceptance: asBytes(body.get(2) ?? null, 'acceptance', 64),
    };
  });
}

/** What the new owner signs: nobody is given lines against its will. */
export function transferAcceptance(
  networkId: Uint8Array,
  line: string,
  from: Uint8Array,
  to: Uint8Array,
): Uint8Array {
  return concat(utf8('firmament/line-transfer/v1'), networkId, from, to, utf8(line));
}

export function transferLine(
  view: View,
  statement: Statement,
  author: AuthorRecord,
  index: number,
): void {
  const { key, record } = ownedLine(view, statement);
  const { to, acceptance } = parseTransfer(recoveryBody(statement, author));
  const heir = getAuthor(view, to) ?? fail('AUTHOR_UNKNOWN');
  check(!equal(to, author.id) && heir.status === 0, 'TRANSFER_INVALID');
  const { networkId } = policyInForce(view);
  const agreed = transferAcceptance(networkId, record.text, author.id, to);
  check(
    heir.keys.some((release) => verify(decodeKey(release), agreed, acceptance)),
    'TRANSFER_INVALID',
    `author ${hex(to)} did not sign for it`,
  );
  check(heir.lines < MAX_LINES, 'LINE_LIMIT');
  // T01: a release key must never be a recovery key too, or the heir could rotate no more.
  check(
    ![...author.keys, ...author.retired].some((k) => heir.recovery.some((own) => equal(own, k))),
    'TRANSFER_INVALID',
    'a release key of the line is a recovery key of the new owner',
  );
  const inherited = [...linksOf(view, key), index];
  check(inherited.length <= MAX_LINKS, 'TRANSFER_INVALID', 'too many links');
  // The keys of the owner before stay listed for what they signed: they are linked to this line only (T02).
  const retired = [...heir.retired];
  for (const known of [...author.retired, ...author.keys])
    if (![...retired, ...heir.keys].some((other) => equal(other, known))) retired.push(known);
  const delegations = [...heir.delegations];
  for (const { entry } of record.delegates)
    if (!delegations.some((known) => equal(known, entry))) delegations.push(entry);
  check(
    retired.length <= MAX_INHERITED && delegations.length <= MAX_DELEGATIONS,
    'TRANSFER_INVALID',
    'too many keys',
  );
  setAuthor(view, author);
  const delegates = record.delegates.map((each) => ({ ...each, inForce: false }));
  publishLine(view, key, { ...record, owner: to, delegates, inherited, links: [] });
  setAuthorLine(view, to, heir.lines, key);
  publishAuthor(view, {
    ...heir,
    lines: heir.lines + 1,
    retired,
    delegations,
  });
}
