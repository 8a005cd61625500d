/** Everything that must be refused, each with its own code. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { privateKey, sha256 } from '#crypto';
import { concat, utf8 } from '../bytes.ts';
import { encode } from '../cbor/encode.ts';
import type { Cbor } from '../cbor/value.ts';
import { createMac0 } from '../cose/mac0.ts';
import { createSign1, decodeSign1, encodeSign1 } from '../cose/sign1.ts';
import type { PublicKey } from '../crypto/key.ts';
import { FirmamentError } from '../errors.ts';
import type { Code } from '../errors.ts';
import { authenticate, authenticateWith, manifestOf } from './authenticate.ts';
import { buildEnvelope, sever, wrap } from './build.ts';
import { suitDigest } from './digest.ts';
import { parseEnvelope } from './envelope.ts';
import { identity } from './identity.ts';
import { parseManifest } from './manifest.ts';

const KEY = privateKey('P-256', new Uint8Array(32).fill(9));
const UUID = new Uint8Array(16).fill(1);
const DIGEST = encode([-16, sha256(utf8('image'))]);
const m = (...entries: readonly (readonly [Cbor, Cbor])[]): Map<Cbor, Cbor> => new Map(entries);

/** The members of a small valid manifest; each case replaces or adds some. */
function members(
  changes: readonly (readonly [number, Cbor | undefined])[] = [],
  {
    shared,
    components = [[Uint8Array.of(0)]],
  }: {
    readonly shared?: readonly Cbor[];
    readonly components?: Cbor;
  } = {},
): Map<Cbor, Cbor> {
  const sequence = shared ?? [20, m([1, UUID], [2, UUID], [3, DIGEST]), 1, 15, 2, 15];
  const common = encode(m([2, components], [4, encode(sequence)]));
  const map = m([1, 1], [2, 5], [3, common], [7, encode([3, 15])]);
  for (const [key, value] of changes)
    if (value === undefined) map.delete(key);
    else map.set(key, value);
  return map;
}

function blockFor(manifest: Uint8Array): Uint8Array {
  const payload = suitDigest(manifest);
  return createSign1({ header: new Map(), payload, key: KEY, detached: true });
}

function envelopeOf(content: Uint8Array, severed = new Map<number, Uint8Array>()): Uint8Array {
  const manifest = wrap(content);
  return buildEnvelope({ manifest, authenticationBlocks: [blockFor(manifest)], severed });
}

function open(bytes: Uint8Array): ReturnType<typeof authenticate> {
  return authenticate(parseEnvelope(bytes), [KEY.publicKey]);
}

function refused(code: Code, bytes: Uint8Array, pattern?: RegExp): void {
  assert.throws(
    () => open(bytes),
    (error: FirmamentError) => {
      assert.ok(error instanceof FirmamentError);
      assert.equal(error.code, code, error.message);
      if (pattern) assert.match(error.message, pattern);
      return true;
    },
  );
}

/** The manifest with these members changed, signed as it then is, is refused. */
function refusedManifest(
  code: Code,
  changes: readonly (readonly [number, Cbor | undefined])[],
  pattern?: RegExp,
  options: Parameters<typeof members>[1] = {},
): void {
  refused(code, envelopeOf(encode(members(changes, options))), pattern);
}

/** A section with these commands. */
const install = (...commands: readonly Cbor[]): readonly [number, Cbor] => [20, encode(commands)];

const GOOD = envelopeOf(encode(members()));

test('the manifest that all cases start from is accepted', () => {
  assert.equal(open(GOOD).manifest.sequence, 5n);
});

test('manifest version', () => {
  refusedManifest('SUIT_VERSION_UNSUPPORTED', [[1, 2]], /version 2 at byte/);
  refusedManifest('SUIT_MEMBER_MISSING', [[1, undefined]]);
});

