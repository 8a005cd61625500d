/** T31: what claims to be a commit of CometBFT's validators and is none. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { hash, privateKey, sign, verify } from '#crypto';
import { ed25519 } from '@noble/curves/ed25519.js';
import { toBinary } from '@bufbuild/protobuf';
import { CanonicalVoteSchema } from '../../src/proto/tendermint/types/canonical_pb.js';
import { SignedMsgType } from '../../src/proto/tendermint/types/types_pb.js';
import { concat } from '../../src/bytes.ts';
import type { Code } from '../../src/errors.ts';
import type { Certificate } from '../../src/light/certificate.ts';
import { voteSignBytes, type Commit, type Vote } from '../../src/light/commit.ts';
import { headerHash, wireBlockId, wireTime, type Header } from '../../src/light/header.ts';
import { validatorSet, validatorsHash, type Validator } from '../../src/light/validators.ts';
import { powerSigned, verifyCommit } from '../../src/light/verify.ts';
import {
  commitTo,
  signedHeader,
  signer,
  validatorsOf,
  type CommitPlan,
  type Signer,
} from '../../src/testing/commit-fixture.ts';

const CHAIN = 'firmament-test-1';
const FOUR = ['a', 'b', 'c', 'd'].map((name) => signer(name));
const SET = validatorsOf(FOUR);
const PLAN: CommitPlan = { chainId: CHAIN, height: 7n, time: 1_700_000_000, signers: FOUR };
const GOOD = signedHeader(PLAN);
const OTHER = new Uint8Array(32).fill(7);

type Cast = Extract<Vote, { readonly kind: 'nil' | 'commit' }>;

function refused(certificate: Certificate, code: Code, set = SET, chainId = CHAIN): void {
  assert.throws(() => verifyCommit(certificate, set, chainId), { code });
}

function withHeader(change: Partial<Header>): Certificate {
  return { header: { ...GOOD.header, ...change }, commit: GOOD.commit };
}

function withCommit(change: Partial<Commit>): Certificate {
  return { header: GOOD.header, commit: { ...GOOD.commit, ...change } };
}

function vote(index: number): Cast {
  const found = GOOD.commit.votes[index];
  assert.ok(found !== undefined && found.kind !== 'absent');
  return found;
}

/** The commit with other votes at these places. */
function withVotes(changes: Readonly<Record<number, Vote>>): Certificate {
  return withCommit({ votes: GOOD.commit.votes.map((own, index) => changes[index] ?? own) });
}

function signerAt(index: number): Signer {
  const { key } = validatorSet(SET).members[index] as Validator;
  return FOUR.find((each) => each.key.publicKey.bytes === key.bytes) as Signer;
}

test('a commit of all, and one of three of four, are accepted', () => {
  verifyCommit(GOOD, SET, CHAIN);
  verifyCommit(signedHeader({ ...PLAN, does: (i) => (i === 1 ? 'absent' : 'commit') }), SET, CHAIN);
  verifyCommit(signedHeader({ ...PLAN, does: (i) => (i === 3 ? 'nil' : 'commit') }), SET, CHAIN);
});

suite('a header that nobody signed', () => {
  const { time, lastBlockId } = GOOD.header;
  const changes: readonly Partial<Header>[] = [
    { version: { block: 11n, app: 2n } },
    { time: { seconds: time.seconds, nanos: time.nanos + 1 } },
    { time: { seconds: time.seconds + 1n, nanos: time.nanos } },
    { lastBlockId: { ...lastBlockId, hash: OTHER } },
    { lastBlockId: { ...lastBlockId, parts: { total: 1, hash: OTHER } } },
    { lastCommitHash: OTHER },
    { dataHash: OTHER },
    { validatorsHash: OTHER },
    { nextValidatorsHash: OTHER },
    { consensusHash: OTHER },
    { appHash: OTHER },
    { lastResultsHash: OTHER },
    { evidenceHash: OTHER },
    { proposerAddress: OTHER.subarray(0, 20) },
  ];
  for (const change of changes)
    test(`another ${Object.keys(change).join()}`, () =>
      refused(withHeader(change), 'COMMIT_HEADER'));
  test('another height, in the header, in the commit, in both', () => {
    refused(withHeader({ height: 8n }), 'COMMIT_HEADER');
    refused(withCommit({ height: 8n }), 'COMMIT_HEADER');
    const both = { ...withHeader({ height: 8n }), commit: { ...GOOD.commit, height: 8n } };
    refused(both, 'COMMIT_HEADER');
  });
});

