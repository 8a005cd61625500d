/** The line that a statement is about: a statement acts only on its own line (T03). */
import { fail } from '../../errors.ts';
import { lineKey, parseLineText, type Line } from '../line.ts';
import { getLine, type LineRecord } from '../state.ts';
import type { Statement } from '../statement.ts';
import type { View } from '../view.ts';

export interface OwnedLine {
  readonly line: Line;
  readonly key: Uint8Array;
  readonly record: LineRecord;
}

/** Errors: LINE_MALFORMED, LINE_UNKNOWN. */
export function ownedLine(view: View, statement: Statement): OwnedLine {
  const line = parseLineText(statement.subject);
  const key = lineKey(line);
  return { line, key, record: getLine(view, key) ?? fail('LINE_UNKNOWN') };
}
