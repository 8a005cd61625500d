/** A small file that is replaced as a whole: what is read is always what one write left. */
import { closeSync, fsyncSync, openSync, readFileSync, renameSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import type { FileStep } from '../fault-point.ts';

/** The file's bytes, undefined when there is none. */
export function readIfThere(file: string): Uint8Array | undefined {
  try {
    return new Uint8Array(readFileSync(file));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/** Replaces the file; on disk, name and all, when this returns. `reach` is told of each step. */
export function replaceDurably(
  file: string,
  bytes: Uint8Array,
  reach?: (step: FileStep) => void,
): void {
  reach?.('before');
  const temporary = `${file}.new`;
  const handle = openSync(temporary, 'w', 0o600);
  try {
    for (let at = 0; at < bytes.length;) at += writeSync(handle, bytes, at);
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
  reach?.('before-rename');
  renameSync(temporary, file);
  reach?.('after-rename');
  // The new name is durable only with its folder.
  const folder = openSync(dirname(file), 'r');
  try {
    fsyncSync(folder);
  } finally {
    closeSync(folder);
  }
  reach?.('after');
}