test('missing members', () => {
  refusedManifest('SUIT_MEMBER_MISSING', [[2, undefined]]);
  refusedManifest('SUIT_MEMBER_MISSING', [[3, undefined]]);
  refusedManifest('SUIT_MEMBER_MISSING', [[3, encode(m([4, encode([14, 0])]))]]);
  refused('SUIT_MEMBER_MISSING', tagged(m([3, encode(members())])));
  refused('SUIT_MEMBER_MISSING', tagged(m([2, encode([DIGEST])])));
  refused('SUIT_MEMBER_MISSING', tagged(m([2, encode([])], [3, encode(members())])));
});

function tagged(map: Map<Cbor, Cbor>, order: 'sorted' | 'kept' = 'sorted'): Uint8Array {
  return concat(Uint8Array.of(0xd8, 107), encode(map, { order }));
}

test('unknown keys, and known ones of extensions by name', () => {
  refusedManifest('SUIT_KEY_UNKNOWN', [[21, 0]], /unknown key 21 at byte/);
  refusedManifest('SUIT_KEY_UNKNOWN', [[-1, 0]]);
  refusedManifest('SUIT_MEMBER_UNSUPPORTED', [[14, UUID]], /coswid \(update-management\)/);
  const common = (key: number) => [3, encode(m([2, [[UUID]]], [key, m()]))] as const;
  refusedManifest('SUIT_KEY_UNKNOWN', [common(3)]);
  const body = [2, encode([DIGEST])] as const;
  const manifest = [3, encode(members())] as const;
  refused('SUIT_KEY_UNKNOWN', tagged(m(body, manifest, [22, UUID])));
  refused('SUIT_MEMBER_UNSUPPORTED', tagged(m([1, UUID], body, manifest)), /delegation/);
});

test('unknown commands, and known ones of extensions by name', () => {
  refusedManifest('SUIT_COMMAND_UNKNOWN', [install(13, 0)], /command 13 at byte/);
  refusedManifest('SUIT_COMMAND_UNKNOWN', [install(-256, 0)]);
  refusedManifest('SUIT_COMMAND_UNSUPPORTED', [install(-257, null)], /custom/);
  refusedManifest('SUIT_COMMAND_UNKNOWN', [install(15, [encode([14, 0]), encode([99, 0])])]);
  refusedManifest('SUIT_COMMAND_UNKNOWN', [install(32, encode([99, 0]))]);
});

test('unknown parameters, and known ones of extensions by name', () => {
  const set = (key: number, value: Cbor) => [install(20, m([key, value]))];
  refusedManifest('SUIT_PARAMETER_UNKNOWN', set(99, 0), /unknown parameter 99 at byte/);
  refusedManifest('SUIT_PARAMETER_UNSUPPORTED', set(30, m()), /component-metadata/);
  refusedManifest('SUIT_ENCRYPTION_INFO_INVALID', set(19, UUID), /encryption-info at byte/);
  refusedManifest('SUIT_TYPE', set(4, -1));
  refusedManifest('SUIT_TYPE', set(26, -1));
  refusedManifest('SUIT_TYPE', set(27, 'soon'));
  refusedManifest('SUIT_TYPE', set(28, encode([6, [1]])), /1 to 5/);
  refusedManifest('SUIT_TYPE', set(28, encode([1, []])));
  refusedManifest('SUIT_TYPE', set(28, encode([1, [1], 1])));
  refusedManifest('SUIT_TYPE', set(29, encode(m())));
  refusedManifest('SUIT_KEY_UNKNOWN', set(29, encode(m([10, 1]))), /event 10/);
  refusedManifest('SUIT_TYPE', set(29, encode(m([4, [UUID, []]]))));
  refusedManifest('SUIT_PARAMETER_UNSUPPORTED', set(-1, 1), /custom/);
  refusedManifest('SUIT_TYPE', set(1, new Uint8Array(15)), /16 bytes/);
  refusedManifest('SUIT_TYPE', [install(20, m())]);
});