suite('another chain', () => {
  test('its header', () => refused(signedHeader({ ...PLAN, chainId: 'other' }), 'COMMIT_CHAIN'));
  test('our chain asked for by another name', () => refused(GOOD, 'COMMIT_CHAIN', SET, 'other'));
  test('its header with our chain id written in', () => {
    const foreign = signedHeader({ ...PLAN, chainId: 'other' });
    const header = { ...foreign.header, chainId: CHAIN };
    refused({ header, commit: foreign.commit }, 'COMMIT_HEADER');
  });
  test('its votes for our header', () => {
    const votes = GOOD.commit.votes.map((own, index): Vote => {
      assert.ok(own.kind !== 'absent');
      const bytes = voteSignBytes(GOOD.commit, own.time, 'other');
      return { ...own, signature: sign(signerAt(index).key, bytes) };
    });
    refused(withCommit({ votes }), 'COMMIT_SIGNATURE_INVALID');
  });
});

suite('votes that do not count', () => {
  test('two of four, half the power', () => {
    const half = signedHeader({ ...PLAN, does: (i) => (i < 2 ? 'commit' : 'absent') });
    refused(half, 'COMMIT_POWER');
  });
  test('exactly two thirds', () => {
    const signers = FOUR.slice(0, 3);
    const set = validatorsOf(signers);
    const two = signedHeader({ ...PLAN, signers, does: (i) => (i < 2 ? 'commit' : 'absent') });
    refused(two, 'COMMIT_POWER', set);
  });
  test('many of little power', () => {
    const signers = FOUR.map((each, i) => ({ ...each, power: i === 0 ? 100n : 1n }));
    const small = signedHeader({ ...PLAN, signers, does: (i) => (i > 0 ? 'commit' : 'absent') });
    refused(small, 'COMMIT_POWER', validatorsOf(signers));
  });
  test('two thirds of a power beyond 2^53 are counted exactly', () => {
    const third = 2n ** 58n - 1n;
    const signers = FOUR.slice(0, 3).map((each, i) => ({ ...each, power: third + BigInt(i) }));
    const does = (i: number): Vote['kind'] => (i < 2 ? 'commit' : 'absent');
    const set = validatorsOf(signers);
    // The two largest of three: one more than two thirds. Equal ones: not more.
    verifyCommit(signedHeader({ ...PLAN, signers, does }), set, CHAIN);
    const equal = signers.map((each) => ({ ...each, power: third }));
    refused(signedHeader({ ...PLAN, signers: equal, does }), 'COMMIT_POWER', validatorsOf(equal));
  });
  test('nil votes', () => {
    refused(signedHeader({ ...PLAN, does: (i) => (i < 2 ? 'commit' : 'nil') }), 'COMMIT_POWER');
    refused(signedHeader({ ...PLAN, does: () => 'nil' }), 'COMMIT_POWER');
  });
  test('nil votes called votes for the block', () => {
    const bytes = concat(nilBytes(vote(0)));
    const forged = { ...vote(0), signature: sign(signerAt(0).key, bytes) };
    refused(withVotes({ 0: forged }), 'COMMIT_SIGNATURE_INVALID');
  });
  test('prevotes', () => {
    const prevote = signBytesOf({ type: SignedMsgType.PREVOTE }, vote(0));
    const forged = { ...vote(0), signature: sign(signerAt(0).key, prevote) };
    refused(withVotes({ 0: forged }), 'COMMIT_SIGNATURE_INVALID');
  });
  test('of another round', () => refused(withCommit({ round: 1 }), 'COMMIT_SIGNATURE_INVALID'));
  test('for other parts of the block', () => {
    const { hash, parts } = GOOD.commit.blockId;
    const other = { hash, parts: { total: 2, hash: parts.hash } };
    refused(withCommit({ blockId: other }), 'COMMIT_SIGNATURE_INVALID');
    const second = { hash, parts: { total: 1, hash: OTHER } };
    refused(withCommit({ blockId: second }), 'COMMIT_SIGNATURE_INVALID');
  });
  test('for another header', () => {
    const other = signedHeader({ ...PLAN, appHash: OTHER });
    refused({ header: GOOD.header, commit: other.commit }, 'COMMIT_HEADER');
    const commit = { ...other.commit, blockId: GOOD.commit.blockId };
    refused({ header: GOOD.header, commit }, 'COMMIT_SIGNATURE_INVALID');
  });
  test('with another time', () => {
    const { seconds, nanos } = vote(2).time;
    const later = { ...vote(2), time: { seconds, nanos: nanos + 1 } };
    refused(withVotes({ 2: later }), 'COMMIT_SIGNATURE_INVALID');
  });
  test('with a changed signature', () => {
    const signature = vote(1).signature.with(20, (vote(1).signature[20] ?? 0) ^ 1);
    refused(withVotes({ 1: { ...vote(1), signature } }), 'COMMIT_SIGNATURE_INVALID');
  });
  test('with a signature that is malleable', () => {
    const s = littleEndian(vote(1).signature.subarray(32)) + ORDER;
    const bytes = Uint8Array.fromHex(s.toString(16).padStart(64, '0')).toReversed();
    const signature = concat(vote(1).signature.subarray(0, 32), bytes);
    refused(withVotes({ 1: { ...vote(1), signature } }), 'COMMIT_SIGNATURE_INVALID');
  });
});

