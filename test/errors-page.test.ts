import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { ERRORS_PAGE, errorsPage } from '../scripts/errors-page.ts';
import { CODES } from '../src/errors.ts';

test('docs/spec/errors.md lists every code as the source has it', () => {
  const page = readFileSync(ERRORS_PAGE, 'utf8');
  assert.ok(page === errorsPage(CODES), 'out of date, make it again: npm run errors-page');
});

test('codes are AREA_PROBLEM and sentences fit a table', () => {
  for (const [code, sentence] of Object.entries(CODES)) {
    assert.match(code, /^[A-Z0-9]+(?:_[A-Z0-9]+)*$/);
    assert.match(sentence, /^[^|\n]+$/);
  }
});
