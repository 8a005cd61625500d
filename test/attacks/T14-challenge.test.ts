// T14: k operators name the head to a nonce of the reader's own. Nothing else makes an answer count.
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { sha256, sign } from '#crypto';
import { hex, utf8 } from '../../src/bytes.ts';
import { thumbprint } from '../../src/cose/key.ts';
import type { PrivateKey } from '../../src/crypto/key.ts';
import { formatCheckpoint, originOf } from '../../src/log/checkpoint.ts';
import {
  challengeHash,
  challengeMessage,
  signChallenge,
  type ChallengeAnswer,
} from '../../src/log/challenge.ts';
import { cosignatureMessage, keyId, signCosignature } from '../../src/log/cosignature.ts';
import { createRoot } from '../../src/registry/root.ts';
import { acceptProof } from '../../src/trust/accept.ts';
import { freshnessText } from '../../src/trust/freshness.ts';
import type { TrustState } from '../../src/trust/state.ts';
import { verifyProof } from '../../src/trust/proof.ts';
import { availableRelease, honestNode, SampleDevice, type SampleAnswers } from './sample-device.ts';
import { SampleLedger } from './sample-ledger.ts';
import { sampleKey, sampleOperator, samplePolicy } from './sample-policy.ts';
import { NEW_READER, NOW, proveLine, provisionFor, type ProofOptions } from './sample-proof.ts';

const ledger = new SampleLedger();
const author = ledger.author('author');
const release = availableRelease(ledger, author, 1n);
const origin = originOf(ledger.networkId);
const DEVICE = thumbprint(sampleKey('device').publicKey);
const NONCE = sha256(utf8('nonce')).subarray(0, 16);
const HASH = challengeHash(DEVICE, NONCE);
const K = ['o1', 'o2', 'o3'];

type Head = { readonly size: number; readonly root: Uint8Array };

function headOf(options: ProofOptions = {}): Head {
  return verifyProof(ledger.root, author.line, proveLine(ledger, author.line, options)).head;
}

const head = headOf();

interface Answered {
  readonly hash?: Uint8Array;
  readonly head?: Head;
  readonly time?: number;
  readonly key?: PrivateKey;
}

function answer(operator: string, options: Answered = {}): ChallengeAnswer {
  const { hash = HASH, time = NOW, key = sampleKey(`${operator} cosigner`) } = options;
  const challenged = { origin, hash, ...(options.head ?? head) };
  return signChallenge(key, `${operator}/n`, challenged, time);
}

const answers = (options: Answered = {}): readonly ChallengeAnswer[] =>
  K.map((operator) => answer(operator, options));

/** By a clock in 1970, unless said otherwise. */
function read(
  given: readonly ChallengeAnswer[],
  state: TrustState = NEW_READER,
  options: ProofOptions & { readonly now?: number; readonly root?: typeof ledger.root } = {},
): { readonly verdict: string; readonly floor: number } {
  const { now = 0, root = ledger.root, ...rest } = options;
  const provision = { ...provisionFor(ledger, author), root };
  const challenge = { hash: HASH, answers: given };
  const proof = proveLine(ledger, author.line, rest);
  const accepted = acceptProof(provision, state, 0, proof, now, 'own clock', challenge);
  return { verdict: freshnessText(accepted.judged.freshness), floor: accepted.state.floor };
}

const STALE = { verdict: 'stale(clock)', floor: 0 };