test('the shared sequence decides and does not act; nothing custom stands in it', () => {
  const shared = (...commands: readonly Cbor[]) => ({ shared: commands });
  for (const action of [11, 18, 21, 22, 23, 29, 31, 33])
    refusedManifest('SUIT_COMMAND_MISPLACED', [], /shared sequence/, shared(action, 0));
  refusedManifest('SUIT_COMMAND_MISPLACED', [], undefined, shared(32, encode([21, 0])));
  refusedManifest('SUIT_CUSTOM_IN_SHARED', [], undefined, shared(-300, null));
  refusedManifest('SUIT_CUSTOM_IN_SHARED', [], undefined, shared(20, m([-1, 0])));
});

test('soft-failure outside try-each and run-sequence', () => {
  const soft = m([13, true]);
  refusedManifest('SUIT_SOFT_FAILURE_MISPLACED', [install(20, soft)], /8\.4\.8\.15/);
  refusedManifest('SUIT_SOFT_FAILURE_MISPLACED', [], undefined, { shared: [20, soft] });
  open(envelopeOf(encode(members([install(32, encode([20, soft]))]))));
});

test('component indices and identifiers', () => {
  const range = 'SUIT_COMPONENT_INDEX_RANGE';
  refusedManifest(range, [install(12, 1)], /component index 1/);
  refusedManifest(range, [install(12, [0, 1])]);
  refusedManifest(range, [install(12, [])]);
  refusedManifest('SUIT_TYPE', [install(12, false)]);
  refusedManifest(range, [install(20, m([22, 1]))], /source component 1/);
  const two = { components: [[Uint8Array.of(0)], [Uint8Array.of(1)]] };
  refusedManifest('SUIT_COMPONENT_INDEX_MISSING', [], /set-component-index/, two);
  const bad = 'SUIT_COMPONENT_INVALID';
  const cases: readonly Cbor[] = [
    [],
    [[]],
    [[UUID], [UUID]],
    [Array.from({ length: 9 }, () => UUID)],
  ];
  for (const components of cases) refusedManifest(bad, [], undefined, { components });
  const many = Array.from({ length: 33 }, (_, i) => [Uint8Array.of(i)]);
  refusedManifest(bad, [], undefined, { components: many });
  refusedManifest('SUIT_TOO_LARGE', [], undefined, { components: [[new Uint8Array(65)]] });
});

test('shapes of commands: policy, pairs, alternatives, depth', () => {
  refusedManifest('SUIT_POLICY_INVALID', [install(3, 16)]);
  refusedManifest('SUIT_TYPE', [install(3)]);
  refusedManifest('SUIT_TYPE', [install()]);
  refusedManifest('SUIT_TYPE', [install(15, [encode([14, 0])])], /two sequences/);
  refusedManifest('SUIT_TYPE', [install(15, [null, encode([14, 0]), encode([14, 0])])]);
  let nested: readonly Cbor[] = [14, 0];
  for (let i = 0; i < 5; i++) nested = [32, encode(nested)];
  refusedManifest('SUIT_TOO_DEEP', [install(...nested)]);
});

test('digest algorithms', () => {
  const match = (algorithm: number, length: number) => [
    install(20, m([3, encode([algorithm, new Uint8Array(length)])])),
  ];
  for (const [algorithm, length] of [
    [-16, 32],
    [-43, 48],
    [-44, 64],
  ] as const)
    open(envelopeOf(encode(members(match(algorithm, length)))));
  refusedManifest('SUIT_DIGEST_ALGORITHM_UNSUPPORTED', match(-45, 64), /SHAKE256/);
  refusedManifest('SUIT_TYPE', match(-16, 31));
});

test('old drafts are recognised by what they number otherwise', () => {
  refusedManifest('SUIT_DRAFT_OLD', [[17, encode([14, 0])]], /install at 17.*drafts 12 to 26/);
  refusedManifest('SUIT_DRAFT_OLD', [[10, encode([14, 0])]], /validate at 10.*drafts 09 to 11/);
  const wrapper = encode([encode([2, new Uint8Array(32)])]);
  const old = tagged(m([2, wrapper], [3, encode(members())]));
  refused('SUIT_DRAFT_OLD', old, /digest algorithm 2/);
});

