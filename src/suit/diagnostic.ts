/** An envelope in CBOR diagnostic notation (RFC 8949 8), each number with its meaning before it. */
import { hex } from '../bytes.ts';
import { FirmamentError } from '../errors.ts';
import { printable } from './explain.ts';
import { parseItem } from './item.ts';
import type { Item } from './item.ts';
import {
  ACTION,
  COMMON,
  COMPONENT_TEXT,
  CONDITION,
  CONTROL,
  DEPENDENCY,
  ENVELOPE,
  MANIFEST,
  nameOf,
  PARAMETER,
  SECTION,
  SEVERABLE,
  TEXT,
  WAIT_EVENT,
} from './label.ts';

/** What an item is, so that numbers in it can be named. */
type Shape =
  | { readonly kind: 'plain' }
  /** A number with a name of its own. */
  | { readonly kind: 'named'; readonly names: ReadonlyMap<number, string> }
  | { readonly kind: 'wrapped'; readonly inner: Shape }
  | { readonly kind: 'list'; readonly items: readonly Shape[]; readonly rest: Shape }
  | {
      readonly kind: 'map';
      readonly keys: ReadonlyMap<number, readonly [string, Shape]>;
      readonly other: Shape;
    }
  /** Command, argument, command, argument, ... */
  | { readonly kind: 'commands' }
  /** Bytes of commands, or the digest of them. */
  | { readonly kind: 'either'; readonly bytes: Shape; readonly array: Shape };

const PLAIN: Shape = { kind: 'plain' };
const wrapped = (inner: Shape): Shape => ({ kind: 'wrapped', inner });
const list = (rest: Shape, ...items: readonly Shape[]): Shape => ({ kind: 'list', items, rest });
const named = (...names: readonly (readonly [number, string])[]): Shape => ({
  kind: 'named',
  names: new Map(names),
});
function map(entries: readonly (readonly [number, string, Shape])[], other: Shape = PLAIN): Shape {
  return {
    kind: 'map',
    keys: new Map(entries.map(([key, name, shape]) => [key, [name, shape]])),
    other,
  };
}

const ALGORITHMS = named(
  [-16, 'SHA-256'],
  [-43, 'SHA-384'],
  [-44, 'SHA-512'],
  [-7, 'ES256'],
  [-8, 'EdDSA'],
  [-9, 'ESP256'],
  [-19, 'Ed25519'],
  [5, 'HMAC 256/256'],
  [1, 'A128GCM'],
  [24, 'ChaCha20/Poly1305'],
  [-65534, 'A128CTR'],
  [-3, 'A128KW'],
  [-29, 'ECDH-ES+A128KW'],
);
const DIGEST = list(PLAIN, ALGORITHMS);
const HEADER = map([
  [1, 'alg', ALGORITHMS],
  [4, 'kid', PLAIN],
  [5, 'IV', PLAIN],
  [15, 'CWT claims', PLAIN],
  [16, 'typ', PLAIN],
  [394, 'receipts', PLAIN],
  [-1, 'ephemeral key', PLAIN],
]);
const COSE = list(PLAIN, wrapped(HEADER), HEADER);
const RECIPIENT = list(PLAIN, wrapped(HEADER), HEADER);
const ENCRYPT = list(PLAIN, wrapped(HEADER), HEADER, PLAIN, list(RECIPIENT));
const COMMANDS: Shape = { kind: 'commands' };
const MEMBER: Shape = { kind: 'either', bytes: wrapped(COMMANDS), array: DIGEST };

const spoken = (name: string): string =>
  name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
const entriesOf = (
  table: Readonly<Record<string, number>>,
  shapes: Readonly<Record<string, Shape>> = {},
): readonly (readonly [number, string, Shape])[] =>
  Object.entries(table).map(([name, number]) => [number, spoken(name), shapes[name] ?? PLAIN]);

const WAIT = map(entriesOf(WAIT_EVENT));
const PARAMETERS = map(
  entriesOf(PARAMETER, {
    imageDigest: wrapped(DIGEST),
    encryptionInfo: wrapped(ENCRYPT),
    versionMatch: wrapped(PLAIN),
    waitInfo: wrapped(WAIT),
  }),
);
const ARGUMENTS: Readonly<Record<string, Shape>> = {
  'override-parameters': PARAMETERS,
  'set-parameters': PARAMETERS,
  'override-multiple': map([], PARAMETERS),
  'try-each': list(wrapped(COMMANDS)),
  'run-sequence': wrapped(COMMANDS),
};
const COMMON_MAP = map(
  entriesOf(COMMON, {
    sharedSequence: wrapped(COMMANDS),
    dependencies: map([], map(entriesOf(DEPENDENCY))),
  }),
);
const numbered = (
  names: ReadonlyMap<number, string>,
): readonly (readonly [number, string, Shape])[] =>
  [...names].map(([number, name]) => [number, spoken(name), PLAIN]);
const TEXTS = map([], map(numbered(TEXT), map(numbered(COMPONENT_TEXT))));
const TEXT_MEMBER: Shape = { kind: 'either', bytes: wrapped(TEXTS), array: DIGEST };
const MANIFEST_MAP = map([
  ...entriesOf(MANIFEST, {
    common: wrapped(COMMON_MAP),
    setVersion: wrapped(PLAIN),
    text: TEXT_MEMBER,
  }),
  ...Object.entries(SECTION).map(([name, number]) => [number, name, MEMBER] as const),
]);
const ENVELOPE_MAP = map([
  [
    ENVELOPE.authentication,
    'authentication-wrapper',
    wrapped(list(wrapped(COSE), wrapped(DIGEST))),
  ],
  [ENVELOPE.manifest, 'manifest', wrapped(MANIFEST_MAP)],
  ...[...SEVERABLE].map(
    ([number, name]) => [number, name, name === 'text' ? wrapped(TEXTS) : MEMBER] as const,
  ),
]);

