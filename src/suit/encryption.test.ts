/** Encrypted payloads on write, copy and fetch: decrypted in pieces, and proven before they count. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { privateKey, sha256 } from '#crypto';
import { utf8 } from '../bytes.ts';
import { CIPHERS, sealContent } from '../cose/cipher.ts';
import type { ContentCipher } from '../cose/cipher.ts';
import { createEncrypt } from '../cose/encrypt.ts';
import type { DecryptionKey } from '../cose/recipient.ts';
import type { CommandInput } from './build.ts';
import { memoryComponents } from './memory-components.ts';
import type { Parameters } from './parameters.ts';
import { act, at, set, signed, when } from './process-fixture.ts';
import type { Setup } from './process-fixture.ts';
import { processManifest } from './process.ts';
import type { ProcessOptions } from './process.ts';

const DEVICE = privateKey('P-256', new Uint8Array(32).fill(4));
const KEYS: readonly DecryptionKey[] = [{ kind: 'agreement', key: DEVICE }];
const IMAGE = utf8('an image that is somewhat longer than a block of any of the ciphers');
const digest = (bytes: Uint8Array) =>
  ({ imageDigest: { algorithm: 'SHA-256', bytes: sha256(bytes) } }) as const;

function encrypted(cipher: ContentCipher, plain = IMAGE) {
  const contentKey = new Uint8Array(CIPHERS[cipher].key).fill(1);
  const ephemeral = privateKey('P-256', new Uint8Array(32).fill(5));
  const { bytes, content } = createEncrypt({
    cipher,
    contentKey,
    iv: new Uint8Array(CIPHERS[cipher].iv).fill(2),
    recipients: [{ publicKey: DEVICE.publicKey, ephemeral }],
  });
  return { encryptionInfo: bytes, sealed: sealContent(content, contentKey, plain) };
}

async function install(
  commands: readonly CommandInput[],
  payload: Uint8Array,
  setup: Setup = {},
  options: Partial<ProcessOptions> = {},
) {
  const held = new Map<string, Uint8Array | null>([
    ['00', null],
    ['01', null],
    ['02', null],
  ]);
  const port = memoryComponents({
    components: held,
    payloads: new Map([['u', payload]]),
    identifiers: {},
    pieceBytes: 5,
  });
  try {
    const verified = signed(commands, setup);
    await processManifest(verified, {
      sections: ['install'],
      port,
      decryptionKeys: KEYS,
      ...options,
    });
  } finally {
    installed = held;
  }
  return held;
}

/** What the components held after the last run, also of one that was refused. */
let installed = new Map<string, Uint8Array | null>();

for (const cipher of Object.keys(CIPHERS) as ContentCipher[]) {
  const { encryptionInfo, sealed } = encrypted(cipher);
  const match = [set(digest(IMAGE)), when('image-match')];

  test(`${cipher}: fetch`, async () => {
    const fetch = [set({ uri: 'u', encryptionInfo, imageSize: IMAGE.length }), act('fetch')];
    const held = await install([...fetch, ...match], sealed);
    assert.deepEqual(held.get('00'), IMAGE);
  });

  test(`${cipher}: fetch of an integrated payload`, async () => {
    const fetch = [set({ uri: '#u', encryptionInfo, ...digest(IMAGE) }), act('fetch')];
    const integrated = new Map([['#u', sealed]]);
    const held = await install([...fetch, when('image-match')], IMAGE, { integrated });
    assert.deepEqual(held.get('00'), IMAGE);
  });

  test(`${cipher}: copy`, async () => {
    const commands = [
      at(1),
      set({ uri: 'u', ...digest(sealed) }),
      act('fetch'),
      when('image-match'),
      at(0),
      set({ encryptionInfo, sourceComponent: 1 }),
      act('copy'),
    ];
    const held = await install(commands, sealed, { components: 2 });
    assert.deepEqual(held.get('00'), IMAGE);
  });

  test(`${cipher}: write`, async () => {
    const commands = [set({ content: sealed, encryptionInfo }), act('write')];
    const held = await install(commands, sealed);
    assert.deepEqual(held.get('00'), IMAGE);
  });

  test(`${cipher}: a changed text is never installed`, async () => {
    const { tag } = CIPHERS[cipher];
    for (const at of [0, 20, sealed.length - 1]) {
      const bad = sealed.slice();
      bad[at] = (bad[at] as number) ^ 1;
      const fetch = [set({ uri: 'u', encryptionInfo }), act('fetch'), ...match];
      const code = tag > 0 ? 'SUIT_DECRYPTION_FAILED' : 'SUIT_IMAGE_MISMATCH';
      await assert.rejects(install(fetch, bad), { code });
      if (tag > 0) assert.equal(installed.get('00'), null);
    }
    const short = [set({ uri: 'u', encryptionInfo }), act('fetch'), ...match];
    const code = tag > 0 ? 'SUIT_DECRYPTION_FAILED' : 'SUIT_IMAGE_MISMATCH';
    await assert.rejects(install(short, sealed.subarray(0, -1)), { code });
  });

  test(`${cipher}: no more is stored than the manifest allows`, async () => {
    const fetch = (imageSize: number) => [
      set({ uri: 'u', encryptionInfo, imageSize, ...digest(IMAGE) }),
      act('fetch'),
      when('image-match'),
    ];
    await assert.rejects(install(fetch(IMAGE.length - 1), sealed), { code: 'SUIT_TOO_LARGE' });
    const limits = { imageBytes: IMAGE.length - 1 };
    const free = [set({ uri: 'u', encryptionInfo }), act('fetch')];
    await assert.rejects(install(free, sealed, {}, { limits }), { code: 'SUIT_TOO_LARGE' });
  });
}

