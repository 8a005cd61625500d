import assert from 'node:assert/strict';
import { test } from 'node:test';
import { encodeKey, thumbprint } from '../cose/key.ts';
import { hex } from '../bytes.ts';
import { fixtureKey } from '../testing/fixture.ts';
import { anchoredChain, type Chain } from '../trust/links.ts';
import { chainFromJson, chainToJson } from './chain-record.ts';
import { jsonReader } from './json-fields.ts';
import { readRecord, writeRecord } from './record.ts';
import { SimulatedDisk } from './simulated-disk.ts';

const { publicKey } = fixtureKey('anchor', 'P-256');
const spare = encodeKey(fixtureKey('spare').publicKey);
const chain: Chain = {
  count: 3,
  owner: thumbprint(publicKey),
  keys: [
    ...anchoredChain(publicKey).keys,
    { key: spare, issuer: hex(thumbprint(publicKey)), delegation: thumbprint(publicKey) },
  ],
  recovery: { recovery: [spare], threshold: 1 },
  counter: 2n ** 64n - 1n,
};

const read = (value: unknown): Chain =>
  chainFromJson(jsonReader('DEVICE_STATE_CORRUPT'), JSON.parse(JSON.stringify(value)));

test('a chain is read as it was written, with and without recovery keys', () => {
  assert.deepEqual(read(chainToJson(chain)), chain);
  const young = anchoredChain(publicKey);
  assert.deepEqual(read(chainToJson(young)), young);
});

test('a chain of another shape is corrupt', () => {
  const good = chainToJson(chain) as { readonly keys: readonly object[] };
  const [first] = good.keys;
  const bad = [
    { ...good, count: -1 },
    { ...good, owner: 'ab' },
    { ...good, counter: '-1' },
    { ...good, recovery: {} },
    { ...good, recovery: { keys: Array.from({ length: 9 }, () => hex(spare)), threshold: 1 } },
    { ...good, keys: Array.from({ length: 97 }, () => first) },
    { ...good, keys: [{ ...first, key: 'abc' }] },
    { ...good, keys: [{ ...first, delegation: '' }] },
    { ...good, more: 1 },
    null,
  ];
  for (const each of bad) assert.throws(() => read(each), { code: 'DEVICE_STATE_CORRUPT' });
});

test('the longest chains of the most lines fit the record', async () => {
  const { key } = chain.keys[0] as Chain['keys'][number];
  const issuer = hex(chain.owner);
  const longest: Chain = {
    ...chain,
    keys: Array.from({ length: 96 }, () => ({ key, issuer, delegation: chain.owner })),
    recovery: { recovery: Array.from({ length: 8 }, () => key), threshold: 8 },
  };
  const lines = Array.from({ length: 16 }, (_, i) => [`${i}`, chainToJson(longest)]);
  const disk = new SimulatedDisk();
  await writeRecord(disk, '/', 'device-state', Object.fromEntries(lines));
  assert.ok(await readRecord(disk, '/', 'device-state'));
});
