/** What is built is parsed to what it was built from; statement and envelope are two forms of one. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { privateKey, sha256 } from '#crypto';
import { hex, utf8 } from '../bytes.ts';
import { CIPHERS } from '../cose/cipher.ts';
import type { ContentCipher } from '../cose/cipher.ts';
import { RECEIPTS } from '../cose/claims.ts';
import { createEncrypt } from '../cose/encrypt.ts';
import { createSign1, decodeSign1, verifySign1 } from '../cose/sign1.ts';
import { authenticate } from './authenticate.ts';
import {
  buildEnvelope,
  buildImageManifest,
  buildManifest,
  encodeSequence,
  encodeText,
  sever,
  wrap,
} from './build.ts';
import type { CommandInput, MemberInput } from './build.ts';
import { readSequence } from './commands.ts';
import type { ParameterName } from './commands.ts';
import { suitDigest } from './digest.ts';
import { parseEnvelope } from './envelope.ts';
import { parseItem } from './item.ts';
import { ACTION, COMPARISON, CONDITION, WAIT_EVENT } from './label.ts';
import type { ActionName, ConditionName, SectionName } from './label.ts';
import { parseManifest } from './manifest.ts';
import type { Parameters } from './parameters.ts';
import type { Comparison } from './version.ts';
import { addReceipts, attachmentOf, envelopeFrom, statementOf } from './transparent.ts';

const KEY = privateKey('Ed25519', new Uint8Array(32).fill(5));
const COUNT = 3;

const uuid = fc.uint8Array({ minLength: 16, maxLength: 16 });
const bytes = fc.uint8Array({ maxLength: 40 });
const uint = fc.nat({ max: 2 ** 40 });
const versionMatch = fc.record({
  comparison: fc.constantFrom(...(Object.keys(COMPARISON) as Comparison[])),
  version: fc.array(fc.integer({ min: -3, max: 100 }), { minLength: 1, maxLength: 5 }),
});
const ENCRYPTION_INFOS = (Object.keys(CIPHERS) as ContentCipher[]).map(
  (cipher) =>
    createEncrypt({
      cipher,
      contentKey: new Uint8Array(CIPHERS[cipher].key),
      iv: new Uint8Array(CIPHERS[cipher].iv),
      recipients: [{ key: new Uint8Array(16) }],
    }).bytes,
);
const parameters = fc
  .record(
    {
      vendorId: uuid,
      classId: uuid,
      deviceId: uuid,
      imageDigest: fc
        .uint8Array({ minLength: 48, maxLength: 48 })
        .map((digest) => ({ algorithm: 'SHA-384', bytes: digest }) as const),
      imageSize: uint,
      componentSlot: uint,
      content: bytes,
      uri: fc.webUrl(),
      sourceComponent: fc.nat({ max: COUNT - 1 }),
      invokeArguments: bytes,
      fetchArguments: bytes,
      useBefore: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
      encryptionInfo: fc.constantFrom(...ENCRYPTION_INFOS),
      minimumBattery: uint,
      updatePriority: fc.integer(),
      versionMatch,
      waitInfo: fc
        .uniqueArray(
          fc.oneof(
            fc.record({ kind: fc.constant('authorization' as const), priority: fc.integer() }),
            fc.record({ kind: fc.constant('power' as const), state: fc.integer() }),
            fc.record({
              kind: fc.constant('other-device-version' as const),
              device: bytes,
              versions: fc.array(versionMatch, { minLength: 1, maxLength: 3 }),
            }),
            fc.record({ kind: fc.constantFrom('time', 'day-of-week-utc'), value: uint }),
          ),
          { minLength: 1, selector: ({ kind }) => kind },
        )
        .map((events) => events.toSorted((a, b) => WAIT_EVENT[a.kind] - WAIT_EVENT[b.kind])),
    },
    { requiredKeys: [] },
  )
  .filter((set) => Object.keys(set).length > 0) satisfies fc.Arbitrary<Parameters>;
const ordered = fc
  .tuple(parameters, fc.option(fc.boolean(), { nil: undefined }))
  .map(([set, strictOrder]) => (strictOrder === undefined ? set : { ...set, strictOrder }));

/** By component index, in order. */
function entries<T>(value: fc.Arbitrary<T>): fc.Arbitrary<readonly (readonly [number, T])[]> {
  return fc
    .uniqueArray(fc.tuple(fc.nat({ max: COUNT - 1 }), value), {
      minLength: 1,
      selector: ([at]) => at,
    })
    .map((list) => list.toSorted(([a], [b]) => a - b));
}

