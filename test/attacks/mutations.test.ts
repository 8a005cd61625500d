import assert from 'node:assert/strict';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { mutated, ProjectCopy } from './mutation-run.ts';
import { MUTATIONS, type Mutation } from './mutations.ts';

const ROOT = join(import.meta.dirname, '..', '..');

test('every mutation can still be made', () => {
  for (const mutation of MUTATIONS) {
    const source = readFileSync(join(ROOT, mutation.file), 'utf8');
    assert.notEqual(mutated(mutation, source), source);
    assert.ok(mutation.tests.length > 0);
    for (const path of mutation.tests) assert.ok(existsSync(join(ROOT, path)), path);
  }
});

test('every rule that docs/threats.md calls enforced has a mutation, and the other way round', () => {
  const threats = readFileSync(join(ROOT, 'docs', 'threats.md'), 'utf8');
  const enforced = [...threats.matchAll(/^## (T\d\d) .*\n\nEnforced\./gm)].map((match) => match[1]);
  const named = [...threats.matchAll(/^## (T\d\d) /gm)].map((match) => match[1]);
  const mutatedRules = new Set<string | undefined>(MUTATIONS.map(({ rule }) => rule));
  assert.deepEqual(
    enforced.filter((rule) => !mutatedRules.has(rule)),
    [],
  );
  assert.deepEqual(
    [...mutatedRules].filter((rule) => !named.includes(rule ?? '')),
    [],
  );
});

test('a removed check is seen, a harmless edit and a broken one are told apart', async () => {
  const root = mkdtempSync(join(tmpdir(), 'firmament-project-'));
  try {
    for (const folder of ['src', 'test', 'docs', 'examples', 'node_modules'])
      mkdirSync(join(root, folder));
    for (const name of ['tsconfig.json', 'ARCHITECTURE.md']) writeFileSync(join(root, name), '');
    writeFileSync(join(root, 'package.json'), '{"type":"module"}');
    writeFileSync(
      join(root, 'src/door.ts'),
      `export function enter(age: number): void {\n  if (age < 18) throw new Error('no');\n}\n`,
    );
    writeFileSync(
      join(root, 'src/door.test.ts'),
      `import assert from 'node:assert/strict';
import { test } from 'node:test';
import { enter } from './door.ts';
test('the young are refused', () => assert.throws(() => enter(17)));
`,
    );
    using copy = new ProjectCopy(root);
    const mutation = (replace: string): Mutation => ({
      rule: 'T00',
      file: 'src/door.ts',
      find: 'age < 18',
      replace,
      tests: ['src/door.test.ts'],
    });
    assert.equal((await copy.test(mutation(''))).passed, true);
    const removed = await copy.run(mutation('false'));
    assert.deepEqual(removed, { outcome: 'killed', by: 'the young are refused' });
    assert.equal((await copy.run(mutation('age <= 17'))).outcome, 'survived');
    assert.equal((await copy.run(mutation('age <'))).outcome, 'broken');
    const unloadable = { find: 'export function', replace: 'function' };
    assert.equal((await copy.run({ ...mutation(''), ...unloadable })).outcome, 'broken');
    await assert.rejects(copy.run({ ...mutation('x'), find: 'nowhere' }), /found 0 times/);
    assert.equal((await copy.test(mutation(''))).passed, true);
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
});
