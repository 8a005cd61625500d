/** Commits that tests sign themselves, where a real chain does not do what the test needs. */
import { privateKey, sha256, sign } from '#crypto';
import { utf8 } from '../bytes.ts';
import type { PrivateKey } from '../crypto/key.ts';
import type { Certificate } from '../light/certificate.ts';
import { voteSignBytes, type Vote } from '../light/commit.ts';
import { headerHash, type BlockId, type Header, type Time } from '../light/header.ts';
import { validatorSet, validatorsHash, type Validator } from '../light/validators.ts';

export interface Signer {
  readonly key: PrivateKey;
  readonly power: bigint;
}

export interface CommitPlan {
  readonly chainId: string;
  readonly height: bigint;
  /** POSIX seconds. */
  readonly time: number;
  readonly signers: readonly Signer[];
  /** The validators of the next height; the same ones unless it is given. */
  readonly next?: readonly Signer[];
  readonly appHash?: Uint8Array;
  readonly round?: number;
  readonly lastBlockId?: BlockId;
  /** What the validator at this place of the set does; all vote for the block unless it is given. */
  readonly does?: (index: number, member: Validator) => Vote['kind'];
  /** What the header says instead; the votes are for it as changed. */
  readonly changes?: Partial<Header>;
}

/** A validator whose key everybody can make from its name. */
export function signer(name: string, power = 10n): Signer {
  return { key: privateKey('Ed25519', sha256(utf8(name))), power };
}

export function validatorsOf(signers: readonly Signer[]): readonly Validator[] {
  return signers.map(({ key, power }) => ({ key: key.publicKey, power }));
}

/** A header as CometBFT would make it, with the votes that the plan asks for. */
export function signedHeader(plan: CommitPlan): Certificate {
  const none: BlockId = { hash: new Uint8Array(), parts: { total: 0, hash: new Uint8Array() } };
  const { members } = validatorSet(validatorsOf(plan.signers));
  const filler = sha256(utf8(`block ${plan.height}`));
  const header: Header = {
    version: { block: 11n, app: 1n },
    chainId: plan.chainId,
    height: plan.height,
    time: { seconds: BigInt(plan.time), nanos: 123_456_789 },
    lastBlockId: plan.lastBlockId ?? none,
    lastCommitHash: filler,
    dataHash: filler,
    validatorsHash: validatorsHash(validatorsOf(plan.signers)),
    nextValidatorsHash: validatorsHash(validatorsOf(plan.next ?? plan.signers)),
    consensusHash: filler,
    appHash: plan.appHash ?? filler,
    lastResultsHash: filler,
    evidenceHash: filler,
    proposerAddress: (members[0] as (typeof members)[number]).address,
    ...plan.changes,
  };
  return { header, commit: commitTo(header, plan) };
}

/** The votes for a header, in the order of the set. */
export function commitTo(header: Header, plan: CommitPlan): Certificate['commit'] {
  const { members } = validatorSet(validatorsOf(plan.signers));
  const blockId = { hash: headerHash(header), parts: { total: 1, hash: sha256(header.appHash) } };
  const commit = { height: header.height, round: plan.round ?? 0, blockId };
  const time: Time = { seconds: header.time.seconds + 1n, nanos: 5 };
  const votes = members.map((member, index): Vote => {
    const kind = plan.does?.(index, member) ?? 'commit';
    if (kind === 'absent') return { kind };
    const own = plan.signers.find(({ key }) => key.publicKey.bytes === member.key.bytes) as Signer;
    const signature = sign(own.key, voteSignBytes(commit, time, header.chainId));
    return { kind, address: member.address, time, signature };
  });
  return { ...commit, votes };
}
