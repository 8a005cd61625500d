/**
 * A small scanner for TypeScript source: enough to read imports and names without being misled by
 * comments and strings. It is not a parser; what it cannot read (a computed import) it reports.
 */

export interface ScannedSource {
  /** The code without comments and regular expressions, each string replaced by its number: "0". */
  readonly code: string;
  readonly strings: readonly string[];
}

export interface Import {
  /** null: a dynamic import of something that is not a literal. */
  readonly specifier: string | null;
  readonly line: number;
}

// After one of these a slash begins a regular expression; after anything else it divides.
const BEFORE_REGEX = /(?:^|[(,=:[!&|?{};+\-*%<>~^]|\b(?:return|typeof|case|in|of|await|yield))\s*$/;

/** Masks comments, strings, template text and regular expressions; line breaks stay. */
export function scan(source: string): ScannedSource {
  const strings: string[] = [];
  let code = '';
  let at = 0;

  function keepLines(text: string): string {
    return text.replace(/[^\n]/g, '');
  }

  function string(quote: string): void {
    const start = ++at;
    while (at < source.length && source[at] !== quote) at += source[at] === '\\' ? 2 : 1;
    code += `"${strings.push(source.slice(start, at)) - 1}"`;
    at++;
  }

  function template(): void {
    let start = ++at;
    const close = (): void => {
      const text = source.slice(start, at);
      code += `"${strings.push(text) - 1}"${keepLines(text)}`;
    };
    while (at < source.length && source[at] !== '`') {
      if (source.startsWith('${', at)) {
        close();
        code += '+(';
        at += 2;
        plain('}');
        code += ')+';
        start = at;
      } else at += source[at] === '\\' ? 2 : 1;
    }
    close();
    at++;
  }

  function regex(): void {
    let inClass = false;
    for (at++; at < source.length && source[at] !== '\n'; at++) {
      const c = source[at];
      if (c === '\\') at++;
      else if (c === '[') inClass = true;
      else if (c === ']') inClass = false;
      else if (c === '/' && !inClass) break;
    }
    code += '/./';
    at++;
  }

  /** Code up to `until` at the depth where it began, or to the end. */
  function plain(until: string | null): void {
    let depth = 0;
    while (at < source.length) {
      const c = source.charAt(at);
      if (until !== null && depth === 0 && c === until) {
        at++;
        return;
      }
      if (source.startsWith('//', at)) {
        const end = source.indexOf('\n', at);
        at = end < 0 ? source.length : end;
      } else if (source.startsWith('/*', at)) {
        const end = source.indexOf('*/', at + 2);
        const stop = end < 0 ? source.length : end + 2;
        code += ` ${keepLines(source.slice(at, stop))}`;
        at = stop;
      } else if (c === "'" || c === '"') string(c);
      else if (c === '`') template();
      else if (c === '/' && BEFORE_REGEX.test(code.slice(-24))) regex();
      else {
        if (c === '{') depth++;
        else if (c === '}') depth--;
        code += c;
        at++;
      }
    }
  }

  plain(null);
  return { code, strings };
}

const IMPORTS = [
  /\b(?:import|export)\b[^"();=]*?\bfrom\s*"(?<n>\d+)"/g,
  /\bimport\s*"(?<n>\d+)"/g,
  /\bimport\s*\((?:\s*"(?<n>\d+)"\s*[,)])?/g,
  /\brequire\s*\((?:\s*"(?<n>\d+)"\s*[,)])?/g,
];

/** Every import of a file: static, for types, dynamic, and require. */
export function importsOf({ code, strings }: ScannedSource): readonly Import[] {
  const found: Import[] = [];
  for (const pattern of IMPORTS)
    for (const match of code.matchAll(pattern)) {
      const n = match.groups?.['n'];
      found.push({
        specifier: n === undefined ? null : (strings[Number(n)] ?? null),
        line: lineAt(code, match.index),
      });
    }
  return found;
}

/** The line, from 1, of a place in a text. */
export function lineAt(text: string, index: number): number {
  return text.slice(0, index).split('\n').length;
}
