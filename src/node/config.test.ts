import assert from 'node:assert/strict';
import { chmodSync, globSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import { privateKey } from '#crypto';
import { hex } from '../bytes.ts';
import { encodePrivateKey } from '../cose/key.ts';
import { readNodeConfig, readNodeKeys } from './config.ts';
import { parsePlan } from './plan.ts';

const EXAMPLES = join(import.meta.dirname, '../../examples');
const SPEC = join(import.meta.dirname, '../../docs/spec/operation.md');
const LEAST = {
  node: 'acme/n1',
  genesis: 'genesis.cbor',
  keys: 'keys.json',
  data: 'data',
  record: 'record',
  listen: { host: '127.0.0.1', port: 0 },
};

function read(config: unknown): ReturnType<typeof readNodeConfig> {
  const folder = mkdtempSync(join(tmpdir(), 'firmament-config-'));
  try {
    const path = join(folder, 'config.json');
    writeFileSync(path, typeof config === 'string' ? config : JSON.stringify(config));
    return readNodeConfig(path);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

test('the examples are read', () => {
  const paths = globSync('*-node.json', { cwd: EXAMPLES });
  assert.ok(paths.length >= 3);
  for (const path of paths)
    assert.ok(readNodeConfig(join(EXAMPLES, path)).node.startsWith('acme/'));
  parsePlan(readFileSync(join(EXAMPLES, 'members.json'), 'utf8'));
});

test('what is not said has a default that bounds the node', () => {
  const { rate, registrations, requestLog, metrics, replicate } = read(LEAST);
  assert.deepEqual(
    { rate, registrations, requestLog, metrics, replicate },
    {
      rate: 1000,
      registrations: 256,
      requestLog: 'refused',
      metrics: 'local',
      replicate: 'assigned',
    },
  );
  assert.equal(read({ ...LEAST, rate: null }).rate, null);
  const { engine } = read({
    ...LEAST,
    engine: { listen: '0.0.0.0:26656', binary: '/opt/cometbft' },
  });
  assert.deepEqual([engine.listen, engine.binary], ['0.0.0.0:26656', '/opt/cometbft']);
  for (const bad of [{ port: 1 }, { home: '' }, { listen: 'here' }, { binary: 1 }])
    assert.throws(() => read({ ...LEAST, engine: bad }), { code: 'NODE_CONFIG' });
});

test('the page of the specification has every field', () => {
  const page = readFileSync(SPEC, 'utf8');
  for (const field of Object.keys(read(LEAST))) assert.ok(page.includes(`| \`${field}\` |`), field);
});

suite('refused with NODE_CONFIG', () => {
  const wrong: readonly (readonly [string, unknown])[] = [
    ['no JSON', '{'],
    ['no object', '[]'],
    ['too large', ' '.repeat(70_000)],
    ['a missing field', { ...LEAST, keys: undefined }],
    ['an unknown field', { ...LEAST, extra: 1 }],
    ['a port', { ...LEAST, listen: { host: '127.0.0.1', port: 65_536 } }],
    ['a name', { ...LEAST, node: 'acme' }],
    ['a rate', { ...LEAST, rate: 0 }],
    ['registrations', { ...LEAST, registrations: 0 }],
    ['a fraction of registrations', { ...LEAST, registrations: 1.5 }],
    ['a request log', { ...LEAST, requestLog: 'some' }],
    ['metrics', { ...LEAST, metrics: 'nobody' }],
    ['replicate', { ...LEAST, replicate: 'most' }],
    ['a time to gather', { ...LEAST, reportGather: -1 }],
    ['a record that goes with the data', { ...LEAST, record: 'data/record' }],
    ['data and record in one', { ...LEAST, record: 'x/../data' }],
    ['an engine that goes with the data', { ...LEAST, engine: { home: './data/engine' } }],
  ];
  for (const [what, config] of wrong)
    test(what, () => assert.throws(() => read(config), { code: 'NODE_CONFIG' }));
});

test('keys that everybody may read are refused', () => {
  const folder = mkdtempSync(join(tmpdir(), 'firmament-config-'));
  const path = join(folder, 'keys.json');
  const key = hex(encodePrivateKey(privateKey('Ed25519', new Uint8Array(32).fill(1))));
  const keys = { cosigner: key, receipt: key, statement: key };
  writeFileSync(path, JSON.stringify({ tls: { certificate: 'c', key: 'k' }, ...keys }));
  for (const [mode, refused] of [
    [0o604, true],
    [0o602, true],
    [0o600, false],
    [0o440, false],
  ] as const) {
    chmodSync(path, mode);
    if (refused) assert.throws(() => readNodeKeys(path), { code: 'NODE_CONFIG' });
    else assert.equal(readNodeKeys(path).tls.certificatePem, 'c');
  }
  rmSync(folder, { recursive: true });
});
