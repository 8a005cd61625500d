/** The command interpreter: each rule of draft 6 and 8.4.8 to 8.4.10. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sha256 } from '#crypto';
import { utf8 } from '../bytes.ts';
import { createSign1 } from '../cose/sign1.ts';
import type { FirmamentError } from '../errors.ts';
import { authenticate } from './authenticate.ts';
import { buildEnvelope, buildManifest, encodeSequence, wrap } from './build.ts';
import type { CommandInput } from './build.ts';
import type { ComponentPort } from './component-port.ts';
import { suitDigest } from './digest.ts';
import { parseEnvelope } from './envelope.ts';
import { memoryComponents } from './memory-components.ts';
import type { Parameters } from './parameters.ts';
import { act, at, KEY, runSequence, set, signed, tryEach, when } from './process-fixture.ts';
import type { Setup } from './process-fixture.ts';
import { processManifest } from './process.ts';
import type { ProcessOptions } from './process.ts';
import type { ReportEntry } from './record.ts';

const VENDOR = Uint8Array.fromHex('fa6b4a53d5ad5fdfbe9de663e4d41ffe');
const CLASS = Uint8Array.fromHex('1492af1425695e48bf429b2d51f2ab45');

const CONTENT = utf8('an image');
const imageDigest = { algorithm: 'SHA-256', bytes: sha256(CONTENT) } as const;

interface Ran {
  readonly did: readonly string[];
  readonly records: readonly ReportEntry[];
  readonly held: ReadonlyMap<string, Uint8Array | null>;
}

async function install(
  commands: readonly CommandInput[],
  setup: Setup & { readonly held?: Readonly<Record<string, Uint8Array | null>> } = {},
  options: Partial<ProcessOptions> = {},
): Promise<Ran> {
  const did: string[] = [];
  const components = new Map<string, Uint8Array | null>(
    Array.from({ length: setup.components ?? 1 }, (_, i) => [Uint8Array.of(i).toHex(), null]),
  );
  for (const [name, content] of Object.entries(setup.held ?? {})) components.set(name, content);
  const port = memoryComponents({
    components,
    payloads: new Map([['u', CONTENT]]),
    identifiers: { vendor: [VENDOR], class: [CLASS] },
    slot: 0,
    onOperation: (operation) => did.push(operation),
  });
  const records: ReportEntry[] = [];
  await processManifest(signed(commands, setup), {
    sections: ['install'],
    port,
    onRecord: (entry) => records.push(entry),
    ...options,
  });
  return { did, records, held: components };
}

const FETCH = [set({ uri: 'u' }), act('fetch')];

test('a manifest for another vendor, class or device is refused before anything is touched', async () => {
  const other = new Uint8Array(16);
  const cases = [
    [{ vendorId: other }, 'vendor-identifier', 'SUIT_VENDOR_MISMATCH'],
    [{ classId: other }, 'class-identifier', 'SUIT_CLASS_MISMATCH'],
    [{ deviceId: other }, 'device-identifier', 'SUIT_DEVICE_MISMATCH'],
  ] as const;
  for (const [parameters, name, code] of cases) {
    const shared = [set(parameters), when(name)];
    await assert.rejects(install(FETCH, { shared }), (error: FirmamentError) => {
      assert.equal(error.code, code);
      const { section, sectionKey, component } = error.details;
      assert.deepEqual([section, sectionKey, component], ['shared', 3, 0]);
      return true;
    });
  }
});

test('a lower sequence number than the stored one is refused, an equal one is not', async () => {
  const options = (storedSequence: bigint) => ({ storedSequence });
  await assert.rejects(install(FETCH, {}, options(2n)), { code: 'SUIT_SEQUENCE_ROLLBACK' });
  await install(FETCH, {}, options(1n));
});

test('a condition or action without its parameter fails', async () => {
  const cases = [
    [when('image-match'), 'SUIT_DIGEST_MISSING'],
    [when('vendor-identifier'), 'SUIT_PARAMETER_MISSING'],
    [when('component-slot'), 'SUIT_PARAMETER_MISSING'],
    [when('check-content'), 'SUIT_PARAMETER_MISSING'],
    [when('abort'), 'SUIT_ABORTED'],
    [act('fetch'), 'SUIT_PARAMETER_MISSING'],
    [act('write'), 'SUIT_PARAMETER_MISSING'],
    [act('copy'), 'SUIT_PARAMETER_MISSING'],
    [act('swap'), 'SUIT_PARAMETER_MISSING'],
  ] as const;
  for (const [command, code] of cases) await assert.rejects(install([command]), { code });
});

test('image-match refuses another digest, another size and an empty component', async () => {
  const wrong = { algorithm: 'SHA-256', bytes: new Uint8Array(32) } as const;
  const match = (parameters: Parameters) => [
    set({ uri: 'u', ...parameters }),
    act('fetch'),
    when('image-match'),
  ];
  await install(match({ imageDigest, imageSize: CONTENT.length }));
  await assert.rejects(install(match({ imageDigest: wrong })), { code: 'SUIT_IMAGE_MISMATCH' });
  await assert.rejects(install(match({ imageDigest, imageSize: CONTENT.length + 1 })), {
    code: 'SUIT_IMAGE_MISMATCH',
  });
  await assert.rejects(install([set({ imageDigest }), when('image-match')]), {
    code: 'SUIT_IMAGE_MISMATCH',
  });
});

test('the size in the manifest and the limit bound what is fetched', async () => {
  const small = [set({ uri: 'u', imageSize: CONTENT.length - 1 }), act('fetch')];
  await assert.rejects(install(small), { code: 'SUIT_TOO_LARGE' });
  const limits = { imageBytes: CONTENT.length - 1 };
  await assert.rejects(install(FETCH, {}, { limits }), { code: 'SUIT_TOO_LARGE' });
  const claimed = [set({ uri: 'u', imageSize: CONTENT.length }), act('fetch')];
  await assert.rejects(install(claimed, {}, { limits }), { code: 'SUIT_TOO_LARGE' });
});

test('write and check-content', async () => {
  const content = utf8('setting');
  const { held } = await install([set({ content }), act('write'), when('check-content')]);
  assert.deepEqual(held.get('00'), content);
  for (const wrong of ['settinG', 'setting!', 'settin'])
    await assert.rejects(
      install([
        set({ content }),
        act('write'),
        set({ content: utf8(wrong) }),
        when('check-content'),
      ]),
      { code: 'SUIT_CONTENT_MISMATCH' },
    );
});

test('copy and swap take the source component', async () => {
  const held = { '00': utf8('a'), '01': utf8('b') };
  const source = [at(0), set({ sourceComponent: 1 })];
  const copied = await install([...source, act('copy')], { components: 2, held });
  assert.deepEqual(copied.held.get('00'), utf8('b'));
  const swapped = await install([...source, act('swap')], { components: 2, held });
  assert.deepEqual([swapped.held.get('00'), swapped.held.get('01')], [utf8('b'), utf8('a')]);
  await assert.rejects(
    install([...source, act('copy')], { components: 2, held: { '00': utf8('a') } }),
    { code: 'SUIT_OPERATION_FAILED' },
  );
});

test('component index: one, several, all; parameters belong to one component', async () => {
  const content = (name: string) => set({ content: utf8(name) });
  const { held } = await install(
    [at(true), content('all'), act('write'), at([0, 2]), content('two'), act('write')],
    { components: 3 },
  );
  const [a, b, c] = ['00', '01', '02'].map((name) => held.get(name));
  assert.deepEqual([a, b, c], [utf8('two'), utf8('all'), utf8('two')]);
});

test('nested sequences run once for each selected component, and leave the index as it was', async () => {
  const { did } = await install(
    [
      at(true),
      set({ uri: 'u' }),
      runSequence(act('fetch'), act('invoke')),
      tryEach([when('abort')], [at(1), act('invoke')]),
      at(1),
      runSequence(at(0), act('invoke')),
      act('invoke'),
    ],
    { components: 2 },
  );
  const nested = ['fetch 0', 'invoke 0', 'fetch 1', 'invoke 1', 'invoke 1', 'invoke 1'];
  assert.deepEqual(did, [...nested, 'invoke 0', 'invoke 1']);
});

test('try-each: the first sequence that succeeds; nil succeeds; none is an error', async () => {
  const fails = [when('abort'), act('invoke')];
  const first = await install([tryEach([...FETCH], [act('invoke')])]);
  assert.deepEqual(first.did, ['fetch 0']);
  const second = await install([tryEach(fails, FETCH)]);
  assert.deepEqual(second.did, ['fetch 0']);
  const none = await install([tryEach(fails, fails, null), ...FETCH]);
  assert.deepEqual(none.did, ['fetch 0']);
  await assert.rejects(install([tryEach(fails, fails)]), { code: 'SUIT_TRY_EACH_EXHAUSTED' });
});

test('try-each: hard failure when soft-failure is set to false in the sequence', async () => {
  const hard = [set({ softFailure: false }), when('abort')];
  await assert.rejects(install([tryEach(hard, FETCH)]), { code: 'SUIT_ABORTED' });
  // The value ends with its sequence: the next one starts soft again.
  const { did } = await install([tryEach([when('abort')], [when('abort')], FETCH)]);
  assert.deepEqual(did, ['fetch 0']);
});

test('a directive that fails aborts, soft-failure or not', async () => {
  const broken = [set({ uri: 'nowhere' }), act('fetch')];
  await assert.rejects(install([tryEach(broken, FETCH)]), { code: 'SUIT_OPERATION_FAILED' });
  await assert.rejects(install([runSequence(set({ softFailure: true }), ...broken)]), {
    code: 'SUIT_OPERATION_FAILED',
  });
});

test('run-sequence: hard unless soft-failure is set in it; nested sequences do not inherit it', async () => {
  await assert.rejects(install([runSequence(when('abort'))]), { code: 'SUIT_ABORTED' });
  const soft = await install([
    runSequence(set({ softFailure: true }), when('abort'), act('invoke')),
    ...FETCH,
  ]);
  assert.deepEqual(soft.did, ['fetch 0']);
  await assert.rejects(
    install([runSequence(set({ softFailure: true }), runSequence(when('abort')))]),
    { code: 'SUIT_ABORTED' },
  );
});

test('without strict order a component is not both target and source', async () => {
  const held = { '00': utf8('a'), '01': utf8('b') };
  const copies = (...strict: readonly CommandInput[]) => [
    at(0),
    ...strict,
    set({ sourceComponent: 1 }),
    act('copy'),
    at(1),
    set({ sourceComponent: 0 }),
    act('copy'),
  ];
  await install(copies(), { components: 2, held });
  const parallel = copies(set({ strictOrder: false }));
  await assert.rejects(install(parallel, { components: 2, held }), { code: 'SUIT_STRICT_ORDER' });
});

test('without strict order a run-sequence selects its component at its start and only there', async () => {
  const loose = set({ strictOrder: false });
  const refused = [
    [at(0), loose, runSequence(act('invoke'))],
    [at(0), loose, runSequence(at(0), at(1), act('invoke'))],
    [at(true), loose, runSequence(at(1), act('invoke'))],
    [at(0), loose, runSequence(at(0), tryEach([when('abort')], [at(1), act('invoke')]))],
  ];
  for (const commands of refused)
    await assert.rejects(install(commands, { components: 2 }), { code: 'SUIT_STRICT_ORDER' });
  const { did } = await install(
    [at(0), loose, runSequence(at(1), act('invoke')), at(true), runSequence(act('invoke'))],
    { components: 2 },
  );
  assert.deepEqual(did, ['invoke 1', 'invoke 0', 'invoke 1']);
});

test('integrated payloads are written from the envelope', async () => {
  const commands = [set({ uri: '#fw', imageDigest }), act('fetch'), when('image-match')];
  const { held } = await install(commands, { integrated: new Map([['#fw', CONTENT]]) });
  assert.deepEqual(held.get('00'), CONTENT);
  await assert.rejects(install(commands), { code: 'SUIT_INTEGRATED_MISSING' });
});

test('a component that the device does not have is refused at once', async () => {
  const port = memoryComponents({ components: new Map(), payloads: new Map(), identifiers: {} });
  await assert.rejects(install(FETCH, {}, { port }), { code: 'SUIT_COMPONENT_UNSUPPORTED' });
});

test('steps are bounded, loops over components included', async () => {
  const commands = [at(true), set({ uri: 'u' }), runSequence(act('fetch'), act('fetch'))];
  await install(commands, { components: 8 }, { limits: { steps: 1 + 8 + 8 * 3 } });
  await assert.rejects(install(commands, { components: 8 }, { limits: { steps: 8 * 4 } }), {
    code: 'SUIT_STEPS_EXHAUSTED',
  });
});

test('what a port throws keeps its code, or becomes SUIT_OPERATION_FAILED, with its place', async () => {
  const broken: ComponentPort = {
    ...memoryComponents({
      components: new Map([['00', null]]),
      payloads: new Map(),
      identifiers: {},
    }),
    fetch: () => Promise.reject(new TypeError('flash')),
  };
  await assert.rejects(install(FETCH, {}, { port: broken }), (error: FirmamentError) => {
    assert.equal(error.code, 'SUIT_OPERATION_FAILED');
    assert.deepEqual([error.details['section'], error.details['offset']], ['install', 6]);
    assert.ok(error.cause instanceof TypeError);
    return true;
  });
});

test('records by policy: failures with what was measured, at their place', async () => {
  const records: ReportEntry[] = [];
  const onRecord = (entry: ReportEntry) => records.push(entry);
  const wrong = { algorithm: 'SHA-256', bytes: new Uint8Array(32) } as const;
  const commands = [...FETCH, set({ imageDigest: wrong }), when('image-match', 2 | 8)];
  await assert.rejects(install(commands, {}, { onRecord }));
  const properties = { imageDigest, imageSize: CONTENT.length };
  assert.deepEqual(records, [
    { kind: 'record', manifestId: [], section: 20, offset: 49, componentIndex: 0, properties },
    { kind: 'claims', componentId: [Uint8Array.of(0)], properties },
  ]);
  const good = await install([
    set({ uri: 'u', imageDigest }),
    act('fetch', 1),
    when('image-match', 4),
  ]);
  assert.deepEqual(
    good.records.map((entry) => entry.kind),
    ['record', 'claims'],
  );
  const silent = await install([
    set({ uri: 'u', imageDigest }),
    act('fetch', 2),
    when('image-match', 2),
  ]);
  assert.deepEqual(silent.records, []);
});

test('a section does not see what an earlier one has set', async () => {
  const manifest = wrap(
    buildManifest({
      sequence: 1n,
      componentIds: [[Uint8Array.of(0)]],
      sections: new Map([
        ['install', { content: encodeSequence([...FETCH, set({ imageDigest })]) }],
        ['validate', { content: encodeSequence([when('image-match')]) }],
      ]),
    }),
  );
  const block = createSign1({
    header: new Map(),
    payload: suitDigest(manifest),
    key: KEY,
    detached: true,
  });
  const bytes = buildEnvelope({ manifest, authenticationBlocks: [block] });
  const verified = authenticate(parseEnvelope(bytes), [KEY.publicKey]);
  const port = memoryComponents({
    components: new Map([['00', null]]),
    payloads: new Map([['u', CONTENT]]),
    identifiers: {},
  });
  await assert.rejects(processManifest(verified, { sections: ['install', 'validate'], port }), {
    code: 'SUIT_DIGEST_MISSING',
  });
});
