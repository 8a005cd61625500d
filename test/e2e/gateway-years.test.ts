// What happens to a gateway over the years: policies change, files get lost, certificates end, lines change hands.
import assert from 'node:assert/strict';
import { globSync, mkdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { connect } from 'node:tls';
import { privateKey, sha256 } from '#crypto';
import { parseBundle } from '../../src/api/enrolment.ts';
import { imageServer, ownCertificate } from '../../src/author/serve.ts';
import { acceptTransfer, approveRequest, transfer } from '../../src/author/key-changes.ts';
import { openKeyFile } from '../../src/author/keys.ts';
import { requestChanges, submitRequest } from '../../src/author/recovery.ts';
import { fromHex, hex, text, utf8 } from '../../src/bytes.ts';
import { buildSampleFirmware } from '../../src/device/firmware/sample.ts';
import {
  createClientCertificate,
  createRootCertificate,
  readCertificateRequest,
} from '../../src/net/authority.ts';
import { createCertificateRequest, p256PrivatePem } from '../../src/net/certificate-request.ts';
import { createClient } from '../../src/net/client.ts';
import { submitPolicy } from '../../src/node/submit-policy.ts';
import { lineText } from '../../src/registry/line.ts';
import { Owner, runGateway } from '../../src/testing/gateway.ts';
import { changedPolicy, governanceKeys, type Changed } from '../../src/testing/governance.ts';
import { enrolLight, LightDevice } from '../../src/testing/light-device.ts';
import type { TestNetwork } from '../../src/testing/network.ts';
import { testAuthor, type TestAuthor } from '../../src/testing/network-author.ts';
import {
  details,
  eventually,
  LAMP,
  lampWorld,
  QUICK,
  runsImage,
  type LampWorld,
  type OfferRow,
} from './lamp-world.ts';

suite('a gateway over the years', () => {
  let network: TestNetwork;
  let world: LampWorld;
  let author: TestAuthor;

  before(async () => {
    world = await lampWorld();
    ({ network, author } = world);
  });
  after(() => world[Symbol.asyncDispose]());

  test('an image that is lost or cut short on the disk comes again', async () => {
    const { version, image } = await world.publish();
    const place = await world.plan();
    const { gateway, owner } = await world.start(place);
    await using running = gateway;
    await using asking = owner;
    await using first = new LightDevice(await enrolLight(await owner.bundle(), LAMP), QUICK);
    await owner.poll();
    await first.runs(version);
    const file = join(place.folder, 'data', 'images', hex(sha256(image)));
    for (const harm of [() => rmSync(file), () => truncateSync(file, 10_000)]) {
      harm();
      await using next = new LightDevice(await enrolLight(await asking.bundle(), LAMP), QUICK);
      await next.runs(version);
    }
    assert.ok(running.https > 0);
    const said = await details(owner);
    for (const word of ['missing', 'damaged'])
      assert.equal(said.filter((detail) => detail.endsWith(`was ${word} here`)).length, 1, word);
  });

  test('T08: a device that pins an older root than its gateway gets the changes that lead on', async () => {
    const folder = join(network.folder, 'network');
    const keys = governanceKeys(folder, ['a', 'b']);
    const changes: Changed[] = [];
    let from = network.root;
    for (const maxHold of [1800, 900]) {
      const change = changedPolicy(from, { maxHold }, keys);
      await submitPolicy({ ...change, from, to: change.root, timeoutMs: 20_000 });
      changes.push(change);
      from = change.root;
    }
    const rootFile = join(network.folder, 'newest-root.cbor');
    writeFileSync(rootFile, from.bytes);
    const { image } = await world.publish();
    const place = await world.plan({}, rootFile);
    const { gateway, owner } = await world.start(place);
    await using running = gateway;
    await using asking = owner;
    await owner.poll();
    await using device = await world.fullDevice(asking);
    await runsImage(device, image);
    assert.equal(device.device.root.root.policy.version, 3);
    assert.ok(running.https > 0);
  });

  test('the repository keeps within its bound what a device runs and ran before', async () => {
    const first = await world.publish();
    const place = await world.plan({ storage: 50_000 });
    const { gateway, owner } = await world.start(place);
    await using running = gateway;
    await using asking = owner;
    await using lamp = new LightDevice(await enrolLight(await owner.bundle(), LAMP), QUICK);
    const stored = (): readonly string[] =>
      globSync('*', { cwd: join(place.folder, 'data', 'images') }).filter((name) => name !== '.');
    const installs = async (version: string): Promise<void> => {
      await asking.poll();
      await lamp.runs(version);
      await eventually('told', async () => {
        const [newest] = await asking.list<OfferRow>(`offers?device=${lamp.id}`);
        return newest?.state === 'installed';
      });
    };
    await installs(first.version);
    const second = await world.publish();
    await installs(second.version);
    const images = [first, second].map(({ image }) => hex(sha256(image)));
    assert.deepEqual(stored().toSorted(), images.toSorted());
    // A third one has no room: neither of the two may go.
    const third = await world.publish();
    await asking.poll();
    assert.deepEqual(stored().toSorted(), images.toSorted());
    const said = await details(asking);
    assert.ok(said.includes('failed: GATEWAY_STORAGE_FULL'));
    assert.ok(running.https > 0);
    // With a little more room the oldest one goes, and only that.
    await running[Symbol.asyncDispose]();
    const config = JSON.parse(readFileSync(place.config, 'utf8')) as object;
    writeFileSync(place.config, JSON.stringify({ ...config, storage: 65_000 }));
    await using again = await runGateway(place, network.clock);
    await installs(third.version);
    const fourth = await world.publish();
    await installs(fourth.version);
    const last = [second, third, fourth].map(({ image }) => hex(sha256(image)));
    assert.deepEqual(stored().toSorted(), last.toSorted());
    assert.ok(again.https > 0);
  });

  test('its certificate is renewed while devices are connected, and the old one is not needed', async () => {
    const days = (count: number): number => count * 86_400;
    let back = days(61);
    const place = await world.plan();
    const clock = (): number => network.clock() - back;
    await using gateway = await runGateway(place, clock, { renewalMs: 50 });
    await using owner = new Owner(place);
    const serial = (port: number): Promise<string> => {
      const { promise, resolve, reject } = Promise.withResolvers<string>();
      const ca = readFileSync(join(place.folder, 'data', 'authority', 'root.pem'));
      const socket = connect({ port, host: '127.0.0.1', ca, ALPNProtocols: [] }, () => {
        resolve(socket.getPeerCertificate().serialNumber);
        socket.destroy();
      });
      socket.on('error', reject);
      return promise;
    };
    const ports = [gateway.https, gateway.api, gateway.mqtt ?? 0];
    const before = await Promise.all(ports.map(serial));
    assert.equal(new Set(before).size, 1);
    await using lamp = new LightDevice(await enrolLight(await owner.bundle(), LAMP), QUICK);
    await lamp.event(({ type }) => type === 'gateway-connected');
    back = 0;
    await eventually('renewed', async () => (await serial(gateway.https)) !== before[0]);
    const after = await Promise.all(ports.map(serial));
    assert.equal(new Set(after).size, 1);
    // Nobody was cut off, and who comes now is served.
    assert.ok(!lamp.events.some(({ type }) => type === 'gateway-lost'));
    await using next = new LightDevice(await enrolLight(await owner.bundle(), LAMP), QUICK);
    await next.event(({ type }) => type === 'gateway-connected');
    assert.equal(gateway.rootHash.length, 64);
  });

  test('a device with a certificate of a configured vendor is recorded as its', async () => {
    const now = network.clock();
    const vendor = await createRootCertificate('a vendor', 3652, now);
    const file = join(network.folder, 'vendor.pem');
    writeFileSync(file, vendor.certificatePem);
    const place = await world.plan({ vendors: [{ name: 'Acme', ca: file }] });
    await using gateway = await runGateway(place, network.clock);
    await using owner = new Owner(place);
    const key = privateKey('P-256', sha256(utf8('a unit of Acme')));
    const csr = await createCertificateRequest(key, 'unit 7');
    const request = await readCertificateRequest(csr);
    const certificatePem = await createClientCertificate(vendor, request, 'unit 7', 800, now);
    for (const credentials of [{ certificatePem, privateKeyPem: p256PrivatePem(key) }, undefined]) {
      const code = parseBundle(await owner.bundle()).code;
      await using unit = createClient({
        pins: { root: fromHex(gateway.rootHash) },
        ...(credentials && { credentials }),
      });
      const { body } = await unit.request({
        method: 'POST',
        url: `https://127.0.0.1:${gateway.https}/v1/enrolments`,
        headers: { 'content-type': 'application/json' },
        body: utf8(JSON.stringify({ code, ...LAMP, ...(credentials ? { csr } : { tier: 'psk' }) })),
        maxBytes: 16_384,
      });
      const { device } = JSON.parse(text(body)) as { readonly device: string };
      const [row] = (
        await owner.list<{ readonly id: string; readonly vendorClaim: string | null }>('devices')
      ).filter(({ id }) => id === device);
      assert.equal(row?.vendorClaim, credentials ? 'Acme' : null);
    }
  });

  test('an image that no node gives comes from the author, whose server may lie', async () => {
    const images = join(network.folder, 'images');
    mkdirSync(images);
    const { tls, rootPem } = await ownCertificate(['127.0.0.1'], network.clock());
    await using server = imageServer({ directory: images, host: '127.0.0.1', port: 0, tls });
    const port = await server.listen();
    const place = await world.plan({
      allowPrivateUrls: true,
      groups: { default: { functional: 'consent' } },
    });
    const config = JSON.parse(readFileSync(place.config, 'utf8'));
    writeFileSync(join(place.folder, 'author.pem'), rootPem);
    config.networks[0].lines[0].urls = [`https://127.0.0.1:${port}`];
    config.networks[0].lines[0].urlsCa = 'author.pem';
    writeFileSync(place.config, JSON.stringify(config));
    const { version, image } = await world.publish();
    let now = 0;
    await using gateway = await runGateway(place, () => network.clock() + now);
    await using owner = new Owner(place);
    await using lamp = new LightDevice(await enrolLight(await owner.bundle(), LAMP), QUICK);
    await owner.poll();
    const next = async (): Promise<string | null | undefined> =>
      (await owner.list<{ readonly next?: { readonly waits: string | null } }>('devices'))[0]?.next
        ?.waits;
    await eventually('it waits', async () => (await next()) === 'consent');
    for (const name of network.names) await network.stop(name);
    const file = join(images, hex(sha256(image)));
    writeFileSync(file, image.with(7, 1 + (image[7] as number)));
    await owner.call('POST', '/v1/decisions/consent', {});
    await eventually('it failed', async () =>
      (await details(owner)).some((detail) => detail.startsWith('failed: DEVICE_DOWNLOAD_')),
    );
    assert.deepEqual(await owner.list(`offers?device=${lamp.id}`), []);
    writeFileSync(file, image);
    // Past the pause after a failed download.
    now = 60;
    await owner.poll();
    await lamp.runs(version);
    await Promise.all(network.names.map((name) => network.start(name)));
    assert.ok(gateway.https > 0);
  });

  test('T02: a line that changes hands on the ledger waits for the owner, with all its devices', async () => {
    const place = await world.plan();
    const { gateway, owner } = await world.start(place);
    await using running = gateway;
    await using asking = owner;
    await using lamp = new LightDevice(await enrolLight(await owner.bundle(), LAMP), QUICK);
    const before = await world.publish();
    await asking.poll();
    await lamp.runs(before.version);
    const buyer = await testAuthor(network);
    const line = author.line('lamp');
    const { networkId } = network.root;
    const seller = author.session.author;
    const word = acceptTransfer(
      buyer.session.key,
      networkId,
      line,
      seller.id,
      buyer.session.author.id,
    );
    let request = await requestChanges(seller, networkId, [
      transfer(line, buyer.session.author.id, word),
    ]);
    for (const { file } of seller.recovery)
      request = approveRequest(request, await openKeyFile(join(seller.directory, file), 'p'));
    await submitRequest(seller, author.session.network, request, { timeoutMs: 20_000 });
    const version = '100.0.0';
    const image = buildSampleFirmware({ version, model: 'lamp', size: 20_000 });
    const { digest } = await buyer.publish({ line, version, image, sequence: 100n });
    // A word for every release says nothing of a new owner.
    await asking.call('POST', '/v1/decisions/consent', {});
    await asking.poll();
    const waits = async (): Promise<string | null | undefined> =>
      (await asking.list<{ readonly next?: { readonly waits: string | null } }>('devices'))[0]?.next
        ?.waits;
    assert.equal(await waits(), 'the line changed hands');
    const told = await details(asking);
    const owned = hex(buyer.session.author.id);
    assert.ok(told.includes(`the line changed hands, to author ${owned}`));
    await using full = await world.fullDevice(asking);
    await asking.poll();
    assert.equal(full.device.slots.state.active, null);
    await asking.call('POST', '/v1/lines/agree', { line: lineText(line) });
    await lamp.runs(version);
    // A full device checks the hand-over itself, by the links.
    await runsImage(full, image);
    assert.ok(digest.length === 32 && running.https > 0);
  });
});