test('severed members', () => {
  const { bstr, digest } = sever(encode([21, 2]));
  const digestArray = [-16, digest.slice(4)];
  const manifest = (value: Cbor) => encode(members([[20, value]]));
  open(envelopeOf(manifest(digestArray), new Map([[20, bstr]])));
  open(envelopeOf(manifest(digestArray)));
  refused('SUIT_SEVERED_UNDECLARED', envelopeOf(encode(members()), new Map([[20, bstr]])));
  const other = wrap(encode([21, 3]));
  refused(
    'SUIT_SEVERED_DIGEST_MISMATCH',
    envelopeOf(manifest(digestArray), new Map([[20, other]])),
  );
  refused('SUIT_SEVERED_DUPLICATE', envelopeOf(manifest(encode([21, 2])), new Map([[20, bstr]])));
  refusedManifest('SUIT_TYPE', [[7, digestArray]], /validate/);
});

test('trailing and truncated bytes, at every level', () => {
  refused('SUIT_TRAILING_BYTES', concat(GOOD, Uint8Array.of(0)), /1 bytes follow/);
  refused('SUIT_TRUNCATED', GOOD.subarray(0, -1));
  refused('SUIT_TRUNCATED', new Uint8Array());
  const extra = (bytes: Uint8Array) => concat(bytes, Uint8Array.of(0));
  refused('SUIT_TRAILING_BYTES', envelopeOf(extra(encode(members()))));
  refusedManifest('SUIT_TRAILING_BYTES', [[20, extra(encode([21, 2]))]]);
  refusedManifest('SUIT_TRUNCATED', [[20, encode([21, 2]).subarray(0, -1)]]);
});

test('encodings other than the one', () => {
  const bytes = (...parts: readonly (readonly number[] | Uint8Array)[]) =>
    concat(...parts.map((part) => Uint8Array.from(part)));
  const body = encode(members()).subarray(1);
  // A longer form of the sequence number, 5.
  refused('SUIT_NOT_SHORTEST', envelopeOf(replaced(encode(members()), [2, 5], [2, 0x18, 5])));
  refused('SUIT_NOT_SHORTEST', envelopeOf(bytes([0xb8, 4], body)));
  refused('SUIT_LENGTH_INDEFINITE', envelopeOf(bytes([0xbf], body, [0xff])));
  refusedManifest('SUIT_LENGTH_INDEFINITE', [[20, bytes([0x9f, 21, 2, 0xff])]]);
  refused('SUIT_KEY_DUPLICATE', envelopeOf(bytes([0xa5, 1, 1], body)), /twice/);
  refused('SUIT_MAP_ORDER', envelopeOf(bytes([0xa5], body, [4, 0x60])), /4\.2\.1/);
  for (const item of [
    [0xf7],
    [0xe0],
    [0xf8, 32],
    [0xf9, 0, 0],
    [0xfb, 0, 0, 0, 0, 0, 0, 0, 0],
    [0x61, 0xff],
  ])
    refused('SUIT_ENCODING', envelopeOf(bytes([0xa5], body, [0x18, 99], item)));
  refused('SUIT_TOO_DEEP', bytes(new Uint8Array(20).fill(0x81), [0]));
  refused('SUIT_TRUNCATED', bytes([0x9b, 255, 255, 255, 255, 255, 255, 255, 255]));
});

function replaced(bytes: Uint8Array, find: readonly number[], put: readonly number[]): Uint8Array {
  const at = bytes.findIndex((_, i) => find.every((byte, j) => bytes[i + j] === byte));
  return concat(bytes.subarray(0, at), Uint8Array.from(put), bytes.subarray(at + find.length));
}

test('the wrapper stands before the manifest; tag 107 stands before all', () => {
  const body = [2, encode([DIGEST])] as const;
  const manifest = [3, encode(members())] as const;
  refused(
    'SUIT_WRAPPER_LATE',
    tagged(m(manifest, body), 'kept'),
    /before the authentication wrapper/,
  );
  const untagged = GOOD.subarray(2);
  refused('SUIT_UNTAGGED', untagged);
  authenticate(parseEnvelope(untagged, { untagged: true }), [KEY.publicKey]);
  refused('SUIT_TAG_UNKNOWN', concat(Uint8Array.of(0xd8, 108), untagged));
  refused('SUIT_TAG_UNKNOWN', concat(Uint8Array.of(0xd9, 0x04, 0x2e), encode(members())), /1070/);
});

