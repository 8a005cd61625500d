/** c2sp.org/signed-note: a text and signature lines under it. */
import { base64, concat, fromBase64, utf8 } from '../bytes.ts';
import { check, codeOf, fail } from '../errors.ts';

/** One signature line; what `signature` holds is for the key's type to say. */
export interface NoteSignature {
  /** Key name: not empty, no spaces, no plus sign. */
  readonly name: string;
  readonly keyId: Uint8Array;
  readonly signature: Uint8Array;
}

export interface Note {
  /** Ends with a newline, which is signed too. */
  readonly text: string;
  /** In the order of their lines, of known and unknown keys. */
  readonly signatures: readonly NoteSignature[];
}

export const MAX_NOTE = 64 << 10;
export const MAX_SIGNATURES = 64;
const KEY_ID = 4;
const MAX_NAME = 256;
const DASH = '\u2014 ';

/** Errors: LOG_NOTE_MALFORMED. */
export function formatNote(note: Note): string {
  const formatted = `${note.text}\n${note.signatures.map(formatSignatureLine).join('')}`;
  parseNote(formatted);
  return formatted;
}

/**
 * Errors: LOG_NOTE_MALFORMED, also for more than 64 KiB or 64 signatures. Nothing is verified: the
 * caller checks the signatures of the keys that it knows and ignores the others.
 */
export function parseNote(note: string): Note {
  const small = note.length <= MAX_NOTE && utf8(note).length <= MAX_NOTE;
  check(small, 'LOG_NOTE_MALFORMED', 'longer than the bound');
  check(isPlain(note), 'LOG_NOTE_MALFORMED', 'control characters, or not Unicode');
  // The text may have empty lines of its own: the last one parts it from the signatures.
  const end = note.lastIndexOf('\n\n');
  check(end > 0, 'LOG_NOTE_MALFORMED', 'no empty line before the signatures');
  const text = note.slice(0, end + 1);
  const lines = note.slice(end + 2);
  check(lines.endsWith('\n'), 'LOG_NOTE_MALFORMED', 'a signature line without its end');
  const parts = lines.slice(0, -1).split('\n');
  check(parts.length <= MAX_SIGNATURES, 'LOG_NOTE_MALFORMED', 'too many signatures');
  return { text, signatures: parts.map((line) => parseSignatureLine(`${line}\n`)) };
}

/** `— NAME base64(key id || signature)` and a newline. Errors: LOG_NOTE_MALFORMED. */
export function formatSignatureLine({ name, keyId, signature }: NoteSignature): string {
  checkName(name);
  check(keyId.length === KEY_ID, 'LOG_NOTE_MALFORMED', 'a key id has 4 bytes');
  return `${DASH}${name} ${base64(concat(keyId, signature))}\n`;
}

/** Errors: LOG_NOTE_MALFORMED. */
export function parseSignatureLine(line: string): NoteSignature {
  const right = line.startsWith(DASH) && line.endsWith('\n') && line.length <= MAX_NOTE;
  check(right, 'LOG_NOTE_MALFORMED', 'not a signature line');
  const [name, value, ...more] = line.slice(DASH.length, -1).split(' ');
  check(name !== undefined && value !== undefined && more.length === 0, 'LOG_NOTE_MALFORMED');
  checkName(name);
  const bytes = decodeLine(value);
  check(bytes.length > KEY_ID, 'LOG_NOTE_MALFORMED', 'a signature line without a signature');
  return { name, keyId: bytes.subarray(0, KEY_ID), signature: bytes.subarray(KEY_ID) };
}

function decodeLine(value: string): Uint8Array {
  try {
    const bytes = fromBase64(value);
    check(base64(bytes) === value, 'LOG_NOTE_MALFORMED', 'not the one base64 of its bytes');
    return bytes;
  } catch (cause) {
    if (codeOf(cause) !== 'BYTES_MALFORMED') throw cause;
    return fail('LOG_NOTE_MALFORMED', 'a signature is not base64', {}, cause);
  }
}

function checkName(name: string): void {
  const right = name.length > 0 && name.length <= MAX_NAME && !/[\s+]/u.test(name) && isPlain(name);
  check(right, 'LOG_NOTE_MALFORMED', 'not a key name');
}

function isPlain(value: string): boolean {
  // oxlint-disable-next-line no-control-regex -- control characters are what is refused
  return value.isWellFormed() && !/[\u0000-\u0009\u000b-\u001f\u007f]/.test(value);
}
