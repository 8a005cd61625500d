/** Writes docs/spec/errors.md from the table of codes: `npm run errors-page`. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { CODES } from '../src/errors.ts';

export const ERRORS_PAGE = join(import.meta.dirname, '..', 'docs', 'spec', 'errors.md');

/** The page: one table an area, the areas in alphabetical order, codes as in the source. */
export function errorsPage(codes: Readonly<Record<string, string>>): string {
  const areas = Map.groupBy(Object.entries(codes), ([code]) => code.split('_')[0] ?? '');
  const sections = [...areas]
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([area, rows]) => {
      const table = rows.map(([code, sentence]) => `| \`${code}\` | ${sentence} |`);
      return [`## ${area}`, '', '| code | meaning |', '|---|---|', ...table, ''].join('\n');
    });
  return [
    '# Error codes',
    '',
    'Every refusal carries one of these codes: in the `code` of an exception, of a problem+json answer',
    'and of the line that a command prints. Codes are stable; sentences are not. This page is made by',
    '`scripts/errors-page.ts` from `src/error-codes`.',
    '',
    ...sections,
  ].join('\n');
}

if (import.meta.main) writeFileSync(ERRORS_PAGE, errorsPage(CODES));