function withBlocks(...blocks: readonly Uint8Array[]): Uint8Array {
  return buildEnvelope({ manifest: wrap(encode(members())), authenticationBlocks: blocks });
}

const SECRET = new Uint8Array(32).fill(0x61);
const MANIFEST = wrap(encode(members()));
const BLOCK = blockFor(MANIFEST);

test('authentication blocks that are none', () => {
  const sign1 = decodeSign1(BLOCK, { maxBytes: 1000 });
  const payload = suitDigest(MANIFEST);
  const { signature } = sign1;
  refused('SUIT_UNAUTHENTICATED', withBlocks());
  refused('SUIT_PAYLOAD_ATTACHED', withBlocks(encodeSign1({ ...sign1, payload })), /early drafts/);
  const unprotected = m([1, -9]);
  const empty = encodeSign1({
    protectedBytes: new Uint8Array(),
    unprotected,
    payload: null,
    signature,
  });
  refused('SUIT_ALGORITHM_UNPROTECTED', withBlocks(empty));
  const der = Uint8Array.of(0x30, 0x44, ...new Uint8Array(68));
  refused('SUIT_SIGNATURE_DER', withBlocks(encodeSign1({ ...sign1, signature: der })));
  const odd = encodeSign1({ ...sign1, unprotected: m([33, UUID]) });
  refused('SUIT_UNPROTECTED_LABEL', withBlocks(odd));
  refused('SUIT_BLOCK_MALFORMED', withBlocks(BLOCK.subarray(1)));
  refused('SUIT_BLOCK_MALFORMED', withBlocks(concat(Uint8Array.of(0xd3), BLOCK.subarray(1))));
  refused('SUIT_BLOCKS_TOO_MANY', withBlocks(...Array.from({ length: 9 }, () => BLOCK)));
  // RFC 9864 names for what is not read here: passed over, and then nothing is left.
  const foreign = encodeSign1({ ...sign1, protectedBytes: encode(m([1, -46])) });
  refused('SUIT_UNAUTHENTICATED', withBlocks(foreign), /algorithm/);
  const mac = concat(Uint8Array.of(0xd1), BLOCK.subarray(1));
  refused('SUIT_UNAUTHENTICATED', withBlocks(mac), /algorithm/);
  const several = concat(Uint8Array.of(0xd8, 98), BLOCK.subarray(1));
  refused('SUIT_UNAUTHENTICATED', withBlocks(several), /COSE_Sign /);
  const input = { header: new Map(), payload, key: SECRET, detached: true } as const;
  refused('SUIT_UNAUTHENTICATED', withBlocks(createMac0(input)), /needs a MAC key/);
  refused('SUIT_PAYLOAD_ATTACHED', withBlocks(createMac0({ ...input, detached: false })));
  assert.ok(authenticate(parseEnvelope(withBlocks(mac, foreign, BLOCK)), [KEY.publicKey]));
});

test('signatures that are not by a trusted key, or over something else', () => {
  const stranger = privateKey('P-256', new Uint8Array(32).fill(3));
  const payload = suitDigest(MANIFEST);
  const header = new Map<Cbor, Cbor>();
  const by = createSign1({ header, payload, key: stranger, detached: true });
  refused('SUIT_SIGNATURE_INVALID', withBlocks(by));
  assert.ok(open(withBlocks(by, BLOCK)));
  // Draft 8.3: the payload is the SUIT_Digest itself, not wrapped again.
  const twice = createSign1({ header, payload: wrap(payload), key: KEY, detached: true });
  refused('SUIT_SIGNATURE_INVALID', withBlocks(twice));
  const ed25519 = privateKey('Ed25519', new Uint8Array(32).fill(3)).publicKey;
  assert.throws(() => authenticate(parseEnvelope(withBlocks(BLOCK)), [ed25519]), {
    code: 'SUIT_SIGNATURE_INVALID',
  });
});

