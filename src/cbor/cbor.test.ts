import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { encode as cbor2Encode } from 'cbor2';
import { cdeEncodeOptions } from 'cbor2/encoder';
import { Tag } from 'cbor2/tag';
import * as fc from 'fast-check';
import { concat, fromHex, hex } from '../bytes.ts';
import { codeOf } from '../errors.ts';
import { decode, Tagged, type Cbor, type DecodeOptions } from './decode.ts';
import { diagnose } from './diagnose.ts';
import { encode, encodeBytesHeader } from './encode.ts';

const BOUND = { maxBytes: 4096 };

function malformed(text: string, why: string, options: Partial<DecodeOptions> = {}): void {
  const step = (): Cbor => decode(fromHex(text), { ...BOUND, ...options });
  assert.throws(step, { code: 'CBOR_MALFORMED' }, `${why}: ${text}`);
}

const map = (...entries: [Cbor, Cbor][]): ReadonlyMap<Cbor, Cbor> => new Map(entries);

suite('RFC 8949 appendix A', () => {
  const examples: readonly [string, Cbor][] = [
    ['00', 0],
    ['17', 23],
    ['1818', 24],
    ['1903e8', 1000],
    ['1a000f4240', 1000000],
    ['1b000000e8d4a51000', 1000000000000],
    ['1b001fffffffffffff', Number.MAX_SAFE_INTEGER],
    ['1b0020000000000000', 2n ** 53n],
    ['1bffffffffffffffff', 18446744073709551615n],
    ['20', -1],
    ['3863', -100],
    ['3903e7', -1000],
    ['3b001ffffffffffffe', -Number.MAX_SAFE_INTEGER],
    ['3b001fffffffffffff', -(2 ** 53)],
    ['3b0020000000000000', -(2n ** 53n) - 1n],
    ['3bffffffffffffffff', -18446744073709551616n],
    ['f4', false],
    ['f5', true],
    ['f6', null],
    ['40', new Uint8Array()],
    ['4401020304', Uint8Array.of(1, 2, 3, 4)],
    ['60', ''],
    ['62225c', '"\\'],
    ['62c3bc', 'ü'],
    ['64f0908591', '\u{10151}'],
    ['80', []],
    ['8301820203820405', [1, [2, 3], [4, 5]]],
    ['a0', map()],
    ['a201020304', map([1, 2], [3, 4])],
    ['a26161016162820203', map(['a', 1], ['b', [2, 3]])],
  ];
  for (const [bytes, value] of examples)
    test(bytes, () => {
      assert.deepEqual(decode(fromHex(bytes), BOUND), value);
      assert.equal(hex(encode(value)), bytes);
    });

  test('an array of more than 23 items has a longer head', () => {
    const items = Array.from({ length: 25 }, (_, i) => i + 1);
    const bytes = '98190102030405060708090a0b0c0d0e0f101112131415161718181819';
    assert.equal(hex(encode(items)), bytes);
    assert.deepEqual(decode(fromHex(bytes), BOUND), items);
  });
});