const policy = fc.nat({ max: 15 });
const index = fc.oneof(
  fc.nat({ max: COUNT - 1 }),
  fc.constant(true as const),
  fc.array(fc.nat({ max: COUNT - 1 }), { minLength: 1, maxLength: COUNT }),
);
const first: fc.Arbitrary<CommandInput> = index.map((each) => ({
  kind: 'set-component-index',
  index: each,
}));
const leaf: fc.Arbitrary<CommandInput> = fc.oneof(
  first,
  fc.record({
    kind: fc.constant('condition' as const),
    name: fc.constantFrom(...(Object.keys(CONDITION) as ConditionName[])),
    policy,
  }),
  fc.record({
    kind: fc.constant('action' as const),
    name: fc.constantFrom(...(Object.keys(ACTION) as ActionName[])),
    policy,
  }),
  ordered.map((set): CommandInput => ({ kind: 'override-parameters', parameters: set })),
  parameters.map((set): CommandInput => ({ kind: 'set-parameters', parameters: set })),
  entries(parameters).map((each): CommandInput => ({ kind: 'override-multiple', entries: each })),
  entries(
    fc.array(fc.constantFrom<ParameterName[]>('uri', 'content', 'waitInfo'), { minLength: 1 }),
  ).map((each): CommandInput => ({ kind: 'copy-params', entries: each })),
);
const inner = fc.array(leaf, { minLength: 1, maxLength: 3 });
const nested: fc.Arbitrary<CommandInput> = fc.oneof(
  inner.map((sequence): CommandInput => ({ kind: 'run-sequence', sequence })),
  fc
    .tuple(fc.array(inner, { minLength: 2, maxLength: 3 }), fc.boolean())
    .map(([sequences, nil]): CommandInput => ({
      kind: 'try-each',
      sequences: nil ? [...sequences, null] : sequences,
    })),
);
const sequence = fc
  .tuple(first, fc.array(fc.oneof(leaf, nested), { maxLength: 5 }))
  .map(([head, rest]) => [head, ...rest]);

/** The parsed form with the places of its commands left out. */
function plain(value: unknown): unknown {
  if (value instanceof Uint8Array) return value.toHex();
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).flatMap(([name, each]) =>
      name === 'offset' ? [] : [[name, plain(each)]],
    ),
  );
}

test('command sequences', () => {
  fc.assert(
    fc.property(sequence, (commands) => {
      const encoded = encodeSequence(commands);
      const place = { what: 'install', shared: false, componentCount: COUNT };
      const parsed = readSequence(parseItem(encoded, 'install'), place);
      assert.deepEqual(plain(parsed), plain(commands));
      assert.deepEqual(encodeSequence(parsed), encoded);
      for (const { offset } of parsed) assert.ok(offset > 0 && offset < encoded.length);
    }),
    { numRuns: 150 },
  );
});

const shared: readonly CommandInput[] = [
  { kind: 'set-component-index', index: 0 },
  { kind: 'condition', name: 'vendor-identifier', policy: 15 },
];

test('manifests and envelopes, with members inline, severed and absent', () => {
  const members = fc.dictionary(
    fc.constantFrom<SectionName>('payload-fetch', 'install', 'validate', 'load', 'invoke'),
    fc.tuple(
      inner.map((rest) => [shared[0] as CommandInput, ...rest]),
      fc.nat({ max: 2 }),
    ),
  );
  const version = fc.option(fc.array(fc.integer(), { minLength: 1, maxLength: 4 }), {
    nil: undefined,
  });
  fc.assert(
    fc.property(
      fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
      members,
      version,
      (number, given, parts) => {
        const severed = new Map<number, Uint8Array>();
        const states: Record<string, string> = {};
        const sections = new Map<SectionName, MemberInput>();
        for (const [name, [commands, choice]] of Object.entries(given) as [
          SectionName,
          [CommandInput[], number],
        ][]) {
          const content = encodeSequence(commands);
          const key = { 'payload-fetch': 16, install: 20 }[name as string];
          const cut = sever(content);
          states[name] =
            key === undefined || choice === 0 ? 'inline' : choice === 1 ? 'severed' : 'absent';
          if (states[name] === 'severed') severed.set(key as number, cut.bstr);
          sections.set(name, states[name] === 'inline' ? { content } : { digest: cut.digest });
        }
        const manifest = wrap(
          buildManifest({
            sequence: number,
            componentIds: [[utf8('a')], [utf8('a'), utf8('b')], [new Uint8Array()]],
            shared,
            sections,
            referenceUri: 'https://example.org/m',
            ...(parts === undefined ? {} : { version: parts }),
          }),
        );
        const payload = suitDigest(manifest);
        const block = createSign1({ header: new Map(), payload, key: KEY, detached: true });
        const envelope = parseEnvelope(
          buildEnvelope({ manifest, authenticationBlocks: [block], severed }),
        );
        const parsed = authenticate(envelope, [KEY.publicKey]).manifest;
        assert.equal(parsed.sequence, number);
        assert.deepEqual(parsed.version, parts);
        assert.equal(parsed.componentIds.length, 3);
        for (const [name, member] of parsed.sections) assert.equal(member.state, states[name]);
        assert.equal(parsed.sections.size, sections.size);
      },
    ),
    { numRuns: 100 },
  );
});

