/** CometBFT certificates of a test's own making: no engine runs, the validators' keys sign here. */
import { equal } from '../bytes.ts';
import type { PublicKey } from '../crypto/key.ts';
import type { Head } from '../ledger/close-block.ts';
import { appHashOfHead } from '../ledger/proven-ledger.ts';
import { encodeCertificate } from '../light/certificate.ts';
import type { Header } from '../light/header.ts';
import { chainIdOf } from '../registry/orderer.ts';
import { signedHeader } from './commit-fixture.ts';
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
  const votes = (key: PublicKey): boolean =>
    voters.some(({ consensus }) => equal(consensus.publicKey.bytes, key.bytes));
  const certificate = signedHeader({
    chainId: chainIdOf(network.genesis.networkId, options.chain ?? 1),
    height: BigInt(options.height ?? 2),
    time: options.time ?? head.time,
    appHash: appHashOfHead(head),
    signers: validators.map(({ consensus }) => ({ key: consensus, power: 10n })),
    does: (_, { key }) => (votes(key) ? 'commit' : 'absent'),
    changes: options.changes ?? {},
  });
  return encodeCertificate(certificate);
}
