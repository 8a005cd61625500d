import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { encodeKey } from '../cose/key.ts';
import { hex } from '../bytes.ts';
import { createRootCertificate } from '../net/authority.ts';
import { fixtureKey, fixtureNetwork } from '../testing/fixture.ts';
import { silent } from '../testing/gateway-edge.ts';
import { readGatewayConfig } from './config.ts';
import { startGateway } from './gateway.ts';
import { DEFAULT_POLICY } from './policy.ts';

const anchor = encodeKey(fixtureKey('author').publicKey);
const LINE = {
  name: 'lamps',
  anchor: hex(anchor),
  vendor: '00112233-4455-6677-8899-AABBCCDDEEFF',
  class: '00'.repeat(16),
  for: [{ type: 'lamp', model: 'L1', hardware: ['1.0', '1.1'] }],
};
const LISTEN = { host: '127.0.0.1', port: 0 };
const LEAST = {
  name: 'home',
  data: 'data',
  networks: [{ root: 'root.cbor', lines: [LINE] }],
  https: LISTEN,
  api: LISTEN,
  tokenFile: 'token',
  broker: { kind: 'embedded', listen: LISTEN },
};
let folder: string;

before(async () => {
  folder = mkdtempSync(join(tmpdir(), 'firmament-config-'));
  writeFileSync(join(folder, 'root.cbor'), fixtureNetwork().root.bytes);
  writeFileSync(join(folder, 'author.cosekey'), anchor);
  const vendor = await createRootCertificate('a vendor', 10, 1_800_000_000);
  writeFileSync(join(folder, 'vendor.pem'), vendor.certificatePem);
  writeFileSync(join(folder, 'token'), 'too short');
});
after(() => rmSync(folder, { recursive: true }));

function read(changes: object): ReturnType<typeof readGatewayConfig> {
  const path = join(folder, 'gateway.json');
  writeFileSync(path, JSON.stringify({ ...LEAST, ...changes }));
  return readGatewayConfig(path);
}

function refused(changes: object, message: RegExp): void {
  assert.throws(() => read(changes), { code: 'GATEWAY_CONFIG', message });
}

const line = (changes: object): object => ({
  networks: [{ root: 'root.cbor', lines: [{ ...LINE, ...changes }] }],
});

test('the least that is needed, and the defaults', () => {
  const config = read({});
  assert.equal(config.data, join(folder, 'data'));
  assert.deepEqual(
    [config.poll, config.storage, config.staleInstall, config.codeLifetime],
    [300, 4 * 2 ** 30, 'consent', 900],
  );
  assert.deepEqual([config.sntp, config.wifi, config.allowPrivateUrls], [null, null, false]);
  const [followed] = config.networks[0]?.lines ?? [];
  assert.equal(followed?.line.track, 'stable');
  assert.equal(hex(followed?.line.vendor ?? new Uint8Array()), '00112233445566778899aabbccddeeff');
});

test('everything that there is', () => {
  const config = read({
    ...line({
      anchor: 'author.cosekey',
      track: 'beta',
      urls: ['https://author.example/images/'],
      urlsCa: 'vendor.pem',
      reportKey: hex(encodeKey(fixtureKey('reports', 'P-256').publicKey)),
    }),
    groups: { cellar: { window: [22, 4], pin: '7' } },
    vendors: [{ name: 'Acme', ca: 'vendor.pem' }],
    sntp: { ...LISTEN, clock: 'local' },
    wifi: { ssid: 'home', passphrase: 'of the house' },
    broker: { kind: 'external', url: 'mqtts://broker.lan:8883', ca: 'ca.crt', username: 'u' },
  });
  const [followed] = config.networks[0]?.lines ?? [];
  assert.deepEqual(followed?.urls, ['https://author.example/images']);
  assert.match(followed?.urlsCa ?? '', /BEGIN CERTIFICATE/);
  assert.deepEqual(followed?.reportKey, fixtureKey('reports', 'P-256').publicKey);
  assert.deepEqual(config.groups.get('cellar'), { ...DEFAULT_POLICY, window: [22, 4], pin: '7' });
  assert.equal(config.vendors[0]?.name, 'Acme');
  assert.deepEqual(config.sntp, { listen: LISTEN, clock: 'local' });
  assert.ok(config.broker.kind === 'external' && config.broker.ca === join(folder, 'ca.crt'));
});

test('a wrong configuration says what is wrong', async () => {
  refused({ colour: 'red' }, /unknown field "colour"/);
  refused({ name: '' }, /"name"/);
  refused({ poll: 0 }, /"poll"/);
  refused({ networks: [] }, /"networks"/);
  refused({ networks: [{ root: 'nowhere', lines: [LINE] }] }, /nowhere/);
  refused({ networks: [{ root: 'token', lines: [LINE] }] }, /root/);
  refused({ https: { host: 'x', port: 70_000 } }, /"https.port"/);
  refused({ broker: { kind: 'none' } }, /broker/);
  refused({ broker: { kind: 'external', url: 'mqtt://broker', ca: 'ca' } }, /mqtts/);
  refused({ broker: { kind: 'external', url: 'mqtts://broker' } }, /"broker.ca"/);
  refused({ groups: { default: { window: [25, 1] } } }, /window/);
  refused({ groups: { default: { colour: 1 } } }, /no field "colour"/);
  refused({ staleInstall: 'perhaps' }, /"staleInstall"/);
  refused({ allowPrivateUrls: 'yes' }, /true or false/);
  refused({ sntp: { ...LISTEN, clock: 'sun' } }, /"sntp.clock"/);
  refused({ wifi: { ssid: 'home' } }, /passphrase/);
  refused({ vendors: [{ name: 'Acme', ca: 'gateway.json' }] }, /certificate/);
  refused(line({ anchor: 'aabb' }), /anchor/);
  const other = hex(encodeKey(fixtureKey('reports', 'Ed25519').publicKey));
  refused(line({ reportKey: other }), /"reportKey" is a P-256 key/);
  refused({ reportPeriod: 59 }, /"reportPeriod"/);
  refused(line({ vendor: 'Acme' }), /UUID/);
  refused(line({ for: [] }), /"for"/);
  refused(line({ track: 'UPPER CASE!' }), /line/);
  for (const url of ['http://author.example', 'https://user@author.example', 'x'])
    refused(line({ urls: [url] }), /urls/);
  assert.throws(() => readGatewayConfig(join(folder, 'nowhere.json')), { code: 'GATEWAY_CONFIG' });
  writeFileSync(join(folder, 'broken.json'), '{');
  assert.throws(() => readGatewayConfig(join(folder, 'broken.json')), { code: 'GATEWAY_CONFIG' });
  const parts = { clock: () => 1_800_000_000, logger: silent };
  for (const tokenFile of ['token', 'nowhere'])
    await assert.rejects(startGateway(read({ tokenFile }), parts), { code: 'GATEWAY_CONFIG' });
});