suite('decode refuses', () => {
  test('bytes that are no item, end early or go on', () => {
    for (const text of [
      '',
      '18',
      '19ff',
      '1b00',
      '42ff',
      '6261',
      '82ff',
      '8201',
      'a101',
      'd2',
      'ff',
    ])
      malformed(text, 'cut short');
    for (const text of ['1c', '3d', '5e', '7c', '9d', 'bc', 'dd', 'fc', 'fe'])
      malformed(text, 'reserved');
    malformed('0000', 'trailing');
    malformed('a000', 'trailing');
  });

  test('longer forms than needed', () => {
    for (const text of ['1817', '190018', '1a00000100', '1b0000000000000001', '3800', '390017'])
      malformed(text, 'integer');
    for (const text of ['580100', '59000100', '780161', '980100', 'b8010102', 'd81200'])
      malformed(text, 'length', { tags: [18] });
    malformed('d9001200', 'tag', { tags: [18] });
  });

  test('indefinite lengths', () => {
    for (const text of ['5f4100ff', '7f6161ff', '9f01ff', 'bf0102ff', '5fff', '9fff', 'bfff'])
      malformed(text, 'indefinite');
  });

  test('floats, -0, undefined, simple values', () => {
    for (const text of ['f90000', 'f98000', 'f93c00', 'fa47c35000', 'fb3ff199999999999a', 'f97e00'])
      malformed(text, 'float');
    for (const text of ['f7', 'e0', 'f0', 'f818', 'f8ff', 'f814', 'f815'])
      malformed(text, 'simple');
  });

  test('text that is not UTF-8', () => {
    for (const text of ['61ff', '62c328', '63eda080', '62c080', '64f4908080'])
      malformed(text, 'UTF-8');
  });

  test('equal keys, in either order of checking', () => {
    for (const sorted of [true, false]) {
      malformed('a201020103', 'integer keys', { sorted });
      malformed('a2616101616102', 'text keys', { sorted });
      malformed('a2410001410002', 'byte keys', { sorted });
      malformed('a2810001810002', 'array keys', { sorted });
      malformed('a34100010102410003', 'apart', { sorted });
    }
  });

  test('keys out of order, unless told', () => {
    const texts = ['a203040102', 'a2616201616101', 'a220000000', '81a203040102', 'a2200001a0'];
    for (const text of texts) {
      malformed(text, 'order');
      const value = decode(fromHex(text), { ...BOUND, sorted: false });
      assert.equal(hex(encode(value, { order: 'kept' })), text);
    }
  });

  test('tags that are not allowed, whatever they carry', () => {
    const hostile = [
      ['c074323031332d30332d32315432303a30343a30305a', 'date text'],
      ['c11a514b67b0', 'date number'],
      ['c249010000000000000000', 'bignum'],
      ['c349010000000000000000', 'negative bignum'],
      ['c48221196ab3', 'decimal fraction'],
      ['d818458201020304', 'embedded CBOR'],
      ['d8206b687474703a2f2f612e6578', 'URL'],
      ['d820613a', 'no URL'],
      ['d82369286128612b292b2924', 'RegExp'],
      ['d823615b', 'no RegExp'],
      ['d8408401020304', 'typed array of the wrong kind'],
      ['d84043010203', 'typed array'],
      ['d84641ff', 'typed array of a broken length'],
      ['d901028101', 'set'],
      ['d901025a00000001', 'set of nothing'],
      ['d90107617b', 'JSON'],
      ['d9d9f700', 'self-described'],
      ['d81c80', 'shareable'],
      ['dbffffffffffffffff00', 'largest tag'],
    ] as const;
    for (const [text, what] of hostile) {
      malformed(text, what);
      malformed(text, what, { tags: [18] });
      malformed(`81${text}`, what);
    }
    for (let tag = 0; tag < 300; tag++)
      for (const content of ['00', '40', '60', '80', 'a0', 'f6', '6161', '8161']) {
        const head = encode(new Tagged(tag, 0)).subarray(0, -1);
        malformed(hex(concat(head, fromHex(content))), `tag ${tag}`);
      }
  });

  test("cbor2's registered tag decoders do not run", () => {
    let ran = false;
    const before = Tag.registerDecoder(35, () => {
      ran = true;
    });
    try {
      malformed('d823615b', 'RegExp');
      malformed('81d823615b', 'RegExp', { tags: [18] });
    } finally {
      if (before === undefined) Tag.clearDecoder(35);
      else Tag.registerDecoder(35, before);
    }
    assert.equal(ran, false);
  });

  test('too many bytes, and too deep, before more than the bound is built', () => {
    const large = { code: 'CBOR_TOO_LARGE' };
    assert.throws(() => decode(new Uint8Array(11), { maxBytes: 10 }), large);
    const deep = { code: 'CBOR_TOO_DEEP' };
    const nested = (opening: string, depth: number): Uint8Array =>
      fromHex(`${opening.repeat(depth)}00`);
    for (const opening of ['81', 'a100', 'd2']) {
      const options = { ...BOUND, tags: [18] };
      assert.doesNotThrow(() => decode(nested(opening, 16), options), opening);
      assert.throws(() => decode(nested(opening, 17), options), deep, opening);
      assert.doesNotThrow(() => decode(nested(opening, 3), { ...options, maxDepth: 3 }), opening);
      assert.throws(() => decode(nested(opening, 4), { ...options, maxDepth: 3 }), deep, opening);
      // Deep enough to overflow the stack, if it were followed.
      const bottomless = nested(opening, 50_000);
      assert.throws(() => decode(bottomless, { ...options, maxBytes: 1 << 20 }), deep, opening);
    }
    assert.doesNotThrow(() => decode(fromHex('00'), { ...BOUND, maxDepth: 0 }));
    // Lengths that only claim to be there.
    for (const text of [
      '9b7fffffffffffffff',
      'bb7fffffffffffffff',
      '5b7fffffffffffffff',
      '9affffffff',
    ])
      malformed(text, 'claimed');
  });
});

