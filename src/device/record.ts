/**
 * Small durable records: one line of JSON, and its SHA-256 in hex on the next (docs/spec/device.md).
 * A record is replaced as a whole: after a power cut the old one or the new one is there.
 */
import { join } from 'node:path';
import { sha256 } from '#crypto';
import { hex, text, utf8 } from '../bytes.ts';
import { check, fail } from '../errors.ts';
import type { Files } from '../reader/files.ts';

// 16 lines with 96 linked keys each fit (chain-record.ts).
const MAX_BYTES = 512 * 1024;

/** The JSON value of the record; undefined when there is none. Errors: DEVICE_STATE_CORRUPT. */
export async function readRecord(files: Files, folder: string, name: string): Promise<unknown> {
  const path = join(folder, name);
  const size = await files.size(path);
  if (size === undefined) return undefined;
  check(size <= MAX_BYTES, 'DEVICE_STATE_CORRUPT', `${name} is too large`, { size });
  return parseRecord(await files.read(path, 0, size), name);
}

/** Errors: DEVICE_STATE_CORRUPT. */
export function parseRecord(bytes: Uint8Array, name: string): unknown {
  try {
    const [line = '', digest = '', ...rest] = text(bytes).split('\n');
    check(
      rest.length === 1 && rest[0] === '' && digest === hex(sha256(utf8(line))),
      'DEVICE_STATE_CORRUPT',
      `the check value of ${name} does not fit`,
    );
    return JSON.parse(line);
  } catch (cause) {
    return fail('DEVICE_STATE_CORRUPT', `${name} is not readable`, {}, cause);
  }
}

/** Durable when it returns. The folder's files must be written by one process and one at a time. */
export async function writeRecord(
  files: Files,
  folder: string,
  name: string,
  value: unknown,
): Promise<void> {
  const line = JSON.stringify(value);
  const bytes = utf8(`${line}\n${hex(sha256(utf8(line)))}\n`);
  check(bytes.length <= MAX_BYTES, 'DEVICE_STATE_CORRUPT', `${name} would be too large`);
  const fresh = join(folder, `${name}.new`);
  await files.remove(fresh);
  await files.write(fresh, 0, bytes);
  await files.sync(fresh);
  await files.rename(fresh, join(folder, name));
  await files.syncFolder(folder);
}
