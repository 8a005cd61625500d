/** T31: an auditor's light client and the sources that lie to it. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import type { Code } from '../../src/errors.ts';
import type { Certificate } from '../../src/light/certificate.ts';
import { headerHash } from '../../src/light/header.ts';
import {
  trustHash,
  trustKept,
  trustValidators,
  verifyBefore,
  verifyLater,
  type LightBlock,
  type LightOptions,
  type TrustedBlock,
} from '../../src/light/light-block.ts';
import { validatorSet } from '../../src/light/validators.ts';
import { verifyChain, verifyTo, type LightSource } from '../../src/light/light-client.ts';
import {
  signedHeader,
  signer,
  validatorsOf,
  type CommitPlan,
  type Signer,
} from '../../src/testing/commit-fixture.ts';

const CHAIN = 'firmament-test-1';
const START = 1_700_000_000;
const DAY = 86_400;
const OPTIONS: LightOptions = { chainId: CHAIN, trustingPeriod: DAY, maxClockDrift: 10 };
const NOW = START + 1000;
const ALL = Array.from({ length: 50 }, (_, i) => signer(`v${i}`));
const OTHER = new Uint8Array(32).fill(7);

/** The validators of a height: six, of which every height replaces one. */
function signersAt(height: number): readonly Signer[] {
  return Array.from({ length: 6 }, (_, i) => ALL[height + i] as Signer);
}

function planAt(height: number): CommitPlan {
  return {
    chainId: CHAIN,
    height: BigInt(height),
    time: START + height * 10,
    signers: signersAt(height),
    next: signersAt(height + 1),
  };
}

/** A chain of so many heights, each header naming the one before. */
function chainOf(length: number): readonly LightBlock[] {
  const blocks: LightBlock[] = [];
  for (let height = 1; height <= length; height++) {
    const last = blocks.at(-1)?.certificate.commit.blockId;
    const plan = { ...planAt(height), ...(last === undefined ? {} : { lastBlockId: last }) };
    blocks.push(blockOf(plan));
  }
  return blocks;
}

function blockOf(plan: CommitPlan): LightBlock {
  return { certificate: signedHeader(plan), validators: validatorsOf(plan.signers) };
}

const CHAIN_BLOCKS = chainOf(40);
const block = (height: number): LightBlock => CHAIN_BLOCKS[height - 1] as LightBlock;

function trustedAt(height: number): TrustedBlock {
  const { certificate, validators } = block(height);
  return trustValidators(certificate, validators, CHAIN);
}

/** Where in the set of a height these signers stand. */
function placesOf(height: number, signers: readonly Signer[]): readonly number[] {
  const keys = new Set(signers.map(({ key }) => key.publicKey.bytes));
  const { members } = validatorSet(validatorsOf(signersAt(height)));
  return members.flatMap(({ key }, index) => (keys.has(key.bytes) ? [index] : []));
}

function refused(from: number, to: LightBlock, code: Code, now = NOW, options = OPTIONS): void {
  assert.throws(() => verifyLater(trustedAt(from), to, options, now), { code });
}

