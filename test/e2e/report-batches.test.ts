// What a device reports reaches the author: gateway, batch, node, ledger, and back; with nothing of it on the ledger but a root (T25).
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { REPORT_OPERATIONS } from '../../src/api/gateway-report-operations.ts';
import type { Schema } from '../../src/api/gateway-schemas.ts';
import { createReportKey, openReportKey } from '../../src/author/report-key.ts';
import { readReports, type AuthorReports } from '../../src/author/reports.ts';
import { openNetwork } from '../../src/author/network.ts';
import { hex } from '../../src/bytes.ts';
import type { PrivateKey } from '../../src/crypto/key.ts';
import { buildSampleFirmware } from '../../src/device/firmware/sample.ts';
import { enrolDevice } from '../../src/device/enrolment.ts';
import { openGatewayDevice } from '../../src/device/gateway-device.ts';
import type { Gateway } from '../../src/gateway/gateway.ts';
import { Owner, planGateway, runGateway } from '../../src/testing/gateway.ts';
import { startTestNetwork, type TestNetwork } from '../../src/testing/network.ts';
import { testAuthor, type TestAuthor } from '../../src/testing/network-author.ts';

const LAMP = { type: 'lamp', model: 'lamp', hardware: '1.0' };
const COST = { N: 2, r: 8, p: 1 };

interface OwnersView {
  readonly releases: readonly { readonly release: string; readonly results: object }[];
  readonly batches: readonly {
    readonly root: string;
    readonly state: string;
    readonly count?: number;
    readonly missing?: number;
    readonly erased: boolean;
  }[];
}

async function eventually<T>(what: string, look: () => Promise<T | undefined>): Promise<T> {
  const end = performance.now() + 60_000;
  for (;;) {
    const found = await look();
    if (found !== undefined) return found;
    assert.ok(performance.now() < end, what);
    await sleep(100);
  }
}

function propertiesOf(schema: Schema | undefined): Readonly<Record<string, Schema>> {
  return (schema?.['properties'] ?? {}) as Readonly<Record<string, Schema>>;
}

suite('reports reach their author', () => {
  let network: TestNetwork;
  let author: TestAuthor;
  let gateway: Gateway;
  let owner: Owner;
  let reportKey: PrivateKey;
  let device: string;
  let digest: string;

  before(async () => {
    network = await startTestNetwork({ operators: 1, start: [] });
    for (const name of network.names) {
      const file = network.configFile(name);
      const config = JSON.parse(readFileSync(file, 'utf8')) as object;
      writeFileSync(file, JSON.stringify({ ...config, reportGather: 0 }));
      await network.start(name);
    }
    author = await testAuthor(network);
    await author.declare('lamp');
    const random = (length: number): Uint8Array => crypto.getRandomValues(new Uint8Array(length));
    await createReportKey({ directory: network.folder }, 'secret', { random, cost: COST });
    reportKey = await openReportKey({ directory: network.folder }, 'secret');
    const line = author.line('lamp');
    const place = await planGateway(network, {
      lines: [
        {
          line,
          anchor: author.anchor,
          type: 'lamp',
          model: 'lamp',
          hardware: ['1.0'],
          reportKey: reportKey.publicKey,
        },
      ],
    });
    gateway = await runGateway(place, network.clock);
    owner = new Owner(place);
    const image = buildSampleFirmware({ version: '1.0.0', model: 'lamp', size: 20_000 });
    const published = await author.publish({ version: '1.0.0', image });
    digest = hex(published.digest);
    await owner.poll();
    const made = network.device([{ line, anchor: author.anchor }]);
    const folder = join(made.folder, 'gateway');
    const enrolment = await enrolDevice(folder, { bundle: await owner.bundle('lamp'), ...LAMP });
    device = enrolment.device;
    await using running = await openGatewayDevice(made.folder, {
      enrolment,
      device: { clock: network.clock },
      offers: { mode: 'force' },
    });
    await eventually('reported', async () => {
      const [offer] = await owner.list<{ readonly reported: boolean }>(`offers?device=${device}`);
      return offer?.reported === true && running.device.slots.state.active ? true : undefined;
    });
  });

  after(async () => {
    await owner[Symbol.asyncDispose]();
    await gateway[Symbol.asyncDispose]();
    await network[Symbol.asyncDispose]();
  });

  const view = async (method: 'GET' | 'POST', path: string): Promise<OwnersView> =>
    (await owner.call(method, path)) as OwnersView;
  const read = async (): Promise<AuthorReports> => {
    await using own = openNetwork(network.root);
    const { key, author: who } = author.session;
    return readReports({ network: own, author: who.id, key, reportKey, clock: network.clock });
  };

  test('a batch is made, handed over, and on the ledger', async () => {
    const found = await eventually('on the ledger', async () => {
      const now = await view('POST', '/v1/report-batches/flush');
      return now.batches[0]?.state === 'on the ledger' ? now : undefined;
    });
    assert.equal(found.batches.length, 1);
    assert.equal(found.batches[0]?.count, 1);
    assert.deepEqual(found.releases[0]?.results, { ok: 1 });
    assert.equal(found.releases[0]?.release, digest);
    // What the document says of a batch is what comes.
    const { batches } = propertiesOf(REPORT_OPERATIONS[0]?.gives);
    const batch = propertiesOf((batches as { readonly items?: Schema } | undefined)?.items);
    assert.deepEqual(Object.keys(found.batches[0] ?? {}).toSorted(), Object.keys(batch).toSorted());
  });

  test('the author reads what came of its release', async () => {
    const found = await read();
    assert.deepEqual(found.unheard, {});
    const [release] = found.releases;
    assert.equal(release?.release, digest);
    assert.equal(release?.devices, 1);
    assert.deepEqual(release?.results, { ok: 1 });
    const [batch] = found.batches;
    assert.ok(batch && !('code' in batch));
    assert.deepEqual([batch.count, batch.missing, batch.refused], [1, 0, []]);
  });

  test("what the owner erases is gone here; the author's copy is proven as before", async () => {
    assert.deepEqual(await owner.call('POST', '/v1/report-batches/erase', { device }), {
      erased: 1,
    });
    const left = await view('GET', '/v1/report-batches');
    assert.deepEqual(left.releases, []);
    assert.deepEqual([left.batches[0]?.count, left.batches[0]?.missing], [1, 1]);
    assert.deepEqual((await read()).releases[0]?.results, { ok: 1 });
    const root = left.batches[0]?.root;
    await owner.call('POST', '/v1/report-batches/erase', { root });
    assert.equal((await view('GET', '/v1/report-batches')).batches[0]?.erased, true);
  });
});
