/** create, sign, sever, encrypt, process, report: one envelope from its description to its slots. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { privateKey } from '#crypto';
import { utf8 } from '../bytes.ts';
import { encode } from '../cbor/encode.ts';
import type { Cbor } from '../cbor/value.ts';
import { encodeKey, encodePrivateKey } from '../cose/key.ts';
import type { Json } from '../suit/inspect.ts';
import { EXAMPLE } from './suit-example.ts';
import { suit } from './suit.ts';

const folder = mkdtempSync(join(tmpdir(), 'firmament-suit-'));
after(() => rmSync(folder, { recursive: true, force: true }));
const path = (name: string) => join(folder, name);
const vector = (name: string) =>
  fileURLToPath(new URL(`../../test/vectors/${name}`, import.meta.url));

async function run(...args: readonly string[]) {
  const out: string[] = [];
  const err: string[] = [];
  const code = await suit(args, {
    stdout: (line) => out.push(line),
    stderr: (line) => err.push(line),
  });
  const text = out.join('\n');
  return { code, out: text, err: err.join('\n') };
}

async function done(...args: readonly string[]): Promise<Record<string, Json>> {
  const { code, out, err } = await run(...args);
  assert.equal(code, 0, err);
  return JSON.parse(out) as Record<string, Json>;
}

async function refused(code: string, ...args: readonly string[]): Promise<Record<string, Json>> {
  const result = await run(...args);
  assert.equal(result.code, 1, result.out + result.err);
  const answer = JSON.parse(result.err) as Record<string, Json>;
  assert.equal(answer['code'], code, result.err);
  return answer;
}

const signer = privateKey('P-256', new Uint8Array(32).fill(1));
const device = privateKey('P-256', new Uint8Array(32).fill(2));
const symmetric = (byte: number, length: number) =>
  encode(
    new Map<Cbor, Cbor>([
      [1, 4],
      [-1, new Uint8Array(length).fill(byte)],
    ]),
  );
const APPLICATION = utf8('the application');
const RADIO = utf8('the radio firmware');

writeFileSync(path('author.key'), encodePrivateKey(signer));
writeFileSync(path('author.pub'), encodeKey(signer.publicKey));
writeFileSync(path('device.key'), encodePrivateKey(device));
writeFileSync(path('device.pub'), encodeKey(device.publicKey));
writeFileSync(path('mac.key'), symmetric(3, 32));
writeFileSync(path('shared.key'), symmetric(4, 16));
writeFileSync(path('application.bin'), APPLICATION);
writeFileSync(path('radio.bin'), RADIO);

const VENDOR = 'fa6b4a53-d5ad-5fdf-be9d-e663e4d41ffe';
const CLASS = '1492af1425695e48bf429b2d51f2ab45';
const COMPONENTS = [utf8('application').toHex(), utf8('radio').toHex()] as const;
const PAYLOADS = [
  `https://example.org/lamp/application.bin=${path('application.bin')}`,
  `https://example.org/lamp/radio.enc=${path('radio.enc')}`,
] as const;
const process = (file: string, ...more: readonly string[]) => [
  'process',
  path(file),
  '--key',
  path('author.pub'),
  '--vendor',
  VENDOR,
  '--class',
  CLASS,
  '--slots',
  path('slots'),
  '--payload',
  PAYLOADS[0],
  '--payload',
  PAYLOADS[1],
  ...more,
];

test('the example: encrypted, created, signed, severed, processed, reported', async () => {
  const encryption = await done(
    'encrypt',
    path('radio.bin'),
    '--recipient',
    path('shared.key'),
    '--recipient',
    path('device.pub'),
    '--kid',
    'all',
    '--kid',
    'one',
    '--cipher',
    'ChaCha20-Poly1305',
    '--out',
    path('radio.enc'),
    '--info',
    path('radio.info'),
  );
  assert.deepEqual(encryption, {
    cipher: 'ChaCha20-Poly1305',
    recipients: 2,
    plaintextBytes: RADIO.length,
    bytes: RADIO.length + 16,
  });
  const printed = await run('create', '--example');
  writeFileSync(path('lamp.json'), printed.out);
  assert.deepEqual(JSON.parse(printed.out), EXAMPLE);
  const created = await done('create', '--from', path('lamp.json'), '--out', path('lamp.unsigned'));
  assert.deepEqual([created['sequence'], created['blocks']], [7, 0]);
  await refused(
    'SUIT_UNAUTHENTICATED',
    'verify',
    path('lamp.unsigned'),
    '--key',
    path('author.pub'),
  );
  await done('sign', path('lamp.unsigned'), '--key', path('author.key'), '--out', path('lamp.one'));
  await done('sign', path('lamp.one'), '--key', path('mac.key'), '--out', path('lamp.suit'));
  const verified = await done('verify', path('lamp.suit'), '--key', path('author.pub'));
  assert.equal(verified['digest'], created['digest']);
  assert.equal(verified['algorithm'], -9);
  const mac = await done('verify', path('lamp.suit'), '--key', path('mac.key'));
  assert.deepEqual([mac['algorithm'], mac['key']], [5, null]);

  const answer = await done(...process('lamp.suit', '--kek', path('device.key')));
  assert.deepEqual(answer['ran'], ['install', 'validate', 'invoke']);
  assert.deepEqual(answer['invoked'], [{ component: COMPONENTS[0], arguments: null }]);
  assert.deepEqual(new Uint8Array(readFileSync(path(`slots/${COMPONENTS[1]}`))), RADIO);
  const keys = ['--key', path('mac.key'), path('author.pub'), '--slots', path('slots')];
  const lists = ['--payload', ...PAYLOADS, '--kek', path('shared.key'), path('device.key')];
  await done('process', path('lamp.suit'), ...keys, ...lists, '--vendor', VENDOR, '--class', CLASS);
  const file = path('report');
  const more = ['--kek', path('shared.key'), '--report', file, '--report-key', path('device.key')];
  await done(...process('lamp.suit', ...more, '--capabilities'));
  const report = await run(
    'report',
    file,
    '--key',
    path('device.pub'),
    '--envelope',
    path('lamp.suit'),
  );
  assert.match(report.out, /did all that it was asked to/);
  assert.match(report.out, /It carries out .*process-dependency/);

  await done('sever', path('lamp.suit'), '--member', 'text', '--out', path('lamp.notext'));
  await done(...process('lamp.notext', '--kek', path('device.key')));
  await done('sever', path('lamp.suit'), '--out', path('lamp.severed'));
  await done('verify', path('lamp.severed'), '--key', path('author.pub'));
  await refused('SUIT_SEVERED_ABSENT', ...process('lamp.severed', '--sections', 'install'));
  await done(...process('lamp.severed', '--sections', 'validate,invoke'));
});

test('process: what is refused says where', async () => {
  const key = ['--kek', path('device.key')];
  const { record } = await refused(
    'SUIT_VENDOR_MISMATCH',
    ...process('lamp.suit', ...key, '--vendor', CLASS),
  );
  assert.deepEqual(record, {
    reason: 'condition-failed',
    manifest: [],
    section: 3,
    offset: 41,
    component: 0,
    properties: {},
  });
  await refused('SUIT_CAPABILITY_MISSING', ...process('lamp.suit'));
  await refused(
    'SUIT_SEQUENCE_ROLLBACK',
    ...process('lamp.suit', ...key, '--stored-sequence', '8'),
  );
  writeFileSync(path('other'), utf8('something else'));
  const other = `https://example.org/lamp/application.bin=${path('other')}`;
  const image = await refused(
    'SUIT_IMAGE_MISMATCH',
    ...process('lamp.suit', ...key, '--payload', other, '--report', path('refusal')),
  );
  assert.equal((image['record'] as { readonly section: number }).section, 20);
  const report = await run('report', path('refusal'));
  assert.match(report.out, /a condition of the manifest does not hold on it/);
  assert.equal(
    (await refused('SUIT_UNAUTHENTICATED', ...process('lamp.unsigned')))['record'] !== undefined,
    true,
  );
});

test('process: the published examples', async () => {
  const slots = path('published');
  const answer = await done(
    'process',
    vector('suit/trust-domains-12/example2_integrated.suit'),
    '--key',
    vector('cose/cose_keys/suit-draft-p256.alg-9.pub.cosekey'),
    '--slots',
    slots,
  );
  const invokeArguments = utf8('cat 00 10').toHex();
  assert.deepEqual(answer['invoked'], [
    { component: utf8('10').toHex(), arguments: invokeArguments },
  ]);
  assert.equal(readFileSync(join(slots, utf8('00').toHex()), 'utf8'), 'hello world');
  await done(
    'process',
    vector('suit/firmware-encryption-24/suit-manifest-aes-kw.suit'),
    '--key',
    vector('cose/cose_keys/trust_anchor_hmac256_secret.alg5.cosekey'),
    '--kek',
    vector('cose/cose_keys/trust_anchor_a128_secret_key.alg-3.cosekey'),
    '--payload',
    `coaps://example.com/encrypted-firmware=${vector('suit/firmware-encryption-24/encrypted-payload-aes-kw-aes-gcm.bin')}`,
    '--slots',
    slots,
  );
  const plain = readFileSync(join(slots, utf8('plaintext-firmware').toHex()), 'utf8');
  assert.equal(plain, 'This is a real firmware image.');
});

test('nothing is overwritten, and wrong usage is told apart from a refusal', async () => {
  const again = ['sign', path('lamp.one'), '--key', path('author.key'), '--out', path('lamp.suit')];
  await refused('AUTHOR_FILE_EXISTS', ...again);
  for (const args of [
    ['create'],
    ['create', '--from', '/no/such/file', '--out', path('x')],
    ['sign', path('lamp.one'), '--out', path('x')],
    ['sever', path('lamp.suit'), '--member', 'wings', '--out', path('x')],
    ['encrypt', path('radio.bin'), '--out', path('x'), '--info', path('y')],
    process('lamp.suit', '--vendor', 'ACME'),
    process('lamp.suit', '--payload', 'nowhere'),
    process('lamp.suit', '--sections', 'boot'),
    ['process', path('lamp.suit'), '--slots', path('slots')],
    ['verify', path('lamp.suit'), '--diag', '--key', path('author.pub')],
  ])
    assert.equal((await run(...args)).code, 2, args.join(' '));
  await refused(
    'SUIT_SEVERED_ABSENT',
    'sever',
    path('lamp.suit'),
    '--member',
    'payload-fetch',
    '--out',
    path('x'),
  );
});

test('inspect --diag names every number', async () => {
  const { out } = await run('inspect', path('lamp.suit'), '--diag');
  for (const line of [
    '/ authentication-wrapper / 2: << [',
    '/ alg / 1: / ESP256 / -9,',
    '/ condition-vendor-identifier / 1, 15,',
    '/ encryption-info / 19: << 96([',
    '/ ephemeral key / -1: {',
    '/ update-description / 2: "The clock no longer stops at midnight."',
  ])
    assert.ok(out.includes(line), line);
});

test('a description with something wrong in it says where', async () => {
  const lamp = EXAMPLE as Record<string, Json>;
  const cases: readonly (readonly [Record<string, Json>, RegExp])[] = [
    [{ ...lamp, sequence: -1 }, /^sequence must be/],
    [{ ...lamp, color: 'red' }, /^color must be left out/],
    [{ ...lamp, components: [[5]] }, /^components\[0\]\[0\] must be text/],
    [{ ...lamp, sections: { boot: [] } }, /^sections\.boot/],
    [
      { ...lamp, sections: { install: [{ directive: 'jump' }] } },
      /^sections\.install\[0\]\.directive/,
    ],
    [{ ...lamp, sections: { install: [{ condition: 'abort', uri: 'x' }] } }, /\[0\]\.uri/],
    [
      { ...lamp, shared: [{ directive: 'override-parameters', parameters: { vendorId: 'x' } }] },
      /a UUID/,
    ],
    [{ ...lamp, severed: ['validate'] }, /^severed\[0\] must be one of/],
    [{ ...lamp, severed: ['payload-fetch'] }, /^severed must be without payload-fetch/],
  ];
  for (const [description, pattern] of cases) {
    writeFileSync(path('bad.json'), JSON.stringify(description));
    const { message } = await refused(
      'SUIT_DESCRIPTION_INVALID',
      'create',
      '--from',
      path('bad.json'),
      '--out',
      path('x'),
    );
    assert.match(message as string, pattern);
  }
  // What the description may say and a manifest may not is refused before anything is written.
  writeFileSync(path('bad.json'), JSON.stringify({ ...lamp, components: [] }));
  await refused('SUIT_COMPONENT_INVALID', 'create', '--from', path('bad.json'), '--out', path('x'));
});

test('every command and parameter can be described, in YAML too', async () => {
  writeFileSync(
    path('all.yaml'),
    `
# update-management and trust-domains
sequence: "18446744073709551615"
digest: SHA-384
components: [["00"]]
dependencies:
  "1": ["text:dependency"]
ownComponentId: ["aa"]
shared:
- directive: set-component-index
  index: 0
- directive: override-multiple
  components:
    "0": {"useBefore": "18446744073709551615", "minimumBattery": 5, "updatePriority": -1}
    "1":
      versionMatch: {"comparison": "greater-equal", "version": [1, 2]}
      waitInfo:
      - kind: time
        value: 7
      - kind: other-device-version
        device: aabb
        versions: [{"comparison": "equal", "version": [1]}]
- directive: copy-params
  components: {"1": ["waitInfo"]}
- directive: set-parameters
  parameters: {"content": "text:hello"}
- directive: try-each
  sequences:
  - - condition: use-before
    - condition: minimum-battery
      policy: 3
  - - condition: version
  - null
sections:
  install:
    - directive: set-component-index
      index: [0]
    - directive: wait
    - directive: run-sequence
      sequence:
        - directive: write   # the greeting
  uninstall:
    - directive: set-component-index
      index: true
    - directive: unlink
`,
  );
  await done('create', '--from', path('all.yaml'), '--out', path('all.suit'));
  const { manifest, digestAlgorithm } = await done('inspect', path('all.suit'));
  assert.equal(digestAlgorithm, 'SHA-384');
  const { sharedSequence, dependencies, sequence, sections } = manifest as Record<string, Json>;
  assert.equal(sequence, '18446744073709551615');
  assert.deepEqual(dependencies, [1]);
  // What inspect prints is what create reads.
  const printed = sections as { readonly [name: string]: { readonly content: Json } };
  const again = {
    sequence,
    digest: 'SHA-384',
    components: [['00']],
    dependencies: { '1': ['text:dependency'] },
    ownComponentId: ['aa'],
    shared: sharedSequence,
    sections: Object.fromEntries(
      Object.entries(printed).map(([name, { content }]) => [name, content]),
    ),
  };
  writeFileSync(path('again.json'), JSON.stringify(again));
  await done('create', '--from', path('again.json'), '--out', path('again.suit'));
  assert.deepEqual(readFileSync(path('again.suit')), readFileSync(path('all.suit')));
});
