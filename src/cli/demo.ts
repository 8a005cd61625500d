import { parseArgs } from 'node:util';
import { writeFile } from 'node:fs/promises';
import { EXIT, type Io } from './io.ts';

interface Row {
  readonly what: string;
  readonly expected: string;
  readonly seen: string;
  readonly ok: boolean;
  readonly ms: number;
}

/** `firmament demo [--json FILE]`: exit 0 only if every row held. */
export async function demo(args: readonly string[], io: Io): Promise<number> {
  const { values } = parseArgs({
    args: [...args],
    options: { json: { type: 'string' }, help: { type: 'boolean', short: 'h' } },
  });
  if (values.help === true) {
    io.stdout('Usage: firmament demo [--json FILE]');
    return EXIT.ok;
  }
  const rows: readonly Row[] = [];
  io.stdout('firmament demo: the network has no parts yet');
  if (values.json !== undefined) await writeFile(values.json, `${JSON.stringify({ rows })}\n`);
  return rows.every((row) => row.ok) ? EXIT.ok : EXIT.refused;
}