const ORDER = 2n ** 252n + 27742317777372353535851937790883648493n;

function littleEndian(bytes: Uint8Array): bigint {
  return BigInt(`0x${bytes.toReversed().toHex()}`);
}

test('a vote that only ZIP-215 accepts counts, as CometBFT counted it', () => {
  // R with a point of small order added: 8 S B = 8 R + 8 k A holds, S B = R + k A does not.
  const { key } = signerAt(0);
  const { pointBytes: publicBytes, scalar } = ed25519.utils.getExtendedPublicKey(key.secret);
  const nonce = 12345n;
  const torsion = ed25519.Point.fromHex(SMALL_ORDER);
  const r = ed25519.Point.BASE.multiply(nonce).add(torsion).toBytes();
  const message = voteSignBytes(GOOD.commit, vote(0).time, CHAIN);
  const k = littleEndian(hash('SHA-512', concat(r, publicBytes, message)));
  const s = (nonce + (k % ORDER) * scalar) % ORDER;
  const bytes = Uint8Array.fromHex(s.toString(16).padStart(64, '0')).toReversed();
  const forged = { ...vote(0), signature: concat(r, bytes) };
  assert.equal(verify(key.publicKey, message, forged.signature), false);
  verifyCommit(withVotes({ 0: forged }), SET, CHAIN);
});

/** A point of order 8. */
const SMALL_ORDER = 'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a';

suite('votes of others', () => {
  test('one vote at two places', () => {
    refused(withVotes({ 1: vote(0) }), 'COMMIT_VOTER');
    const does: CommitPlan['does'] = (i) => (i < 2 ? 'commit' : 'absent');
    const { header, commit } = signedHeader({ ...PLAN, does });
    const [first] = commit.votes;
    assert.ok(first !== undefined);
    const votes = commit.votes.map((own) => (own.kind === 'absent' ? first : own));
    refused({ header, commit: { ...commit, votes } }, 'COMMIT_VOTER');
  });
  test('two that changed places', () =>
    refused(withVotes({ 0: vote(1), 1: vote(0) }), 'COMMIT_VOTER'));
  test("a validator's address over another's signature (CSA-2026-001)", () => {
    const forged = { ...vote(0), address: vote(1).address };
    refused(withVotes({ 1: forged }), 'COMMIT_SIGNATURE_INVALID');
    refused(withVotes({ 0: { ...vote(0), address: vote(1).address } }), 'COMMIT_VOTER');
    refused(withVotes({ 0: { ...vote(0), address: OTHER.subarray(0, 20) } }), 'COMMIT_VOTER');
  });
  test('more votes than validators, and fewer', () => {
    refused(withCommit({ votes: [...GOOD.commit.votes, vote(0)] }), 'COMMIT_VOTER');
    refused(withCommit({ votes: GOOD.commit.votes.slice(0, 3) }), 'COMMIT_VOTER');
  });
  test('of a stranger', () => {
    const stranger = [...FOUR.slice(0, 3), signer('stranger')];
    const commit = commitTo(GOOD.header, { ...PLAN, signers: stranger });
    refused({ header: GOOD.header, commit }, 'COMMIT_VOTER');
  });
  test('twice, where validators are found by address', () => {
    const twice = { ...GOOD.commit, votes: [vote(0), vote(1), vote(0), vote(2)] };
    const trusted = validatorSet(SET);
    assert.throws(() => powerSigned(twice, trusted, CHAIN), { code: 'COMMIT_VOTER' });
    assert.equal(powerSigned(GOOD.commit, trusted, CHAIN), 40n);
  });
  test('of strangers, of nobody and nil votes add nothing to a trusted share', () => {
    const does: CommitPlan['does'] = (i) => (i === 0 ? 'nil' : i === 1 ? 'absent' : 'commit');
    const { commit } = signedHeader({ ...PLAN, does });
    assert.equal(powerSigned(commit, validatorSet(SET), CHAIN), 20n);
    const [first] = validatorSet(SET).members;
    assert.ok(first !== undefined);
    assert.equal(powerSigned(GOOD.commit, validatorSet([first]), CHAIN), 10n);
    const strangers = validatorSet(validatorsOf([signer('x'), signer('y')]));
    assert.equal(powerSigned(GOOD.commit, strangers, CHAIN), 0n);
  });
  test('forged, where validators are found by address', () => {
    const { commit } = withVotes({ 3: { ...vote(3), signature: vote(2).signature } });
    assert.throws(() => powerSigned(commit, validatorSet(SET), CHAIN), {
      code: 'COMMIT_SIGNATURE_INVALID',
    });
  });
});