const IMAGE = utf8('an image');
const input = {
  vendorId: new Uint8Array(16).fill(1),
  classId: new Uint8Array(16).fill(2),
  sequence: 2n ** 63n,
  componentId: [utf8('firmware')],
  digest: sha256(IMAGE),
  size: IMAGE.length,
  uri: 'ipfs://bafy',
} as const;

test('the manifest of one image', () => {
  const text = [
    {
      language: 'en',
      fields: new Map([['updateDescription', 'Fixes the clock.']]),
      components: [{ component: input.componentId, fields: new Map([['version', '2.0.0']]) }],
    },
  ];
  const manifest = parseManifest(wrap(buildImageManifest({ ...input, version: [2, 0, 0], text })));
  assert.equal(manifest.sequence, 2n ** 63n);
  assert.deepEqual(manifest.version, [2, 0, 0]);
  assert.deepEqual([...manifest.sections.keys()].toSorted(), ['install', 'invoke', 'validate']);
  assert.deepEqual(manifest.images, [
    {
      componentIndex: 0,
      algorithm: 'SHA-256',
      digest: input.digest,
      size: 8,
      uri: input.uri,
      encrypted: false,
    },
  ]);
  assert.ok(manifest.text?.state === 'inline');
  assert.deepEqual(encodeText(manifest.text.value), encodeText(text));
});

const MANIFEST = wrap(buildImageManifest(input));
const header = new Map([[4, utf8('kid')]]);
const block = createSign1({ header, payload: suitDigest(MANIFEST), key: KEY, detached: true });
const ENVELOPE = buildEnvelope({ manifest: MANIFEST, authenticationBlocks: [block] });

test('an envelope and its statement are made from each other', () => {
  const envelope = parseEnvelope(ENVELOPE);
  assert.deepEqual(attachmentOf(envelope), MANIFEST);
  const statement = decodeSign1(statementOf(envelope), { maxBytes: 1000 });
  verifySign1(statement, KEY.publicKey);
  assert.deepEqual(statement.payload, suitDigest(MANIFEST));
  assert.equal(statement.unprotected.size, 0);
  assert.equal(hex(envelopeFrom({ statement, attachment: MANIFEST })), hex(ENVELOPE));
  const other = wrap(buildImageManifest({ ...input, size: 9 }));
  assert.throws(() => envelopeFrom({ statement, attachment: other }), {
    code: 'SUIT_DIGEST_MISMATCH',
  });
});

test('receipts stand in the first COSE_Sign1 and leave the signature and statement as they are', () => {
  const receipts = [utf8('one'), utf8('two')];
  const transparent = addReceipts(ENVELOPE, receipts);
  const envelope = parseEnvelope(transparent);
  assert.deepEqual(authenticate(envelope, [KEY.publicKey]).receipts, receipts);
  assert.equal(hex(statementOf(envelope)), hex(statementOf(parseEnvelope(ENVELOPE))));
  const statement = decodeSign1(statementOf(envelope), { maxBytes: 1000 });
  assert.equal(hex(envelopeFrom({ statement, attachment: MANIFEST, receipts })), hex(transparent));
  assert.equal(hex(addReceipts(transparent, receipts)), hex(transparent));
  assert.deepEqual(
    authenticate(parseEnvelope(addReceipts(transparent, [utf8('new')])), [KEY.publicKey]).receipts,
    [utf8('new')],
  );
});

test('receipts elsewhere, too many or too long are refused', () => {
  const refusedReceipts = (receipts: readonly Uint8Array[]) =>
    assert.throws(() => addReceipts(ENVELOPE, receipts), { code: 'SUIT_BLOCK_MALFORMED' });
  refusedReceipts(Array.from({ length: 17 }, () => utf8('r')));
  refusedReceipts([new Uint8Array(4097)]);
  const payload = suitDigest(MANIFEST);
  const unprotected = new Map([[RECEIPTS, [utf8('r')]]]);
  const holding = createSign1({ header, payload, key: KEY, detached: true, unprotected });
  const open = (...blocks: readonly Uint8Array[]) =>
    authenticate(
      parseEnvelope(buildEnvelope({ manifest: MANIFEST, authenticationBlocks: blocks })),
      [KEY.publicKey],
    );
  assert.ok(open(holding, block));
  assert.throws(() => open(block, holding), { code: 'SUIT_UNPROTECTED_LABEL' });
});

test('a parsed envelope does not follow what happens to its bytes', () => {
  const bytes = ENVELOPE.slice();
  const envelope = parseEnvelope(bytes);
  bytes.fill(0);
  assert.equal(authenticate(envelope, [KEY.publicKey]).manifest.sequence, 2n ** 63n);
});
