/** Dependencies (trust-domains 5): each rule, and who gets past it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { privateKey } from '#crypto';
import { utf8 } from '../bytes.ts';
import type { FirmamentError } from '../errors.ts';
import { authenticate } from './authenticate.ts';
import type { CommandInput } from './build.ts';
import type { ComponentPort } from './component-port.ts';
import { parseEnvelope } from './envelope.ts';
import type { SectionName } from './label.ts';
import { memoryComponents } from './memory-components.ts';
import type { Parameters } from './parameters.ts';
import {
  act,
  at,
  KEY,
  runSequence,
  set,
  signedSections,
  tryEach,
  when,
} from './process-fixture.ts';
import type { Setup } from './process-fixture.ts';
import { processManifest } from './process.ts';
import type { ProcessOptions } from './process.ts';
import type { ReportEntry } from './record.ts';
import { failureOf } from './report.ts';

type Sections = Readonly<Partial<Record<SectionName, readonly CommandInput[]>>>;

const DEPENDENCY_ID = [utf8('dependency')];
const CHILD_ID = [utf8('child')];

function digestOf(envelope: Uint8Array): Parameters {
  const { digestAlgorithm: algorithm, digestBytes: bytes } = parseEnvelope(envelope);
  return { imageDigest: { algorithm, bytes } };
}

const unset = (parameters: Parameters): CommandInput => ({ kind: 'set-parameters', parameters });

/** A dependent of `child`, which it fetches, checks and runs in the section `run`. */
function dependent(
  child: Uint8Array,
  sections: Sections,
  { prefix = DEPENDENCY_ID, ...setup }: Setup & { readonly prefix?: readonly Uint8Array[] } = {},
): Uint8Array {
  const shared = [at(1), set(digestOf(child)), ...(setup.shared ?? [])];
  const manifest = { dependencies: new Map([[1, prefix]]) };
  const whole: Sections = {
    'dependency-resolution': [
      at(1),
      set({ uri: 'child' }),
      act('fetch'),
      when('dependency-integrity'),
    ],
    ...sections,
  };
  return signedSections(whole, { ...setup, shared, manifest });
}

interface Ran {
  readonly did: readonly string[];
  readonly held: ReadonlyMap<string, Uint8Array | null>;
  readonly records: readonly ReportEntry[];
}

async function run(
  root: Uint8Array,
  payloads: Readonly<Record<string, Uint8Array>>,
  options: Partial<ProcessOptions> = {},
  change: (port: ComponentPort) => Partial<ComponentPort> = () => ({}),
): Promise<Ran> {
  const did: string[] = [];
  const held = new Map<string, Uint8Array | null>(
    [Uint8Array.of(0), ...DEPENDENCY_ID, ...CHILD_ID].map((part) => [part.toHex(), null]),
  );
  const port = memoryComponents({
    components: held,
    payloads: new Map(Object.entries(payloads)),
    identifiers: {},
    onOperation: (operation) => did.push(operation),
  });
  const records: ReportEntry[] = [];
  await processManifest(authenticate(parseEnvelope(root), [KEY.publicKey]), {
    sections: ['dependency-resolution', 'install', 'validate', 'invoke', 'uninstall'],
    port: { ...port, ...change(port) },
    trust: { keys: [KEY.publicKey] },
    onRecord: (entry) => records.push(entry),
    ...options,
  });
  return { did, held, records };
}

const CONTENT = utf8('from the dependency');
const CHILD = signedSections({ install: [set({ content: CONTENT }), act('write')] });
const PROCESS = [at(1), act('process-dependency')];

test('a dependency is fetched, checked and run', async () => {
  const { did, held } = await run(dependent(CHILD, { install: PROCESS }), { child: CHILD });
  assert.deepEqual(did, ['fetch 1', 'write 0']);
  assert.deepEqual(held.get('00'), CONTENT);
});