suite('T14: a reader with a nonce', () => {
  test('is answered by k operators: fresh whatever its clock says, and the floor rises', () => {
    const floored = { ...NEW_READER, floor: NOW - 40 };
    for (const now of [0, NOW, NOW + 315_360_000])
      assert.deepEqual(read(answers(), floored, { now }), { verdict: 'fresh(nonce)', floor: NOW });
    assert.deepEqual(read(answers({ time: 5 })), { verdict: 'fresh(nonce)', floor: 5 });
  });

  test('counts no answer to another nonce, or to another device', () => {
    const other = challengeHash(DEVICE, sha256(utf8('other')).subarray(0, 16));
    assert.deepEqual(read(answers({ hash: other })), STALE);
    const neighbour = challengeHash(thumbprint(sampleKey('neighbour').publicKey), NONCE);
    assert.deepEqual(read(answers({ hash: neighbour })), STALE);
  });

  test('counts operators: fewer than k are not enough, and one is one however often it answers', () => {
    assert.deepEqual(read([]), STALE);
    assert.deepEqual(read(answers().slice(1)), STALE);
    const again = [0, 1, 2, 3].map((more) => answer('o3', { time: NOW + more }));
    assert.deepEqual(read([answer('o2'), ...again]), STALE);
    // Nor do two nodes of one operator.
    const { nodes } = sampleOperator(2);
    const o1 = sampleOperator(1);
    const twins = nodes.map((node) => ({ ...node, name: 'm' }));
    const operators = [sampleOperator(0), { ...o1, nodes: [...twins, ...o1.nodes] }];
    operators.push(sampleOperator(3), sampleOperator(4));
    const root = createRoot(ledger.networkId, samplePolicy(4, { operators }));
    const of = { root, signers: ['o0', 'o1', 'o3'], epoch: { policyHash: root.hash } };
    const proof = proveLine(ledger, author.line, of);
    const proven = verifyProof(root, author.line, proof).head;
    const named = (operator: string): ChallengeAnswer => answer(operator, { head: proven });
    const challenged = { origin, hash: HASH, ...proven };
    const twin = signChallenge(sampleKey('o2 cosigner'), 'o1/m', challenged, NOW);
    assert.deepEqual(read([named('o1'), twin, named('o3')], NEW_READER, of), STALE);
    const { verdict } = read([named('o0'), twin, named('o3')], NEW_READER, of);
    assert.equal(verdict, 'fresh(nonce)');
  });

  test('counts only what names the head of the proof', () => {
    const newer = headOf({ size: 12 });
    assert.deepEqual(read(answers({ head: newer })), STALE);
    assert.deepEqual(read(answers({ head: { ...head, root: newer.root } })), STALE);
    // Another head's signatures under the name of this one.
    const relabelled = answers({ head: newer }).map((each) => ({ ...each, ...head }));
    assert.deepEqual(read(relabelled), STALE);
    assert.deepEqual(read(answers().map((each) => ({ ...each, size: 12 }))), STALE);
    assert.equal(read(answers({ head: newer }), NEW_READER, { size: 12 }).verdict, 'fresh(nonce)');
  });

  test('takes no time, size or network that was not signed', () => {
    assert.deepEqual(read(answers().map((each) => ({ ...each, time: each.time + 1 }))), STALE);
    const foreign = K.map((operator) =>
      signChallenge(
        sampleKey(`${operator} cosigner`),
        `${operator}/n`,
        { origin: originOf(sha256(utf8('another network'))), hash: HASH, ...head },
        NOW,
      ),
    );
    assert.deepEqual(read(foreign), STALE);
    for (const time of [0, -1, 1.5, NaN]) {
      const malformed = { code: 'LOG_CHALLENGE_MALFORMED' };
      assert.throws(() => answer('o1', { time }), malformed);
      assert.throws(() => answer('o1', { head: { ...head, size: time } }), malformed);
      assert.deepEqual(read(answers().map((each) => ({ ...each, time }))), STALE);
    }
  });

  test('takes no cosignature for an answer, and no answer for a cosignature', () => {
    const checkpoint = formatCheckpoint({ origin, ...head });
    const cosigned = K.map((operator): ChallengeAnswer => {
      const { signature, keyId: id } = signCosignature(
        sampleKey(`${operator} cosigner`),
        `${operator}/n`,
        checkpoint,
        NOW,
      );
      return { keyId: id, time: NOW, ...head, signature };
    });
    assert.deepEqual(read(cosigned), STALE);
    const passedOff = (): unknown =>
      read([], NEW_READER, {
        tamper: (proof) => ({
          ...proof,
          cosignatures: answers().map(({ keyId: id, time, signature }) => ({
            keyId: id,
            time,
            signature,
          })),
        }),
      });
    assert.throws(passedOff, { code: 'LOG_COSIGNATURE_INVALID' });
    // No bytes are both: a note and a cosignature of one end with a line feed, and this has none.
    const message = challengeMessage({ origin, hash: HASH, ...head }, NOW);
    assert.ok(!message.includes(10));
    assert.equal(cosignatureMessage(checkpoint, NOW).at(-1), 10);
    const broken = `${origin} 1\n`;
    assert.throws(() => challengeMessage({ origin: broken, hash: HASH, ...head }, NOW), {
      code: 'LOG_CHALLENGE_MALFORMED',
    });
  });

  test('takes no answer by another key: a receipt key, a stranger, an operator that was removed', () => {
    const receipts = K.map((operator) =>
      answer(operator, { key: sampleKey(`${operator} receipt`) }),
    );
    assert.deepEqual(read(receipts), STALE);
    const named = receipts.map((each, i) => ({
      ...each,
      keyId: keyId(`${K[i]}/n`, sampleKey(`${K[i]} cosigner`).publicKey),
    }));
    assert.deepEqual(read(named), STALE);
    assert.deepEqual(read([answer('o1'), answer('o2'), answer('o9')]), STALE);
    const without = samplePolicy(4, { operators: [0, 1, 2, 4].map(sampleOperator) });
    const root = createRoot(ledger.networkId, without);
    const of = { root, signers: ['o0', 'o1', 'o2'], epoch: { policyHash: root.hash } };
    const { head: proven } = verifyProof(root, author.line, proveLine(ledger, author.line, of));
    const still = K.map((operator) => answer(operator, { head: proven }));
    assert.deepEqual(read(still, NEW_READER, of), STALE);
    // The same with one whose place in the policy nobody took away.
    const more = [...still.slice(0, 2), answer('o0', { head: proven })];
    assert.equal(read(more, NEW_READER, of).verdict, 'fresh(nonce)');
  });

  test('keeps the smallest of the k times: one operator ahead or behind moves nothing forward', () => {
    const times = (...each: readonly number[]): number =>
      read(each.map((time, i) => answer(`o${i}`, { time }))).floor;
    assert.equal(times(NOW + 315_360_000, NOW - 9, NOW - 4), NOW - 9);
    assert.equal(times(NOW + 315_360_000, NOW - 9, NOW - 4, NOW - 2), NOW - 4);
    assert.equal(times(5, NOW - 9, NOW - 4, NOW - 2), NOW - 9);
    assert.equal(times(5, NOW - 9, NOW - 4), 5);
  });

  test('never lowers its floor, and is not told that its policy is in force when it is not', () => {
    const floored = { ...NEW_READER, floor: NOW + 1000 };
    assert.deepEqual(read(answers(), floored), { verdict: 'fresh(nonce)', floor: NOW + 1000 });
    const ahead = { epoch: { policyVersion: 2 } };
    const later = answers({ head: headOf(ahead) });
    assert.deepEqual(read(later, NEW_READER, ahead), { verdict: 'stale(policy)', floor: 0 });
  });

  test('is shown no head below one that it accepted before', () => {
    const stored = { ...NEW_READER, head: headOf({ size: 12 }) };
    assert.throws(() => read(answers(), stored), { code: 'TRUST_HEAD_ROLLBACK' });
  });
});

