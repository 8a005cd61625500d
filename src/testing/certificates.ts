/** CometBFT certificates of a test's own making: no engine runs, the validators' keys sign here. */
import { sha256, sign } from '#crypto';
import { equal, utf8 } from '../bytes.ts';
import type { Head } from '../ledger/close-block.ts';
import { appHashOfHead } from '../ledger/proven-ledger.ts';
import { encodeCertificate } from '../light/certificate.ts';
import { voteSignBytes, type Vote } from '../light/commit.ts';
import { headerHash, type BlockId, type Header } from '../light/header.ts';
import { setHash, validatorSet } from '../light/validators.ts';
import { chainIdOf } from '../registry/orderer.ts';
import type { FixtureNetwork, FixtureNode } from './fixture.ts';

export interface CertificateOptions {
  /** The engine's height; 2 unless said otherwise. */
  readonly height?: number;
  readonly chain?: number;
  /** POSIX seconds. */
  readonly time?: number;
  /** The set; every operator's first node unless said otherwise. */
  readonly validators?: readonly FixtureNode[];
  /** Those of them that vote; all unless said otherwise. */
  readonly voters?: readonly FixtureNode[];
  readonly changes?: Partial<Header>;
}

/** What proves a head: the SignedHeader that carries its app hash. */
export function certificateFor(
  network: FixtureNetwork,
  head: Pick<Head, 'size' | 'root' | 'epoch' | 'time'>,
  options: CertificateOptions = {},
): Uint8Array {
  const validators =
    options.validators ??
    network.operators.map(({ nodes }) => nodes[0]).filter((node) => node !== undefined);
  const voters = options.voters ?? validators;
  const chainId = chainIdOf(network.genesis.networkId, options.chain ?? 1);
  const set = validatorSet(
    validators.map(({ consensus }) => ({ key: consensus.publicKey, power: 1n })),
  );
  const height = BigInt(options.height ?? 2);
  const time = { seconds: BigInt(options.time ?? head.time), nanos: 0 };
  const filler = (what: string): Uint8Array => sha256(utf8(`${what} ${height}`));
  const header: Header = {
    version: { block: 11n, app: 1n },
    chainId,
    height,
    time,
    lastBlockId: { hash: filler('last'), parts: { total: 1, hash: filler('last parts') } },
    lastCommitHash: filler('last commit'),
    dataHash: filler('data'),
    validatorsHash: setHash(set),
    nextValidatorsHash: setHash(set),
    consensusHash: filler('consensus'),
    appHash: appHashOfHead(head),
    lastResultsHash: filler('results'),
    evidenceHash: filler('evidence'),
    proposerAddress: set.members[0]?.address ?? new Uint8Array(20),
    ...options.changes,
  };
  const blockId: BlockId = {
    hash: headerHash(header),
    parts: { total: 1, hash: filler('parts') },
  };
  const commit = { height, round: 0, blockId };
  const votes = set.members.map(({ key, address }): Vote => {
    const voter = voters.find(({ consensus }) => equal(consensus.publicKey.bytes, key.bytes));
    if (!voter) return { kind: 'absent' };
    const signature = sign(voter.consensus, voteSignBytes(commit, time, chainId));
    return { kind: 'commit', address, time, signature };
  });
  return encodeCertificate({ header, commit: { ...commit, votes } });
}
