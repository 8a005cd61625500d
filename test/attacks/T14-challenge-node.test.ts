// T14, T10, T11: what a node answers to a challenge, and when it answers nothing; what a gateway carries.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, suite, test } from 'node:test';
import { sha256 } from '#crypto';
import {
  CHALLENGES,
  decodeChallengeReply,
  encodeChallengeReply,
  MAX_ANSWERS,
} from '../../src/api/challenge.ts';
import { httpStatus } from '../../src/api/status.ts';
import { utf8 } from '../../src/bytes.ts';
import { FirmamentError } from '../../src/errors.ts';
import { challengeRoute as relayRoute } from '../../src/gateway/challenge-route.ts';
import { relayChallenge } from '../../src/gateway/challenges.ts';
import { openCosignerRecord, type CosignerRecord } from '../../src/ledger/cosigner-record.ts';
import type { Replica } from '../../src/ledger/replica.ts';
import { verifyChallenge, type ChallengeAnswer } from '../../src/log/challenge.ts';
import { createClient, type Client } from '../../src/net/client.ts';
import { createServer } from '../../src/net/server.ts';
import { createTlsIdentity, spkiSha256 } from '../../src/net/tls.ts';
import { challengeRoute } from '../../src/node/challenge-route.ts';
import type { Frozen } from '../../src/node/freeze.ts';
import type { Challenged, NodeAccess } from '../../src/reader/nodes.ts';
import { lineText } from '../../src/registry/line.ts';
import type { Policy } from '../../src/registry/policy.ts';
import { fixtureLine, fixtureNetwork } from '../../src/testing/fixture.ts';
import {
  declaration,
  openedReplica,
  ordered,
  registeredAuthor,
  resigned,
  SILENT,
} from '../../src/testing/ledger-fixture.ts';

const folder = mkdtempSync(join(tmpdir(), 'firmament-challenge-'));
after(() => rmSync(folder, { recursive: true }));
const network = fixtureNetwork({ operators: 4 });
const { author, group: registration } = registeredAuthor(network, 'acme');
const me = network.nodes[0];
assert.ok(me);
const { cosigner: key, name } = me;
const TIME = network.genesis.time + 100;
const HASH = sha256(utf8('who asks, and a nonce'));
let files = 0;

function twoBlocks(): Replica {
  const { replica } = openedReplica(network);
  ordered(replica, network, registration);
  ordered(replica, network, [declaration(author, 0)]);
  return replica;
}

function unasked(replica: Replica): CosignerRecord {
  return openCosignerRecord({ file: join(folder, `record-${files++}`), key, name, replica });
}

function confirmed(replica: Replica): CosignerRecord {
  const record = unasked(replica);
  const answers = ['b', 'c'].map((operator) => ({ operator, newest: null }));
  record.askLeave({ operators: 4, self: 'a', answers, override: false });
  return record;
}

function holds(replica: Replica, answer: ChallengeAnswer, hash = HASH): void {
  const { size, root } = answer;
  verifyChallenge(key.publicKey, name, { origin: replica.origin, size, root, hash }, answer);
}

