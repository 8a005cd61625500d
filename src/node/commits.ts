/** Commits of the consortium engine as other nodes and auditors get them (docs/spec/commit-certificate.md). */
import type { Commit } from '../api/commit.ts';
import { equal } from '../bytes.ts';
import { codeOf, fail } from '../errors.ts';
import type { Head } from '../ledger/close-block.ts';
import { appHashOfHead } from '../ledger/proven-ledger.ts';
import type { Replica } from '../ledger/replica.ts';
import { appHashOf, decodeCertificate, timeOf, type Certificate } from '../light/certificate.ts';
import { verifyCommit } from '../light/verify.ts';
import { chainIdOf, validatorsOf } from '../registry/orderer.ts';

export interface ProvenCommit extends Commit {
  /** Of the header, POSIX seconds. */
  readonly time: number;
}

/** A commit of the engine on this node, with the head that it stands for; undefined when that is not the newest. */
export function commitOf(
  replica: Replica,
  bytes: Uint8Array | undefined,
): ProvenCommit | undefined {
  if (!bytes) return undefined;
  const certificate = decodeCertificate(bytes);
  const head = replica.certified();
  return isOf(certificate, head) ? shown(bytes, certificate, head) : undefined;
}

/**
 * A commit that another node showed: the validators of the policy in force signed, and it stands for the newest head
 * here. Undefined when it stands for another: this node, or that one, is behind. Errors: COMMIT_*.
 */
export function provenCommit(
  replica: Replica,
  { certificate: bytes }: Commit,
): ProvenCommit | undefined {
  const certificate = decodeCertificate(bytes);
  const head = replica.certified();
  if (!isOf(certificate, head)) return undefined;
  const { version } = replica.policyOf(head.epoch.policyVersion).policy;
  // After a change of policy the voters of the one before sign one more header.
  const before = head.height === 0 ? version : replica.headAt(head.height - 1).epoch.policyVersion;
  try {
    verifyAs(replica, certificate, version);
  } catch (error) {
    if (before === version || !codeOf(error)?.startsWith('COMMIT_')) throw error;
    verifyAs(replica, certificate, before);
  }
  return shown(bytes, certificate, head);
}

function verifyAs(replica: Replica, certificate: Certificate, version: number): void {
  const { orderer } = replica.policyOf(version).policy;
  if (orderer.engine !== 'cometbft') return fail('COMMIT_SET', 'no validators yet');
  const chain = chainIdOf(replica.genesis.networkId, orderer.chain);
  verifyCommit(certificate, validatorsOf(orderer), chain);
}

function isOf(certificate: Certificate, head: Head): boolean {
  return equal(appHashOf(certificate), appHashOfHead(head));
}

function shown(certificate: Uint8Array, parsed: Certificate, head: Head): ProvenCommit {
  const { height, size, root, epoch } = head;
  const { stateRoot } = epoch;
  return { certificate, head: { height, size, root, stateRoot }, time: timeOf(parsed) };
}