test('process-dependency needs a dependency that was checked and not written to since', async () => {
  const cases: readonly (readonly [string, readonly CommandInput[]])[] = [
    ['SUIT_NOT_DEPENDENCY', [at(0), act('process-dependency')]],
    ['SUIT_NOT_DEPENDENCY', [at(0), set(digestOf(CHILD)), when('dependency-integrity')]],
    ['SUIT_DEPENDENCY_UNCHECKED', [at(1), set({ uri: 'child' }), act('fetch'), ...PROCESS]],
    ['SUIT_DEPENDENCY_UNCHECKED', [at(1), set({ content: CHILD }), act('write'), ...PROCESS]],
    [
      'SUIT_DEPENDENCY_UNCHECKED',
      [
        at(0),
        set({ content: CHILD }),
        act('write'),
        at(1),
        set({ sourceComponent: 0 }),
        act('swap'),
        ...PROCESS,
      ],
    ],
    [
      'SUIT_DEPENDENCY_UNCHECKED',
      [at(0), set({ content: CHILD, sourceComponent: 1 }), act('write'), act('swap'), ...PROCESS],
    ],
  ];
  for (const [code, install] of cases)
    await assert.rejects(run(dependent(CHILD, { install }), { child: CHILD }), { code });
  const fetched = [at(1), set({ uri: 'child' }), act('fetch')];
  const stale = [...fetched, when('image-match'), act('fetch'), ...PROCESS];
  await assert.rejects(run(dependent(CHILD, { install: stale }), { child: CHILD }), {
    code: 'SUIT_DEPENDENCY_UNCHECKED',
  });
  // Checked again, or matched by its digest, it runs.
  for (const again of ['dependency-integrity', 'image-match'] as const) {
    const install = [at(1), set({ uri: 'child' }), act('fetch'), when(again), ...PROCESS];
    await run(dependent(CHILD, { install }), { child: CHILD });
  }
});

test('dependency-integrity: digest, signature, contents', async () => {
  const check = (parameters: Parameters) => ({
    install: [at(1), set(parameters), when('dependency-integrity'), ...PROCESS],
  });
  const other = signedSections({ install: [act('fetch')] });
  const root = (sections: Sections) => dependent(CHILD, sections);
  await assert.rejects(run(root(check(digestOf(other))), { child: CHILD }), {
    code: 'SUIT_DEPENDENCY_MISMATCH',
  });
  await assert.rejects(run(root({ install: PROCESS }), { child: other }), {
    code: 'SUIT_DEPENDENCY_MISMATCH',
  });
  const trust = { keys: [privateKey('Ed25519', new Uint8Array(32)).publicKey] };
  await assert.rejects(run(root({ install: PROCESS }), { child: CHILD }, { trust }), {
    code: 'SUIT_SIGNATURE_INVALID',
  });
  // The digest of the envelope is the manifest's, or it is none.
  const forged = CHILD.slice();
  forged[forged.length - 1] = (forged.at(-1) as number) ^ 1;
  await assert.rejects(run(root({ install: PROCESS }), { child: forged }), {
    code: 'SUIT_DIGEST_MISMATCH',
  });
  await assert.rejects(run(root({ install: PROCESS }), { child: utf8('no envelope') }), {
    code: 'SUIT_TRUNCATED',
  });
  const empty = { 'dependency-resolution': [at(1), when('dependency-integrity')] };
  await assert.rejects(run(root(empty), {}), { code: 'SUIT_DEPENDENCY_MISMATCH' });
  const unnamed = signedSections(
    { install: [at(1), set({ uri: 'child' }), act('fetch'), when('dependency-integrity')] },
    { manifest: { dependencies: new Map([[1, DEPENDENCY_ID]]) } },
  );
  await assert.rejects(run(unnamed, { child: CHILD }), { code: 'SUIT_DIGEST_MISSING' });
});