suite('T14, T10: a cosigner that is challenged', () => {
  test('names the head that it signed last, never one that it has and did not sign', () => {
    const replica = twoBlocks();
    const record = confirmed(replica);
    const first = replica.headAt(1);
    record.sign(first, TIME);
    const answer = record.answer(HASH, TIME + 7);
    assert.deepEqual([answer.size, answer.time], [first.size, TIME + 7]);
    holds(replica, answer);
    record.sign(replica.headAt(2), TIME);
    assert.equal(record.answer(HASH, TIME).size, replica.headAt(2).size);
    // An answer is no signature of a head: the record stays as it was.
    assert.equal(record.last().time, TIME);
  });

  test('answers nothing before it was confirmed, before it signed, and once its ledger was halted', () => {
    const replica = twoBlocks();
    assert.throws(() => unasked(replica).answer(HASH, TIME), { code: 'COSIGNER_UNCONFIRMED' });
    assert.throws(() => confirmed(replica).answer(HASH, TIME), { code: 'COSIGNER_UNSIGNED' });
    const { replica: follower } = openedReplica(network);
    follower.append(replica.block(1));
    const record = confirmed(follower);
    record.sign(follower.head(), TIME);
    const lie = resigned(network, replica.block(2), ({ size }) => ({ size: size + 1 }));
    assert.throws(() => follower.append(lie), { code: 'LEDGER_ORDERER_LIES' });
    assert.throws(() => record.answer(HASH, TIME), { code: 'LEDGER_HALTED' });
  });

  test('signs 32 bytes and nothing else', () => {
    const replica = twoBlocks();
    const record = confirmed(replica);
    record.sign(replica.head(), TIME);
    for (const length of [0, 16, 31, 33, 64])
      assert.throws(() => record.answer(new Uint8Array(length), TIME), {
        code: 'LOG_CHALLENGE_MALFORMED',
      });
  });
});

