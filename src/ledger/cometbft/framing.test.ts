import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { codeOf } from '../../errors.ts';
import { frame, FrameReader, MAX_FRAME } from './framing.ts';

// protobuf.dev, "Base 128 Varints": 150 is 96 01.
test('a length is a varint', () => {
  assert.deepEqual([...frame(new Uint8Array(150)).subarray(0, 3)], [0x96, 0x01, 0]);
  assert.deepEqual([...frame(new Uint8Array(0))], [0]);
});

test('whatever is framed comes out again, however the stream is cut', () => {
  fc.assert(
    fc.property(
      fc.array(fc.uint8Array({ maxLength: 400 }), { maxLength: 8 }),
      fc.array(fc.integer({ min: 1, max: 97 }), { minLength: 1, maxLength: 20 }),
      (messages, cuts) => {
        const stream = messages.flatMap((message) => [...frame(message)]);
        const reader = new FrameReader();
        const read: Uint8Array[] = [];
        for (let at = 0, i = 0; at < stream.length; i++) {
          const cut = cuts[i % cuts.length] as number;
          read.push(...reader.push(Uint8Array.from(stream.slice(at, at + cut))));
          at += cut;
        }
        assert.deepEqual(
          read.map((message) => [...message]),
          messages.map((message) => [...message]),
        );
      },
    ),
  );
});

test('any stream ends in messages or in a code', () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 60 }), { maxLength: 20 }), (chunks) => {
      const reader = new FrameReader(512);
      try {
        for (const chunk of chunks)
          for (const message of reader.push(chunk)) assert.ok(message.length <= 512);
      } catch (error) {
        assert.equal(codeOf(error), 'ENGINE_FRAME_INVALID');
      }
    }),
    { numRuns: 500 },
  );
});

test('a length above the bound is refused before anything of it came', () => {
  const above = MAX_FRAME + 1;
  const prefix = [0, 7, 14, 21].map((shift, i) => ((above >>> shift) & 0x7f) | (i < 3 ? 0x80 : 0));
  assert.throws(() => new FrameReader().push(Uint8Array.from(prefix)), {
    code: 'ENGINE_FRAME_INVALID',
  });
  for (const bytes of [Array.from({ length: 20 }, () => 0x80), [0x81, 0x00]])
    assert.throws(() => new FrameReader().push(Uint8Array.from(bytes)), {
      code: 'ENGINE_FRAME_INVALID',
    });
});
