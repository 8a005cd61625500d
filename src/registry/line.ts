/** Lines and release keys: their text forms and their map keys (docs/spec/statement.md, T03). */
import { sha256 } from '#crypto';
import { concat, fromHex, hex, utf8 } from '../bytes.ts';
import { check, fail } from '../errors.ts';

/** One stream of releases. `author` 32 bytes, `vendor` and `class` 16 bytes each. */
export interface Line {
  readonly author: Uint8Array;
  readonly vendor: Uint8Array;
  readonly class: Uint8Array;
  readonly track: string;
}

const LINE = /^([0-9a-f]{64})\/([0-9a-f]{32})\/([0-9a-f]{32})\/([a-z0-9][a-z0-9.-]{0,31})$/;

export function lineText(line: Line): string {
  return `${hex(line.author)}/${hex(line.vendor)}/${hex(line.class)}/${line.track}`;
}

/** Errors: LINE_MALFORMED. */
export function parseLineText(value: string): Line {
  const match = LINE.exec(value);
  if (!match) fail('LINE_MALFORMED');
  const [, author = '', vendor = '', cls = '', track = ''] = match;
  return { author: fromHex(author), vendor: fromHex(vendor), class: fromHex(cls), track };
}

/** A line of its parts. Errors: LINE_MALFORMED. */
export function lineOf(parts: Line): Line {
  return parseLineText(lineText(parts));
}

/** T03: the owner's id is inside the key, so nobody can take another's line. 32 bytes. */
export function lineKey(line: Line): Uint8Array {
  return sha256(concat(line.author, line.vendor, line.class, utf8(line.track)));
}

/** The map key of an author's entry. 32 bytes. */
export function authorKey(author: Uint8Array): Uint8Array {
  return sha256(concat(utf8('firmament/author/v1'), author));
}

/** The subject of a hold: a line and the digest of one manifest on it. */
export function releaseText(line: Line, digest: Uint8Array): string {
  return `${lineText(line)}#${hex(digest)}`;
}

/** Errors: LINE_MALFORMED. */
export function parseReleaseText(value: string): {
  readonly line: Line;
  readonly digest: Uint8Array;
} {
  const [line = '', digest = '', ...rest] = value.split('#', 3);
  check(
    rest.length === 0 && /^[0-9a-f]{64}$/.test(digest),
    'LINE_MALFORMED',
    'not the text of a release key',
  );
  return { line: parseLineText(line), digest: fromHex(digest) };
}