async function serving(
  routes: (app: Parameters<typeof challengeRoute>[0]) => void,
): Promise<AsyncDisposable & { post(body: Uint8Array, query?: string): Promise<Uint8Array> }> {
  await using cleanup = new AsyncDisposableStack();
  const tls = await createTlsIdentity();
  const server = cleanup.use(
    createServer({ tls, host: '127.0.0.1', port: 0, status: httpStatus, logger: SILENT }),
  );
  routes(server.app);
  const port = await server.listen();
  const client: Client = cleanup.use(
    createClient({ pins: spkiSha256(tls.certificatePem), perOrigin: 32 }),
  );
  const owned = cleanup.move();
  return {
    async post(body, query = '') {
      const answer = await client.request({
        method: 'POST',
        url: `https://127.0.0.1:${port}${CHALLENGES}${query}`,
        headers: { 'content-type': 'application/octet-stream' },
        body,
        maxBytes: 65_536,
      });
      return answer.body;
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

suite('T14, T11: a node that is challenged', () => {
  const replica = twoBlocks();
  const record = confirmed(replica);
  record.sign(replica.head(), TIME);
  let frozen: Frozen | undefined;
  let policy: Policy = network.genesis.policy;
  const node = (): ReturnType<typeof serving> =>
    serving((app) =>
      challengeRoute(app, {
        name,
        cosigner: key.publicKey.bytes,
        record,
        policy: () => policy,
        frozen: () => frozen,
        clock: () => TIME + 9,
      }),
    );

  test('answers anybody, by its own clock', async () => {
    await using server = await node();
    const { answers, proof } = decodeChallengeReply(await server.post(HASH));
    assert.equal(proof, null);
    assert.deepEqual(
      answers.map(({ time, size }) => [time, size]),
      [[TIME + 9, replica.head().size]],
    );
    for (const answer of answers) holds(replica, answer);
  });

  test('signs nothing while it is frozen', async () => {
    await using server = await node();
    for (const code of ['NODE_FROZEN_WITHHELD', 'NODE_FROZEN_UNHEARD'] as const) {
      frozen = { code, since: TIME };
      await assert.rejects(server.post(HASH), { code, details: { status: 503, remote: true } });
    }
    frozen = undefined;
    await server.post(HASH);
  });

  test('signs nothing once the policy does not list it, or another key of it', async () => {
    await using server = await node();
    const [own, ...others] = network.genesis.policy.operators;
    assert.ok(own);
    policy = { ...network.genesis.policy, operators: others };
    await assert.rejects(server.post(HASH), { code: 'COSIGNER_UNLISTED' });
    const nodes = own.nodes.map((each) => ({ ...each, cosigner: each.receipt }));
    policy = { ...network.genesis.policy, operators: [{ ...own, nodes }, ...others] };
    await assert.rejects(server.post(HASH), { code: 'COSIGNER_UNLISTED' });
    policy = network.genesis.policy;
  });

  test('refuses what has another length', async () => {
    await using server = await node();
    await assert.rejects(server.post(HASH.subarray(1)), { code: 'LOG_CHALLENGE_MALFORMED' });
    await assert.rejects(server.post(new Uint8Array(33)), { code: 'NET_TOO_LARGE' });
  });
});

suite('T14: a gateway carries a challenge', () => {
  const line = fixtureLine(author.author, 'model 0');
  const about = { line, linksKnown: 0 };
  const made = (from: string, size: number): ChallengeAnswer => ({
    keyId: utf8(from.padEnd(4)),
    time: TIME,
    size,
    root: new Uint8Array(32),
    signature: new Uint8Array(64),
  });
  const node = (from: string, challenge: Challenged['challenge']): Challenged =>
    ({ name: from, challenge }) as unknown as Challenged;
  const down = async (): Promise<never> => {
    throw new FirmamentError('NET_UNREACHABLE');
  };

  test('to one node of each operator, another of it when that is away, and one answer of each', async () => {
    const many = Array.from({ length: 9 }, () => made('b', 9));
    const asked: string[] = [];
    const told = (from: string, answers: readonly ChallengeAnswer[]): Challenged =>
      node(from, async () => {
        asked.push(from);
        return { answers, proof: new Uint8Array(5) };
      });
    const challenged = [
      node('a/n1', down),
      told('a/n2', [made('a', 9)]),
      told('b/n1', many),
      told('b/n2', many),
      node('c/n1', down),
    ];
    const nodes = [{ latest: down } as unknown as NodeAccess];
    const reply = await relayChallenge(
      { challenged: () => challenged, nodes: () => nodes },
      HASH,
      about,
    );
    assert.deepEqual(asked.toSorted(), ['a/n2', 'b/n1']);
    assert.deepEqual([reply.answers.length, reply.proof], [2, null]);
  });

  test('of lines that it follows, a few at once and for each address', async () => {
    let release = (): void => undefined;
    let relayed = 0;
    const held = new Promise<void>((resolve) => (release = resolve));
    await using server = await serving((app) =>
      relayRoute(app, {
        relay: (_hash, { line: asked }) =>
          lineText(asked) === lineText(line)
            ? held.then(() => ({ answers: [made('a', ++relayed)], proof: null }))
            : undefined,
        rate: { perSecond: 0.001, burst: 10 },
      }),
    );
    const query = `?line=${encodeURIComponent(lineText(line))}&links=0`;
    const other = query.replace('stable', 'beta');
    await assert.rejects(server.post(HASH, other), { code: 'LINE_UNKNOWN' });
    await assert.rejects(server.post(HASH), { code: 'API_QUERY_INVALID' });
    await assert.rejects(server.post(HASH, `${query}x`), { code: 'API_QUERY_INVALID' });
    await assert.rejects(server.post(HASH.subarray(1), query), { code: 'LOG_CHALLENGE_MALFORMED' });
    const all = Array.from({ length: 9 }, () => server.post(HASH, query));
    const refused = Promise.any(
      all.map(async (each) => assert.rejects(each, { code: 'NET_RATE_LIMITED' })),
    );
    await refused;
    release();
    const done = await Promise.allSettled(all);
    assert.equal(done.filter(({ status }) => status === 'fulfilled').length, 8);
    await assert.rejects(server.post(HASH, query), { code: 'NET_RATE_LIMITED' });
  });

  test('in bounded bytes', () => {
    const answers = Array.from({ length: MAX_ANSWERS + 1 }, () => made('a', 1));
    const bytes = encodeChallengeReply({ answers, proof: null });
    assert.throws(() => decodeChallengeReply(bytes), { code: 'CBOR_TYPE' });
    const right = { answers: answers.slice(1), proof: new Uint8Array(16_384) };
    assert.deepEqual(decodeChallengeReply(encodeChallengeReply(right)), right);
    const broken = encodeChallengeReply({
      ...right,
      answers: [{ ...made('a', 1), root: new Uint8Array(31) }],
    });
    assert.throws(() => decodeChallengeReply(broken), { code: 'CBOR_TYPE' });
  });
});
