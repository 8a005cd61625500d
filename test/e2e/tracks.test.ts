import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { after, before, suite, test } from 'node:test';
import { decodeLatest, latestPath, MAX_LATEST } from '../../src/api/retrieval.ts';
import { equal, hex } from '../../src/bytes.ts';
import type { Code } from '../../src/errors.ts';
import type { Client } from '../../src/net/client.ts';
import type { Line } from '../../src/registry/line.ts';
import { testAuthor, type TestAuthor, type TestRelease } from '../../src/testing/network-author.ts';
import { startTestNetwork, type TestDevice, type TestNetwork } from '../../src/testing/network.ts';
import { acceptProof, acceptRelease, type JudgedLine } from '../../src/trust/accept.ts';
import { firstState, type Confirmed } from '../../src/trust/state.ts';

/** 1.0, 1.1 (the waypoint), 2.0 (over 1.1 and above, via 1.1), 1.1.1 on a track of its own, 3.0 withdrawn. */
type Version = '1.0' | '1.1' | '2.0' | '1.1.1' | '3.0';
const SEQUENCE = { '1.0': 100n, '1.1': 110n, '2.0': 200n, '1.1.1': 300n, '3.0': 400n } as const;

let network: TestNetwork;
let author: TestAuthor;
let client: Client;
let stable: Line;
let fixes: Line;
const releases = new Map<Version, TestRelease>();

interface Example {
  readonly name: string;
  /** In order. */
  readonly tracks: readonly string[];
  /** What it runs when the history is complete. */
  readonly from: Version | undefined;
  /** What it installs then, poll by poll. */
  readonly goes: readonly Version[];
  /** As what each release of the history is refused, or accepted, before that. */
  readonly judges: Readonly<Record<Exclude<Version, '1.1.1'>, Code | 'accepted'>>;
}

const EXAMPLES: readonly Example[] = [
  {
    name: 'factory-new',
    tracks: ['stable'],
    from: undefined,
    goes: ['2.0'],
    judges: {
      '1.0': 'TRUST_NOT_NEWEST',
      '1.1': 'TRUST_NOT_NEWEST',
      '2.0': 'accepted',
      '3.0': 'TRUST_NOT_NEWEST',
    },
  },
  {
    name: 'at 1.0',
    tracks: ['stable'],
    from: '1.0',
    goes: ['1.1', '2.0'],
    judges: {
      '1.0': 'TRUST_NOT_NEWEST',
      '1.1': 'accepted',
      '2.0': 'TRUST_NOT_APPLICABLE',
      '3.0': 'TRUST_NOT_NEWEST',
    },
  },
  {
    name: 'at 1.1',
    tracks: ['stable'],
    from: '1.1',
    goes: ['2.0'],
    judges: {
      '1.0': 'TRUST_NOT_NEWEST',
      '1.1': 'TRUST_NOT_NEWEST',
      '2.0': 'accepted',
      '3.0': 'TRUST_NOT_NEWEST',
    },
  },
  {
    name: 'at 1.1, fixes first',
    tracks: ['1.x', 'stable'],
    from: '1.1',
    goes: ['1.1.1'],
    judges: {
      '1.0': 'TRUST_NOT_NEWEST',
      '1.1': 'TRUST_NOT_NEWEST',
      '2.0': 'accepted',
      '3.0': 'TRUST_NOT_NEWEST',
    },
  },
  {
    name: 'at 2.0',
    tracks: ['stable'],
    from: '2.0',
    goes: [],
    judges: {
      '1.0': 'TRUST_NOT_NEWEST',
      '1.1': 'TRUST_SEQUENCE_ROLLBACK',
      '2.0': 'accepted', // the same one again: the rule allows an equal digest
      '3.0': 'TRUST_NOT_NEWEST',
    },
  },
];
const devices = new Map<string, TestDevice>();

async function publish(version: Version, more: Parameters<TestAuthor['publish']>[0] = {}) {
  const release = await author.publish({ version, sequence: SEQUENCE[version], ...more });
  releases.set(version, release);
}

function get(version: Version): TestRelease {
  const release = releases.get(version);
  assert.ok(release);
  return release;
}

/** Each device that shall run the version installs it now. */
async function settle(version: Version): Promise<void> {
  const order = Object.keys(SEQUENCE);
  for (const { name, from } of EXAMPLES) {
    if (from === undefined || order.indexOf(from) < order.indexOf(version)) continue;
    assert.equal(await poll(name), version, name);
  }
}