test('a digest of another manifest, or of the content without its head', () => {
  const other = suitDigest(wrap(encode(members([[2, 6]]))));
  const content = encode(members());
  for (const digest of [other, suitDigest(content)]) {
    const block = createSign1({ header: new Map(), payload: digest, key: KEY, detached: true });
    const bytes = buildEnvelope({ manifest: wrap(content), digest, authenticationBlocks: [block] });
    refused('SUIT_DIGEST_MISMATCH', bytes);
  }
});

test('integrated payloads that no signed digest covers', () => {
  const integrated = (payload: Uint8Array) => new Map([['#fw', payload]]);
  const make = (changes: Parameters<typeof members>[0], payload: Uint8Array) => {
    const manifest = wrap(encode(members(changes)));
    return buildEnvelope({
      manifest,
      authenticationBlocks: [blockFor(manifest)],
      integrated: integrated(payload),
    });
  };
  const fetches = [install(20, m([21, '#fw']), 21, 2)];
  open(make(fetches, utf8('image')));
  refused('SUIT_INTEGRATED_DIGEST_MISMATCH', make(fetches, utf8('imagE')));
  refused('SUIT_INTEGRATED_UNREFERENCED', make([], utf8('image')));
});

test('sizes', () => {
  refused('SUIT_TOO_LARGE', new Uint8Array((1 << 20) + 1));
  refused(
    'SUIT_TOO_LARGE',
    encode(Array.from({ length: 128 }, () => [...new Uint8Array(128)])),
    /items/,
  );
  refused('SUIT_TOO_LARGE', envelopeOf(new Uint8Array(1 << 16)));
  assert.throws(() => parseManifest(new Uint8Array((1 << 16) + 1)), { code: 'SUIT_TOO_LARGE' });
  refusedManifest('SUIT_TOO_LARGE', [[4, 'u'.repeat(3000)]]);
});

test('alternatives are followed up to a bound', () => {
  const either = encode([14, 0]);
  const slot = (n: number) => encode([20, m([5, n]), 5, 0]);
  const step = [15, [slot(0), slot(1)]];
  open(envelopeOf(encode(members([install(...step, ...step, ...step)]))));
  const free = [15, [encode([20, m([21, 'a'])]), encode([20, m([21, 'b'])]), either]];
  const many = Array.from({ length: 8 }, () => free).flat();
  refusedManifest('SUIT_TOO_COMPLEX', [install(...many)]);
});

test('identity: exactly one pair, checked where nothing passes it by', () => {
  const ambiguous = (shared: readonly Cbor[], changes: Parameters<typeof members>[0] = []) => {
    const manifest = manifestOf(parseEnvelope(envelopeOf(encode(members(changes, { shared })))));
    assert.throws(() => identity(manifest), { code: 'SUIT_IDENTITY_AMBIGUOUS' });
  };
  const other = new Uint8Array(16).fill(2);
  const pair = m([1, UUID], [2, UUID]);
  assert.deepEqual(identity(open(GOOD).manifest), { vendorId: UUID, classId: UUID });
  ambiguous([20, pair, 1, 15]);
  ambiguous([20, m([1, UUID]), 1, 15, 2, 15]);
  ambiguous([20, pair, 1, 15, 2, 15, 20, m([2, other])]);
  ambiguous([20, pair, 1, 15, 2, 15], [install(20, m([1, other]))]);
  ambiguous([20, pair, 15, [encode([1, 15, 2, 15]), encode([20, m([5, 0])])]]);
  const none = manifestOf(
    parseEnvelope(envelopeOf(encode(members([[3, encode(m([2, [[UUID]]]))]])))),
  );
  assert.throws(() => identity(none), { code: 'SUIT_IDENTITY_AMBIGUOUS' });
});

