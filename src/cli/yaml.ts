/**
 * The YAML that descriptions may be written in: block mappings and sequences, `- ` items, scalars
 * (JSON ones, or plain text), flow lists and maps in JSON, comments. No anchors, tags, multi-line text or
 * several documents: what is not of this subset is refused, never guessed.
 */
import { fail } from '../errors.ts';

interface Line {
  readonly number: number;
  readonly indent: number;
  readonly text: string;
}

const MAX_DEPTH = 32;

/** Plain data as JSON.parse gives it. Errors: SUIT_DESCRIPTION_INVALID, with the line. */
export function parseYaml(source: string): unknown {
  const lines: Line[] = [];
  for (const [i, raw] of source.split(/\r?\n/).entries()) {
    const text = uncommented(raw).trimEnd();
    if (text.trim() === '') continue;
    const indent = text.length - text.trimStart().length;
    const line = { number: i + 1, indent, text: text.slice(indent) };
    if (/^ *\t/.test(text)) refuse(line, 'a tab where spaces indent');
    if (/^(---|\.\.\.|%)/.test(text)) refuse(line, 'documents and directives');
    lines.push(line);
  }
  const reader = { lines, at: 0 };
  const first = lines[0];
  const value = first === undefined ? null : block(reader, first.indent, 0);
  const rest = lines[reader.at];
  return rest === undefined ? value : refuse(rest, 'this indentation');
}

interface Reader {
  readonly lines: Line[];
  at: number;
}

function refuse(line: Line, what: string): never {
  return fail(
    'SUIT_DESCRIPTION_INVALID',
    `line ${line.number}: ${what} is not of the YAML read here`,
  );
}

/** Without a comment: `#` at the start or after a space, outside of double quotes. */
function uncommented(raw: string): string {
  let quoted = false;
  for (let i = 0; i < raw.length; i++) {
    if (quoted && raw[i] === '\\') i++;
    else if (raw[i] === '"') quoted = !quoted;
    else if (raw[i] === '#' && !quoted && (i === 0 || raw[i - 1] === ' ')) return raw.slice(0, i);
  }
  return raw;
}

/** The mapping, sequence or scalar that stands at this indentation. */
function block(reader: Reader, indent: number, depth: number): unknown {
  const line = reader.lines[reader.at] as Line;
  if (depth > MAX_DEPTH) return refuse(line, 'nesting this deep');
  if (isItem(line)) return sequence(reader, indent, depth);
  if (keyOf(line) !== undefined) return mapping(reader, indent, depth);
  reader.at++;
  return scalar(line, line.text);
}

const isItem = ({ text }: Line): boolean => text === '-' || text.startsWith('- ');

function sequence(reader: Reader, indent: number, depth: number): unknown[] {
  const items: unknown[] = [];
  for (;;) {
    const line = reader.lines[reader.at];
    if (line === undefined || line.indent !== indent || !isItem(line)) return items;
    const inner = line.text.slice(1).trimStart();
    if (inner === '') items.push(below(reader, line, depth, false));
    else {
      // What follows the dash stands where it stands: `- a: 1` begins a mapping there.
      const at = indent + line.text.length - inner.length;
      reader.lines[reader.at] = { ...line, indent: at, text: inner };
      items.push(block(reader, at, depth + 1));
    }
  }
}

function mapping(reader: Reader, indent: number, depth: number): unknown {
  const entries = new Map<string, unknown>();
  for (;;) {
    const line = reader.lines[reader.at];
    if (line === undefined || line.indent !== indent || isItem(line)) break;
    const found = keyOf(line) ?? refuse(line, 'a line that is no "key: value"');
    if (entries.has(found.key)) refuse(line, 'the same key twice');
    if (found.rest === '') entries.set(found.key, below(reader, line, depth, true));
    else {
      reader.at++;
      entries.set(found.key, scalar(line, found.rest));
    }
  }
  return Object.fromEntries(entries);
}

/** What is indented below a line; a sequence under a key may stand at the key's own place. */
function below(reader: Reader, line: Line, depth: number, key: boolean): unknown {
  reader.at++;
  const next = reader.lines[reader.at];
  const deeper = next !== undefined && next.indent > line.indent;
  if (!deeper && !(key && next?.indent === line.indent && isItem(next))) return null;
  return block(reader, next.indent, depth + 1);
}

function keyOf({ text }: Line): { readonly key: string; readonly rest: string } | undefined {
  const match = /^("(?:[^"\\]|\\.)*"|[^\s"'[{&*!|>@`%#,?-][^"'[{]*?):(?: +(.*))?$/.exec(text);
  if (match?.[1] === undefined) return undefined;
  const key = match[1].startsWith('"') ? String(JSON.parse(match[1])) : match[1];
  return { key, rest: match[2] ?? '' };
}

function scalar(line: Line, text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    // 0x10, 010, 1_000, yes, ~ and .5 mean different things to different readers of YAML.
    const plain = /^[\p{L}/]/u.test(text) || /^[0-9a-f]{2}[0-9a-f-]*$/i.test(text);
    const odd = /^(?:yes|no|on|off|y|n|null|true|false)$/i.test(text) || /: | #/.test(text);
    return plain && !odd ? text : refuse(line, `the value ${text}`);
  }
}
