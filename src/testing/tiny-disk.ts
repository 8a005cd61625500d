/** A file system of a given size in memory, and what fills it. Linux, and only as root. */
import { execFileSync } from 'node:child_process';
import {
  closeSync,
  mkdtempSync,
  openSync,
  rmSync,
  statSync,
  truncateSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface TinyDisk extends Disposable {
  readonly folder: string;
  /** Takes all room but `left` bytes. */
  fill(left?: number): void;
  /** Gives it back. */
  free(): void;
}

/** Undefined where this process may not mount. */
export function mountTinyDisk(bytes: number): TinyDisk | undefined {
  const folder = mkdtempSync(join(tmpdir(), 'firmament-disk-'));
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${bytes}`, 'tmpfs', folder], {
      stdio: 'ignore',
    });
  } catch {
    rmSync(folder, { recursive: true });
    return undefined;
  }
  const filler = join(folder, 'filler');
  const free = (): void => rmSync(filler, { force: true });
  return {
    folder,
    free,
    fill(left = 0) {
      const file = openSync(filler, 'a');
      try {
        // Ends with the disk.
        for (;;) writeSync(file, new Uint8Array(4096));
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
      } finally {
        closeSync(file);
      }
      if (left > 0) truncateSync(filler, statSync(filler).size - left);
    },
    [Symbol.dispose]() {
      execFileSync('umount', ['-l', folder]);
      rmSync(folder, { recursive: true });
    },
  };
}
