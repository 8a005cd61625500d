/** The line that a statement is about: a statement acts only on its own line (T03). */
import { equal, hex } from '../../bytes.ts';
import { check, fail } from '../../errors.ts';
import type { Kind } from '../claims.ts';
import { keyIdOf } from '../key-id.ts';
import { lineKey, parseLineText, type Line } from '../line.ts';
import { getLine, type Delegate, type LineRecord } from '../state.ts';
import type { Statement } from '../statement.ts';
import type { View } from '../view.ts';

export interface OwnedLine {
  readonly line: Line;
  readonly key: Uint8Array;
  readonly record: LineRecord;
}

/** What a delegate may sign: nothing that takes something away, and nothing about who may sign (T01). */
export const OF_DELEGATES: readonly Kind[] = ['release', 'image.anchor'];

/** The delegate in force whose key has this thumbprint. */
export function delegateOf(record: LineRecord, keyId: Uint8Array): Delegate | undefined {
  return record.delegates.find(({ key, inForce }) => inForce && equal(keyIdOf(key), keyId));
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
  // A delegate's key may be an author's too: what that author signs of other kinds is still not its line's.
  const delegated =
    OF_DELEGATES.includes(statement.kind) &&
    hex(statement.keyId) === statement.issuer &&
    delegateOf(record, statement.keyId) !== undefined;
  check(owned || delegated, 'LINE_FOREIGN');
  return { line, key, record };
}