/** Bytes shown of a byte string that is not taken apart: payloads can be long. */
const MAX_SHOWN = 128;
/** Byte strings further in are shown as bytes: sequences nest as deep as their author likes. */
const MAX_INDENT = 48;

/**
 * Lines of text. Only the CBOR must hold; what else is wrong with it is shown as it is. Errors:
 * SUIT_* of item.ts.
 */
export function diagnose(bytes: Uint8Array): readonly string[] {
  const lines: string[] = [];
  render(parseItem(bytes, 'envelope'), ENVELOPE_MAP, { lines, indent: 0, before: '', after: '' });
  return lines;
}

interface At {
  readonly lines: string[];
  readonly indent: number;
  /** What stands before the value in its first line and after it in its last. */
  readonly before: string;
  readonly after: string;
}

function put({ lines, indent, before, after }: At, text: string): void {
  lines.push(`${'  '.repeat(indent)}${before}${text}${after}`);
}

function render(item: Item, shape: Shape, at: At): void {
  switch (item.kind) {
    case 'integer': {
      const name = shape.kind === 'named' ? shape.names.get(Number(item.value)) : undefined;
      return put(at, name === undefined ? `${item.value}` : `/ ${name} / ${item.value}`);
    }
    case 'text':
      return put(at, printable(JSON.stringify(item.value)));
    case 'boolean':
      return put(at, String(item.value));
    case 'null':
      return put(at, 'null');
    case 'tag':
      return render(item.content, shape, {
        ...at,
        before: `${at.before}${item.tag}(`,
        after: `)${at.after}`,
      });
    case 'bytes':
      return renderBytes(item.value, item.contentStart, shape, at);
    case 'array': {
      const inner = shape.kind === 'either' ? shape.array : shape;
      if (inner.kind === 'commands') return renderCommands(item.items, at);
      const shapeOf = (i: number): Shape =>
        inner.kind === 'list' ? (inner.items[i] ?? inner.rest) : PLAIN;
      return renderMany(item.items, '[]', at, (each, i, place) => render(each, shapeOf(i), place));
    }
    case 'map':
    default:
      return renderMany(item.entries, '{}', at, ([key, value], _, place) => {
        const number = key.kind === 'integer' ? Number(key.value) : undefined;
        const known =
          shape.kind === 'map' && number !== undefined ? shape.keys.get(number) : undefined;
        const other = shape.kind === 'map' ? shape.other : PLAIN;
        const name = known === undefined ? '' : `/ ${known[0]} / `;
        render(value, known?.[1] ?? other, {
          ...place,
          before: `${place.before}${name}${inline(key)}: `,
        });
      });
  }
}

function renderMany<T>(
  items: readonly T[],
  [open, close]: string,
  at: At,
  each: (item: T, index: number, at: At) => void,
): void {
  if (items.length === 0) return put(at, `${open}${close}`);
  put({ ...at, after: '' }, open as string);
  for (const [i, item] of items.entries())
    each(item, i, {
      lines: at.lines,
      indent: at.indent + 1,
      before: '',
      after: i === items.length - 1 ? '' : ',',
    });
  put({ ...at, before: '' }, close as string);
}

function renderCommands(items: readonly Item[], at: At): void {
  put({ ...at, after: '' }, '[');
  const names = { ...CONDITION, ...ACTION, ...CONTROL };
  for (let i = 0; i < items.length; i += 2) {
    const [code, argument] = [items[i] as Item, items[i + 1]];
    const name = code.kind === 'integer' ? nameOf(names, Number(code.value)) : undefined;
    const kind = name === undefined ? '' : name in CONDITION ? 'condition-' : 'directive-';
    const before = `${name === undefined ? '' : `/ ${kind}${name} / `}${inline(code)}`;
    const place = {
      lines: at.lines,
      indent: at.indent + 1,
      after: i + 2 >= items.length ? '' : ',',
    };
    if (argument === undefined) put({ ...place, before: '' }, before);
    else render(argument, ARGUMENTS[name ?? ''] ?? PLAIN, { ...place, before: `${before}, ` });
  }
  put({ ...at, before: '' }, ']');
}

function renderBytes(value: Uint8Array, start: number, shape: Shape, at: At): void {
  const inner = shape.kind === 'either' ? shape.bytes : shape;
  if (inner.kind === 'wrapped' && value.length > 0 && at.indent < MAX_INDENT)
    try {
      const item = parseItem(value, 'bytes', start);
      return render(item, inner.inner, {
        ...at,
        before: `${at.before}<< `,
        after: ` >>${at.after}`,
      });
    } catch (error) {
      if (!(error instanceof FirmamentError)) throw error;
    }
  const shown = hex(value.subarray(0, MAX_SHOWN));
  const more = value.length > MAX_SHOWN ? ` / ... ${value.length} bytes /` : '';
  put(at, `h'${shown}'${more}`);
}

/** A key or command number on one line. */
function inline(item: Item): string {
  const lines: string[] = [];
  render(item, PLAIN, { lines, indent: 0, before: '', after: '' });
  return lines.map((line) => line.trim()).join('');
}