suite('decode', () => {
  test('gives plain Uint8Arrays, also of a Buffer in a pool', () => {
    const bytes = decode(Buffer.from('820142ffff', 'hex'), BOUND) as Cbor[];
    assert.equal((bytes[1] as Uint8Array).constructor, Uint8Array);
    assert.deepEqual(bytes[1], Uint8Array.of(255, 255));
  });

  test('keeps allowed tags as Tagged', () => {
    const value = decode(fromHex('d281d200'), { ...BOUND, tags: [18] });
    assert.deepEqual(value, new Tagged(18, [new Tagged(18, 0)]));
  });
});

suite('encode', () => {
  test('refuses what has no encoding here', () => {
    const wrong = [1.5, NaN, Infinity, -0, 2 ** 53, 2n ** 64n, -(2n ** 64n) - 1n, '\ud800'];
    const things = [undefined, {}, new Date(0), new Set(), Symbol('x'), () => 0, new Tagged(-1, 0)];
    const bytes = (): Uint8Array => Uint8Array.of(1);
    const equalBytes = map([bytes(), 1], [bytes(), 2]);
    const equalNumbers = map([1, 1], [1n, 2]);
    for (const value of [...wrong, ...things, equalBytes, equalNumbers])
      assert.throws(() => encode(value as Cbor), { code: 'CBOR_TYPE' });
    let deep: Cbor = 0;
    for (let i = 0; i < 65; i++) deep = [deep];
    assert.throws(() => encode(deep), { code: 'CBOR_TOO_DEEP' });
  });

  test('sorts keys by their encodings, also within keys and values', () => {
    const inner = map([2, 0], [1, 0]);
    const value = map([inner, 1], ['b', 2], [-1, 3], [100, 4], [10, 5], ['aa', 6], [false, 7]);
    const expected = 'a70a05186404200361620262616106a20100020001f407';
    assert.equal(hex(encode(value)), expected);
  });

  test('encodeBytesHeader', () => {
    for (const length of [0, 23, 24, 255, 256, 65535, 65536]) {
      const bytes = new Uint8Array(length);
      assert.deepEqual(concat(encodeBytesHeader(length), bytes), encode(bytes));
    }
  });
});