suite('one step', () => {
  test('to the next height, and to one that enough trusted validators signed', () => {
    verifyLater(trustedAt(1), block(2), OPTIONS, NOW);
    verifyLater(trustedAt(1), block(4), OPTIONS, NOW);
  });
  test('exactly a third of the trusted power is too little', () => {
    // Height 5 has two of the six of height 1.
    refused(1, block(5), 'LIGHT_TRUST');
    refused(1, block(20), 'LIGHT_TRUST');
  });
  test('validators that are trusted and in the set, but did not vote, add nothing', () => {
    // Height 4 has three of the six of height 1.
    verifyLater(trustedAt(1), block(4), OPTIONS, NOW);
    const trusted = placesOf(4, signersAt(1));
    const does: CommitPlan['does'] = (i) => (i === trusted[0] ? 'absent' : 'commit');
    refused(1, blockOf({ ...planAt(4), does }), 'LIGHT_TRUST');
  });
  test('the next height under validators that were not announced', () => {
    const plan = planAt(2);
    refused(1, blockOf({ ...plan, signers: signersAt(3) }), 'LIGHT_NEXT_SET');
    refused(1, blockOf({ ...plan, signers: signersAt(1) }), 'LIGHT_NEXT_SET');
  });
  test('signed by the trusted ones, but not by its own', () => {
    // Height 3's set keeps four of height 1's six; those four alone are exactly two thirds of it.
    const trusted = placesOf(3, signersAt(1));
    assert.equal(trusted.length, 4);
    const does: CommitPlan['does'] = (i) => (trusted.includes(i) ? 'commit' : 'absent');
    refused(1, blockOf({ ...planAt(3), does }), 'COMMIT_POWER');
  });
  test('a set of strangers that the header names', () => {
    const strangers = ['x', 'y', 'z'].map((name) => signer(name));
    refused(1, blockOf({ ...planAt(3), signers: strangers }), 'LIGHT_TRUST');
    refused(1, blockOf({ ...planAt(2), signers: strangers }), 'LIGHT_NEXT_SET');
  });
  test('another chain', () => {
    refused(1, blockOf({ ...planAt(2), chainId: 'other' }), 'COMMIT_CHAIN');
    refused(1, blockOf({ ...planAt(3), chainId: 'other' }), 'COMMIT_CHAIN');
  });
  test('a header that contradicts itself is refused, not passed over for another', () => {
    const { certificate, validators } = block(20);
    const header = { ...certificate.header, appHash: OTHER };
    refused(1, { certificate: { ...certificate, header }, validators }, 'COMMIT_HEADER');
    refused(1, { certificate, validators: validatorsOf(signersAt(1)) }, 'COMMIT_SET');
  });
});

suite('time and order', () => {
  const at = (change: Partial<CommitPlan>): LightBlock => blockOf({ ...planAt(2), ...change });
  test('a trusted header that is too old', () => {
    const made = START + 10;
    // Its nanoseconds are above 0: it is believed until the second after, and no longer.
    verifyLater(trustedAt(1), block(2), OPTIONS, made + DAY);
    refused(1, block(2), 'LIGHT_EXPIRED', made + DAY + 1);
    refused(1, block(3), 'LIGHT_EXPIRED', made + DAY + 1);
    refused(1, block(20), 'LIGHT_EXPIRED', made + 10 * DAY);
  });
  test('a header of the future', () => {
    verifyLater(trustedAt(1), at({ time: NOW + 9 }), OPTIONS, NOW);
    refused(1, at({ time: NOW + 10 }), 'LIGHT_FUTURE');
    refused(1, blockOf({ ...planAt(3), time: NOW + 10 }), 'LIGHT_FUTURE');
  });
  test('not later in time', () => {
    refused(1, at({ time: START + 10 }), 'LIGHT_ORDER');
    refused(1, at({ time: START }), 'LIGHT_ORDER');
  });
  test('not above in height', () => {
    refused(3, block(3), 'LIGHT_ORDER');
    refused(3, block(2), 'LIGHT_ORDER');
    // All of its validators sign another header of the same height, or of one below, with a later time.
    refused(3, blockOf({ ...planAt(3), time: START + 50 }), 'LIGHT_ORDER');
    refused(3, blockOf({ ...planAt(2), time: START + 50 }), 'LIGHT_ORDER');
  });
});

suite('what is believed first', () => {
  const { certificate, validators } = block(1);
  const hash = headerHash(certificate.header);
  test('a hash that is known', () => {
    trustHash(block(1), hash, CHAIN);
    assert.throws(() => trustHash(block(1), OTHER, CHAIN), { code: 'LIGHT_ROOT' });
    assert.throws(() => trustHash(block(1), hash, 'other'), { code: 'COMMIT_CHAIN' });
    const few = signedHeader({ ...planAt(1), does: (i) => (i < 4 ? 'commit' : 'absent') });
    const own = { certificate: few, validators };
    assert.throws(() => trustHash(own, headerHash(few.header), CHAIN), { code: 'COMMIT_POWER' });
  });
  test('validators that are known', () => {
    assert.throws(() => trustValidators(certificate, validatorsOf(signersAt(2)), CHAIN), {
      code: 'COMMIT_SET',
    });
  });
  test('a header that was kept, with validators of its height or the next', () => {
    trustKept(certificate, validators, CHAIN);
    const kept = trustKept(certificate, validatorsOf(signersAt(2)), CHAIN);
    verifyLater(kept, block(5), OPTIONS, NOW);
    const other = validatorsOf(signersAt(3));
    assert.throws(() => trustKept(certificate, other, CHAIN), { code: 'COMMIT_SET' });
    assert.throws(() => trustKept(certificate, validators, 'x'), { code: 'COMMIT_CHAIN' });
  });
});