test('dependency-integrity aborts; it is no way out of a try-each', async () => {
  const wrong = { imageDigest: { algorithm: 'SHA-256', bytes: new Uint8Array(32) } } as const;
  const install = [
    at(1),
    tryEach([set(wrong), when('dependency-integrity')], [act('process-dependency')]),
  ];
  await assert.rejects(run(dependent(CHILD, { install }), { child: CHILD }), {
    code: 'SUIT_DEPENDENCY_MISMATCH',
  });
});

test('what was checked is what runs, whatever the component holds by then', async () => {
  const evil = signedSections({ install: [set({ content: utf8('evil') }), act('write')] });
  let reads = 0;
  const { held } = await run(
    dependent(CHILD, { install: PROCESS }),
    { child: CHILD },
    {},
    (port) => ({
      read: (component, max) =>
        component.index === 1 && ++reads > 1 ? Promise.resolve(evil) : port.read(component, max),
    }),
  );
  assert.deepEqual(held.get('00'), CONTENT);
  assert.equal(reads, 1);
});

test('the sections of a dependency are not passed over', async () => {
  const install = [at(1), when('dependency-integrity')];
  await assert.rejects(run(dependent(CHILD, { install }), { child: CHILD }), {
    code: 'SUIT_DEPENDENCY_UNPROCESSED',
  });
  // What the dependency does not have, need not be run; the invoke section may end elsewhere.
  const both = dependent(CHILD, { install: PROCESS, validate: [at(1), when('is-dependency')] });
  await run(both, { child: CHILD });
});

test('is-dependency tells components from dependencies', async () => {
  const install = [
    at(true),
    tryEach(
      [when('is-dependency'), act('process-dependency')],
      [set({ uri: 'image' }), act('fetch')],
    ),
  ];
  const { did } = await run(dependent(CHILD, { install }), { child: CHILD, image: CONTENT });
  assert.deepEqual(did, ['fetch 1', 'fetch 0', 'write 0']);
});

test('set-parameters gives way to what is set; parameters go by component, in both manifests', async () => {
  const child = signedSections({
    install: [unset({ content: utf8('default') }), act('write'), set({ uri: 'u' })],
  });
  const kept = await run(dependent(child, { install: PROCESS }), { child });
  assert.deepEqual(kept.held.get('00'), utf8('default'));
  const replacing = [at(0), unset({ content: CONTENT }), ...PROCESS];
  const given = await run(dependent(child, { install: replacing }), { child });
  assert.deepEqual(given.held.get('00'), CONTENT);
  const install = [...replacing, at(0), act('fetch')];
  const replaced = await run(dependent(child, { install }), { child, u: utf8('fetched') });
  assert.deepEqual(replaced.held.get('00'), utf8('fetched'));
  assert.deepEqual(replaced.did, ['fetch 1', 'write 0', 'fetch 0']);
});

test('source-component means the component of the manifest that set it', async () => {
  const child = signedSections(
    { install: [at(1), act('copy')] },
    { components: 1, manifest: { componentIds: [CHILD_ID, [Uint8Array.of(0)]] } },
  );
  // Index 1 is the dependency for the dependent and component 0 for the dependency.
  const install = [at(0), set({ sourceComponent: 1 }), ...PROCESS];
  const { held } = await run(dependent(child, { install }), { child });
  assert.deepEqual(held.get('00'), child);
});

test('a failure names the dependency, in records and in the report', async () => {
  const child = signedSections({
    install: [set({ content: CONTENT }), act('write', 15), when('abort', 15)],
  });
  const root = dependent(child, { install: PROCESS });
  const records: ReportEntry[] = [];
  await assert.rejects(
    run(root, { child }, { onRecord: (entry) => records.push(entry) }),
    (error: FirmamentError) => {
      assert.equal(error.code, 'SUIT_ABORTED');
      assert.match(error.message, /^dependency 1: install: abort at byte/);
      assert.deepEqual(failureOf(error).record.manifestId, [1]);
      return true;
    },
  );
  assert.deepEqual(
    records.map((each) => (each.kind === 'record' ? each.manifestId : undefined)),
    [[1], [1]],
  );
});

