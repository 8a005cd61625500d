/** The import law of ARCHITECTURE.md, read from its fenced list and checked against source files. */
import { posix } from 'node:path';
import { importsOf, lineAt, scan } from './source-scan.ts';

export type Kind = 'pure' | 'io' | 'reader' | 'role' | 'entry';

/** Folders (or single files) of src in the order of the law, with what each may do. */
export type Order = ReadonlyMap<string, Kind>;

export interface SourceFile {
  /** Relative to the project, with forward slashes: `src/log/merkle.ts`. */
  readonly path: string;
  readonly text: string;
}

export const MAX_LINES = 400;
const VAGUE_NAMES = new Set(['index', 'utils', 'helpers', 'common', 'types', 'manager']);
const PURE_PACKAGES: ReadonlyMap<string, RegExp> = new Map([
  ['crypto', /^@noble\//],
  ['cbor', /^cbor2(?:\/|$)/],
  ['proto', /^@bufbuild\/protobuf(?:\/(?:codegenv2|wkt))?$/],
  ['light', /^@bufbuild\/protobuf(?:\/(?:wire|wkt))?$/],
]);
/** What no person reads line by line. */
const GENERATED = 'proto';
const IMPURE_FILE = 'src/crypto/native.ts';

const IMPURE_NAMES: readonly (readonly [string, RegExp])[] = [
  ['Buffer', /(?<![.\w$])Buffer\b/],
  ['Date.now', /(?<![.\w$])Date\s*\.\s*now\b/],
  ['new Date()', /(?<![.\w$])new\s+Date\b(?!\s*\(\s*[^)\s])/],
  ['Temporal.Now', /(?<![.\w$])Temporal\s*\.\s*Now\b/],
  ['Math.random', /(?<![.\w$])Math\s*\.\s*random\b/],
  ['process', /(?<![.\w$])process\s*(?:\.|\[)|=\s*process\s*[;,]/],
  ['console', /(?<![.\w$])console\s*(?:\.|\[)/],
  ['timers', /(?<![.\w$])set(?:Timeout|Interval|Immediate)\b/],
  ['performance', /(?<![.\w$])performance\s*\./],
  ['crypto', /(?<![.\w$#])crypto\s*\./],
  ['fetch', /(?:\b(?:await|return|void)|=>?|[(?:])\s*fetch\s*\(/],
  ['globalThis', /(?<![.\w$])globalThis\b/],
];
const MAIN_ONLY = /(?<![.\w$])process\s*(?:\.\s*(?:argv|env|on|once|exit)\b|\[)|=\s*process\s*[;,]/;

/** The order in ARCHITECTURE.md's fenced list `import-order`: lines of a kind and a name. */
export function readOrder(markdown: string): Order {
  const block = /^```import-order\n([^]*?)^```/m.exec(markdown)?.[1];
  if (block === undefined) throw new Error('ARCHITECTURE.md has no list fenced as import-order');
  const order = new Map<string, Kind>();
  for (const line of block.split('\n').filter((text) => text.trim() !== '')) {
    const match = /^(pure|io|reader|role|entry) +([a-z-]+)(?: {2,}.*)?$/.exec(line);
    const [, kind, name] = match ?? [];
    if (kind === undefined || name === undefined || order.has(name))
      throw new Error(`ARCHITECTURE.md, import-order: cannot read "${line}"`);
    order.set(name, kind as Kind);
  }
  return order;
}

/** Everything in the files that the law forbids, one sentence each. */
export function violations(files: readonly SourceFile[], order: Order): readonly string[] {
  return files.filter(({ path }) => !isTest(path)).flatMap((file) => check(file, order));
}

/** Tests, and the programs that tests start (`x.child.ts`), are outside of the law. */
function isTest(path: string): boolean {
  return /\.(?:test|child)\.ts$/.test(path);
}

/** `src/log/merkle.ts` is in log, `src/errors.ts` in errors. */
function partOf(path: string): string {
  return (path.split('/')[1] ?? '').replace(/\.ts$/, '');
}

function check(file: SourceFile, order: Order): string[] {
  const found: string[] = [];
  const say = (line: number, what: string): void => void found.push(`${file.path}:${line} ${what}`);
  const part = partOf(file.path);
  const kind = order.get(part);
  if (kind === undefined) {
    say(1, `lies in "${part}", which ARCHITECTURE.md does not list`);
    return found;
  }
  const lines = file.text.split('\n').length - 1;
  if (lines > MAX_LINES && part !== GENERATED) say(lines, `has more than ${MAX_LINES} lines`);
  const name = posix.basename(file.path, '.ts');
  if (VAGUE_NAMES.has(name)) say(1, `is named "${name}": name it for what it is`);

  const pure = kind === 'pure' && file.path !== IMPURE_FILE;
  const source = scan(file.text);
  for (const { specifier, line } of importsOf(source)) {
    if (specifier === null) say(line, 'imports something computed');
    else checkImport(file.path, specifier, order, pure, (what) => say(line, what));
  }
  for (const [what, pattern] of pure ? IMPURE_NAMES : []) {
    const match = pattern.exec(source.code);
    if (match !== null) say(lineAt(source.code, match.index), `is pure and uses ${what}`);
  }
  if (kind !== 'entry' && name !== 'main') {
    const match = MAIN_ONLY.exec(source.code);
    if (match !== null)
      say(lineAt(source.code, match.index), 'reads argv, env or signals, or exits: for mains only');
  }
  return found;
}

function checkImport(
  path: string,
  specifier: string,
  order: Order,
  pure: boolean,
  say: (what: string) => void,
): void {
  const from = partOf(path);
  if (!specifier.startsWith('.') && specifier !== '#crypto') {
    if (pure && PURE_PACKAGES.get(from)?.test(specifier) !== true)
      say(`is pure and imports ${specifier}`);
    const main = order.get(from) === 'entry' || posix.basename(path) === 'main.ts';
    if (/^(?:node:)?process$/.test(specifier) && !main) say('imports node:process: for mains only');
    return;
  }
  const target =
    specifier === '#crypto'
      ? 'src/crypto/native.ts'
      : posix.normalize(posix.join(posix.dirname(path), specifier));
  if (!target.startsWith('src/')) return say(`imports ${target}, outside of src`);
  if (isTest(target)) return say(`imports the test ${target}`);
  const to = partOf(target);
  if (to === from) return;
  const names = [...order.keys()];
  if (!order.has(to)) return say(`imports "${to}", which ARCHITECTURE.md does not list`);
  if (names.indexOf(to) > names.indexOf(from))
    return say(`imports ${to}, which stands below ${from}`);
  if (order.get(from) === 'role' && order.get(to) === 'role')
    return say(`is a role and imports the role ${to}`);
  if (order.get(from) === 'io' && to === 'api')
    say('imports api, which only roles and entries may');
}