suite('other validators', () => {
  const change = (index: number, own: Partial<Validator>): readonly Validator[] =>
    SET.map((each, i) => (i === index ? { ...each, ...own } : each));
  test('with another power', () => refused(GOOD, 'COMMIT_SET', change(2, { power: 11n })));
  test('with another key', () => {
    refused(GOOD, 'COMMIT_SET', change(2, { key: signer('x').key.publicKey }));
  });
  test('one more, one fewer', () => {
    refused(GOOD, 'COMMIT_SET', [...SET, ...validatorsOf([signer('x')])]);
    refused(GOOD, 'COMMIT_SET', SET.slice(1));
  });
  test('whose hash somebody wrote into the header', () => {
    const forged = ['x', 'y', 'z'].map((name) => signer(name));
    const hash = validatorsHash(validatorsOf(forged));
    refused(withHeader({ validatorsHash: hash }), 'COMMIT_HEADER', validatorsOf(forged));
    // Even with the votes of them all, made for this header: they are not the validators asked for.
    const header = { ...GOOD.header, validatorsHash: hash };
    refused({ header, commit: commitTo(header, { ...PLAN, signers: forged }) }, 'COMMIT_SET');
  });
  test('none, or impossible ones', () => {
    const impossible: readonly (readonly Validator[])[] = [
      [],
      change(0, { power: 0n }),
      change(0, { power: -10n }),
      change(0, { power: 2n ** 60n }),
      change(0, { power: 2n ** 60n - 30n }),
      change(0, { power: 2n ** 64n + 10n }),
      [...SET, ...SET.slice(0, 1)],
      [...SET, ...validatorsOf([{ ...(FOUR[0] as Signer), power: 5n }])],
      change(0, { key: privateKey('P-256', new Uint8Array(32).fill(1)).publicKey }),
      change(0, { key: { curve: 'Ed25519', bytes: new Uint8Array(31) } }),
      change(0, { key: { curve: 'Ed25519', bytes: new Uint8Array(32) } }),
      change(0, { key: { curve: 'Ed25519', bytes: new Uint8Array(32).with(0, 1) } }),
      Array.from({ length: 401 }, (_, i) => ({ ...(SET[0] as Validator), power: BigInt(i + 1) })),
    ];
    for (const set of impossible) refused(GOOD, 'COMMIT_SET_INVALID', set);
  });
});

/** What a vote signs, with fields of its canonical form changed; behind its length, as always. */
function signBytesOf(
  change: { readonly type?: SignedMsgType; readonly blockId?: undefined },
  { time }: Cast,
): Uint8Array {
  const { height, round, blockId } = GOOD.commit;
  const wire = {
    $typeName: 'tendermint.types.CanonicalVote' as const,
    type: SignedMsgType.PRECOMMIT,
    height,
    round: BigInt(round),
    timestamp: wireTime(time),
    chainId: CHAIN,
  };
  const { hash } = blockId;
  const parts = { $typeName: 'tendermint.types.CanonicalPartSetHeader' as const, ...blockId.parts };
  const id = {
    $typeName: 'tendermint.types.CanonicalBlockID' as const,
    hash,
    partSetHeader: parts,
  };
  const bytes = toBinary(CanonicalVoteSchema, {
    ...wire,
    ...('blockId' in change ? {} : { blockId: id }),
    ...(change.type === undefined ? {} : { type: change.type }),
  });
  return concat(new Uint8Array([bytes.length]), bytes);
}

function nilBytes(own: Cast): Uint8Array {
  return signBytesOf({ blockId: undefined }, own);
}

test('the forger signs what CometBFT signs, but for what is changed', () => {
  const bytes = signBytesOf({}, vote(0));
  assert.deepEqual(bytes, voteSignBytes(GOOD.commit, vote(0).time, CHAIN));
  assert.deepEqual(wireBlockId(GOOD.commit.blockId).hash, headerHash(GOOD.header));
});