/** A gateway that carries the challenge to k honest operators whose newest head is the proof's. */
function relay(extra: Partial<SampleAnswers> = {}): SampleAnswers {
  return {
    ...honestNode(ledger, author, [release]),
    challenge: (hash) => ({ answers: answers({ hash }), proof: null }),
    ...extra,
  };
}

async function lost(): Promise<SampleDevice> {
  const device = await SampleDevice.boot(ledger, author);
  device.clock = 0;
  return device;
}

suite('T14: a device without the time, at a gateway that lies', () => {
  test('an honest one: it installs, and each nonce is another one', async () => {
    const seen: string[] = [];
    for (let i = 0; i < 2; i++) {
      const device = await lost();
      const gateway = relay({
        challenge(hash) {
          seen.push(hex(hash));
          return { answers: answers({ hash }), proof: null };
        },
      });
      const { outcome, freshness } = await device.poll(gateway);
      assert.deepEqual([outcome, freshness], ['installed', 'fresh(nonce)']);
      assert.equal(device.state.state.floor, NOW);
      await device.poll(gateway);
    }
    assert.equal(new Set(seen).size, seen.length);
    assert.ok(seen.length >= 4);
  });

  test('answers that it recorded are worth nothing to the next nonce', async () => {
    const device = await lost();
    let recorded: readonly ChallengeAnswer[] = [];
    const hash = challengeHash(DEVICE, NONCE);
    recorded = answers({ hash });
    const { code } = await device.poll(
      relay({ challenge: () => ({ answers: recorded, proof: null }) }),
    );
    assert.equal(code, 'TRUST_STALE');
    assert.equal(device.runs, undefined);
  });

  test('answers held back until the nonce is dead come too late', async () => {
    const device = await lost();
    const late = relay({
      challenge(hash) {
        device.steady += 31_000;
        return { answers: answers({ hash }), proof: null };
      },
    });
    assert.equal((await device.poll(late)).code, 'TRUST_STALE');
    assert.equal(device.state.state.floor, 0);
    const slow = await lost();
    const { latest } = relay();
    const proves = relay({
      latest(line) {
        slow.steady += 31_000;
        return latest(line);
      },
    });
    assert.equal((await slow.poll(proves)).code, 'TRUST_STALE');
  });

  test('an old proof beside new answers is not what the answers name', async () => {
    const device = await lost();
    const newer = headOf({ size: 12 });
    const gateway = relay({
      challenge: (hash) => ({
        answers: answers({ hash, head: newer }),
        proof: proveLine(ledger, author.line),
      }),
    });
    assert.equal((await device.poll(gateway)).code, 'TRUST_STALE');
  });

  test('junk ends in a refusal, a lost answer in another question', async () => {
    const device = await lost();
    const junk = relay({
      challenge: () => ({
        answers: [
          {
            keyId: new Uint8Array(4),
            time: 0,
            size: 0,
            root: new Uint8Array(32),
            signature: new Uint8Array(64),
          },
        ],
        proof: new Uint8Array(9),
      }),
    });
    assert.equal((await device.poll(junk)).code, 'TRUST_STALE');
    let asked = 0;
    const moving = relay({
      challenge: (hash) =>
        asked++ === 0
          ? { answers: answers({ hash, head: headOf({ size: 8 }) }), proof: null }
          : { answers: answers({ hash }), proof: null },
    });
    assert.equal((await (await lost()).poll(moving)).freshness, 'fresh(nonce)');
  });

  test('nodes asked straight: k of them are needed', async () => {
    const node = (operator: string): SampleAnswers =>
      relay({ challenge: (hash) => ({ answers: [answer(operator, { hash })], proof: null }) });
    const device = await lost();
    device.relayed = false;
    // All sample nodes are of one operator's name here: one is asked at a time, and its answers add up.
    assert.equal((await device.poll(node('o1'))).code, 'TRUST_STALE');
  });

  test('a clock of its own that can be right is not given up for a nonce, one of a gateway is', async () => {
    const device = await SampleDevice.boot(ledger, author);
    const gateway = relay();
    assert.equal((await device.poll(gateway)).freshness, 'fresh(own clock)');
    const behind = await SampleDevice.boot(ledger, author);
    behind.clockName = 'gateway clock';
    assert.equal((await behind.poll(gateway)).freshness, 'fresh(nonce)');
  });
});

test('T14: what is signed is one line of text, byte by byte as docs/spec/challenge.md has it', () => {
  const message = challengeMessage(
    { origin: 'firmament/00', size: 9, root: new Uint8Array(32).fill(0xab), hash: HASH },
    1_800_000_000,
  );
  assert.equal(
    new TextDecoder().decode(message),
    `firmament/challenge/v1 1800000000 firmament/00 9 ${'ab'.repeat(32)} ${hex(HASH)}`,
  );
  for (const length of [0, 15, 17, 32])
    assert.throws(() => challengeHash(DEVICE, new Uint8Array(length)), {
      code: 'LOG_CHALLENGE_MALFORMED',
    });
  assert.equal(sign(sampleKey('o1 cosigner'), message).length, 64);
});
