/** Reports as sentences; capability reports; sealed reports. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hex, utf8 } from '../bytes.ts';
import { encode } from '../cbor/encode.ts';
import type { Cbor } from '../cbor/value.ts';
import type { FirmamentError } from '../errors.ts';
import { capabilitiesOf, capabilitiesToCbor } from './capabilities.ts';
import { commandAt, explainReport } from './explain.ts';
import { memoryComponents } from './memory-components.ts';
import { act, KEY, set, signed, tryEach, when } from './process-fixture.ts';
import { processManifest } from './process.ts';
import type { ReportEntry } from './record.ts';
import {
  createReport,
  createSealedReport,
  encodeReport,
  failureOf,
  parseReport,
  verifyReport,
} from './report.ts';
import type { Report } from './report.ts';

const PORT = memoryComponents({
  components: new Map([['00', null]]),
  payloads: new Map(),
  identifiers: {},
  slot: 1,
});
const CAPABILITIES = capabilitiesOf(PORT, [{ id: [utf8('fw')], prefix: true }]);

async function reportOf(...install: Parameters<typeof signed>[0]): Promise<readonly string[]> {
  const verified = signed(install);
  const records: ReportEntry[] = [];
  const result = await processManifest(verified, {
    sections: ['install'],
    port: PORT,
    onRecord: (entry) => records.push(entry),
  }).then(
    () => true as const,
    (error: FirmamentError) => failureOf(error),
  );
  const { digest } = verified.envelope;
  const report: Report = { referenceUri: '', digest, nonce: undefined, records, result };
  // As somebody reads it who got it over the wire.
  const read = verifyReport(createReport(report, KEY), KEY.publicKey).report;
  const [first, ...rest] = explainReport(read, verified.manifest);
  assert.equal(first, `This is about the manifest with SHA-256 ${hex(digest.subarray(4))}.`);
  return rest;
}

test('a run that ended well, with what was measured', async () => {
  const sentences = await reportOf(
    set({ componentSlot: 1, content: utf8('x') }),
    when('component-slot', 5),
    act('write', 1),
  );
  assert.deepEqual(sentences, [
    'In the install section, at component-slot at byte 8, for component 0, it measured component slot 1.',
    'Component 00: component slot 1.',
    'In the install section, at write at byte 10, for component 0, it went on record.',
    'The device did all that it was asked to.',
  ]);
});

test('a run that a condition ended', async () => {
  const sentences = await reportOf(set({ componentSlot: 2 }), when('component-slot', 2));
  assert.deepEqual(sentences, [
    'In the install section, at component-slot at byte 5, for component 0, it measured component slot 1.',
    'The device stopped in the install section, at component-slot at byte 5, for component 0: a condition of the manifest does not hold on it (condition-failed, code 10).',
  ]);
});

test('commands are found by their offset, in nested sequences too', () => {
  const { manifest } = signed([tryEach([when('abort')], [act('write')])]);
  const member = manifest.sections.get('install');
  assert.ok(member !== undefined && member.state !== 'absent');
  const [each] = member.value;
  assert.ok(each?.kind === 'try-each');
  const inner = each.sequences[1]?.[0];
  assert.ok(inner);
  assert.equal(commandAt(manifest, 20, inner.offset), inner);
  assert.equal(commandAt(manifest, 20, 1000), undefined);
  assert.equal(commandAt(manifest, 7, 0), undefined);
});

test('texts of a report are escaped', () => {
  const digest = signed([act('write')]).envelope.digest;
  const report: Report = {
    referenceUri: 'https://\u001b[31m\u202e',
    digest,
    nonce: Uint8Array.of(1, 2),
    records: [],
    result: true,
  };
  const [first, second] = explainReport(report);
  assert.match(first ?? '', /\\u001b\[31m\\u202e/);
  assert.equal(second, 'It answers the nonce 0102.');
});

test('capabilities: told as numbers, read again, put in sentences', () => {
  const digest = signed([act('write')]).envelope.digest;
  const report: Report = {
    referenceUri: '',
    digest,
    nonce: undefined,
    records: [],
    result: true,
    capabilities: CAPABILITIES,
  };
  const read = parseReport(encodeReport(report));
  assert.deepEqual(read, report);
  const commands = CAPABILITIES.lists.get('commands') ?? [];
  assert.ok(commands.includes(21) && !commands.includes(26) && !commands.includes(4));
  const sentences = explainReport(read);
  assert.ok(sentences.includes('The device has the components 6677.*.'));
  assert.match(sentences.at(-3) ?? '', /process-dependency/);
});

test('capability reports of another shape are refused', () => {
  const good = capabilitiesToCbor(CAPABILITIES) as ReadonlyMap<Cbor, Cbor>;
  const digest = signed([act('write')]).envelope.digest;
  const whole = (capabilities: Cbor) =>
    encode(
      new Map<Cbor, Cbor>([
        [3, []],
        [4, true],
        [8, capabilities],
        [99, ['', [-16, digest.subarray(4)]]],
      ]),
    );
  assert.ok(parseReport(whole(good)).capabilities);
  const later = new Map<Cbor, Cbor>([...good, [11, [1]], [[3, 3, 1], [3]]]);
  assert.deepEqual(parseReport(whole(later)).capabilities, CAPABILITIES);
  for (const [key, value] of [
    [1, []],
    [2, []],
    [2, ['x']],
    [2, Array.from({ length: 129 }, (_, i) => i)],
    [1, [[true, utf8('x')]]],
  ] as const)
    assert.throws(() => parseReport(whole(new Map([...good, [key, value]]))), {
      code: 'SUIT_REPORT_MALFORMED',
    });
  for (const key of [1, 2, 3, 4]) {
    const less = new Map([...good].filter(([each]) => each !== key));
    assert.throws(() => parseReport(whole(less)), { code: 'SUIT_REPORT_MALFORMED' });
  }
});

test('a sealed report is read with its key only', () => {
  const digest = signed([act('write')]).envelope.digest;
  const report: Report = { referenceUri: '', digest, nonce: undefined, records: [], result: true };
  const key = new Uint8Array(16).fill(1);
  const sealing = { cipher: 'A128GCM', key, iv: new Uint8Array(12) } as const;
  const bytes = createSealedReport(report, KEY, sealing);
  assert.deepEqual(verifyReport(bytes, KEY.publicKey, key).report, report);
  assert.throws(() => verifyReport(bytes, KEY.publicKey), { code: 'SUIT_REPORT_MALFORMED' });
  assert.throws(() => verifyReport(bytes, KEY.publicKey, new Uint8Array(16)), {
    code: 'CRYPTO_AUTHENTICATION_FAILED',
  });
});