test('dependencies nest to a bound, and none runs without end', async () => {
  let child = CHILD;
  const payloads: Record<string, Uint8Array> = {};
  for (let level = 0; level < 5; level++) {
    payloads[`c${level}`] = child;
    const parameters = { ...digestOf(child), uri: `c${level}` };
    const prefix = [utf8(`level ${level}`)];
    child = signedSections(
      { install: [at(1), set(parameters), act('fetch'), when('dependency-integrity'), ...PROCESS] },
      { manifest: { dependencies: new Map([[1, prefix]]) } },
    );
    const running = run(child, payloads, {}, () => ({ has: () => Promise.resolve(true) }));
    if (level < 4) assert.equal((await running).did.at(-1), 'write 0');
    else await assert.rejects(running, { code: 'SUIT_DEPENDENCY_TOO_DEEP' });
  }
  const often = Array.from({ length: 65 }, () => when('dependency-integrity'));
  await assert.rejects(run(dependent(CHILD, { install: [at(1), ...often] }), { child: CHILD }), {
    code: 'SUIT_DEPENDENCY_TOO_DEEP',
  });
  const limits = { steps: 8 };
  await assert.rejects(run(dependent(CHILD, { install: PROCESS }), { child: CHILD }, { limits }), {
    code: 'SUIT_STEPS_EXHAUSTED',
  });
});

test('the components of a dependency must be there', async () => {
  const child = signedSections(
    { install: [act('write')] },
    { manifest: { componentIds: [[utf8('no')]] } },
  );
  await assert.rejects(run(dependent(child, { install: PROCESS }), { child }), {
    code: 'SUIT_COMPONENT_UNSUPPORTED',
  });
});

test('an integrated dependency is the one that the manifest names', async () => {
  const sections = {
    'dependency-resolution': [
      at(1),
      set({ uri: '#child' }),
      act('fetch'),
      when('dependency-integrity'),
    ],
    install: PROCESS,
  } as const;
  const integrated = (child: Uint8Array) => ({ integrated: new Map([['#child', child]]) });
  const { held } = await run(dependent(CHILD, sections, integrated(CHILD)), {});
  assert.deepEqual(held.get('00'), CONTENT);
  const other = signedSections({ install: [act('fetch')] });
  assert.throws(
    () =>
      authenticate(parseEnvelope(dependent(CHILD, sections, integrated(other))), [KEY.publicKey]),
    { code: 'SUIT_INTEGRATED_DIGEST_MISMATCH' },
  );
});

test('unlink: the dependency uninstalls first; the manifest that lets go is named', async () => {
  const child = signedSections({ uninstall: [act('unlink')] });
  const unlinked: string[] = [];
  const root = dependent(child, { uninstall: [at(1), act('unlink')] });
  await run(root, { child }, {}, () => ({
    unlink: ({ id }, digest) => {
      unlinked.push(`${id[0]?.toHex()} ${digest.toHex()}`);
      return Promise.resolve();
    },
  }));
  const name = (envelope: Uint8Array) => parseEnvelope(envelope).digest.toHex();
  assert.deepEqual(unlinked, [`00 ${name(child)}`, `${DEPENDENCY_ID[0]?.toHex()} ${name(root)}`]);
  const missing = run(root, { child }, {}, (port) => {
    delete (port as { unlink?: unknown }).unlink;
    return { unlink: undefined } as unknown as Partial<ComponentPort>;
  });
  await assert.rejects(missing, { code: 'SUIT_CAPABILITY_MISSING' });
});

test('in a nested sequence a dependency leaves index and section as they were', async () => {
  const install = [
    at(1),
    runSequence(act('process-dependency'), when('is-dependency')),
    at(0),
    set({ content: utf8('after') }),
    act('write'),
  ];
  const { did, held } = await run(dependent(CHILD, { install }), { child: CHILD });
  assert.deepEqual(did, ['fetch 1', 'write 0', 'write 0']);
  assert.deepEqual(held.get('00'), utf8('after'));
});