test('MACs: by a key at hand, over this digest, and one that holds is enough', () => {
  const payload = suitDigest(MANIFEST);
  const mac = createMac0({ header: new Map(), payload, key: SECRET, detached: true });
  const keys: readonly PublicKey[] = [];
  const other = new Uint8Array(32);
  const open0 = (bytes: Uint8Array, macKeys: readonly Uint8Array[]) =>
    authenticateWith(parseEnvelope(bytes), { keys, macKeys });
  assert.ok('mac0' in open0(withBlocks(mac), [other, SECRET]));
  assert.ok('mac0' in open0(withBlocks(BLOCK, mac), [SECRET]));
  assert.throws(() => open0(withBlocks(mac), [other]), { code: 'SUIT_SIGNATURE_INVALID' });
  assert.throws(() => open0(withBlocks(BLOCK), [SECRET]), { code: 'SUIT_SIGNATURE_INVALID' });
  const elsewhere = createMac0({ header: new Map(), payload: UUID, key: SECRET, detached: true });
  assert.throws(() => open0(withBlocks(elsewhere), [SECRET]), { code: 'SUIT_SIGNATURE_INVALID' });
  const many = Array.from({ length: 65 }, () => other);
  assert.throws(() => open0(withBlocks(mac), many), { code: 'SUIT_BLOCKS_TOO_MANY' });
  // A signature that holds is found behind a MAC that does not.
  const trust = { keys: [KEY.publicKey], macKeys: [other] };
  assert.ok('sign1' in authenticateWith(parseEnvelope(withBlocks(mac, BLOCK)), trust));
});

test('dependencies: their place, their prefix', () => {
  const common = (dependencies: Cbor, components: Cbor = [[Uint8Array.of(0)]]) =>
    [3, encode(m([1, dependencies], [2, components]))] as const;
  const prefix = m([1, [UUID]]);
  const opened = open(envelopeOf(encode(members([common(m([1, prefix]))], {}).set(7, TWO))));
  assert.deepEqual([...opened.manifest.dependencies], [1]);
  assert.deepEqual(opened.manifest.componentIds[1], [UUID]);
  refusedManifest('SUIT_TYPE', [common(m())], /empty map/);
  refusedManifest('SUIT_COMPONENT_INDEX_RANGE', [common(m([2, prefix]))], /next after/);
  refusedManifest('SUIT_COMPONENT_INDEX_RANGE', [common(m([1, m()]))]);
  refusedManifest('SUIT_MEMBER_UNSUPPORTED', [common(m([0, prefix]))], /prefix/);
  refusedManifest('SUIT_KEY_UNKNOWN', [common(m([0, m([2, UUID])]))]);
  refusedManifest('SUIT_COMPONENT_INVALID', [common(m([1, m([1, [Uint8Array.of(0)]])]))]);
  refusedManifest('SUIT_COMPONENT_INVALID', [common(m([1, m([1, []])]))]);
  // The dependency counts: a sequence has to say what it is about.
  refusedManifest('SUIT_COMPONENT_INDEX_MISSING', [common(m([1, prefix])), [7, encode([14, 0])]]);
});

const TWO = encode([12, 1, 14, 0]);

test('what only override-parameters sets', () => {
  for (const parameter of [12, 13]) {
    const set = m([parameter, true]);
    const nested = (command: number, argument: Cbor) => install(32, encode([command, argument]));
    refusedManifest('SUIT_PARAMETER_MISPLACED', [nested(19, set)]);
    refusedManifest('SUIT_PARAMETER_MISPLACED', [nested(34, m([0, set]))]);
    refusedManifest('SUIT_PARAMETER_MISPLACED', [nested(35, m([0, [parameter]]))]);
  }
  refusedManifest('SUIT_PARAMETER_UNKNOWN', [install(35, m([0, [99]]))]);
  refusedManifest('SUIT_COMPONENT_INDEX_RANGE', [install(34, m([1, m([14, 1])]))]);
  refusedManifest('SUIT_COMPONENT_INDEX_RANGE', [install(35, m([1, [14]]))]);
  for (const argument of [m(), m([0, m()])]) refusedManifest('SUIT_TYPE', [install(34, argument)]);
  for (const argument of [m(), m([0, []])]) refusedManifest('SUIT_TYPE', [install(35, argument)]);
});