suite('properties', () => {
  const { cbor } = fc.letrec<{ cbor: Cbor; leaf: Cbor }>((tie) => ({
    leaf: fc.oneof(
      fc.maxSafeInteger(),
      fc.bigInt({ min: 2n ** 53n, max: 2n ** 64n - 1n }),
      fc.bigInt({ min: -(2n ** 64n), max: -(2n ** 53n) }),
      fc.string({ unit: 'grapheme', maxLength: 30 }),
      fc.uint8Array({ maxLength: 30 }).map((bytes) => Uint8Array.from(bytes)),
      fc.boolean(),
      fc.constant(null),
    ),
    cbor: fc.oneof(
      { depthSize: 'small', withCrossShrink: true },
      tie('leaf'),
      fc.array(tie('cbor'), { maxLength: 5 }),
      fc
        .uniqueArray(fc.tuple(tie('leaf'), tie('cbor')), {
          maxLength: 5,
          selector: ([key]) => hex(encode(key)),
        })
        .map((entries) => new Map(entries) as ReadonlyMap<Cbor, Cbor>),
      tie('cbor').map((value) => new Tagged(18, value)),
    ),
  }));

  const options = { maxBytes: 1 << 20, maxDepth: 64, tags: [18] };

  test('what is encoded is decoded to the same', () => {
    const property = fc.property(cbor, (value) => {
      const bytes = encode(value);
      assert.deepEqual(encode(decode(bytes, options)), bytes);
    });
    fc.assert(property, { numRuns: 300 });
  });

  test("encode gives cbor2's bytes", () => {
    const property = fc.property(cbor, (value) => {
      const theirs = cbor2Encode(forCbor2(value), { ...cdeEncodeOptions, collapseBigInts: true });
      assert.equal(hex(encode(value)), hex(theirs));
    });
    fc.assert(property, { numRuns: 200 });
  });

  test('any bytes: a value whose encoding they are, or a code', () => {
    const mutated = fc.tuple(cbor, fc.nat(), fc.nat({ max: 255 })).map(([value, at, byte]) => {
      const bytes = encode(value);
      bytes[at % bytes.length] = byte;
      return bytes;
    });
    const property = fc.property(fc.oneof(fc.uint8Array({ maxLength: 60 }), mutated), (bytes) => {
      let value: Cbor;
      try {
        value = decode(bytes, options);
      } catch (error) {
        assert.match(codeOf(error) ?? String(error), /^CBOR_/);
        return;
      }
      assert.equal(hex(encode(value)), hex(bytes));
    });
    fc.assert(property, { numRuns: 1500 });
  });

  test('diagnose: text or a code, for any bytes', () => {
    const property = fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
      try {
        assert.equal(typeof diagnose(bytes, { maxBytes: 60, pretty: true }), 'string');
      } catch (error) {
        assert.match(codeOf(error) ?? String(error), /^CBOR_/);
      }
    });
    fc.assert(property, { numRuns: 1000 });
  });
});

/** cbor2 has its own class for tags. */
function forCbor2(value: Cbor): unknown {
  if (value instanceof Tagged)
    return { toCBOR: (): [number, unknown] => [value.tag, forCbor2(value.value)] };
  if (value instanceof Map)
    return new Map([...value].map(([key, item]) => [forCbor2(key), forCbor2(item)]));
  return Array.isArray(value) ? value.map((item) => forCbor2(item as Cbor)) : value;
}

suite('diagnose', () => {
  const line = (text: string): string => diagnose(fromHex(text), BOUND);

  test('RFC 8949 appendix A examples, also of what decode refuses', () => {
    assert.equal(line('a26161016162820203'), '{"a": 1, "b": [2, 3]}');
    assert.equal(
      line('d82076687474703a2f2f7777772e6578616d706c652e636f6d'),
      '32("http://www.example.com")',
    );
    assert.equal(line('4401020304'), "h'01020304'");
    assert.equal(line('f93e00'), '1.5');
    assert.equal(line('f7'), 'undefined');
    assert.equal(line('9f018202039f0405ffff'), '[_ 1, [2, 3], [_ 4, 5]]');
    assert.equal(line('1800'), '0_0');
    assert.equal(line('d823615b'), '35("[")');
    assert.match(
      diagnose(fromHex('820102'), { ...BOUND, pretty: true }),
      /^\[\n {2}1,\n {2}2\n\]$/,
    );
  });

  test('escapes what a terminal would obey or hide', () => {
    const text = 'a\u001b[2J\u009b\u202e\u200b\u2028\n\u{e0041}é';
    const shown = diagnose(encode(text), BOUND);
    assert.equal(shown, '"a\\u001b[2J\\u009b\\u202e\\u200b\\u2028\\n\\udb40\\udc41é"');
  });

  test('bounds', () => {
    assert.throws(() => diagnose(new Uint8Array(5), { maxBytes: 4 }), { code: 'CBOR_TOO_LARGE' });
    const deep = fromHex(`${'81'.repeat(1000)}00`);
    assert.throws(() => diagnose(deep, BOUND), { code: 'CBOR_MALFORMED' });
    assert.throws(() => diagnose(fromHex('0000'), BOUND), { code: 'CBOR_MALFORMED' });
  });
});
