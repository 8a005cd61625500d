/** The published examples of trust-domains-12 and firmware-encryption-24: verified and processed. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { text, utf8 } from '../bytes.ts';
import {
  decodeForeignKey,
  decodeMacKey,
  decodePrivateAgreementKey,
  decodeWrapKey,
} from '../cose/key.ts';
import type { DecryptionKey } from '../cose/recipient.ts';
import { authenticateWith } from './authenticate.ts';
import { componentName } from './component-port.ts';
import { parseEnvelope } from './envelope.ts';
import type { SectionName } from './label.ts';
import { memoryComponents } from './memory-components.ts';
import { processManifest } from './process.ts';
import type { ProcessOptions } from './process.ts';
import type { ReportEntry } from './record.ts';

const VECTORS = new URL('../../test/vectors/', import.meta.url);
const read = (name: string) => new Uint8Array(readFileSync(new URL(name, VECTORS)));
const keyFile = (name: string) => read(`cose/cose_keys/${name}.cosekey`);

const TRUST = {
  keys: [
    decodeForeignKey(keyFile('suit-draft-p256.alg-9.pub')),
    decodeForeignKey(keyFile('delegated_authority.alg-9.pub')),
  ],
  macKeys: [decodeMacKey(keyFile('trust_anchor_hmac256_secret.alg5'))],
};
const DECRYPTION: readonly DecryptionKey[] = [
  { kind: 'wrap', key: decodeWrapKey(keyFile('trust_anchor_a128_secret_key.alg-3')) },
  { kind: 'agreement', key: decodePrivateAgreementKey(keyFile('device_esdh.alg-29.priv')) },
];
const IMAGE = 'This is a real firmware image.';

const nameOf = (id: string) => componentName([utf8(id)]);

interface Ran {
  readonly held: ReadonlyMap<string, Uint8Array | null>;
  readonly did: readonly string[];
  readonly ran: readonly SectionName[];
  readonly records: readonly ReportEntry[];
}

async function run(
  vector: string,
  components: readonly string[],
  payloads: ReadonlyMap<string, Uint8Array>,
  options: Partial<ProcessOptions> = {},
): Promise<Ran> {
  const verified = authenticateWith(parseEnvelope(read(`suit/${vector}.suit`)), TRUST);
  const held = new Map<string, Uint8Array | null>(components.map((id) => [nameOf(id), null]));
  const did: string[] = [];
  const port = memoryComponents({
    components: held,
    payloads,
    identifiers: {},
    pieceBytes: 7,
    onOperation: (operation) => did.push(operation),
  });
  const { ran, records } = await processManifest(verified, {
    sections: ['dependency-resolution', 'payload-fetch', 'install', 'validate', 'load'],
    port,
    trust: TRUST,
    decryptionKeys: DECRYPTION,
    ...options,
  });
  return { held, did, ran, records };
}

const DEPENDENT = 'trust-domains-12/example0_dependent';
const FETCHED = new Map([['http://example.com/dependent.suit', read(`suit/${DEPENDENT}.suit`)]]);

test('trust-domains 0: the dependency by itself', async () => {
  const { held, did } = await run(DEPENDENT, ['00'], new Map(), {
    sections: ['install', 'invoke'],
  });
  assert.equal(text(held.get(nameOf('00')) as Uint8Array), 'hello world');
  assert.deepEqual(did, ['write 0', `invoke 0 ${utf8('cat 00').toHex()}`]);
});

for (const [name, fetched] of [
  ['example1_process', FETCHED],
  ['example2_integrated', new Map<string, Uint8Array>()],
] as const)
  test(`trust-domains ${name}: the dependency is fetched, checked and run`, async () => {
    const { held, did, ran, records } = await run(
      `trust-domains-12/${name}`,
      ['00', '10', 'dependent.suit'],
      fetched,
      { sections: ['dependency-resolution', 'install', 'invoke'] },
    );
    assert.deepEqual(ran, ['dependency-resolution', 'install', 'invoke']);
    assert.equal(text(held.get(nameOf('00')) as Uint8Array), 'hello world');
    assert.equal(text(held.get(nameOf('10')) as Uint8Array), ' in multiple trust domains');
    const integrated = name === 'example2_integrated';
    const [fetch, invoke] = [integrated ? 'write 1' : 'fetch 1', utf8('cat 00 10').toHex()];
    assert.deepEqual(did, [fetch, 'write 0', 'write 0', `invoke 0 ${invoke}`]);
    const paths = records.map((each) => (each.kind === 'record' ? each.manifestId : undefined));
    assert.ok(paths.some((path) => path?.length === 1 && path[0] === 1));
  });

test('trust-domains 1: a dependency that is missing, another one, or without trust', async () => {
  const all = ['00', '10', 'dependent.suit'];
  const sections = ['dependency-resolution', 'install'] as const;
  const example = 'trust-domains-12/example1_process';
  await assert.rejects(run(example, all, new Map(), { sections }), {
    code: 'SUIT_OPERATION_FAILED',
  });
  const other = new Map([
    ['http://example.com/dependent.suit', read('suit/trust-domains-12/example1_process.suit')],
  ]);
  await assert.rejects(run(example, all, other, { sections }), { code: 'SUIT_TOO_LARGE' });
  await assert.rejects(run(example, all, FETCHED, { sections, trust: { keys: [] } }), {
    code: 'SUIT_SIGNATURE_INVALID',
  });
  await assert.rejects(run(example, all.slice(1), FETCHED, { sections }), {
    code: 'SUIT_COMPONENT_UNSUPPORTED',
  });
});

test('trust-domains 2: the install section alone has checked no dependency', async () => {
  const running = run(
    'trust-domains-12/example2_integrated',
    ['00', '10', 'dependent.suit'],
    new Map(),
    {
      sections: ['install'],
    },
  );
  await assert.rejects(running, { code: 'SUIT_DEPENDENCY_UNCHECKED' });
});

const ENCRYPTED = new Map([
  [
    'coaps://example.com/encrypted-firmware',
    read('suit/firmware-encryption-24/encrypted-payload-aes-kw-aes-gcm.bin'),
  ],
]);

test('firmware-encryption: write of content under AES-KW, the manifest under a MAC', async () => {
  const { held } = await run(
    'firmware-encryption-24/suit-manifest-aes-kw-content',
    ['plaintext-firmware'],
    new Map(),
  );
  assert.equal(text(held.get(nameOf('plaintext-firmware')) as Uint8Array), IMAGE);
});

test('firmware-encryption: fetch and copy under AES-KW', async () => {
  const ids = ['plaintext-firmware', 'encrypted-firmware'];
  const { held, did } = await run('firmware-encryption-24/suit-manifest-aes-kw', ids, ENCRYPTED);
  assert.equal(text(held.get(nameOf('plaintext-firmware')) as Uint8Array), IMAGE);
  assert.deepEqual(did, ['fetch 1', 'store 0']);
  const slots = await run(
    'firmware-encryption-24/suit-manifest-aes-kw-slot',
    ['\0', '\u0001'],
    ENCRYPTED,
  );
  assert.equal(text(slots.held.get('00') as Uint8Array), IMAGE);
});

test('firmware-encryption: write under ECDH-ES+A128KW', async () => {
  const { held } = await run(
    'firmware-encryption-24/suit-manifest-es-ecdh-content',
    ['decrypted-firmware'],
    new Map(),
  );
  assert.equal(text(held.get(nameOf('decrypted-firmware')) as Uint8Array), IMAGE);
});

test('firmware-encryption: the dependency writes and matches what its dependent encrypted', async () => {
  const { held, records } = await run(
    'firmware-encryption-24/suit-manifest-es-ecdh-dependency',
    ['decrypted-firmware', 'dependency-manifest.suit'],
    new Map(),
  );
  assert.equal(text(held.get(nameOf('decrypted-firmware')) as Uint8Array), IMAGE);
  const matched = records.find(
    (each) => each.kind === 'record' && each.properties.imageSize === 30,
  );
  assert.deepEqual(matched?.kind === 'record' ? matched.manifestId : [], [1]);
});

test('firmware-encryption: no key, another key, a changed text', async () => {
  const ids = ['plaintext-firmware', 'encrypted-firmware'];
  const example = 'firmware-encryption-24/suit-manifest-aes-kw';
  await assert.rejects(run(example, ids, ENCRYPTED, { decryptionKeys: [] }), {
    code: 'SUIT_CAPABILITY_MISSING',
  });
  const strange: DecryptionKey = { kind: 'wrap', key: new Uint8Array(16) };
  await assert.rejects(run(example, ids, ENCRYPTED, { decryptionKeys: [strange] }), {
    code: 'SUIT_DECRYPTION_FAILED',
  });
  const [[uri, payload]] = [...ENCRYPTED] as [[string, Uint8Array]];
  const changed = payload.slice();
  changed[3] = (changed[3] as number) ^ 1;
  await assert.rejects(run(example, ids, new Map([[uri, changed]])), {
    code: 'SUIT_DECRYPTION_FAILED',
  });
});
