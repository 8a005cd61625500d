/** The line that a statement is about: a statement acts only on its own line (T03). */
import { equal, hex } from '../../bytes.ts';
import { check, fail } from '../../errors.ts';
import { keyIdOf } from '../key-id.ts';
import { lineKey, parseLineText, type Line } from '../line.ts';
import { getLine, type LineRecord } from '../state.ts';
import type { Statement } from '../statement.ts';
import type { View } from '../view.ts';

export interface OwnedLine {
  readonly line: Line;
  readonly key: Uint8Array;
  readonly record: LineRecord;
}

/**
 * The line in the statement's subject, which its issuer owns, or whose owner delegated to the key that signed.
 * Errors: LINE_MALFORMED, LINE_UNKNOWN, LINE_FOREIGN.
 */
export function ownedLine(view: View, statement: Statement): OwnedLine {
  const line = parseLineText(statement.subject);
  const key = lineKey(line);
  const record = getLine(view, key) ?? fail('LINE_UNKNOWN');
  const owned = hex(record.owner) === statement.issuer;
  const delegated = record.delegates.some(
    (delegate) =>
      equal(keyIdOf(delegate.key), statement.keyId) && hex(statement.keyId) === statement.issuer,
  );
  check(owned || delegated, 'LINE_FOREIGN');
  return { line, key, record };
}
