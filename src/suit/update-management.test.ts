/** update-management: conditions on clock, battery, leave and version; waiting; parameters in groups. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { sha256 } from '#crypto';
import { utf8 } from '../bytes.ts';
import type { CommandInput } from './build.ts';
import { memoryComponents } from './memory-components.ts';
import type { MemoryDevice } from './memory-components.ts';
import type { Parameters } from './parameters.ts';
import { act, at, set, signed, tryEach, when } from './process-fixture.ts';
import { processManifest } from './process.ts';
import type { ReportEntry } from './record.ts';
import { versionMatches } from './version.ts';
import type { Comparison } from './version.ts';
import type { WaitEvent } from './wait-info.ts';

async function install(
  commands: readonly CommandInput[],
  device: Partial<MemoryDevice> = {},
  components = 1,
) {
  const held = new Map<string, Uint8Array | null>([
    ['00', null],
    ['01', null],
    ['02', null],
    ...(device.components ?? []),
  ]);
  const records: ReportEntry[] = [];
  const port = memoryComponents({
    payloads: new Map(),
    identifiers: {},
    ...device,
    components: held,
  });
  await processManifest(signed(commands, { components }), {
    sections: ['install'],
    port,
    onRecord: (entry) => records.push(entry),
  });
  return { held, records };
}

test('use-before: a clock before it; 64 bits', async () => {
  const useBefore = 2n ** 63n;
  const commands = [set({ useBefore }), when('use-before', 15)];
  await install(commands, { now: useBefore - 1n });
  await assert.rejects(install(commands, { now: useBefore }), { code: 'SUIT_EXPIRED' });
  await assert.rejects(install(commands), { code: 'SUIT_CAPABILITY_MISSING' });
  await assert.rejects(install([when('use-before')], { now: 0n }), {
    code: 'SUIT_PARAMETER_MISSING',
  });
});

test('minimum-battery, and the level in the record', async () => {
  const commands = [set({ minimumBattery: 500 }), when('minimum-battery', 1)];
  const { records } = await install(commands, { battery: 500 });
  assert.deepEqual(records[0]?.properties, { minimumBattery: 500 });
  await assert.rejects(install(commands, { battery: 499 }), { code: 'SUIT_BATTERY_LOW' });
  await assert.rejects(install(commands), { code: 'SUIT_CAPABILITY_MISSING' });
  await assert.rejects(install([when('minimum-battery')], { battery: 1 }), {
    code: 'SUIT_PARAMETER_MISSING',
  });
});

test('update-authorized asks with the priority', async () => {
  const commands = [set({ updatePriority: -3 }), when('update-authorized')];
  await install(commands, { authorize: (priority) => priority === -3 });
  await assert.rejects(install(commands, { authorize: () => false }), {
    code: 'SUIT_NOT_AUTHORIZED',
  });
  await assert.rejects(install(commands), { code: 'SUIT_CAPABILITY_MISSING' });
  await assert.rejects(install([when('update-authorized')], { authorize: () => true }), {
    code: 'SUIT_PARAMETER_MISSING',
  });
});

test('a condition on what the device lacks is a way out of a try-each', async () => {
  const content = utf8('x');
  const commands = [
    tryEach(
      [set({ minimumBattery: 1 }), when('minimum-battery')],
      [set({ content }), act('write')],
    ),
  ];
  assert.deepEqual((await install(commands)).held.get('00'), content);
});

test("version: the draft's comparisons", () => {
  const is = (version: readonly number[], comparison: Comparison, wanted: readonly number[]) =>
    versionMatches({ comparison, version: wanted }, version);
  assert.ok(is([1, 9, 9], 'equal', [1]));
  assert.ok(is([1, 0, 5], 'greater-equal', [1, 0]) && is([1, 0, 5], 'lesser', [1, 10]));
  assert.ok(!is([1, 10], 'lesser', [1, 10]));
  assert.ok(is([2, 0, -1, 1], 'lesser', [2, 0, 0]) && is([2, 0, -1, 1], 'greater', [1]));
  assert.ok(is([1, 2, -2], 'lesser', [1, 2, -1]) && is([1, 2, -3], 'lesser', [1, 2, -2]));
  assert.ok(is([1, 2], 'equal', [1, 2, 0]) && is([1, 2], 'greater', [1, 2, -1]));
  fc.assert(
    fc.property(fc.array(fc.nat()), fc.array(fc.nat(), { minLength: 1 }), (version, wanted) => {
      const holds = (comparison: Comparison) => is(version, comparison, wanted);
      assert.equal(holds('greater'), !holds('lesser-equal'));
      assert.equal(holds('lesser'), !holds('greater-equal'));
      assert.equal(holds('equal'), holds('greater-equal') && holds('lesser-equal'));
    }),
  );
});

test('version: what the component says of itself', async () => {
  const versionMatch = { comparison: 'greater-equal', version: [1, 2] } as const;
  const commands = [set({ versionMatch }), when('version', 3)];
  const versions = (version: readonly number[]) => ({ versions: new Map([['00', version]]) });
  const { records } = await install(commands, versions([1, 3]));
  assert.deepEqual(records[0]?.properties, {
    versionMatch: { comparison: 'equal', version: [1, 3] },
  });
  await assert.rejects(install(commands, versions([1, 1, 9])), { code: 'SUIT_VERSION_MISMATCH' });
  await assert.rejects(install(commands), { code: 'SUIT_CAPABILITY_MISSING' });
  await assert.rejects(install([when('version')], versions([1])), {
    code: 'SUIT_PARAMETER_MISSING',
  });
});

test('image-not-match', async () => {
  const image = utf8('image');
  const digest = (bytes: Uint8Array): Parameters => ({
    imageDigest: { algorithm: 'SHA-256', bytes: sha256(bytes) },
  });
  const device = { components: new Map([['00', image]]) };
  await install([set(digest(utf8('other'))), when('image-not-match')], device);
  await install([set(digest(image)), when('image-not-match')]);
  await assert.rejects(install([set(digest(image)), when('image-not-match')], device), {
    code: 'SUIT_IMAGE_PRESENT',
  });
  await assert.rejects(install([when('image-not-match')], device), { code: 'SUIT_DIGEST_MISSING' });
});

test('wait: every event is here, or the run ends and says what it waits for', async () => {
  const wait = (...waitInfo: readonly WaitEvent[]) => [set({ waitInfo }), act('wait')];
  const noon = 43_200n;
  const sunday = 3n * 86_400n;
  const at12 = { now: sunday + noon };
  await install(wait({ kind: 'time', value: 1 }, { kind: 'day-of-week-utc', value: 0 }), at12);
  await install(wait({ kind: 'time-of-day-utc', value: 43_200 }), at12);
  for (const event of [
    { kind: 'time', value: Number(sunday + noon) + 1 },
    { kind: 'time-of-day-utc', value: 43_201 },
    { kind: 'day-of-week-utc', value: 1 },
  ] as const)
    await assert.rejects(install(wait(event), at12), { code: 'SUIT_WAITING' });
  const leave = wait({ kind: 'authorization', priority: 2 });
  await install(leave, { authorize: (priority) => priority === 2 });
  await assert.rejects(install(leave, { authorize: () => false }), {
    code: 'SUIT_WAITING',
    message: /leave to install an update of priority 2/,
  });
  const power = wait({ kind: 'power', state: 1 });
  await install(power, { events: new Set(['power']) });
  await assert.rejects(install(power, { events: new Set() }), { code: 'SUIT_WAITING' });
  for (const event of [
    { kind: 'network', state: 1 },
    { kind: 'time-of-day', value: 1 },
    {
      kind: 'other-device-version',
      device: utf8('d'),
      versions: [{ comparison: 'equal', version: [1] }],
    },
  ] as const)
    await assert.rejects(install(wait(event), at12), { code: 'SUIT_CAPABILITY_MISSING' });
  await assert.rejects(install([act('wait')]), { code: 'SUIT_PARAMETER_MISSING' });
});

test('override-multiple sets each and leaves the last as the current component', async () => {
  const [a, b] = [utf8('a'), utf8('b')];
  const entries = [
    [0, { content: a }],
    [2, { content: b }],
  ] as const;
  const { held } = await install(
    [at(1), { kind: 'override-multiple', entries }, act('write'), at(0), act('write')],
    {},
    3,
  );
  assert.deepEqual([held.get('00'), held.get('01'), held.get('02')], [a, null, b]);
});

test('copy-params takes over what is set, and refuses what is not', async () => {
  const content = utf8('a');
  const copy = (...names: readonly ('content' | 'uri')[]): CommandInput => ({
    kind: 'copy-params',
    entries: [[0, names]],
  });
  const begin = [at(0), set({ content }), at([1, 2])];
  const { held } = await install([...begin, copy('content'), act('write')], {}, 3);
  assert.deepEqual([held.get('01'), held.get('02')], [content, content]);
  await assert.rejects(install([...begin, copy('content', 'uri')], {}, 3), {
    code: 'SUIT_PARAMETER_MISSING',
  });
});

test('set-parameters sets what is not set', async () => {
  const [a, b] = [utf8('a'), utf8('b')];
  const unset = (parameters: Parameters): CommandInput => ({ kind: 'set-parameters', parameters });
  const kept = await install([set({ content: a }), unset({ content: b }), act('write')]);
  assert.deepEqual(kept.held.get('00'), a);
  const given = await install([unset({ content: b }), act('write')]);
  assert.deepEqual(given.held.get('00'), b);
});