/** One round: the version that it installed; undefined when it was up to date. */
async function poll(name: string): Promise<string | undefined> {
  const made = devices.get(name) ?? assert.fail(name);
  await using device = await made.open();
  const result = await device.agent.poll();
  if (result.outcome === 'up-to-date') return undefined;
  assert.equal(result.outcome, 'installed', `${name}: ${result.code}`);
  assert.equal(result.freshness, 'fresh(own clock)');
  const { active } = device.slots.state;
  assert.ok(active);
  const image = new Uint8Array(await readFile(device.slots.path(active)));
  assert.deepEqual(image, get(result.version as Version).image);
  return result.version;
}

async function judged(line: Line): Promise<JudgedLine> {
  const url = network.url(network.names[0] as string, latestPath(line, 0));
  const { body } = await client.request({ url, maxBytes: MAX_LATEST });
  const { root } = network;
  const lines = [{ line, anchor: author.anchor }];
  const provision = { root, lines, staleInstall: 'never' } as const;
  const { proof } = decodeLatest(body);
  return acceptProof(provision, firstState(provision, 0), 0, proof, network.clock()).judged;
}

before(async () => {
  network = await startTestNetwork({ operators: 3, policy: { copies: 2, copiesElsewhere: 1 } });
  author = await testAuthor(network);
  client = network.client();
  stable = author.line();
  fixes = author.line('lamp', '1.x');
  for (const { name, tracks } of EXAMPLES) {
    const lines = tracks.map((track) => ({
      line: track === '1.x' ? fixes : stable,
      anchor: author.anchor,
    }));
    devices.set(name, network.device(lines));
  }
  await publish('1.0');
  await settle('1.0');
  await publish('1.1');
  await settle('1.1');
  const applies = [SEQUENCE['1.1'], SEQUENCE['2.0'] - 1n] as const;
  await publish('2.0', { claims: { applies, via: get('1.1').digest } });
  await settle('2.0');
  await publish('1.1.1', { line: fixes, claims: { urgency: 'security' } });
  await publish('3.0');
  await author.withdraw(get('3.0'));
});
after(() => network[Symbol.asyncDispose]());

suite('T16: five devices at different versions', () => {
  for (const { name, from, goes, judges } of EXAMPLES) {
    test(`${name}: every release of the stable track is judged`, async () => {
      const line = await judged(stable);
      const confirmed: Confirmed | null =
        from === undefined ? null : { sequence: SEQUENCE[from], digest: get(from).digest };
      for (const [version, expected] of Object.entries(judges) as [Version, string][]) {
        const accept = () => acceptRelease(line, get(version).envelope, confirmed);
        if (expected === 'accepted') assert.ok(equal(accept().digest, get(version).digest));
        else assert.throws(accept, { code: expected }, version);
      }
      const foreign = () => acceptRelease(line, get('1.1.1').envelope, confirmed);
      assert.throws(foreign, { code: 'TRUST_RELEASE_FOREIGN' });
    });

    test(`${name}: goes ${goes.join(', ') || 'nowhere'}`, async () => {
      for (const version of goes) assert.equal(await poll(name), version);
      assert.equal(await poll(name), undefined, 'and stays');
    });
  }

  test('the fix is refused by whoever has gone beyond it, and by nobody who may have it', async () => {
    const line = await judged(fixes);
    const beyond = { sequence: SEQUENCE['3.0'], digest: get('3.0').digest };
    assert.throws(() => acceptRelease(line, get('1.1.1').envelope, beyond), {
      code: 'TRUST_SEQUENCE_ROLLBACK',
    });
    const release = acceptRelease(line, get('1.1.1').envelope, null);
    assert.equal(release.claims.urgency, 'security');
  });

  test('1.0 still downloads as superseded; 3.0 only on explicit request', async () => {
    for (const name of network.names) {
      const url = network.url(name, `/v1/releases/${hex(get('1.0').digest)}`);
      const { status, body } = await client.request({ url, maxBytes: 1 << 20 });
      assert.ok(status === 200 && body.length > 0);
      const said = await client.request({ url: `${url}/status`, maxBytes: 1 << 20 });
      const about = JSON.parse(new TextDecoder().decode(said.body));
      assert.deepEqual([about.status, about.newest], ['available', false]);
      const withdrawn = network.url(name, `/v1/releases/${hex(get('3.0').digest)}`);
      await assert.rejects(client.request({ url: withdrawn, maxBytes: 1 << 20 }), {
        code: 'RELEASE_WITHDRAWN',
      });
      const asked = await client.request({ url: `${withdrawn}?withdrawn=yes`, maxBytes: 1 << 20 });
      assert.equal(asked.status, 200);
    }
  });
});
