/**
 * `npm run bench [-- --quick] [--only NAME] [--json FILE]`: runs every file of this folder that exports `rows`, one
 * after the other, and prints a table.
 */
import { globSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { basename, join } from 'node:path';
import { parseArgs } from 'node:util';
import { reaches, table, type Bench, type Row } from './support/row.ts';

const { values } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    only: { type: 'string', multiple: true },
    json: { type: 'string' },
  },
});
const files = globSync('*.ts', { cwd: import.meta.dirname })
  .filter((file) => file !== 'main.ts' && !file.endsWith('.test.ts'))
  .toSorted();
const names = files.map((file) => basename(file, '.ts'));
const wanted = values.only ?? names;
const unknown = wanted.filter((name) => !names.includes(name));
if (unknown.length > 0)
  throw new Error(`no bench ${unknown.join(', ')}; there are ${names.join(', ')}`);

const say = (line: string): void => console.error(line);
const rows: (Row & { readonly bench: string })[] = [];
for (const name of wanted) {
  say(`${name} ...`);
  const module: { readonly rows?: Bench } = await import(join(import.meta.dirname, `${name}.ts`));
  if (!module.rows) continue;
  const found = await module.rows({ quick: values.quick, say: (line) => say(`  ${line}`) });
  rows.push(...found.map((row) => ({ bench: name, ...row })));
  console.log(`${table(found)}\n`);
}

const machine = { node: process.version, cpu: cpus()[0]?.model ?? '?', cores: cpus().length };
console.log(
  `${machine.cores} cores of ${machine.cpu}, Node ${machine.node}${values.quick ? ', quick' : ''}`,
);
if (values.json !== undefined) {
  const results = rows.map((row) => ({ ...row, reached: reaches(row) ?? null }));
  writeFileSync(
    values.json,
    `${JSON.stringify({ quick: values.quick, machine, rows: results }, null, 2)}\n`,
  );
}
