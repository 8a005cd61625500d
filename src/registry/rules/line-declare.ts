/** line.declare: an author opens a stream of releases (T03). */
import { asBytes, asText } from '../../cbor/read.ts';
import { check, fail } from '../../errors.ts';
import { fromHex } from '../../bytes.ts';
import { lineKey, lineOf, lineText } from '../line.ts';
import { publishLine } from '../newest.ts';
import { getAuthor, getLine, policyInForce, setAuthor, setAuthorLine } from '../state.ts';
import type { Statement } from '../statement.ts';
import type { View } from '../view.ts';
import { parsePayload } from './payload.ts';

// T16: a key change rewrites every line of its author.
export const MAX_LINES = 1024;

export function declareLine(view: View, statement: Statement): void {
  const line = parsePayload(statement, [1, 2, 3], (get) =>
    lineOf({
      author: fromHex(statement.issuer),
      vendor: asBytes(get(1), 'vendor id', 16),
      class: asBytes(get(2), 'class id', 16),
      track: asText(get(3), 'track', 32),
    }),
  );
  check(statement.subject === lineText(line), 'STATEMENT_SUBJECT');
  const key = lineKey(line);
  check(getLine(view, key) === undefined, 'LINE_EXISTS');
  check(!policyInForce(view).policy.vendorProof, 'LINE_VENDOR_UNPROVEN');
  const author = getAuthor(view, line.author) ?? fail('AUTHOR_UNKNOWN');
  check(author.lines < MAX_LINES, 'LINE_LIMIT');
  setAuthorLine(view, line.author, author.lines, key);
  setAuthor(view, { ...author, lines: author.lines + 1 });
  publishLine(view, key, {
    text: statement.subject,
    owner: line.author,
    delegates: [],
    inherited: [],
    links: [],
    last: null,
    newest: null,
    pending: null,
    lowest: 0n,
    status: 0,
  });
}
