/** Where a command writes: whole lines, without their newline. */
export interface Io {
  stdout(line: string): void;
  stderr(line: string): void;
}

/** Exit codes of every command: done; refused, with a code; wrong usage or no such file. */
export const EXIT = { ok: 0, refused: 1, usage: 2 } as const;

/** The line that a refusal prints for people: `CODE: sentence`. */
export function refusalLine(code: string, message: string): string {
  return `${code}: ${message}`;
}
