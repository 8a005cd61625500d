import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { utf8 } from '../bytes.ts';
import { lineText } from '../registry/line.ts';
import { fixtureLine } from '../testing/fixture.ts';
import {
  changeReader,
  decodeLastSize,
  encodeChange,
  HEARTBEAT,
  MAX_CHANGED_LINES,
  type Change,
} from './changes.ts';

const LINES = Array.from({ length: MAX_CHANGED_LINES + 1 }, (_, i) =>
  lineText(fixtureLine(new Uint8Array(32).fill(i), 'lamp', 'stable')),
);
const CODE = { code: 'API_STREAM_MALFORMED' };

test('events come out as they went in, however the stream is cut', () => {
  const change = fc.record(
    {
      size: fc.nat(),
      lines: fc.option(fc.subarray(LINES, { maxLength: MAX_CHANGED_LINES })),
    },
    { noNullPrototype: true },
  );
  fc.assert(
    fc.property(
      fc.array(change, { maxLength: 8 }),
      fc.array(fc.nat(40), { minLength: 1 }),
      (changes, steps) => {
        const stream = utf8(changes.map((each) => encodeChange(each) + HEARTBEAT).join(''));
        const read = changeReader();
        const got: Change[] = [];
        for (let at = 0, i = 0; at < stream.length; i++) {
          const end = at + 1 + (steps[i % steps.length] ?? 0) * 20;
          got.push(...read(stream.subarray(at, end)));
          at = end;
        }
        assert.deepEqual(got, changes);
      },
    ),
    { numRuns: 50 },
  );
});

test('what is no such stream is refused', () => {
  for (const data of [
    '{}',
    'null',
    '[',
    '{"size":-1,"lines":null}',
    '{"size":1e300,"lines":null}',
    '{"size":1}',
    '{"size":1,"lines":"x"}',
    '{"size":1,"lines":["x"]}',
    JSON.stringify({ size: 1, lines: LINES }),
  ])
    assert.throws(() => changeReader()(utf8(`data: ${data}\n\n`)), CODE, data);
  assert.throws(() => changeReader()(Uint8Array.of(100, 97, 116, 97, 58, 255, 10, 10)), CODE);
  assert.throws(() => changeReader()(new Uint8Array(40_000).fill(97)), CODE);
  assert.throws(
    () => changeReader()(utf8(`data: {"size":1,${' '.repeat(40_000)}"lines":null}\n\n`)),
    CODE,
  );
  assert.deepEqual(changeReader()(utf8('event: x\n\n:\n\nretry: 1\n\n')), []);
  assert.equal(decodeLastSize('12'), 12);
  for (const header of ['', '-1', '1.5', '9'.repeat(16), ['1', '2']])
    assert.throws(() => decodeLastSize(header), { code: 'API_QUERY_INVALID' });
});