const CTR = encrypted('A128CTR');
const UNPROVEN = 'SUIT_ENCRYPTION_UNPROVEN';
const FETCH_CTR = [set({ uri: 'u', encryptionInfo: CTR.encryptionInfo }), act('fetch')];

test('A128CTR: what no digest has proven is not used and does not end a section', async () => {
  const two = { components: 2 };
  const source = (sourceComponent: number): Parameters => ({ sourceComponent });
  const cases: readonly (readonly [readonly CommandInput[], Setup])[] = [
    [FETCH_CTR, {}],
    [[...FETCH_CTR, act('invoke')], {}],
    [[at(0), ...FETCH_CTR, at(1), set(source(0)), act('copy')], two],
    [[at(0), ...FETCH_CTR, set(source(1)), act('swap')], two],
    [[at(0), ...FETCH_CTR, at(1), set(source(0)), act('swap')], two],
    // A match from before says nothing about what is there now.
    [[...FETCH_CTR, set(digest(IMAGE)), when('image-match'), ...FETCH_CTR], {}],
    // Copied from what no digest was compared with.
    [
      [
        at(1),
        set({ uri: 'u' }),
        act('fetch'),
        at(0),
        set({ encryptionInfo: CTR.encryptionInfo, sourceComponent: 1 }),
        act('copy'),
      ],
      two,
    ],
    // Compared, and then fetched again.
    [
      [
        at(1),
        set({ uri: 'u', ...digest(CTR.sealed) }),
        act('fetch'),
        when('image-match'),
        act('fetch'),
        at(0),
        set({ encryptionInfo: CTR.encryptionInfo, sourceComponent: 1 }),
        act('copy'),
      ],
      two,
    ],
  ];
  for (const [commands, setup] of cases)
    await assert.rejects(install(commands, CTR.sealed, setup), { code: UNPROVEN });
});

test('A128CTR: check-content proves too', async () => {
  await install([...FETCH_CTR, set({ content: IMAGE }), when('check-content')], CTR.sealed);
});

test('a device without keys, without the key, or without streams says so', async () => {
  const gcm = encrypted('A128GCM');
  const fetch = [set({ uri: 'u', encryptionInfo: gcm.encryptionInfo }), act('fetch')];
  await assert.rejects(install(fetch, gcm.sealed, {}, { decryptionKeys: [] }), {
    code: 'SUIT_CAPABILITY_MISSING',
  });
  const other: DecryptionKey = {
    kind: 'agreement',
    key: privateKey('P-256', new Uint8Array(32).fill(9)),
  };
  await assert.rejects(install(fetch, gcm.sealed, {}, { decryptionKeys: [other] }), {
    code: 'SUIT_DECRYPTION_FAILED',
  });
  const port = memoryComponents({
    components: new Map([['00', null]]),
    payloads: new Map(),
    identifiers: {},
  });
  const { streams: _, ...bare } = port;
  await assert.rejects(install(fetch, gcm.sealed, {}, { port: bare }), {
    code: 'SUIT_CAPABILITY_MISSING',
  });
});
