import assert from 'node:assert/strict';
import { test } from 'node:test';
import { privateKey } from '#crypto';
import { utf8 } from '../bytes.ts';
import { decode } from '../cbor/decode.ts';
import type { Cbor } from '../cbor/value.ts';
import { encode } from '../cbor/encode.ts';
import { createSign1 } from '../cose/sign1.ts';
import { FirmamentError } from '../errors.ts';
import { suitDigest } from './digest.ts';
import { createReport, encodeReport, failureOf, parseReport, verifyReport } from './report.ts';
import type { Report } from './report.ts';

const KEY = privateKey('Ed25519', new Uint8Array(32).fill(5));
const digest = suitDigest(utf8('manifest'));
const imageDigest = { algorithm: 'SHA-256', bytes: new Uint8Array(32).fill(4) } as const;

const REPORT: Report = {
  referenceUri: 'https://example.org/m',
  digest,
  nonce: new Uint8Array(16).fill(1),
  records: [
    {
      kind: 'record',
      manifestId: [],
      section: 20,
      offset: 49,
      componentIndex: 1,
      properties: { imageDigest, imageSize: 8 },
    },
    { kind: 'claims', componentId: [utf8('fw')], properties: { componentSlot: 1 } },
  ],
  result: {
    code: 10,
    reason: 'condition-failed',
    record: {
      kind: 'record',
      manifestId: [],
      section: 7,
      offset: 1,
      componentIndex: 0,
      properties: {},
    },
  },
};
const DONE: Report = { ...REPORT, nonce: undefined, records: [], result: true };

test('a signed report is read as it was made', () => {
  for (const report of [REPORT, DONE]) {
    const header = new Map<Cbor, Cbor>([[-70_000, utf8('claim')]]);
    const verified = verifyReport(createReport(report, KEY, header), KEY.publicKey);
    assert.deepEqual(verified.report, report);
    assert.deepEqual(verified.header.get(-70_000), utf8('claim'));
  }
});

test('labels are those of the draft', () => {
  const map = decode(encodeReport(REPORT), { maxBytes: 1000 }) as ReadonlyMap<Cbor, Cbor>;
  assert.deepEqual([...map.keys()], [2, 3, 4, 99]);
  assert.deepEqual(map.get(99), [REPORT.referenceUri, [-16, digest.subarray(4)]]);
  assert.equal((decode(encodeReport(DONE), { maxBytes: 1000 }) as Map<Cbor, Cbor>).get(4), true);
});

test('another key, a flipped bit and a detached payload are refused', () => {
  const bytes = createReport(REPORT, KEY);
  const other = privateKey('Ed25519', new Uint8Array(32).fill(6)).publicKey;
  assert.throws(() => verifyReport(bytes, other), { code: 'COSE_SIGNATURE_INVALID' });
  for (let at = 0; at < bytes.length; at++) {
    const mutated = bytes.slice();
    mutated[at] = (mutated[at] as number) ^ 1;
    assert.throws(() => verifyReport(mutated, KEY.publicKey), FirmamentError, `byte ${at}`);
  }
  const payload = encodeReport(REPORT);
  const detached = createSign1({ header: new Map(), payload, key: KEY, detached: true });
  assert.throws(() => verifyReport(detached, KEY.publicKey), { code: 'SUIT_REPORT_MALFORMED' });
});

test('reports of another shape are refused', () => {
  const good = decode(encodeReport(REPORT), { maxBytes: 1000 }) as ReadonlyMap<Cbor, Cbor>;
  const cases: readonly (readonly [number, Cbor | undefined])[] = [
    [99, undefined],
    [3, undefined],
    [4, undefined],
    [4, false],
    [5, 0],
    [8, new Map()],
    [2, new Uint8Array(65)],
    [3, [[[], 1, 2, 3]]],
    [3, [new Map([[1, new Uint8Array(16)]])]],
    [3, [[[], 1, -2, 3, new Map()]]],
    [3, Array.from({ length: 257 }, () => [[], 1, 2, 3, new Map()])],
    [
      4,
      new Map<Cbor, Cbor>([
        [5, 0],
        [6, [[], 1, 2, 3, new Map()]],
        [7, 13],
      ]),
    ],
    [99, ['u', [-16, new Uint8Array(31)]]],
  ];
  for (const [key, value] of cases) {
    const map = new Map(good);
    if (value === undefined) map.delete(key);
    else map.set(key, value);
    assert.throws(() => parseReport(encode(map)), { code: 'SUIT_REPORT_MALFORMED' });
  }
});

test('an error becomes a result with its place and reason', () => {
  const details = { section: 'install', sectionKey: 20, offset: 7, component: 2 };
  const error = new FirmamentError('SUIT_IMAGE_MISMATCH', undefined, details);
  const { reason, record } = failureOf(error);
  assert.equal(reason, 'condition-failed');
  assert.deepEqual([record.section, record.offset, record.componentIndex], [20, 7, 2]);
  const reasons = (
    [
      ['SUIT_COMMAND_UNKNOWN', 'command-unsupported'],
      ['SUIT_SIGNATURE_INVALID', 'unauthorised'],
      ['SUIT_OPERATION_FAILED', 'operation-failed'],
      ['STORE_UNAVAILABLE', 'operation-failed'],
    ] as const
  ).map(([code, expected]) => [failureOf(new FirmamentError(code)).reason, expected]);
  for (const [seen, expected] of reasons) assert.equal(seen, expected);
  assert.equal(failureOf(new TypeError('x')).reason, 'operation-failed');
});
