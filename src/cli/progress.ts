/** Progress on stderr: a bar that is drawn over on a terminal, a line at each quarter elsewhere. */
import type { Io } from './io.ts';

export interface Progress {
  /** `done` of `total` bytes of what `what` names. */
  bytes(what: string, done: number, total: number): void;
  /** A line of its own. */
  line(text: string): void;
}

const WIDTH = 28;

export function createProgress(
  io: Io,
  terminal: Pick<NodeJS.WriteStream, 'isTTY' | 'write'> = process.stderr,
): Progress {
  let open = false;
  let quarter = -1;
  let last = '';
  const close = (): void => {
    if (open) terminal.write('\n');
    open = false;
  };
  return {
    bytes(what, done, total) {
      const share = total === 0 ? 1 : Math.min(1, done / total);
      if (what !== last) {
        close();
        quarter = -1;
        last = what;
      }
      if (terminal.isTTY) {
        const full = Math.round(share * WIDTH);
        const bar = '#'.repeat(full) + '.'.repeat(WIDTH - full);
        terminal.write(
          `\r[${bar}] ${percent(share)} ${what} (${size(done)} of ${size(total)})\u001b[K`,
        );
        open = true;
        if (share === 1) close();
      } else if (Math.floor(share * 4) > quarter) {
        quarter = Math.floor(share * 4);
        io.stderr(`${percent(share)} ${what}`);
      }
    },
    line(text) {
      close();
      io.stderr(text);
    },
  };
}

function percent(share: number): string {
  return `${Math.floor(share * 100)} %`.padStart(5);
}

/** Bytes for people. */
export function size(bytes: number): string {
  if (bytes < 1024) return `${bytes} B`;
  if (bytes < 1024 * 1024) return `${(bytes / 1024).toFixed(1)} KiB`;
  return `${(bytes / 1024 / 1024).toFixed(1)} MiB`;
}
