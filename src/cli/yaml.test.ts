/** The subset of YAML: what is read as YAML has it, and that nothing else is guessed at. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { parseYaml } from './yaml.ts';

test('what is read', () => {
  const cases: readonly (readonly [string, unknown])[] = [
    ['', null],
    ['a: 1', { a: 1 }],
    ['a:\n  b: true\n  c: null\nd: "x: # y"', { a: { b: true, c: null }, d: 'x: # y' }],
    ['- 1\n- a\n- [1, {"b": 2}]', [1, 'a', [1, { b: 2 }]]],
    ['a:\n- b: 1\n  c: 2\n- d', { a: [{ b: 1, c: 2 }, 'd'] }],
    ['- - 1\n  - 2\n-\n  - 3', [[1, 2], [3]]],
    ['a:\nb: x', { a: null, b: 'x' }],
    [
      'set-component-index: 1 # why\n# all\nuri: https://example.org/a#b',
      { 'set-component-index': 1, uri: 'https://example.org/a#b' },
    ],
    ['id: 00ff\nuuid: fa6b4a53-d5ad', { id: '00ff', uuid: 'fa6b4a53-d5ad' }],
  ];
  for (const [source, value] of cases) assert.deepEqual(parseYaml(source), value, source);
});

test('what is not', () => {
  for (const source of [
    'a: yes',
    'a: ~',
    'a: 0x10',
    'a: .5',
    'a: 1_000',
    "a: 'x'",
    'a: *b',
    'a: &b 1',
    'a: !t 1',
    'a: |\n  x',
    'a: >\n  x',
    '---\na: 1',
    'a: 1\na: 2',
    'a: 1\n  b: 2',
    ' a: 1\nb: 2',
    '\ta: 1',
    'a: b: c',
    'a: {b: c}',
    'a: [1,\n  2]',
  ])
    assert.throws(() => parseYaml(source), { code: 'SUIT_DESCRIPTION_INVALID' }, source);
  const deep = Array.from({ length: 40 }, (_, i) => `${' '.repeat(i)}a:`).join('\n');
  assert.throws(() => parseYaml(deep), { code: 'SUIT_DESCRIPTION_INVALID' });
});

/** Block form of plain data, as a person would write it. */
function written(value: unknown, indent: number): string {
  const pad = ' '.repeat(indent);
  if (Array.isArray(value) && value.length > 0)
    return value.map((each) => `\n${pad}-${written(each, indent + 2)}`).join('');
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
    const entries = Object.entries(value);
    if (entries.length > 0)
      return entries
        .map(([key, each]) => `\n${pad}${JSON.stringify(key)}:${written(each, indent + 2)}`)
        .join('');
  }
  return ` ${JSON.stringify(value)}`;
}

test('any plain data in block form is read as it was, and any text ends in data or a refusal', () => {
  const data = fc.jsonValue({ maxDepth: 4 });
  fc.assert(
    fc.property(data, (value) => {
      assert.deepEqual(parseYaml(written(value, 0)), JSON.parse(JSON.stringify(value)));
    }),
  );
  const line = fc.stringMatching(/^ {0,4}(- |a:|b: |"|1|x|#|\{|\[){0,4}$/);
  fc.assert(
    fc.property(fc.array(line), (lines) => {
      try {
        parseYaml(lines.join('\n'));
      } catch (error) {
        assert.equal((error as { code?: string }).code, 'SUIT_DESCRIPTION_INVALID', String(error));
      }
    }),
    { numRuns: 500 },
  );
});