suite('backwards', () => {
  const header = (height: number): Certificate['header'] => block(height).certificate.header;
  test('the header before', () => verifyBefore(trustedAt(9), header(8), OPTIONS, NOW));
  test('another one', () => {
    const before = (code: Code, own = header(8), now = NOW): void =>
      assert.throws(() => verifyBefore(trustedAt(9), own, OPTIONS, now), { code });
    before('LIGHT_ROOT', { ...header(8), appHash: OTHER });
    before('LIGHT_ORDER', header(7));
    before('LIGHT_ORDER', { ...header(8), time: header(9).time });
    before('COMMIT_CHAIN', { ...header(8), chainId: 'other' });
    before('LIGHT_EXPIRED', header(8), NOW + 2 * DAY);
  });
});

suite('bisection', () => {
  function sourceOf(changes: ReadonlyMap<number, LightBlock> = new Map()): {
    readonly source: LightSource;
    readonly asked: number[];
  } {
    const asked: number[] = [];
    const source: LightSource = async (height) => {
      asked.push(Number(height));
      return changes.get(Number(height)) ?? block(Number(height));
    };
    return { source, asked };
  }
  const root = { height: 1n, hash: headerHash(block(1).certificate.header) };

  test('reaches a height whose validators are all new, with few headers', async () => {
    const { source, asked } = sourceOf();
    const trace = await verifyChain(root, 40n, source, OPTIONS, NOW);
    const heights = trace.map(({ header }) => Number(header.height));
    assert.equal(heights[0], 1);
    assert.equal(heights.at(-1), 40);
    assert.ok(heights.every((height, i) => i === 0 || height - (heights[i - 1] as number) <= 3));
    assert.ok(asked.length < 36, `${asked.length}`);
    assert.deepEqual(new Set(asked).size, asked.length);
  });
  test('from validators, to the height that is believed already, and one further', async () => {
    const known = { height: 1n, validators: block(1).validators };
    const { source } = sourceOf();
    assert.equal((await verifyChain(known, 1n, source, OPTIONS, NOW)).length, 1);
    assert.equal((await verifyChain(known, 2n, source, OPTIONS, NOW)).length, 2);
  });
  test('refuses a forged target and a forged header between', async () => {
    const strangers = ['x', 'y', 'z'].map((name) => signer(name));
    const forged = (height: number): LightBlock =>
      blockOf({ ...planAt(height), signers: strangers, next: strangers });
    for (const height of [40, 20]) {
      // Bisection ends at the trusted height's neighbour, whose validators are announced.
      const { source } = sourceOf(new Map([[height, forged(height)]]));
      const found = verifyChain(root, 40n, source, OPTIONS, NOW);
      await assert.rejects(found, { code: 'LIGHT_NEXT_SET' });
    }
  });
  test('refuses a chain that validators of long ago made', async () => {
    // All six of height 1 sign another height 2 and on; their time is over, whatever they sign.
    const old = signersAt(1);
    const fork = blockOf({ ...planAt(40), signers: old, next: old });
    const { source } = sourceOf(new Map([[40, fork]]));
    const late = START + 10 * DAY;
    await assert.rejects(verifyChain(root, 40n, source, OPTIONS, late), { code: 'LIGHT_EXPIRED' });
    const later = trustedAt(30);
    await assert.rejects(verifyTo(later, 40n, source, OPTIONS, NOW), { code: 'LIGHT_NEXT_SET' });
  });
  test('refuses an answer of another height, and ends with what the source throws', async () => {
    const wrong = sourceOf(new Map([[40, block(39)]])).source;
    await assert.rejects(verifyChain(root, 40n, wrong, OPTIONS, NOW), { code: 'LIGHT_SOURCE' });
    const missing: LightSource = async (height) => {
      if (height === 20n) throw new Error('not here');
      return block(Number(height));
    };
    await assert.rejects(verifyChain(root, 40n, missing, OPTIONS, NOW), /not here/);
  });
  test('refuses a height below', async () => {
    const { source } = sourceOf();
    await assert.rejects(verifyTo(trustedAt(9), 5n, source, OPTIONS, NOW), { code: 'LIGHT_ORDER' });
    await assert.rejects(verifyTo(trustedAt(9), 9n, source, OPTIONS, NOW), { code: 'LIGHT_ORDER' });
  });
});
